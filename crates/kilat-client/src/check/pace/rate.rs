//! How many calls may start in a time: the user's word, kept exactly.

use super::At;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::cell::Cell;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

/// Calls that were due may start together after so long, since no timer is finer than a
/// millisecond and a busy machine's is coarser.
const BURST_MS: u64 = 10;

/// So many calls in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    calls: NonZeroU32,
    period: Duration,
}

impl Rate {
    /// `calls` in each `period`. `None` for no calls, no time, or more than one call in a
    /// nanosecond.
    #[must_use]
    pub fn new(calls: u32, period: Duration) -> Option<Rate> {
        let rate = Rate { calls: NonZeroU32::new(calls)?, period };
        (rate.interval() > Duration::ZERO).then_some(rate)
    }

    /// Time between two calls.
    fn interval(self) -> Duration {
        self.period / self.calls.get()
    }

    fn burst(self) -> NonZeroU32 {
        let interval_ns = self.interval().as_nanos().max(1);
        let calls = Duration::from_millis(BURST_MS).as_nanos() / interval_ns;
        NonZeroU32::new(u32::try_from(calls).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN)
    }
}

/// Lets calls start at a [`Rate`], evenly.
pub(crate) struct Meter {
    now: Given,
    limiter: RateLimiter<NotKeyed, InMemoryState, Given, NoOpMiddleware<At>>,
}

/// A clock that shows what it was set to.
#[derive(Clone, Default)]
struct Given(Rc<Cell<At>>);

impl Clock for Given {
    type Instant = At;

    fn now(&self) -> At {
        self.0.get()
    }
}

impl Meter {
    pub(crate) fn new(rate: Rate) -> Self {
        let now = Given::default();
        let quota = Quota::with_period(rate.interval())
            .unwrap_or(Quota::per_second(rate.calls))
            .allow_burst(rate.burst());
        Meter { limiter: RateLimiter::direct_with_clock(quota, now.clone()), now }
    }

    /// One call may start now, or from the given moment on.
    pub(crate) fn take(&self, now: At) -> Result<(), At> {
        self.now.0.set(now);
        self.limiter.check().map_err(|not_until| not_until.earliest_possible())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_rate_has_an_interval_that_a_clock_can_tell() {
        for (calls, period, interval) in [
            (10, s(1), Some(Duration::from_millis(100))),
            (600, s(60), Some(Duration::from_millis(100))),
            (1, s(60), Some(s(60))),
            (1_000_000_000, s(1), Some(Duration::from_nanos(1))),
            (1_000_000_001, s(1), None),
            (0, s(1), None),
            (1, Duration::ZERO, None),
        ] {
            assert_eq!(
                Rate::new(calls, period).map(Rate::interval),
                interval,
                "{calls}/{period:?}"
            );
        }
    }

    /// How many start in `time` when tried again at each moment that is named.
    fn started(rate: Rate, time: Duration) -> u32 {
        let meter = Meter::new(rate);
        let (mut now, mut count) = (At::ZERO, 0);
        while now < time {
            match meter.take(now) {
                Ok(()) => count += 1,
                Err(then) => {
                    assert!(then > now);
                    now = then;
                }
            }
        }
        count
    }

    #[test]
    fn in_any_time_no_more_start_than_the_rate_and_one_burst() {
        for (calls, period, time, least, most) in [
            (10, s(1), s(10), 100, 100),
            (90, s(60), s(60), 90, 91),
            (3, s(1), s(10), 30, 31),
            (22_500, s(1), s(2), 45_000, 45_000 + 225),
        ] {
            let count = started(Rate::new(calls, period).unwrap(), time);
            assert!((least..=most).contains(&count), "{calls}/{period:?}: {count} in {time:?}");
        }
    }

    #[test]
    fn time_without_calls_saves_up_one_burst_only() {
        let meter = Meter::new(Rate::new(1_000, s(1)).unwrap());
        let late = s(3_600);
        let started = (0..100).take_while(|_| meter.take(late).is_ok()).count();
        assert_eq!(started, 10);
    }
}
