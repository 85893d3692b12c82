//! The sales that a connection knows of: their numbers and terms, which never change, and when their
//! next hold is due. Knows nothing of Redis.

use super::decode::State;
use crate::sale::Sale;
use kilat_ledger::{SaleTerms, Time};
use std::collections::HashMap;
use std::time::Duration;

/// Sales whose state is read at once. With more of them each is looked at in its turn.
pub(super) const LOOK_AT_ONCE: usize = 512;

/// See the module.
#[derive(Default)]
pub(super) struct Sales {
    known: HashMap<String, Known>,
    /// Those that are in the list of sales, in the order in which they were met.
    listed: Vec<String>,
    /// How many of them have been looked at at least once.
    looked_at: usize,
    next_look: usize,
}

#[derive(Default)]
struct Known {
    number: Option<u32>,
    terms: Option<SaleTerms>,
    next_due: Option<Time>,
    is_listed: bool,
}

impl Sales {
    /// How many are in the list of sales.
    pub(super) fn listed(&self) -> usize {
        self.listed.len()
    }

    /// Takes in the list of sales.
    pub(super) fn list(&mut self, mut sales: Vec<(String, u32)>) {
        sales.sort_unstable_by_key(|(_, number)| *number);
        for (id, number) in sales {
            let known = self.known.entry(id.clone()).or_default();
            known.number = Some(number);
            if !std::mem::replace(&mut known.is_listed, true) {
                self.listed.push(id);
            }
        }
    }

    /// All that are listed.
    pub(super) fn ids(&self) -> Vec<String> {
        self.listed.clone()
    }

    pub(super) fn number(&self, sale: &str) -> Option<u32> {
        self.known.get(sale)?.number
    }

    pub(super) fn learn_number(&mut self, sale: &str, number: u32) {
        self.known.entry(sale.to_owned()).or_default().number = Some(number);
    }

    pub(super) fn knows_terms(&self, sale: &str) -> bool {
        self.known.get(sale).is_some_and(|known| known.terms.is_some())
    }

    pub(super) fn learn_terms(&mut self, sale: &str, terms: SaleTerms) {
        self.known.entry(sale.to_owned()).or_default().terms = Some(terms);
    }

    /// Remembers a state, and makes a sale of it.
    pub(super) fn learn(&mut self, sale: &str, state: State) -> Sale {
        let known = self.known.entry(sale.to_owned()).or_default();
        known.next_due = state.next_due;
        let State { number, sequence, counters, switch, opens_at, closes_at, .. } = state;
        let terms = known.terms.clone().unwrap_or_default();
        Sale { number, terms, opens_at, closes_at, switch, counters, sequence }
    }

    /// The sales to look at next: those that were not looked at yet, and then some in turn.
    pub(super) fn next_to_look_at(&mut self) -> Vec<String> {
        let seen = std::mem::replace(&mut self.looked_at, self.listed.len());
        if seen < self.listed.len() {
            return self.listed[seen..].to_vec();
        }
        let count = self.listed.len().min(LOOK_AT_ONCE);
        let start = self.next_look;
        self.next_look = (start + count).checked_rem(self.listed.len()).unwrap_or(0);
        self.listed.iter().cycle().skip(start).take(count).cloned().collect()
    }

    /// Sales with a hold that is due.
    pub(super) fn due(&self, now: Time) -> Vec<String> {
        let is_due = |known: &Known| known.next_due.is_some_and(|due| now >= due);
        self.known.iter().filter(|(_, known)| is_due(known)).map(|(id, _)| id.clone()).collect()
    }

    /// How long after `now` the next hold is due.
    pub(super) fn next_due_in(&self, now: Time) -> Option<Duration> {
        let next = self.known.values().filter_map(|known| known.next_due).min()?;
        let wait = next.as_millis().saturating_sub(now.as_millis()).max(0);
        Some(Duration::from_millis(wait.unsigned_abs()))
    }
}
