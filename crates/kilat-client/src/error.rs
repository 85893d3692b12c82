//! What went wrong, by what the caller should do about it.

use std::fmt;

/// Why a command could not be carried out. The message is one sentence in the
/// caller's language, ready to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientError {
    /// Fix the command, the configuration or the file, then call again.
    Usage(String),
    /// The admin token is needed and none was given.
    NoAdminToken(String),
    /// Nothing answers there; start the server or wait, then call again.
    Unreachable(String),
    /// The server understood and said no; the sentence says why.
    Refused(String),
    /// The server broke its contract; report it.
    Fault(String),
    /// A file that was being written can't be written further; the sentence says what is kept
    /// and how to go on.
    Storage(String),
}

impl ClientError {
    /// Exit code of a command that ends with this error: 2 for usage and a missing token, else 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            ClientError::Usage(_) | ClientError::NoAdminToken(_) => 2,
            _ => 1,
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ClientError::Usage(message)
        | ClientError::NoAdminToken(message)
        | ClientError::Unreachable(message)
        | ClientError::Refused(message)
        | ClientError::Fault(message)
        | ClientError::Storage(message)) = self;
        f.write_str(message)
    }
}

impl std::error::Error for ClientError {}
