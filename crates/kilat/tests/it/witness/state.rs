//! What a witness knows, and what a recovered server may show given that.

use super::{CUSTOMERS, Random};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Held,
    Confirmed,
    Cancelled,
}

/// An order as a server told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) order: String,
    customer: String,
    quantity: u64,
    sequence: u64,
    status: Status,
}

/// What a key asks for, and the order that it brought.
#[derive(Debug, Clone)]
pub(super) struct Intent {
    customer: String,
    quantity: u64,
    hold: bool,
    pub(super) order: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) keys: BTreeMap<String, Intent>,
    told: BTreeMap<String, Told>,
    /// Steps that were sent and not answered.
    tried: BTreeMap<String, Vec<Status>>,
    /// Keys not sent again since the last recovery.
    pub(super) unproven: BTreeSet<String>,
}

impl Status {
    pub(super) fn read(order: &Value) -> Status {
        match order["status"].as_str() {
            Some("held") => Status::Held,
            Some("confirmed") => Status::Confirmed,
            Some("cancelled") => Status::Cancelled,
            _ => panic!("no status that could be: {order}"),
        }
    }
}

impl Told {
    pub(super) fn read(order: &Value) -> Told {
        Told {
            order: order["order"].as_str().unwrap().to_owned(),
            customer: order["customer"].as_str().unwrap().to_owned(),
            quantity: order["quantity"].as_u64().unwrap(),
            sequence: order["sequence"].as_u64().unwrap(),
            status: Status::read(order),
        }
    }
}

impl Intent {
    pub(super) fn body(&self) -> String {
        let Intent { customer, quantity, hold, .. } = self;
        format!(r#"{{"customer":"{customer}","quantity":{quantity},"hold":{hold}}}"#)
    }
}

impl State {
    pub(super) fn intend(&mut self, key: &str, random: &mut Random) {
        let intent = Intent {
            customer: format!("customer-{}", random.below(CUSTOMERS)),
            quantity: 1 + random.below(3),
            hold: random.below(2) == 0,
            order: None,
        };
        self.keys.insert(key.to_owned(), intent);
        self.unproven.insert(key.to_owned());
    }

    pub(super) fn told_of(&mut self, key: &str, told: &Told, new: bool) {
        let intent = self.keys.get_mut(key).unwrap();
        assert_eq!((&told.customer, told.quantity), (&intent.customer, intent.quantity), "{key}");
        intent.order = Some(told.order.clone());
        match self.told.get(&told.order) {
            Some(known) => assert_eq!(known.sequence, told.sequence, "{key}"),
            None => assert!(
                self.told.values().all(|known| known.sequence != told.sequence),
                "sequence {} was given twice",
                told.sequence
            ),
        }
        // A replay tells the present status, which another connection may be changing.
        if new || !self.told.contains_key(&told.order) {
            self.told.insert(told.order.clone(), told.clone());
        }
    }

    /// Orders of these keys that can be confirmed or cancelled.
    pub(super) fn held(&self, keys: &[String]) -> Vec<String> {
        let orders = keys.iter().filter_map(|key| self.keys[key].order.as_ref());
        let held = orders.filter(|order| self.told[*order].status == Status::Held);
        held.cloned().collect()
    }

    pub(super) fn tried(&mut self, order: &str, status: Status) {
        self.tried.entry(order.to_owned()).or_default().push(status);
    }

    pub(super) fn settled(&mut self, order: &str, status: Status) {
        self.told.get_mut(order).unwrap().status = status;
    }

    /// Everything told is there, as told; everything else was at least asked for.
    pub(super) fn compare(&mut self, listed: &[Told]) {
        let found: BTreeMap<&str, &Told> = listed.iter().map(|o| (o.order.as_str(), o)).collect();
        assert_eq!(found.len(), listed.len(), "an order is listed twice");
        assert!(
            listed.is_sorted_by(|one, next| one.sequence < next.sequence),
            "sequences do not grow"
        );
        for (id, told) in &self.told {
            let now = found.get(id.as_str());
            let now = now.unwrap_or_else(|| panic!("{told:?} is lost"));
            self.check_one(told, now);
        }
        let unknown = self.keys.values().filter(|i| i.order.is_none()).count();
        let untold = listed.iter().filter(|o| !self.told.contains_key(&o.order)).count();
        let of_keys = self.keys.values().filter_map(|i| i.order.as_ref()).count();
        assert!(listed.len() <= of_keys + unknown, "{untold} orders that nobody asked for");
        self.told = listed.iter().map(|o| (o.order.clone(), o.clone())).collect();
        self.tried.clear();
    }

    fn check_one(&self, told: &Told, now: &Told) {
        let tried = self.tried.get(&told.order).map_or(&[][..], Vec::as_slice);
        let may_have_moved = told.status == Status::Held && tried.contains(&now.status);
        let as_told = Told { status: told.status, ..now.clone() };
        assert!(
            as_told == *told && (now.status == told.status || may_have_moved),
            "told {told:?}, found {now:?}"
        );
    }

    /// All keys were sent again. Those without an order were refused and are forgotten.
    pub(super) fn proven(&mut self) {
        self.unproven.clear();
        self.keys.retain(|_, intent| intent.order.is_some());
    }

    pub(super) fn orders_and_keys(&self) -> (usize, usize) {
        let orders: BTreeSet<_> = self.keys.values().filter_map(|i| i.order.as_ref()).collect();
        assert_eq!(orders.len(), self.told.len(), "an order without a key");
        (orders.len(), self.keys.len())
    }
}

/// The figures are those of the orders, and add up.
pub(super) fn check_audit(audit: &Value, supply: u64, listed: &[Told]) {
    let units = |status| {
        let of_status = listed.iter().filter(|order| order.status == status);
        of_status.map(|order| order.quantity).sum::<u64>()
    };
    let (held, sold) = (units(Status::Held), units(Status::Confirmed));
    let figures = ["supply", "available", "held", "sold"].map(|name| audit[name].as_u64());
    let expected = [supply, supply - held - sold, held, sold].map(Some);
    assert_eq!(figures, expected, "{audit}");
    assert_eq!(audit["balanced"], true, "{audit}");
}
