//! When a slow call gets a second one beside it (hedged requests; Dean and Barroso, *The
//! Tail at Scale*, 2013), and how many such there may be.

use hdrhistogram::Histogram;
use std::time::Duration;

/// Calls that pay for one hedge: 5 %.
pub(crate) const CALLS_FOR_A_HEDGE: u32 = 20;
/// Hedges that can be saved up.
const HEDGES_SAVED_MAX: u32 = 50;
/// Reply times before a percentile is believed.
const SAMPLES_MIN: u64 = 100;
/// After so many the percentile is read anew; the histogram is walked for that.
const SAMPLES_PER_READING: u64 = 100;
/// After so many the histogram begins anew, so that a server that changes is followed.
const SAMPLES_MAX: u64 = 10_000;
/// Longest reply time that is told apart, in microseconds.
const REPLY_US_MAX: u64 = 600_000_000;

/// Limits under this keep no place free for hedges: it would be too large a part of them.
const PLACES_MIN: u32 = 8;

/// Places of `limit` that only hedges take. Without them a server that is asked as much as
/// it takes would never have room for one.
pub(crate) const fn places(limit: u32) -> u32 {
    if limit < PLACES_MIN { 0 } else { limit.div_ceil(CALLS_FOR_A_HEDGE) }
}

/// How long a call may take before it gets a second one beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HedgeAfter {
    /// So long.
    Fixed(Duration),
    /// Longer than 95 of 100 replies took.
    P95,
}

/// Decides on hedges.
pub(crate) struct Hedge {
    wish: HedgeAfter,
    /// In parts of a hedge, since each call adds one.
    saved: u32,
    replies_us: Histogram<u32>,
    after: Option<Duration>,
}

impl Hedge {
    pub(crate) fn new(wish: HedgeAfter) -> Self {
        let after = match wish {
            HedgeAfter::Fixed(after) => Some(after),
            HedgeAfter::P95 => None,
        };
        #[expect(clippy::expect_used, reason = "constant bounds; tests would show")]
        let replies_us = Histogram::new_with_bounds(1, REPLY_US_MAX, 2).expect("valid bounds");
        Hedge { wish, saved: CALLS_FOR_A_HEDGE, replies_us, after }
    }

    /// How long to wait for a call before it is hedged, as far as that is known.
    pub(crate) const fn after(&self) -> Option<Duration> {
        self.after
    }

    /// A call was sent that is no hedge.
    pub(crate) fn earn(&mut self) {
        self.saved = (self.saved + 1).min(HEDGES_SAVED_MAX * CALLS_FOR_A_HEDGE);
    }

    /// Whether a hedge can be paid for.
    pub(crate) const fn is_affordable(&self) -> bool {
        self.saved >= CALLS_FOR_A_HEDGE
    }

    /// A hedge was sent.
    pub(crate) fn spend(&mut self) {
        self.saved = self.saved.saturating_sub(CALLS_FOR_A_HEDGE);
    }

    /// A call was answered after so long.
    pub(crate) fn replied(&mut self, after: Duration) {
        if self.wish != HedgeAfter::P95 {
            return;
        }
        self.replies_us.saturating_record(u64::try_from(after.as_micros()).unwrap_or(u64::MAX));
        let samples = self.replies_us.len();
        if samples >= SAMPLES_MIN && samples.is_multiple_of(SAMPLES_PER_READING) {
            self.after = Some(Duration::from_micros(self.replies_us.value_at_quantile(0.95)));
        }
        if samples >= SAMPLES_MAX {
            self.replies_us.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn hedges_are_a_twentieth_of_the_calls() {
        for (calls, hedges) in [(0, 1), (19, 1), (20, 2), (100, 6), (1_000_000, 50)] {
            let mut hedge = Hedge::new(HedgeAfter::Fixed(ms(300)));
            (0..calls).for_each(|_| hedge.earn());
            let sent = (0..).take_while(|_| {
                let is_affordable = hedge.is_affordable();
                hedge.spend();
                is_affordable
            });
            assert_eq!(sent.count(), hedges, "{calls}");
        }
    }

    #[test]
    fn a_small_part_of_the_places_is_kept_free() {
        for (limit, kept) in [(1, 0), (7, 0), (8, 1), (20, 1), (21, 2), (9_000, 450)] {
            assert_eq!(places(limit), kept, "{limit}");
        }
    }

    #[test]
    fn a_time_holds_from_the_start() {
        let mut hedge = Hedge::new(HedgeAfter::Fixed(ms(300)));
        (0..1_000).for_each(|_| hedge.replied(ms(1)));
        assert_eq!(hedge.after(), Some(ms(300)));
    }

    #[test]
    fn the_percentile_is_found_and_follows_the_server() {
        let mut hedge = Hedge::new(HedgeAfter::P95);
        let near = |hedge: &Hedge, want_ms: f64| {
            let after_ms = hedge.after().unwrap().as_secs_f64() * 1e3;
            assert!((after_ms / want_ms - 1.0).abs() < 0.02, "{after_ms} for {want_ms}");
        };
        (1..100).for_each(|n| hedge.replied(ms(n)));
        assert_eq!(hedge.after(), None);
        hedge.replied(ms(100));
        near(&hedge, 95.0);
        (0..2 * SAMPLES_MAX).for_each(|n| hedge.replied(ms(1_000 + n % 100)));
        near(&hedge, 1_094.0);
        hedge.replied(Duration::MAX);
    }
}
