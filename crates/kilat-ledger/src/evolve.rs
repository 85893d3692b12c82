//! Applying facts: all that recovery runs. Knows no rules: it refuses only what would break an
//! invariant, so that history stays valid when the rules change.

use std::sync::Arc;

use crate::command::{SUPPLY_MAX, SaleChange, SaleTerms};
use crate::fact::{Fact, FactKind};
use crate::fingerprint::Prints;
use crate::ledger::Ledger;
use crate::log::RECORDS_MAX;
use crate::order_id::OrderId;
use crate::orders::{NONE, OrderRecord};
use crate::outcome::OrderStatus;
use crate::sale::{Movement, SALES_MAX, Sale};
use crate::time::Time;

/// What a fact breaks.
type Broken = &'static str;

const UNBALANCED: Broken = "available + held + sold would not equal supply, or be negative";

/// An order about to be appended.
struct NewOrder<'a> {
    id: OrderId,
    sale: u32,
    sequence: u64,
    quantity: u32,
    expires_at: Option<Time>,
    customer: &'a str,
    prints: Prints,
}

impl Ledger {
    /// Applies a fact.
    ///
    /// # Panics
    /// If the fact contradicts the state: it was not decided by this ledger, or an invariant is
    /// broken and selling on would oversell. Stored facts go through [`Ledger::replay`].
    pub fn evolve(&mut self, fact: &Fact<'_>) {
        if let Err(broken) = self.apply(fact) {
            broken_invariant(fact, broken);
        }
    }

    /// Checks everything before it changes anything.
    #[inline]
    pub(crate) fn apply(&mut self, fact: &Fact<'_>) -> Result<(), Broken> {
        ensure(fact.at >= self.clock, "time would go back")?;
        match &fact.kind {
            FactKind::OrderPlaced { .. } => self.apply_placed(fact)?,
            FactKind::OrderConfirmed { id } => self.apply_settled(fact, *id, Movement::Confirm)?,
            FactKind::OrderCancelled { id } => self.apply_settled(fact, *id, Movement::Cancel)?,
            FactKind::OrderExpired { id } => self.apply_settled(fact, *id, Movement::Expire)?,
            FactKind::SaleCreated { terms } => self.apply_created(fact, terms)?,
            FactKind::SaleChanged { key, change } => self.apply_changed(fact, key, change)?,
        }
        self.clock = fact.at;
        Ok(())
    }

    fn apply_created(&mut self, fact: &Fact<'_>, terms: &Arc<SaleTerms>) -> Result<(), Broken> {
        let next = self.sales.list.len();
        ensure(next < SALES_MAX, "too many sales")?;
        ensure(fact.sale as usize == next, "a sale's number is not the next")?;
        ensure(fact.sequence == 1, "a sale does not begin with sequence 1")?;
        ensure(self.sales.find(&terms.id).is_none(), "a sale exists twice")?;
        ensure(terms.supply <= SUPPLY_MAX, "a supply is too large")?;
        self.sales.push(Sale::new(Arc::clone(terms)));
        Ok(())
    }

    fn apply_changed(
        &mut self,
        fact: &Fact<'_>,
        key: &str,
        change: &SaleChange,
    ) -> Result<(), Broken> {
        let sale = sale_after(&mut self.sales.list, fact)?;
        let unknown = !sale.changes.contains_key(key);
        ensure(unknown, "a change of a sale was made twice")?;
        let counters = sale.counters.restocked(change.add_supply);
        sale.counters = counters.ok_or(UNBALANCED)?;
        (sale.opens_at, sale.closes_at) = sale.schedule_after(change);
        sale.switch = change.state.unwrap_or(sale.switch);
        sale.sequence = fact.sequence;
        Arc::make_mut(&mut sale.changes).insert(key.into(), *change);
        Ok(())
    }

    #[inline(always)]
    fn apply_placed(&mut self, fact: &Fact<'_>) -> Result<(), Broken> {
        let FactKind::OrderPlaced { id, customer, key, quantity, expires_at, prints } = &fact.kind
        else {
            return Ok(());
        };
        let sale = sale_after(&mut self.sales.list, fact)?;
        let prints = match prints {
            Some(prints) => *prints,
            None => self.fingerprinter.prints(&sale.terms.id, customer, key),
        };
        let movement = match expires_at {
            Some(_) => Movement::Hold,
            None => Movement::Buy,
        };
        let counters = sale.counters.after(movement, (*quantity).into());
        let counters = counters.ok_or(UNBALANCED)?;
        ensure(*quantity > 0, "an order is for nothing")?;
        ensure(self.orders.records.len() < RECORDS_MAX, "too many orders")?;
        ensure(self.orders.find(*id).is_none(), "an order id exists twice")?;
        let unknown = self.orders.find_print(prints.order.0).is_none();
        ensure(unknown, "an idempotency key sold twice")?;
        sale.counters = counters;
        sale.sequence = fact.sequence;
        self.append(&NewOrder {
            id: *id,
            sale: fact.sale,
            sequence: fact.sequence,
            quantity: *quantity,
            expires_at: *expires_at,
            customer,
            prints,
        });
        Ok(())
    }

    #[inline(always)]
    fn append(&mut self, order: &NewOrder<'_>) {
        let print = order.prints.customer.0;
        let customer = match self.customers.find(print) {
            Some(customer) => customer,
            None => self.customers.push(print, order.sale, order.customer),
        };
        let number = self.orders.push(OrderRecord {
            id: order.id.to_bits(),
            print: order.prints.order.0,
            sequence: order.sequence,
            expires_at: order.expires_at.unwrap_or(Time::MIN),
            customer,
            sale: order.sale,
            quantity: order.quantity,
            status: match order.expires_at {
                Some(_) => OrderStatus::Held,
                None => OrderStatus::Confirmed,
            },
            hold: order.expires_at.is_some(),
        });
        if let Some(end) = order.expires_at {
            self.holds.insert((end, number));
        }
        self.chain(number, customer, order);
    }

    /// Adds order `number` to the chains of its customer and its sale.
    #[inline(always)]
    fn chain(&mut self, number: u32, customer: u32, order: &NewOrder<'_>) {
        let totals = self.customers.totals.get_mut(customer);
        totals.units += u64::from(order.quantity);
        let before = std::mem::replace(&mut totals.last_order, number);
        if before == NONE {
            totals.first_order = number;
        } else {
            self.orders.links.get_mut(before).of_customer = number;
        }
        let chain = &mut self.sales.chains[order.sale as usize];
        if chain.last_order != NONE {
            self.orders.links.get_mut(chain.last_order).of_sale = number;
        }
        chain.push(order.sequence, number);
    }

    fn apply_settled(
        &mut self,
        fact: &Fact<'_>,
        id: OrderId,
        movement: Movement,
    ) -> Result<(), Broken> {
        let sale = sale_after(&mut self.sales.list, fact)?;
        let number = self.orders.find(id).ok_or("an order is unknown")?;
        let record = *self.orders.records.get(number);
        ensure(record.sale == fact.sale, "an order is of another sale")?;
        ensure(record.status == OrderStatus::Held, "an order is not held")?;
        let units = u64::from(record.quantity);
        sale.counters = sale.counters.after(movement, units).ok_or(UNBALANCED)?;
        sale.sequence = fact.sequence;
        self.holds.remove(&(record.expires_at, number));
        self.orders.records.edit(number).status = match movement {
            Movement::Cancel => OrderStatus::Cancelled,
            Movement::Expire => OrderStatus::Expired,
            Movement::Confirm | Movement::Buy | Movement::Hold => OrderStatus::Confirmed,
        };
        if movement != Movement::Confirm {
            self.customers.totals.get_mut(record.customer).units -= units;
        }
        Ok(())
    }
}

/// The sale that a fact is about, if the fact is its next one.
#[inline]
fn sale_after<'a>(sales: &'a mut [Sale], fact: &Fact<'_>) -> Result<&'a mut Sale, Broken> {
    let sale = sales.get_mut(fact.sale as usize).ok_or("a sale is unknown")?;
    ensure(sale.sequence.checked_add(1) == Some(fact.sequence), "a sale's sequence has a gap")?;
    Ok(sale)
}

#[inline]
const fn ensure(holds: bool, broken: Broken) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(broken) }
}

#[cold]
fn broken_invariant(fact: &Fact<'_>, broken: Broken) -> ! {
    panic!(
        "the ledger's invariant is broken by fact {} of sale number {}: {broken}",
        fact.sequence, fact.sale
    )
}
