//! The rules once more, written as plainly as possible and without a look at the ledger's code:
//! lists that are searched from end to end. Shares only the words of the public API.

use std::collections::BTreeMap;

use kilat_ledger::{OrderStatus, Outcome, Refusal, SUPPLY_MAX, SaleChange, SaleSwitch, SaleTerms};

#[derive(Clone, Debug)]
pub(crate) struct ModelOrder {
    pub(crate) id: u128,
    pub(crate) sale: String,
    pub(crate) customer: String,
    pub(crate) key: String,
    pub(crate) quantity: u32,
    pub(crate) hold: bool,
    pub(crate) status: OrderStatus,
    /// Milliseconds.
    pub(crate) expires_at: i64,
    pub(crate) sequence: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct ModelSale {
    pub(crate) terms: SaleTerms,
    pub(crate) supply: u64,
    opens_at: Option<i64>,
    closes_at: Option<i64>,
    switch: SaleSwitch,
    pub(crate) sequence: u64,
    changes: BTreeMap<String, SaleChange>,
}

/// What a command comes to: the order's id, status, sequence, end of hold, and replay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Order(u128, OrderStatus, u64, Option<i64>, bool),
    Other(Outcome),
}

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) sales: BTreeMap<String, ModelSale>,
    pub(crate) orders: Vec<ModelOrder>,
    clock: i64,
}

fn no(refusal: Refusal) -> Answer {
    Answer::Other(Outcome::Refused(refusal))
}

impl Model {
    pub(crate) fn new() -> Self {
        Self { clock: i64::MIN, ..Self::default() }
    }

    pub(crate) fn expire(&mut self, now: i64, limit: usize) -> usize {
        let now = now.max(self.clock);
        for done in 0..limit {
            let due = self.orders.iter().enumerate();
            let due = due
                .filter(|(_, order)| order.status == OrderStatus::Held && now >= order.expires_at);
            let Some((first, _)) = due.min_by_key(|(number, order)| (order.expires_at, *number))
            else {
                return done;
            };
            self.orders[first].status = OrderStatus::Expired;
            let sale = self.orders[first].sale.clone();
            self.fact(&sale, now);
        }
        limit
    }

    fn fact(&mut self, sale: &str, now: i64) -> u64 {
        let sale = self.sales.get_mut(sale).unwrap();
        sale.sequence += 1;
        self.clock = now;
        sale.sequence
    }

    pub(crate) fn create(&mut self, now: i64, terms: &SaleTerms) -> Answer {
        let now = now.max(self.clock);
        if let Some(sale) = self.sales.get(&terms.id) {
            return match sale.terms == *terms {
                true => Answer::Other(Outcome::SaleAlreadyCreated),
                false => no(Refusal::SaleExists),
            };
        }
        let millis = |time: Option<kilat_ledger::Time>| time.map(|time| time.as_millis());
        let (opens_at, closes_at) = (millis(terms.opens_at), millis(terms.closes_at));
        if closes_at.is_some() && opens_at.is_some() && closes_at <= opens_at {
            return no(Refusal::InvalidSchedule);
        }
        let sale = ModelSale {
            terms: terms.clone(),
            supply: terms.supply,
            opens_at,
            closes_at,
            switch: SaleSwitch::Open,
            sequence: 1,
            changes: BTreeMap::new(),
        };
        self.sales.insert(terms.id.clone(), sale);
        self.clock = now;
        Answer::Other(Outcome::SaleCreated)
    }

    pub(crate) fn change(&mut self, now: i64, id: &str, key: &str, change: &SaleChange) -> Answer {
        let now = now.max(self.clock);
        let Some(sale) = self.sales.get_mut(id) else {
            return no(Refusal::SaleNotFound);
        };
        if let Some(made) = sale.changes.get(key) {
            return match made == change {
                true => Answer::Other(Outcome::SaleChanged { replayed: true }),
                false => no(Refusal::KeyReused),
            };
        }
        if sale.switch == SaleSwitch::Closed || sale.closes_at.is_some_and(|end| end <= now) {
            return no(Refusal::Closed);
        }
        let mut after = sale.clone();
        if let Some(opens_at) = change.opens_at {
            after.opens_at = opens_at.map(|time| time.as_millis());
        }
        if let Some(closes_at) = change.closes_at {
            after.closes_at = closes_at.map(|time| time.as_millis());
        }
        if let (Some(start), Some(end)) = (after.opens_at, after.closes_at)
            && end <= start
        {
            return no(Refusal::InvalidSchedule);
        }
        if change.add_supply > SUPPLY_MAX - after.supply {
            return no(Refusal::SupplyOverflow);
        }
        after.supply += change.add_supply;
        if let Some(state) = change.state {
            after.switch = state;
        }
        after.changes.insert(key.to_owned(), *change);
        *sale = after;
        self.fact(id, now);
        Answer::Other(Outcome::SaleChanged { replayed: false })
    }

    /// `order` comes with the request filled in.
    pub(crate) fn place(&mut self, now: i64, mut order: ModelOrder) -> Answer {
        let now = now.max(self.clock);
        let known = self.orders.iter().find(|known| {
            (&known.sale, &known.customer, &known.key) == (&order.sale, &order.customer, &order.key)
        });
        if let Some(known) = known {
            let same = (known.quantity, known.hold) == (order.quantity, order.hold);
            return match same {
                true => answer(known, now, true),
                false => no(Refusal::KeyReused),
            };
        }
        if order.quantity == 0 {
            return no(Refusal::InvalidQuantity);
        }
        if let Some(refusal) = self.refusal(now, &order) {
            return no(refusal);
        }
        let hold_seconds = self.sales[&order.sale].terms.hold_seconds;
        order.expires_at = now + i64::from(hold_seconds) * 1_000;
        order.status = match order.hold {
            true => OrderStatus::Held,
            false => OrderStatus::Confirmed,
        };
        order.sequence = self.fact(&order.sale.clone(), now);
        self.orders.push(order.clone());
        // As placed: a hold of no time is granted and over at once.
        let expires_at = order.hold.then_some(order.expires_at);
        Answer::Order(order.id, order.status, order.sequence, expires_at, false)
    }

    fn refusal(&self, now: i64, order: &ModelOrder) -> Option<Refusal> {
        let Some(sale) = self.sales.get(&order.sale) else {
            return Some(Refusal::SaleNotFound);
        };
        if sale.switch == SaleSwitch::Closed || sale.closes_at.is_some_and(|end| now >= end) {
            return Some(Refusal::Closed);
        }
        if sale.opens_at.is_some_and(|start| now < start) {
            return Some(Refusal::NotOpen);
        }
        if sale.switch == SaleSwitch::Paused {
            return Some(Refusal::Paused);
        }
        let taken = |order: &&ModelOrder| {
            matches!(order.status, OrderStatus::Held | OrderStatus::Confirmed)
        };
        let of_sale = |other: &&ModelOrder| other.sale == order.sale;
        let units = |other: &ModelOrder| u64::from(other.quantity);
        let all = self.orders.iter().filter(taken).filter(of_sale);
        let own = all.clone().filter(|other| other.customer == order.customer);
        let wanted = u64::from(order.quantity);
        if let Some(limit) = sale.terms.per_customer
            && own.map(units).sum::<u64>() + wanted > u64::from(limit)
        {
            return Some(Refusal::LimitReached);
        }
        if all.map(units).sum::<u64>() + wanted > sale.supply {
            return Some(Refusal::SoldOut);
        }
        let same_id = self.orders.iter().any(|other| other.id == order.id);
        same_id.then_some(Refusal::OrderIdTaken)
    }

    pub(crate) fn settle(
        &mut self,
        now: i64,
        sale: &str,
        id: u128,
        by: Option<&str>,
        to: OrderStatus,
    ) -> Answer {
        let now = now.max(self.clock);
        if !self.sales.contains_key(sale) {
            return no(Refusal::SaleNotFound);
        }
        let found = self.orders.iter().position(|order| {
            order.id == id && order.sale == sale && by.is_none_or(|by| order.customer == by)
        });
        let Some(number) = found else {
            return no(Refusal::OrderNotFound);
        };
        let order = self.orders[number].clone();
        match seen(&order, now) {
            OrderStatus::Expired => no(Refusal::HoldExpired),
            status if status == to => answer(&order, now, true),
            OrderStatus::Confirmed => no(Refusal::OrderConfirmed),
            OrderStatus::Cancelled => no(Refusal::OrderCancelled),
            OrderStatus::Held => {
                self.orders[number].status = to;
                self.fact(sale, now);
                answer(&self.orders[number], now, false)
            }
        }
    }

    /// available, held, sold, cancelled, expired.
    pub(crate) fn units(&self, sale: &str) -> [u64; 5] {
        let of = |status| -> u64 {
            let orders = self.orders.iter();
            let orders = orders.filter(|order| order.sale == sale && order.status == status);
            orders.map(|order| u64::from(order.quantity)).sum()
        };
        let (held, sold) = (of(OrderStatus::Held), of(OrderStatus::Confirmed));
        let available = self.sales[sale].supply - held - sold;
        let [cancelled, expired] = [of(OrderStatus::Cancelled), of(OrderStatus::Expired)];
        [available, held, sold, cancelled, expired]
    }
}

fn seen(order: &ModelOrder, now: i64) -> OrderStatus {
    if order.status == OrderStatus::Held && now >= order.expires_at {
        OrderStatus::Expired
    } else {
        order.status
    }
}

fn answer(order: &ModelOrder, now: i64, replayed: bool) -> Answer {
    let expires_at = order.hold.then_some(order.expires_at);
    Answer::Order(order.id, seen(order, now), order.sequence, expires_at, replayed)
}
