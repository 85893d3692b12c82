//! Whether one more retry may be afforded, so that a server that fails is not asked a
//! multiple of what it could not answer once. It knows no ids and no clock.

/// Retries that are there from the start.
pub(crate) const RETRIES_GRANTED: u32 = 10;
/// First tries that pay for one retry: 20 %.
pub(crate) const FIRSTS_FOR_A_RETRY: u32 = 5;

/// Retries that may still be sent, counted in fifths, since each first try adds one.
///
/// A retry that helped is paid back (as in the retry quota of the AWS SDKs): what is kept
/// small is the part that is asked in vain.
#[derive(Debug)]
pub(crate) struct Budget {
    fifths: u32,
    most: u32,
}

impl Budget {
    /// `places` bounds what can be saved: trouble after a long good time may use one
    /// retry for each call in flight, and not for each call of the good time.
    pub(crate) const fn new(places: u32) -> Self {
        let fifths = RETRIES_GRANTED * FIRSTS_FOR_A_RETRY;
        Budget { fifths, most: fifths + places * FIRSTS_FOR_A_RETRY }
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

    /// The retry helped.
    pub(crate) fn pay_back(&mut self) {
        self.fifths = (self.fifths + FIRSTS_FOR_A_RETRY).min(self.most);
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
    fn a_retry_that_helped_costs_nothing() {
        let mut budget = Budget::new(64);
        for _ in 0..1_000 {
            assert!(budget.spend());
            budget.pay_back();
        }
        assert_eq!(affordable(&mut budget), 10);
    }
}
