//! Whether one more retry may be afforded, so that a server that fails is not asked a
//! multiple of what it could not answer once. It knows no ids.

use super::At;
use std::time::Duration;

/// Retries that are there from the start.
pub(crate) const RETRIES_GRANTED: u32 = 10;
/// First tries that pay for one retry: 20 %.
pub(crate) const FIRSTS_FOR_A_RETRY: u32 = 5;
/// What a retry that helped brings, in retries: more than it cost, so that what an outage
/// left behind comes through in a few round trips and not one by one.
const HELP_BRINGS: u32 = 2;
/// An id that was only unlucky to be asked in an outage gets a retry after so long also when
/// nothing is saved: otherwise it would wait for ever when no first tries follow.
const ALMS_EVERY: Duration = Duration::from_secs(1);

/// Retries that may still be sent, counted in fifths, since each first try adds one.
///
/// A retry that helped is paid back (as in the retry quota of the AWS SDKs): what is kept
/// small is the part that is asked in vain.
#[derive(Debug)]
pub(crate) struct Budget {
    fifths: u32,
    most: u32,
    alms_at: At,
}

impl Budget {
    /// `places` bounds what can be saved: trouble after a long good time may use one
    /// retry for each call in flight, and not for each call of the good time.
    pub(crate) const fn new(places: u32) -> Self {
        let fifths = RETRIES_GRANTED * FIRSTS_FOR_A_RETRY;
        Budget { fifths, most: fifths + places * FIRSTS_FOR_A_RETRY, alms_at: ALMS_EVERY }
    }

    /// A first try was sent.
    pub(crate) fn earn(&mut self) {
        self.fifths = (self.fifths + 1).min(self.most);
    }

    /// Pays for a retry, if there is enough.
    pub(crate) fn spend(&mut self) -> bool {
        let left = self.fifths.checked_sub(FIRSTS_FOR_A_RETRY);
        self.fifths = left.unwrap_or(self.fifths);
        left.is_some()
    }

    /// Pays for a retry of an id that would wait; now and then for nothing.
    pub(crate) fn spend_or_beg(&mut self, now: At) -> bool {
        if self.spend() {
            return true;
        }
        let is_given = now >= self.alms_at;
        if is_given {
            self.alms_at = now + ALMS_EVERY;
        }
        is_given
    }

    /// A retry that was paid for helped.
    pub(crate) fn pay_back(&mut self) {
        self.fifths = (self.fifths + HELP_BRINGS * FIRSTS_FOR_A_RETRY).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn affordable(budget: &mut Budget) -> u32 {
        (0..).take_while(|_| budget.spend()).count() as u32
    }

    #[test]
    fn retries_are_ten_and_a_fifth_of_the_first_tries() {
        for (firsts, retries) in [(0, 10), (4, 10), (5, 11), (100, 30), (499, 109)] {
            let mut budget = Budget::new(1_000);
            (0..firsts).for_each(|_| budget.earn());
            assert_eq!(affordable(&mut budget), retries, "{firsts}");
        }
    }

    #[test]
    fn what_is_saved_is_bounded_by_the_places() {
        let mut budget = Budget::new(64);
        (0..1_000_000).for_each(|_| budget.earn());
        assert_eq!(affordable(&mut budget), 74);
    }

    #[test]
    fn retries_that_help_double() {
        let mut budget = Budget::new(64);
        for affordable_now in [10, 20, 40, 74, 74] {
            let sent = affordable(&mut budget);
            assert_eq!(sent, affordable_now);
            (0..sent).for_each(|_| budget.pay_back());
        }
    }

    #[test]
    fn who_waits_gets_one_now_and_then_for_nothing() {
        let mut budget = Budget::new(64);
        let mut begged = |ms| budget.spend_or_beg(Duration::from_millis(ms));
        assert!((0..10).all(|_| begged(500)));
        let given: Vec<bool> = [999, 1_000, 1_001, 1_999, 9_000, 9_999].map(begged).into();
        assert_eq!(given, [false, true, false, false, true, false]);
    }
}
