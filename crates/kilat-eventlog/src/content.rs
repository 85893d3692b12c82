//! What an event says, as a print of 16 bytes. It knows nothing of what an event is made of.

use std::fmt;

/// A print of what an event says: two events of one id with equal prints are the same event, with
/// different ones they are in conflict.
///
/// BLAKE3 of the bytes, cut to 128 bits: nobody can make two contents that share one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Content([u8; 16]);

impl Content {
    /// The print of `bytes`, which have to say the same thing always in the same way.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let hash = blake3::hash(bytes);
        let mut print = [0; 16];
        print.copy_from_slice(&hash.as_bytes()[..16]);
        Self(print)
    }

    /// A print that was read back.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The print's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}
