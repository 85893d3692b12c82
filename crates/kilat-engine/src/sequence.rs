//! Sequences of facts, also of a sale whose stock is split into stripes.
//!
//! A sale in one piece counts 1, 2, 3, …. In a sale of stripes each stripe counts for itself, and the
//! stripe's number stands in the upper bits: sequences differ, they grow with each fact of a stripe,
//! and they are exact as numbers of JSON, which end at 2^53. In a text they read `<stripe>.<n>`.

use std::fmt;

/// Most stripes of a sale.
pub const STRIPES_MAX: u16 = 256;
/// Bits of the count in a stripe: more facts than a sale can have.
const COUNT_BITS: u32 = 40;

const _: () = assert!((STRIPES_MAX as u64) << COUNT_BITS < 1 << 53);

/// The sequence of a stripe's fact number `count`; stripe 0 is a sale in one piece.
#[cfg(feature = "redis")]
pub(crate) fn of_stripe(stripe: u16, count: u64) -> u64 {
    u64::from(stripe) << COUNT_BITS | count
}

/// The stripe of a sequence, and what it counts there. 0 stands for a sale in one piece.
pub(crate) fn parts(sequence: u64) -> (u64, u64) {
    (sequence >> COUNT_BITS, sequence & ((1 << COUNT_BITS) - 1))
}

/// A sequence as a text says it.
pub(crate) struct Spelled(pub(crate) u64);

impl fmt::Display for Spelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match parts(self.0) {
            (0, count) => write!(f, "{count}"),
            (stripe, count) => write!(f, "{stripe}.{count}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stripe_is_spelled_before_its_count() {
        for (sequence, spelled) in
            [(7, "7"), (1 << 40 | 7, "1.7"), (256 << 40 | 1 << 39, "256.549755813888")]
        {
            assert_eq!(Spelled(sequence).to_string(), spelled);
        }
    }
}
