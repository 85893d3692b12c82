//! The chain of a run: each record's sum covers the record and, by the sum before, all earlier
//! ones of its run.

/// Bytes of a sum.
pub(super) const SUM_BYTES: usize = 16;
/// Between a record's text and the hexadecimal digits of its sum.
pub(super) const BEFORE_SUM: &[u8] = b",\"sum\":\"";
/// After the digits.
pub(super) const AFTER_SUM: &[u8] = b"\"}";
/// Bytes that the sum adds to a record.
pub(super) const SEAL_BYTES: usize = BEFORE_SUM.len() + 2 * SUM_BYTES + AFTER_SUM.len();

/// The first bytes of a BLAKE3 over the sum before and the record's text up to
/// [`BEFORE_SUM`]. Before the first record of a run it is all zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum(pub(super) [u8; SUM_BYTES]);

impl Sum {
    /// The sum of the record that follows this one.
    pub(super) fn next(self, text: &[u8]) -> Sum {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(text);
        let mut sum = [0; SUM_BYTES];
        sum.copy_from_slice(&hasher.finalize().as_bytes()[..SUM_BYTES]);
        Sum(sum)
    }

    /// As 32 hexadecimal digits.
    pub(super) fn hex(self) -> [u8; 2 * SUM_BYTES] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; 2 * SUM_BYTES];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        hex
    }

    /// Reads what [`Sum::hex`] writes, and nothing else.
    pub(super) fn from_hex(hex: &[u8]) -> Option<Sum> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut sum = [0; SUM_BYTES];
        if hex.len() != 2 * SUM_BYTES {
            return None;
        }
        for (byte, pair) in sum.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Sum(sum))
    }

    /// Takes a record apart into its text and the sum that it carries.
    pub(super) fn split(record: &[u8]) -> Option<(&[u8], Sum)> {
        let (text, seal) = record.split_at_checked(record.len().checked_sub(SEAL_BYTES)?)?;
        let hex = seal.strip_prefix(BEFORE_SUM)?.strip_suffix(AFTER_SUM)?;
        Some((text, Sum::from_hex(hex)?))
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
