//! The rules: what a command comes to, given the state and the time. Pure: changes nothing.

use std::sync::Arc;

use crate::command::{
    CUSTOMER_BYTES_MAX, Command, KEY_BYTES_MAX, PlaceOrder, SUPPLY_MAX, SaleChange, SaleTerms,
    TERMS_TEXT_BYTES_MAX,
};
use crate::fact::{Decision, Fact, FactKind};
use crate::ledger::Ledger;
use crate::log::RECORDS_MAX;
use crate::order_id::OrderId;
use crate::orders::OrderRecord;
use crate::outcome::{Order, OrderStatus, Outcome, Refusal};
use crate::sale::{CHANGES_MAX, SALES_MAX, Sale, SaleState, schedule_is_valid};
use crate::sale_code::terms_texts;
use crate::time::Time;

/// Refusing is the early way out of every rule.
type Ruling<'a> = Result<Decision<'a>, Refusal>;

/// What an order's status makes of a request to settle it; `None` if there is nothing to do.
type Settlement<'a> = Result<Option<(FactKind<'a>, OrderStatus)>, Refusal>;

impl Ledger {
    /// What `command` comes to at `now`. The fact, if any, is what changes; nothing does here.
    #[must_use]
    pub fn decide<'a>(&self, now: Time, command: &Command<'a>) -> Decision<'a> {
        let now = self.clamp(now);
        let ruling = match command {
            Command::PlaceOrder(place) => self.place(now, place),
            Command::ConfirmOrder { sale, order, by } => {
                self.settle(now, sale, *order, *by, confirm)
            }
            Command::CancelOrder { sale, order, by } => self.settle(now, sale, *order, *by, cancel),
            Command::CreateSale { terms } => self.create_sale(now, terms),
            Command::ChangeSale { sale, key, change } => self.change_sale(now, sale, key, change),
        };
        ruling.unwrap_or_else(|refusal| unchanged(Outcome::Refused(refusal)))
    }

    /// The fact that the hold of order `number` has run out.
    pub(crate) fn expiry_of(&self, now: Time, number: u32) -> Fact<'static> {
        let record = self.orders.records.get(number);
        let sale = &self.sales.list[record.sale as usize];
        Fact {
            at: now,
            sale: record.sale,
            sequence: sale.sequence + 1,
            kind: FactKind::OrderExpired { id: OrderId::from_bits(record.id) },
        }
    }

    #[inline]
    fn place<'a>(&self, now: Time, place: &PlaceOrder<'a>) -> Ruling<'a> {
        if let Some(number) = self.orders.find_print(place.order_print().0) {
            return replay_order(now, place, self.orders.records.get(number));
        }
        check_lengths(&[(place.customer, CUSTOMER_BYTES_MAX), (place.key, KEY_BYTES_MAX)])?;
        check(place.quantity > 0, Refusal::InvalidQuantity)?;
        let (number, sale) = self.sales.find(place.sale).ok_or(Refusal::SaleNotFound)?;
        check_open(sale, now)?;
        self.check_limit(sale, place)?;
        check(u64::from(place.quantity) <= sale.counters.available, Refusal::SoldOut)?;
        check(self.orders.find(place.id).is_none(), Refusal::OrderIdTaken)?;
        self.check_room()?;
        Ok(placed(now, place, number, sale))
    }

    #[inline]
    fn check_limit(&self, sale: &Sale, place: &PlaceOrder<'_>) -> Result<(), Refusal> {
        let Some(limit) = sale.terms.per_customer else {
            return Ok(());
        };
        let units = match self.customers.find(place.customer_print().0) {
            Some(customer) => self.customers.totals.get(customer).units,
            None => 0,
        };
        let wanted = units.saturating_add(place.quantity.into());
        check(wanted <= limit.into(), Refusal::LimitReached)
    }

    fn check_room(&self) -> Result<(), Refusal> {
        // Every customer has an order, so orders run out first.
        check(self.orders.records.len() < RECORDS_MAX, Refusal::Full)
    }

    /// Confirm and cancel differ only in what follows from the status.
    fn settle<'a>(
        &self,
        now: Time,
        sale: &str,
        id: OrderId,
        by: Option<&str>,
        rule: fn(Order) -> Settlement<'a>,
    ) -> Ruling<'a> {
        let (sale_number, sale) = self.sales.find(sale).ok_or(Refusal::SaleNotFound)?;
        let number = self.orders.find(id).ok_or(Refusal::OrderNotFound)?;
        let record = self.orders.records.get(number);
        let allowed = by.is_none_or(|customer| self.customers.name(record.customer) == customer);
        check(record.sale == sale_number && allowed, Refusal::OrderNotFound)?;
        let order = record.order().at(now);
        Ok(match rule(order)? {
            None => unchanged(Outcome::Order { order, replayed: true }),
            Some((kind, status)) => Decision {
                outcome: Outcome::Order { order: Order { status, ..order }, replayed: false },
                fact: Some(next_fact(now, sale_number, sale, kind)),
            },
        })
    }

    fn create_sale<'a>(&self, now: Time, terms: &SaleTerms) -> Ruling<'a> {
        if let Some((_, sale)) = self.sales.find(&terms.id) {
            check(*sale.terms == *terms, Refusal::SaleExists)?;
            return Ok(unchanged(Outcome::SaleAlreadyCreated));
        }
        check_lengths(&terms_texts(terms).map(|text| (text, TERMS_TEXT_BYTES_MAX)))?;
        check(schedule_is_valid((terms.opens_at, terms.closes_at)), Refusal::InvalidSchedule)?;
        check(terms.supply <= SUPPLY_MAX, Refusal::SupplyOverflow)?;
        check(self.sales.list.len() < SALES_MAX, Refusal::Full)?;
        Ok(Decision {
            outcome: Outcome::SaleCreated,
            fact: Some(Fact {
                at: now,
                sale: self.sales.list.len() as u32,
                sequence: 1,
                kind: FactKind::SaleCreated { terms: Arc::new(terms.clone()) },
            }),
        })
    }

    fn change_sale<'a>(
        &self,
        now: Time,
        sale: &str,
        key: &'a str,
        change: &SaleChange,
    ) -> Ruling<'a> {
        let (number, sale) = self.sales.find(sale).ok_or(Refusal::SaleNotFound)?;
        if let Some(made) = sale.changes.get(key) {
            check(made == change, Refusal::KeyReused)?;
            return Ok(unchanged(Outcome::SaleChanged { replayed: true }));
        }
        check_lengths(&[(key, KEY_BYTES_MAX)])?;
        let closed = sale.view(number).state(now) == SaleState::Closed;
        check(!closed, Refusal::Closed)?;
        check(schedule_is_valid(sale.schedule_after(change)), Refusal::InvalidSchedule)?;
        let restocked = sale.counters.restocked(change.add_supply);
        check(restocked.is_some(), Refusal::SupplyOverflow)?;
        check(sale.changes.len() < CHANGES_MAX, Refusal::Full)?;
        let kind = FactKind::SaleChanged { key, change: *change };
        Ok(Decision {
            outcome: Outcome::SaleChanged { replayed: false },
            fact: Some(next_fact(now, number, sale, kind)),
        })
    }
}

/// A remembered order as it stands, if this is the same request.
fn replay_order<'a>(now: Time, place: &PlaceOrder<'_>, record: &OrderRecord) -> Ruling<'a> {
    let same = record.quantity == place.quantity && record.hold == place.hold;
    check(same, Refusal::KeyReused)?;
    Ok(unchanged(Outcome::Order { order: record.order().at(now), replayed: true }))
}

#[inline]
fn check_open(sale: &Sale, now: Time) -> Result<(), Refusal> {
    match sale.view(0).state(now) {
        SaleState::Closed => Err(Refusal::Closed),
        SaleState::Scheduled => Err(Refusal::NotOpen),
        SaleState::Paused => Err(Refusal::Paused),
        // The limit is decided before the stock.
        SaleState::SoldOut | SaleState::Open => Ok(()),
    }
}

#[inline]
fn placed<'a>(now: Time, place: &PlaceOrder<'a>, number: u32, sale: &Sale) -> Decision<'a> {
    let expires_at = place.hold.then(|| now.plus_seconds(sale.terms.hold_seconds));
    let kind = FactKind::OrderPlaced {
        id: place.id,
        customer: place.customer,
        key: place.key,
        quantity: place.quantity,
        expires_at,
        prints: Some(place.prints()),
    };
    let order = Order {
        id: place.id,
        sale: number,
        quantity: place.quantity,
        status: match place.hold {
            true => OrderStatus::Held,
            false => OrderStatus::Confirmed,
        },
        hold: place.hold,
        expires_at,
        sequence: sale.sequence + 1,
    };
    Decision {
        outcome: Outcome::Order { order, replayed: false },
        fact: Some(next_fact(now, number, sale, kind)),
    }
}

fn confirm<'a>(order: Order) -> Settlement<'a> {
    match order.status {
        OrderStatus::Held => {
            Ok(Some((FactKind::OrderConfirmed { id: order.id }, OrderStatus::Confirmed)))
        }
        OrderStatus::Confirmed => Ok(None),
        OrderStatus::Cancelled => Err(Refusal::OrderCancelled),
        OrderStatus::Expired => Err(Refusal::HoldExpired),
    }
}

fn cancel<'a>(order: Order) -> Settlement<'a> {
    match order.status {
        OrderStatus::Held => {
            Ok(Some((FactKind::OrderCancelled { id: order.id }, OrderStatus::Cancelled)))
        }
        OrderStatus::Cancelled => Ok(None),
        OrderStatus::Confirmed => Err(Refusal::OrderConfirmed),
        OrderStatus::Expired => Err(Refusal::HoldExpired),
    }
}

#[inline]
fn next_fact<'a>(now: Time, number: u32, sale: &Sale, kind: FactKind<'a>) -> Fact<'a> {
    Fact { at: now, sale: number, sequence: sale.sequence + 1, kind }
}

const fn unchanged<'a>(outcome: Outcome) -> Decision<'a> {
    Decision { outcome, fact: None }
}

fn check(holds: bool, refusal: Refusal) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(refusal) }
}

fn check_lengths(texts: &[(&str, usize)]) -> Result<(), Refusal> {
    let fit = texts.iter().all(|(text, bytes_max)| text.len() <= *bytes_max);
    check(fit, Refusal::TooLong)
}
