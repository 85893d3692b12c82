//! The sales that a connection knows of: their numbers, stripes and terms, which never change, and
//! when their next hold is due. Knows nothing of Redis.

use super::decode::State;
use super::stripes;
use super::transfers::Stripes;
use crate::sale::Sale;
use kilat_ledger::{Counters, SaleTerms, Time};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Sales whose state is read at once. With more of them each is looked at in its turn.
pub(super) const LOOK_AT_ONCE: usize = 512;

/// The newest state of each stripe, as any connection of this process has seen it: what one of them
/// puts together is then never older than what another one has shown.
pub(super) type Seen = Arc<Mutex<HashMap<String, Vec<Option<State>>>>>;

/// See the module.
#[derive(Default)]
pub(super) struct Sales {
    known: HashMap<String, Known>,
    /// Those that are in the list of sales, in the order in which they were met.
    listed: Vec<String>,
    /// How many of them have been looked at at least once.
    looked_at: usize,
    next_look: usize,
    seen: Seen,
}

struct Known {
    number: u32,
    terms: Option<SaleTerms>,
    /// Of each stripe.
    keys: Vec<Vec<u8>>,
    next_due: Vec<Option<Time>>,
    is_listed: bool,
}

impl Known {
    fn stripes(&self) -> u16 {
        u16::try_from(self.keys.len()).unwrap_or(u16::MAX)
    }
}

impl Sales {
    pub(super) fn new(seen: Seen) -> Sales {
        Sales { seen, ..Sales::default() }
    }

    /// How many are in the list of sales.
    pub(super) fn listed(&self) -> usize {
        self.listed.len()
    }

    /// Takes in the list of sales: ids, numbers and stripes.
    pub(super) fn list(&mut self, mut sales: Vec<(String, u32, u16)>) {
        sales.sort_unstable_by_key(|(_, number, _)| *number);
        for (id, number, stripes) in sales {
            let known = self.learn(&id, number, stripes);
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
        Some(self.known.get(sale)?.number)
    }

    /// Of a sale that is not known it is 1.
    pub(super) fn stripes(&self, sale: &str) -> u16 {
        self.known.get(sale).map_or(1, Known::stripes)
    }

    pub(super) fn key(&self, sale: &str, stripe: u16) -> Vec<u8> {
        let known = self.known.get(sale);
        let key = known.and_then(|known| known.keys.get(usize::from(stripe).saturating_sub(1)));
        key.cloned().unwrap_or_else(|| super::sale_key(sale))
    }

    fn learn(&mut self, sale: &str, number: u32, stripes: u16) -> &mut Known {
        self.known.entry(sale.to_owned()).or_insert_with(|| {
            let keys = stripes::keys(sale, stripes);
            Known { number, terms: None, next_due: vec![None; keys.len()], keys, is_listed: false }
        })
    }

    pub(super) fn learn_number(&mut self, sale: &str, number: u32, stripes: u16) {
        self.learn(sale, number, stripes);
    }

    pub(super) fn terms(&self, sale: &str) -> Option<&SaleTerms> {
        self.known.get(sale)?.terms.as_ref()
    }

    pub(super) fn learn_terms(&mut self, sale: &str, number: u32, terms: SaleTerms) {
        let stripes = self.stripes(sale);
        self.learn(sale, number, stripes).terms = Some(terms);
    }

    /// Remembers the state of a stripe, and makes a sale of all that are known; `None` as long as
    /// the leader's is not.
    pub(super) fn see(&mut self, sale: &str, stripe: u16, state: State) -> Option<Sale> {
        let known = self.known.get_mut(sale)?;
        let index = usize::from(stripe).saturating_sub(1);
        *known.next_due.get_mut(index)? = state.next_due;
        let terms = known.terms.as_ref()?;
        if known.keys.len() == 1 {
            return Some(whole(terms, &[state]));
        }
        // No code panics while it holds the lock.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let states = seen.entry(sale.to_owned()).or_default();
        states.resize(known.keys.len(), None);
        let newest = &mut states[index];
        if newest.is_none_or(|newest| state.follows(&newest)) {
            *newest = Some(state);
        }
        states[0]?;
        let states: Vec<State> = states.iter().flatten().copied().collect();
        Some(one_by_one(terms, &states))
    }

    /// Sales whose stripes are not all there, do not all know the leader's latest change, or whose
    /// books differ; and whether they all know it.
    pub(super) fn unsettled(&self) -> Vec<(String, bool)> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(id, states): (&String, &Vec<Option<State>>)| {
            let states = Stripes(states.clone());
            let agrees = states.agree();
            (!agrees || !states.is_even()).then(|| (id.clone(), agrees))
        };
        seen.iter().filter_map(of).collect()
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

    /// Stripes with a hold that is due.
    pub(super) fn due(&self, now: Time) -> Vec<(String, u16)> {
        let of = |(id, known): (&String, &Known)| {
            let due = known.next_due.iter().zip(stripes::numbers(known.stripes()));
            due.filter(|(due, _)| due.is_some_and(|due| now >= due))
                .map(|(_, stripe)| (id.clone(), stripe))
                .collect::<Vec<_>>()
        };
        self.known.iter().flat_map(of).collect()
    }

    /// How long after `now` the next hold is due.
    pub(super) fn next_due_in(&self, now: Time) -> Option<Duration> {
        let next = self.known.values().flat_map(|known| &known.next_due).flatten().min()?;
        let wait = next.as_millis().saturating_sub(now.as_millis()).max(0);
        Some(Duration::from_millis(wait.unsigned_abs()))
    }
}

/// A sale of these stripes, the leader's first. The figures belong together if no unit moved while
/// they were read.
pub(super) fn whole(terms: &SaleTerms, states: &[State]) -> Sale {
    let leader = states.first().copied().unwrap_or_default();
    let sum = |of: fn(&State) -> u64| states.iter().map(of).fold(0, u64::saturating_add);
    let counters = Counters {
        supply: leader.counters.supply,
        available: sum(|state| state.counters.available),
        held: sum(|state| state.counters.held),
        sold: sum(|state| state.counters.sold),
        cancelled: sum(|state| state.counters.cancelled),
        expired: sum(|state| state.counters.expired),
    };
    Sale {
        number: leader.number,
        terms: terms.clone(),
        opens_at: leader.opens_at,
        closes_at: leader.closes_at,
        switch: leader.switch,
        counters,
        in_transit: sum(|state| state.given).saturating_sub(sum(|state| state.taken)),
        sequence: sum(State::version),
    }
}

/// The same of states that were read one after the other: units that moved meanwhile could have been
/// met twice or never, so that what is neither held nor sold counts.
fn one_by_one(terms: &SaleTerms, states: &[State]) -> Sale {
    let mut sale = whole(terms, states);
    let counters = &mut sale.counters;
    let left = counters.supply.saturating_sub(counters.held).saturating_sub(counters.sold);
    counters.available = counters.available.min(left);
    sale.in_transit = left - counters.available;
    sale
}
