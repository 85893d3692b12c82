//! One sale: its terms, its switch and its counters, and what state that makes at an instant.
//! Knows nothing about orders but how many units they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::command::{SUPPLY_MAX, SaleChange, SaleSwitch, SaleTerms};
use crate::time::Time;

/// Most sales of a ledger.
pub const SALES_MAX: usize = 65_536;
/// Most changes of one sale: their keys are remembered for its life.
pub const CHANGES_MAX: usize = 65_536;

/// What a sale is at an instant. The first that applies, in this order: closed, scheduled,
/// paused, sold out, open.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SaleState {
    /// Has not opened yet.
    Scheduled,
    /// Sells.
    Open,
    /// Set to sell nothing for now.
    Paused,
    /// Has nothing left; units may come back.
    SoldOut,
    /// Over for good.
    Closed,
}

/// Units of a sale. `available + held + sold == supply` after every fact.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// All units, restocks included.
    pub supply: u64,
    /// Units that can be bought.
    pub available: u64,
    /// Units in holds that are neither confirmed, cancelled nor expired.
    pub held: u64,
    /// Units in confirmed orders.
    pub sold: u64,
    /// Units that came back by cancellation, ever.
    pub cancelled: u64,
    /// Units that came back by expiry, ever.
    pub expired: u64,
}

/// How an order moves units.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Movement {
    Buy,
    Hold,
    Confirm,
    Cancel,
    Expire,
}

impl Counters {
    /// Units in orders with status confirmed: what is sold.
    #[must_use]
    pub const fn confirmed(&self) -> u64 {
        self.sold
    }

    /// Promise 1: every unit is in exactly one place.
    #[must_use]
    pub fn balanced(&self) -> bool {
        let taken = self.held.checked_add(self.sold);
        taken.and_then(|taken| taken.checked_add(self.available)) == Some(self.supply)
    }

    pub(crate) const fn of_supply(supply: u64) -> Self {
        Self { supply, available: supply, held: 0, sold: 0, cancelled: 0, expired: 0 }
    }

    /// The counters after a movement; `None` if there are not as many units to move, or if the
    /// result does not balance.
    #[inline]
    pub(crate) fn after(mut self, movement: Movement, units: u64) -> Option<Self> {
        let (from, to) = match movement {
            Movement::Buy => (&mut self.available, &mut self.sold),
            Movement::Hold => (&mut self.available, &mut self.held),
            Movement::Confirm => (&mut self.held, &mut self.sold),
            Movement::Cancel | Movement::Expire => (&mut self.held, &mut self.available),
        };
        *from = from.checked_sub(units)?;
        *to = to.checked_add(units)?;
        match movement {
            Movement::Cancel => self.cancelled = self.cancelled.checked_add(units)?,
            Movement::Expire => self.expired = self.expired.checked_add(units)?,
            Movement::Buy | Movement::Hold | Movement::Confirm => {}
        }
        self.balanced().then_some(self)
    }

    /// The counters after a restock; `None` above [`SUPPLY_MAX`].
    pub(crate) fn restocked(mut self, units: u64) -> Option<Self> {
        self.supply = self.supply.checked_add(units)?;
        self.available = self.available.checked_add(units)?;
        (self.supply <= SUPPLY_MAX && self.balanced()).then_some(self)
    }
}

/// A sale as readers see it.
#[derive(Clone, Copy, Debug)]
pub struct SaleView<'a> {
    /// 0 for the first sale created in the ledger, and so on.
    pub number: u32,
    /// The terms as created. Supply and schedule may have changed since.
    pub terms: &'a SaleTerms,
    /// The schedule as it stands.
    pub opens_at: Option<Time>,
    /// The schedule as it stands.
    pub closes_at: Option<Time>,
    /// What an operator has set.
    pub switch: SaleSwitch,
    /// Units, all at one instant: this is the audit.
    pub counters: Counters,
    /// How many facts the sale has.
    pub sequence: u64,
}

impl SaleView<'_> {
    /// The state at `now`.
    #[must_use]
    pub fn state(&self, now: Time) -> SaleState {
        if self.switch == SaleSwitch::Closed || self.closes_at.is_some_and(|end| now >= end) {
            SaleState::Closed
        } else if self.opens_at.is_some_and(|start| now < start) {
            SaleState::Scheduled
        } else if self.switch == SaleSwitch::Paused {
            SaleState::Paused
        } else if self.counters.available == 0 {
            SaleState::SoldOut
        } else {
            SaleState::Open
        }
    }
}

/// A sale as the ledger keeps it. Cloned by every snapshot, so what can be large is shared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sale {
    pub(crate) terms: Arc<SaleTerms>,
    pub(crate) opens_at: Option<Time>,
    pub(crate) closes_at: Option<Time>,
    pub(crate) switch: SaleSwitch,
    pub(crate) counters: Counters,
    pub(crate) sequence: u64,
    /// Remembered admin keys.
    pub(crate) changes: Arc<BTreeMap<Box<str>, SaleChange>>,
}

impl Sale {
    pub(crate) fn new(terms: Arc<SaleTerms>) -> Self {
        Self {
            opens_at: terms.opens_at,
            closes_at: terms.closes_at,
            switch: SaleSwitch::Open,
            counters: Counters::of_supply(terms.supply),
            sequence: 1,
            changes: Arc::default(),
            terms,
        }
    }

    #[inline]
    pub(crate) fn view(&self, number: u32) -> SaleView<'_> {
        SaleView {
            number,
            terms: &self.terms,
            opens_at: self.opens_at,
            closes_at: self.closes_at,
            switch: self.switch,
            counters: self.counters,
            sequence: self.sequence,
        }
    }

    /// The schedule after a change.
    pub(crate) fn schedule_after(&self, change: &SaleChange) -> (Option<Time>, Option<Time>) {
        (change.opens_at.unwrap_or(self.opens_at), change.closes_at.unwrap_or(self.closes_at))
    }
}

/// A sale must close after it opens.
pub(crate) fn schedule_is_valid((opens_at, closes_at): (Option<Time>, Option<Time>)) -> bool {
    match (opens_at, closes_at) {
        (Some(start), Some(end)) => start < end,
        _ => true,
    }
}
