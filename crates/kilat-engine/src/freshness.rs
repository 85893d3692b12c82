//! How old the states are that a core told last.
//!
//! A process that was stopped, or a network that held everything back, finds old states waiting
//! when it goes on, and reads them as if they were new. The core says its own time with each, so
//! their age can be told without a common clock: the quickest message so far is taken for new, and
//! what comes later than that, by the core's time, is old by as much. Must never know what was told.

use std::time::{Duration, Instant};

/// States are shown as live for so long after the core told its time, which it does twice a second.
const LIVE_MAX: Duration = Duration::from_millis(1_500);
/// The clocks of two machines may drift apart by one part in so many.
const DRIFT_PARTS: i64 = 1_000;

/// See the module.
pub(crate) struct Freshness {
    began: Instant,
    heard: Option<Heard>,
}

/// In microseconds: a drift of a few hours is less than a millisecond a message.
struct Heard {
    /// The core's time.
    tick: i64,
    /// Our time less the core's, when a message was quickest.
    offset_min: i64,
}

impl Freshness {
    pub(crate) fn new() -> Freshness {
        Freshness { began: Instant::now(), heard: None }
    }

    /// A core was connected to, and said its time.
    pub(crate) fn connect(&mut self, tick_ms: u64, at: Instant) {
        self.heard = None;
        self.hear(tick_ms, at);
    }

    /// The core said its time.
    pub(crate) fn hear(&mut self, tick_ms: u64, at: Instant) {
        let tick = i64::try_from(tick_ms).unwrap_or(i64::MAX / 1_000).saturating_mul(1_000);
        let offset = self.micros(at).saturating_sub(tick);
        let offset_min = match &self.heard {
            None => offset,
            Some(last) => {
                let drift = tick.saturating_sub(last.tick).max(0) / DRIFT_PARTS;
                offset.min(last.offset_min.saturating_add(drift))
            }
        };
        self.heard = Some(Heard { tick, offset_min });
    }

    /// Whether what was told last is of `now`, or of a moment ago.
    pub(crate) fn is_live(&self, now: Instant) -> bool {
        self.heard.as_ref().is_some_and(|heard| {
            let core_now = self.micros(now).saturating_sub(heard.offset_min);
            core_now.saturating_sub(heard.tick) <= LIVE_MAX.as_micros() as i64
        })
    }

    fn micros(&self, at: Instant) -> i64 {
        at.saturating_duration_since(self.began).as_micros() as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks as `(core's time, our time)` in milliseconds, and whether it is live at our `now`.
    fn check(ticks: &[(u64, u64)], now: u64, live: bool) {
        let mut freshness = Freshness::new();
        let began = freshness.began;
        for (index, (tick, ours)) in ticks.iter().enumerate() {
            let at = began + Duration::from_millis(*ours);
            if index == 0 { freshness.connect(*tick, at) } else { freshness.hear(*tick, at) }
        }
        assert_eq!(freshness.is_live(began + Duration::from_millis(now)), live, "{ticks:?} {now}");
    }

    #[test]
    fn who_hears_the_core_is_live_and_who_does_not_is_not() {
        check(&[], 0, false);
        check(&[(90_000, 10)], 10, true);
        check(&[(90_000, 10), (90_500, 510)], 1_900, true);
        check(&[(90_000, 10), (90_500, 510)], 2_100, false);
    }

    #[test]
    fn old_words_read_late_are_old() {
        // Stopped from 600 to 30,600: what the core said meanwhile is read all at once.
        let backlog = [(0, 0), (500, 501), (1_000, 30_600), (10_000, 30_600), (20_000, 30_601)];
        check(&backlog, 30_601, false);
        let caught_up = [&backlog[..], &[(30_500, 30_602)]].concat();
        check(&caught_up, 30_602, true);
        // The greeting itself was read late.
        check(&[(0, 30_000), (29_900, 30_000)], 30_001, true);
        check(&[(0, 30_000), (29_900, 30_000), (30_000, 33_000)], 33_000, false);
    }

    #[test]
    fn clocks_that_drift_apart_stay_together() {
        // Ours is faster by half a part in a thousand, for ten hours.
        let ticks: Vec<(u64, u64)> =
            (0..72_000).map(|n| (n * 500, n * 500 + n * 500 / 2_000)).collect();
        let now = ticks.last().unwrap().1 + 10;
        check(&ticks, now, true);
    }
}
