//! A sale as it leaves the engine: owned, and durable by the time anybody sees it.

use kilat_ledger::{Counters, SaleState, SaleSwitch, SaleTerms, SaleView, Time};

/// A sale at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    /// 0 for the first sale created, and so on.
    pub number: u32,
    /// The terms as created; supply and schedule may have changed since.
    pub terms: SaleTerms,
    /// When buying starts.
    pub opens_at: Option<Time>,
    /// When buying ends.
    pub closes_at: Option<Time>,
    /// What an operator has set.
    pub switch: SaleSwitch,
    /// Units, all at one instant: this is the audit.
    pub counters: Counters,
    /// Units on their way between stripes, in a sale whose stock is split.
    pub in_transit: u64,
    /// How many facts the sale has; in a sale of stripes a number that grows with every change.
    pub sequence: u64,
}

impl Sale {
    /// What a buyer would meet at `now`.
    #[must_use]
    pub fn state(&self, now: Time) -> SaleState {
        self.view().state(now)
    }

    /// Promise 1: every unit is in exactly one place.
    #[must_use]
    pub fn balanced(&self) -> bool {
        let Counters { supply, available, held, sold, .. } = self.counters;
        let all = [available, held, sold, self.in_transit].into_iter().map(u128::from);
        all.sum::<u128>() == u128::from(supply)
    }

    fn view(&self) -> SaleView<'_> {
        SaleView {
            number: self.number,
            terms: &self.terms,
            opens_at: self.opens_at,
            closes_at: self.closes_at,
            switch: self.switch,
            counters: self.counters,
            sequence: self.sequence,
        }
    }
}

impl From<SaleView<'_>> for Sale {
    fn from(view: SaleView<'_>) -> Sale {
        Sale {
            number: view.number,
            terms: view.terms.clone(),
            opens_at: view.opens_at,
            closes_at: view.closes_at,
            switch: view.switch,
            counters: view.counters,
            in_transit: 0,
            sequence: view.sequence,
        }
    }
}
