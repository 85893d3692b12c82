//! Time for the ledger: it never goes back and never jumps.
//!
//! A wall clock that is set an hour forward would end every hold at once; one
//! set back would keep holds alive. So the wall clock only says where to start.
//! From there time advances with the monotonic clock and leans towards the wall
//! clock by at most one part in a thousand, which follows a disciplined clock
//! and ignores a jump.

use kilat_ledger::Time;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Most that time leans towards the wall clock, as a fraction of the time passed: 1/1000.
const LEAN_DIVISOR: i128 = 1_000;
const NANOS_PER_MILLI: i128 = 1_000_000;

/// A steady clock.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
    steady: Steady,
}

impl Clock {
    /// Starts at the wall clock's time, or at `not_before` if that is later.
    #[must_use]
    pub fn start(not_before: Time) -> Self {
        Clock { started: Instant::now(), steady: Steady::new(wall_nanos(), not_before) }
    }

    /// The time now; never less than any time told before.
    pub fn now(&mut self) -> Time {
        let monotonic = i128::try_from(self.started.elapsed().as_nanos()).unwrap_or(i128::MAX);
        self.steady.advance(wall_nanos(), monotonic)
    }
}

/// Nanoseconds since the Unix epoch; a clock before 1970 reads as 1970.
fn wall_nanos() -> i128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i128::try_from(since.as_nanos()).unwrap_or(i128::MAX)
}

/// The rule, with both clocks as data.
#[derive(Debug)]
struct Steady {
    now_nanos: i128,
    monotonic_nanos: i128,
}

impl Steady {
    fn new(wall_nanos: i128, not_before: Time) -> Self {
        let floor = i128::from(not_before.as_millis()) * NANOS_PER_MILLI;
        Steady { now_nanos: wall_nanos.max(floor), monotonic_nanos: 0 }
    }

    fn advance(&mut self, wall_nanos: i128, monotonic_nanos: i128) -> Time {
        let passed = (monotonic_nanos - self.monotonic_nanos).max(0);
        self.monotonic_nanos += passed;
        let lean = passed / LEAN_DIVISOR;
        let error = wall_nanos - (self.now_nanos + passed);
        self.now_nanos += passed + error.clamp(-lean, lean);
        let millis = self.now_nanos.div_euclid(NANOS_PER_MILLI);
        Time::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i128 = 3_600_000_000_000;
    const SECOND: i128 = 1_000_000_000;
    const START: i128 = 1_000 * HOUR;

    /// Runs the clock for an hour in steps of a second, the wall clock off by `error` all along.
    fn drift_after_an_hour(error: i128) -> i128 {
        let mut clock = Steady::new(START, Time::from_millis(0));
        let mut last = clock.now_nanos;
        for second in 1..=3_600 {
            clock.advance(START + second * SECOND + error, second * SECOND);
            assert!(clock.now_nanos >= last, "time went back");
            last = clock.now_nanos;
        }
        last - (START + HOUR)
    }

    #[test]
    fn a_jump_of_an_hour_moves_time_by_seconds_only() {
        for jump in [HOUR, -HOUR] {
            let drift = drift_after_an_hour(jump);
            assert_eq!(drift, jump.signum() * HOUR / LEAN_DIVISOR);
        }
    }

    #[test]
    fn a_small_error_is_followed() {
        for error in [0, SECOND / 10, -SECOND / 10] {
            assert_eq!(drift_after_an_hour(error), error);
        }
    }

    #[test]
    fn time_starts_no_earlier_than_the_last_fact() {
        let last_fact = Time::from_millis(5_000 * 3_600_000);
        let mut clock = Steady::new(START, last_fact);
        assert!(clock.advance(START, 0) >= last_fact);
    }
}
