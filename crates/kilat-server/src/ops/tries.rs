//! How often somebody may show a wrong admin token.
//!
//! Wrong ones count by address and in all, within a minute that begins with the first. Bounded:
//! past so many addresses only what is counted in all holds. Told the time, so that it can be tested.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Wrong tokens from one address within [`SPAN`].
pub(super) const WRONG_BY_ADDRESS_MAX: u32 = 5;
/// Wrong tokens in all within [`SPAN`].
pub(super) const WRONG_MAX: u32 = 30;
/// How long wrong tokens count.
pub(super) const SPAN: Duration = Duration::from_secs(60);
/// Most addresses that are remembered.
const ADDRESSES_MAX: usize = 1_024;

/// See the module.
#[derive(Default)]
pub(crate) struct Tries(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    all: Option<Count>,
    by_address: HashMap<IpAddr, Count>,
}

#[derive(Clone, Copy)]
struct Count {
    since: Instant,
    wrong: u32,
}

impl Count {
    /// What is left of the span when there were too many; `None` when one more may try.
    fn wait(self, most: u32, now: Instant) -> Option<Duration> {
        let left = SPAN.checked_sub(now.saturating_duration_since(self.since))?;
        (self.wrong >= most && !left.is_zero()).then_some(left)
    }

    fn one_more(count: Option<Count>, now: Instant) -> Count {
        match count {
            Some(count) if now.saturating_duration_since(count.since) < SPAN => {
                Count { wrong: count.wrong.saturating_add(1), ..count }
            }
            _ => Count { since: now, wrong: 1 },
        }
    }
}

impl Tries {
    /// How long `address` has to wait before its token is looked at; `None` for not at all.
    pub(super) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let counts = self.counts();
        let own = counts.by_address.get(&address);
        let own = own.and_then(|count| count.wait(WRONG_BY_ADDRESS_MAX, now));
        own.max(counts.all.and_then(|count| count.wait(WRONG_MAX, now)))
    }

    /// Notes a wrong token of `address`.
    pub(super) fn wrong(&self, address: IpAddr, now: Instant) {
        let mut counts = self.counts();
        counts.all = Some(Count::one_more(counts.all, now));
        if counts.by_address.len() >= ADDRESSES_MAX {
            let current = |count: &Count| now.saturating_duration_since(count.since) < SPAN;
            counts.by_address.retain(|_, count| current(count));
        }
        let known = counts.by_address.get(&address).copied();
        if known.is_some() || counts.by_address.len() < ADDRESSES_MAX {
            counts.by_address.insert(address, Count::one_more(known, now));
        }
    }

    /// No code panics while it holds the lock.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from(number).into()
    }

    #[test]
    fn five_wrong_ones_shut_an_address_out_until_the_minute_is_over() {
        let (tries, begin) = (Tries::default(), Instant::now());
        for second in 0..5 {
            let now = begin + Duration::from_secs(second);
            assert_eq!(tries.wait(address(1), now), None, "{second}");
            tries.wrong(address(1), now);
        }
        let at = |seconds| tries.wait(address(1), begin + Duration::from_secs(seconds));
        assert_eq!(at(5), Some(Duration::from_secs(55)));
        assert_eq!(at(59), Some(Duration::from_secs(1)));
        assert_eq!(at(60), None);
        assert_eq!(tries.wait(address(2), begin), None, "others may try");
    }

    #[test]
    fn many_addresses_are_stopped_together() {
        let (tries, now) = (Tries::default(), Instant::now());
        for number in 0..WRONG_MAX {
            assert_eq!(tries.wait(address(number), now), None, "{number}");
            tries.wrong(address(number), now);
        }
        assert_eq!(tries.wait(address(4_000), now), Some(SPAN));
        assert_eq!(tries.wait(address(4_000), now + SPAN), None);
    }

    #[test]
    fn memory_is_bounded() {
        let (tries, now) = (Tries::default(), Instant::now());
        for number in 0..5_000 {
            tries.wrong(address(number), now);
        }
        assert_eq!(tries.counts().by_address.len(), ADDRESSES_MAX);
        tries.wrong(address(9_999), now + SPAN);
        assert_eq!(tries.counts().by_address.len(), 1, "old ones make room");
    }
}
