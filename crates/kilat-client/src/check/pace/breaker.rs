//! Whether a server is worth asking at all (circuit breaker; Nygard, *Release It!*, 2007).

use super::At;
use std::time::Duration;

/// Failures in a row, without a success between, after which nobody is asked any more.
pub(crate) const FAILURES_IN_A_ROW: u32 = 20;
/// Time until the first probe; each that fails doubles it.
const PROBE_MIN: Duration = Duration::from_millis(500);
/// Longest time between two probes.
const PROBE_MAX: Duration = Duration::from_secs(8);

#[derive(Debug)]
enum State {
    /// Calls pass. There were failures in a row, the first of them at `since`.
    Closed { failures: u32, since: At },
    /// No call passes before `probe_at`; one then.
    Open { since: At, probe_at: At, delay: Duration },
    /// One call is under way since `probed_at`, and decides.
    HalfOpen { since: At, probed_at: At, delay: Duration },
}

/// Stops all calls to a server that fails, and finds out when it is back.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: State,
    /// When the first failure of the row came that opened it last.
    row_at: At,
    /// When it closed last.
    closed_at: At,
}

/// What a breaker says to one more call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// It may go.
    Free,
    /// It may go alone, to find out.
    Probe,
    /// Not before.
    From(At),
    /// Not before the probe is back.
    AfterProbe,
}

impl Breaker {
    pub(crate) const fn new() -> Self {
        let state = State::Closed { failures: 0, since: At::ZERO };
        Breaker { state, row_at: At::ZERO, closed_at: At::ZERO }
    }

    /// Whether a call may go. One that goes as a probe is told by [`Breaker::probe`].
    pub(crate) fn passage(&self, now: At) -> Passage {
        match self.state {
            State::Closed { .. } => Passage::Free,
            State::Open { probe_at, .. } if probe_at <= now => Passage::Probe,
            State::Open { probe_at, .. } => Passage::From(probe_at),
            State::HalfOpen { .. } => Passage::AfterProbe,
        }
    }

    /// A probe goes.
    pub(crate) fn probe(&mut self, now: At) {
        if let State::Open { since, delay, .. } = self.state {
            self.state = State::HalfOpen { since, probed_at: now, delay };
        }
    }

    /// Any call was answered as it should be, also one sent before the trouble.
    pub(crate) fn succeeded(&mut self, now: At) {
        if self.since().is_some() {
            self.closed_at = now;
        }
        self.state = State::Closed { failures: 0, since: now };
    }

    /// A call failed. While the server is in trouble only its probe says something new.
    pub(crate) fn failed(&mut self, now: At, is_probe: bool) {
        self.state = match self.state {
            State::Closed { failures: 0, .. } => State::Closed { failures: 1, since: now },
            State::Closed { failures, since } if failures + 1 < FAILURES_IN_A_ROW => {
                State::Closed { failures: failures + 1, since }
            }
            State::Closed { since: row_at, .. } => {
                self.row_at = row_at;
                State::Open { since: now, probe_at: now + PROBE_MIN, delay: PROBE_MIN }
            }
            State::HalfOpen { since, delay, .. } if is_probe => {
                let delay = (delay * 2).min(PROBE_MAX);
                State::Open { since, probe_at: now + delay, delay }
            }
            State::Open { .. } | State::HalfOpen { .. } => return,
        };
    }

    /// A call ended without saying anything of the server.
    pub(crate) fn dropped(&mut self, now: At, is_probe: bool) {
        if let (State::HalfOpen { since, delay, .. }, true) = (&self.state, is_probe) {
            self.state = State::Open { since: *since, probe_at: now, delay: *delay };
        }
    }

    /// Whether a call that failed at a time failed in the present or in the last trouble,
    /// the row that led to it included.
    pub(crate) fn was_troubled(&self, at: At) -> bool {
        let is_over = self.since().is_none();
        self.row_at <= at && if is_over { at < self.closed_at } else { true }
    }

    /// Since when the server is in trouble.
    pub(crate) const fn since(&self) -> Option<At> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { since, .. } | State::HalfOpen { since, .. } => Some(since),
        }
    }

    /// When the server has failed for `patience`, if that is known by then. Time in which nobody
    /// asked it, because nobody had to or this process was stopped, says nothing of it: when a
    /// probe is due or went only after that moment, the probe decides.
    pub(crate) fn fails_for(&self, patience: Duration, now: At) -> Option<At> {
        let at = self.since()?.saturating_add(patience);
        let is_known = match self.state {
            State::Closed { .. } => false,
            State::Open { probe_at, .. } => now < probe_at,
            State::HalfOpen { probed_at, .. } => probed_at < at,
        };
        is_known.then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> At {
        Duration::from_millis(ms)
    }

    /// A breaker that opened at `now`.
    fn open(now: At) -> Breaker {
        let mut breaker = Breaker::new();
        (0..FAILURES_IN_A_ROW).for_each(|_| breaker.failed(now, false));
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let mut breaker = Breaker::new();
        for _ in 0..5 {
            (1..FAILURES_IN_A_ROW).for_each(|_| breaker.failed(ms(1), false));
            assert_eq!(breaker.passage(ms(1)), Passage::Free);
            breaker.succeeded(ms(1));
        }
        (1..FAILURES_IN_A_ROW).for_each(|_| breaker.failed(ms(1), false));
        breaker.failed(ms(2), false);
        assert_eq!(
            (breaker.passage(ms(2)), breaker.since()),
            (Passage::From(ms(502)), Some(ms(2)))
        );
    }

    #[test]
    fn probes_go_one_at_a_time_at_ever_longer_intervals() {
        let (mut breaker, mut now) = (open(ms(0)), ms(0));
        for delay in [500, 1_000, 2_000, 4_000, 8_000, 8_000] {
            let probe_at = now + ms(delay);
            assert_eq!(breaker.passage(probe_at - ms(1)), Passage::From(probe_at));
            assert_eq!(breaker.passage(probe_at), Passage::Probe);
            breaker.probe(probe_at);
            now = probe_at + ms(3);
            assert_eq!(breaker.passage(now), Passage::AfterProbe);
            breaker.failed(now, false);
            assert_eq!(breaker.passage(now), Passage::AfterProbe, "an old call decides nothing");
            breaker.failed(now, true);
        }
        assert_eq!(breaker.since(), Some(ms(0)));
    }

    #[test]
    fn any_success_closes_it_and_trouble_begins_anew() {
        for probes in [false, true] {
            let mut breaker = open(ms(0));
            if probes {
                breaker.probe(ms(1));
            }
            breaker.succeeded(ms(1));
            assert_eq!((breaker.passage(ms(1)), breaker.since()), (Passage::Free, None));
            (1..FAILURES_IN_A_ROW).for_each(|_| breaker.failed(ms(9), false));
            assert_eq!(breaker.passage(ms(9)), Passage::Free);
            breaker.failed(ms(9), false);
            assert_eq!(breaker.passage(ms(9)), Passage::From(ms(509)));
        }
    }

    #[test]
    fn trouble_begins_with_the_row_that_led_to_it_and_ends_with_a_success() {
        let mut breaker = Breaker::new();
        let troubled =
            |breaker: &Breaker| [4, 5, 30, 99, 101].map(|at| breaker.was_troubled(ms(at)));
        assert_eq!(troubled(&breaker), [false; 5]);
        breaker.failed(ms(3), false);
        breaker.succeeded(ms(4));
        (0..FAILURES_IN_A_ROW).for_each(|n| breaker.failed(ms(5 + u64::from(n)), false));
        assert_eq!(troubled(&breaker), [false, true, true, true, true]);
        breaker.succeeded(ms(100));
        assert_eq!(troubled(&breaker), [false, true, true, true, false]);
        breaker.failed(ms(101), false);
        breaker.succeeded(ms(102));
        assert_eq!(troubled(&breaker), [false, true, true, true, false]);
    }

    #[test]
    fn a_probe_that_says_nothing_is_sent_again_at_once() {
        let mut breaker = open(ms(0));
        breaker.probe(ms(600));
        breaker.dropped(ms(600), false);
        assert_eq!(breaker.passage(ms(600)), Passage::AfterProbe);
        breaker.dropped(ms(600), true);
        assert_eq!(breaker.passage(ms(600)), Passage::Probe);
    }
}
