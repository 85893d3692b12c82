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
    /// How many facts the sale has.
    pub sequence: u64,
}

impl Sale {
    /// What a buyer would meet at `now`.
    #[must_use]
    pub fn state(&self, now: Time) -> SaleState {
        self.view().state(now)
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
            sequence: view.sequence,
        }
    }
}
