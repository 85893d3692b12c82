//! Why stored bytes can't be taken back. What to do: report; nothing here gets better by a retry.

use std::error::Error;
use std::fmt;

/// Stored bytes that can't be what a ledger wrote, or not for this ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Corrupt {
    /// The bytes don't follow the format.
    Malformed(&'static str),
    /// The bytes follow the format but can't follow from what came before.
    Contradiction(&'static str),
    /// A newer version of the program wrote them: start that one.
    NewerFormat {
        /// The version found.
        found: u16,
        /// The newest version known here.
        known: u16,
    },
    /// A snapshot was made with another fingerprint key.
    OtherKey,
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "stored ledger data is malformed: {what}"),
            Self::Contradiction(what) => write!(f, "stored ledger data contradicts itself: {what}"),
            Self::NewerFormat { found, known } => write!(
                f,
                "stored ledger data has format {found} but this program knows up to {known}: start a newer version"
            ),
            Self::OtherKey => f.write_str(
                "the snapshot was made with another fingerprint key: restore the key that belongs to it",
            ),
        }
    }
}

impl Error for Corrupt {}
