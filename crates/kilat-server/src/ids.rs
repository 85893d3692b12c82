//! Ids that enter with a request: order ids that nobody can guess, request ids that tell exchanges apart.

use crate::headers::is_request_id;
use kilat_engine::OrderId;
use rand::RngExt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// 128 bits from the thread's ChaCha generator, which the system seeds.
#[must_use]
pub(crate) fn order_id() -> OrderId {
    OrderId::from_bits(random_bits())
}

/// 128 bits that nobody can guess.
pub(crate) fn random_bits() -> u128 {
    rand::rng().random()
}

/// Bytes of a made request id: 8 hexadecimal digits of the process, a dash, 16 of the exchange.
const MADE_BYTES: usize = 25;

/// Tells the exchanges of this process from those of any other.
static PROCESS: LazyLock<u32> = LazyLock::new(|| rand::rng().random());
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The id of one exchange: the caller's own if it is well formed, otherwise a new one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestId<'a>(Source<'a>);

#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Caller(&'a str),
    Made([u8; MADE_BYTES]),
}

impl<'a> RequestId<'a> {
    /// Takes the caller's id over or makes one.
    #[must_use]
    pub(crate) fn of(callers: Option<&'a str>) -> Self {
        RequestId(match callers.filter(|id| is_request_id(id)) {
            Some(id) => Source::Caller(id),
            None => Source::Made(make()),
        })
    }

    /// The id as written in the header.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        match &self.0 {
            Source::Caller(id) => id,
            // Digits and a dash are always UTF-8.
            Source::Made(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
        }
    }
}

fn make() -> [u8; MADE_BYTES] {
    let mut id = [b'-'; MADE_BYTES];
    write_hex(&mut id[..8], u128::from(*PROCESS));
    write_hex(&mut id[9..], u128::from(NEXT.fetch_add(1, Ordering::Relaxed)));
    id
}

/// Writes the lowest digits of `bits`, as many as `out` has room for.
pub(crate) fn write_hex(out: &mut [u8], bits: u128) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut rest = bits;
    for place in out.iter_mut().rev() {
        *place = DIGITS[(rest & 15) as usize];
        rest >>= 4;
    }
}

/// 128 bits as 32 hexadecimal digits.
pub(crate) fn hex(bits: u128) -> String {
    format!("{bits:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_well_formed_id_is_kept_and_another_is_replaced() {
        assert_eq!(RequestId::of(Some("a.B-9_")).as_str(), "a.B-9_");
        for bad in [None, Some(""), Some("a b"), Some("a\n"), Some(&*"x".repeat(65))] {
            let made = RequestId::of(bad);
            assert!(is_request_id(made.as_str()), "{bad:?}");
            assert_ne!(Some(made.as_str()), bad);
        }
    }

    #[test]
    fn made_ids_differ() {
        let (one, two) = (RequestId::of(None), RequestId::of(None));
        assert_ne!(one.as_str(), two.as_str());
        assert_ne!(order_id(), order_id());
    }
}
