//! The ledger: all state of all sales, and the loop of decide, evolve, encode.

use std::collections::BTreeSet;
use std::hint::black_box;

use crate::batch::{Batch, Facts};
use crate::command::{Command, PlaceOrder};
use crate::corrupt::Corrupt;
use crate::customers::Customers;
use crate::fact::{Fact, FactKind};
use crate::fingerprint::Fingerprinter;
use crate::orders::Orders;
use crate::outcome::Outcome;
use crate::sales::Sales;
use crate::table::Place;
use crate::time::Time;

/// Facts that a replay decodes ahead, so that their cache misses overlap.
const REPLAY_AHEAD: usize = 64;

/// The state of all sales.
///
/// Deterministic: the same commands at the same times give the same outcomes, facts and bytes.
/// It may run ahead of the disk; its owner lets no reply out before the facts are durable.
#[derive(Debug)]
pub struct Ledger {
    pub(crate) fingerprinter: Fingerprinter,
    /// The time of the latest fact.
    pub(crate) clock: Time,
    pub(crate) sales: Sales,
    pub(crate) orders: Orders,
    pub(crate) customers: Customers,
    /// Holds that are neither confirmed, cancelled nor expired, by when they end.
    pub(crate) holds: BTreeSet<(Time, u32)>,
}

impl Ledger {
    /// Empty. The key of `fingerprinter` must stay the same for the life of the data.
    #[must_use]
    pub fn new(fingerprinter: Fingerprinter) -> Self {
        Self {
            fingerprinter,
            clock: Time::MIN,
            sales: Sales::new(fingerprinter),
            orders: Orders::new(),
            customers: Customers::new(),
            holds: BTreeSet::new(),
        }
    }

    /// What `now` means to this ledger: never earlier than the latest fact, so that a clock
    /// that jumps back resurrects no hold and reopens no sale.
    #[must_use]
    pub fn clamp(&self, now: Time) -> Time {
        now.max(self.clock)
    }

    /// Decides a command, applies the fact and appends it to `batch`.
    ///
    /// Call [`Ledger::expire_due`] with the same `now` before a batch of commands.
    ///
    /// # Panics
    /// If an invariant of the ledger is broken: selling on would oversell.
    pub fn execute(&mut self, now: Time, command: &Command<'_>, batch: &mut Batch) -> Outcome {
        let decision = self.decide(now, command);
        if let Some(fact) = &decision.fact {
            self.evolve(fact);
            batch.push(fact);
        }
        decision.outcome
    }

    /// Expires up to `limit` holds with `now >= expires_at`, the earliest first, and returns how
    /// many. As many as `limit` means that more may be due.
    ///
    /// # Panics
    /// As [`Ledger::execute`].
    pub fn expire_due(&mut self, now: Time, limit: usize, batch: &mut Batch) -> usize {
        let now = self.clamp(now);
        for expired in 0..limit {
            match self.holds.first() {
                Some((end, number)) if now >= *end => {
                    let fact = self.expiry_of(now, *number);
                    self.evolve(&fact);
                    batch.push(&fact);
                }
                _ => return expired,
            }
        }
        limit
    }

    /// When the next hold is due, if there is any.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Time> {
        self.holds.first().map(|(end, _)| *end)
    }

    /// Reads what deciding these orders will read, all at once: the cache misses overlap instead
    /// of following one another. Changes nothing; pays off from a few hundred thousand orders
    /// on, with 64 to 256 orders a call, right before they are executed.
    pub fn warm<'c, 'a: 'c>(
        &self,
        orders: impl IntoIterator<Item = &'c PlaceOrder<'a>, IntoIter: Clone>,
    ) {
        let orders = orders.into_iter();
        let mut sum = 0;
        for order in orders.clone() {
            let prints = order.prints();
            sum ^= self.orders.by_id.touch(Place::of_id(order.id.to_bits()));
            sum ^= self.orders.by_print.touch(Place::of_print(prints.order.0));
            let customer = Place::of_print(prints.customer.0);
            sum ^= self.customers.by_print.touch(customer);
        }
        for order in orders {
            let customer = Place::of_print(order.customer_print().0);
            if let Some(number) = self.customers.by_print.likely(customer) {
                sum ^= u64::from(self.customers.records.get(number).sale);
                sum ^= self.customers.totals.get(number).units;
            }
        }
        black_box(sum);
    }

    /// Applies the facts of an encoded batch.
    ///
    /// # Errors
    /// If the bytes are malformed or contradict the state. The ledger may then hold some of the
    /// facts and must be dropped.
    pub fn replay(&mut self, batch: &[u8]) -> Result<(), Corrupt> {
        let mut facts = Facts::decode(batch)?;
        // Never more than the bytes can hold: a count is not believed.
        let mut ahead = Vec::with_capacity(REPLAY_AHEAD);
        loop {
            for fact in facts.by_ref().take(REPLAY_AHEAD) {
                ahead.push(self.with_prints(fact?));
            }
            if ahead.is_empty() {
                return Ok(());
            }
            self.warm_facts(&ahead);
            for fact in ahead.drain(..) {
                self.apply(&fact).map_err(Corrupt::Contradiction)?;
            }
        }
    }

    /// Sales created earlier in the same window have no number yet; `apply` hashes for those.
    fn with_prints<'a>(&self, mut fact: Fact<'a>) -> Fact<'a> {
        let sale = self.sales.list.get(fact.sale as usize);
        if let (Some(sale), FactKind::OrderPlaced { customer, key, prints, .. }) =
            (sale, &mut fact.kind)
        {
            *prints = Some(self.fingerprinter.prints(&sale.terms.id, customer, key));
        }
        fact
    }

    fn warm_facts(&self, facts: &[Fact<'_>]) {
        let mut sum = 0;
        for fact in facts {
            match &fact.kind {
                FactKind::OrderPlaced { id, prints, .. } => {
                    sum ^= self.orders.by_id.touch(Place::of_id(id.to_bits()));
                    if let Some(prints) = prints {
                        sum ^= self.orders.by_print.touch(Place::of_print(prints.order.0));
                        let customer = Place::of_print(prints.customer.0);
                        sum ^= self.customers.by_print.touch(customer);
                    }
                }
                FactKind::OrderConfirmed { id }
                | FactKind::OrderCancelled { id }
                | FactKind::OrderExpired { id } => {
                    sum ^= self.orders.by_id.touch(Place::of_id(id.to_bits()));
                }
                FactKind::SaleCreated { .. } | FactKind::SaleChanged { .. } => {}
            }
        }
        black_box(sum);
    }
}
