//! The facts of a sale as they are published, and an auditor who knows nothing else.
//!
//! It shares no code with the ledger: from the events alone it counts what is held and sold, and
//! at no event may more be promised than there is.

use crate::http;
use crate::program::{ADMIN, Server, wait_for};
use serde_json::Value;
use std::collections::BTreeMap;

/// Every fact of the sale, in order, as the event log has it.
pub(crate) fn of(server: &Server, sale: &str) -> Vec<Value> {
    let mut facts = Facts::new(sale);
    let mut all = Vec::new();
    facts.read(server, |event| all.push(event.clone()));
    all
}

/// What the events say so far, and what the sale itself says, are the same.
pub(crate) fn check(server: &Server, sale: &str) -> Audited {
    let (mut facts, mut audited) = (Facts::new(sale), Audited::default());
    let path = format!("/v1/sales/{sale}/audit");
    wait_for("events that equal the facts", || {
        let audit = server.get(&path).json();
        facts.read(server, |event| audited.take(sale, event));
        let counted = ["supply", "available", "held", "sold"].map(|name| audit[name].as_u64());
        let told = [audited.supply, audited.available(), audited.held, audited.sold].map(Some);
        (counted == told && audit["balanced"] == true).then_some(())
    });
    audited
}

/// A reader of one topic, page by page.
struct Facts {
    topic: String,
    after: Option<u64>,
}

impl Facts {
    fn new(sale: &str) -> Facts {
        Facts { topic: format!("sale.{sale}"), after: None }
    }

    /// Reads on to the end.
    fn read(&mut self, server: &Server, mut take: impl FnMut(&Value)) {
        let bearer = format!("Bearer {ADMIN}");
        let headers = [("authorization", bearer.as_str())];
        loop {
            let after = self.after.map(|after| format!("&after={after}")).unwrap_or_default();
            let path = format!("/events?topic={}&limit=1000{after}", self.topic);
            let reply = http::call(&server.url, "GET", &path, &headers, "").unwrap();
            assert_eq!(reply.status, 200, "{}", reply.text());
            let page = reply.json();
            for event in page["events"].as_array().unwrap() {
                self.after = event["offset"].as_u64();
                take(event);
            }
            if page["next"].is_null() {
                return;
            }
        }
    }
}

/// A sale as its events tell it, in units.
#[derive(Debug, Default)]
pub(crate) struct Audited {
    pub(crate) events: u64,
    pub(crate) supply: u64,
    pub(crate) held: u64,
    pub(crate) sold: u64,
    is_closed: bool,
    /// Orders by id: units, and whether they are held, sold or neither.
    orders: BTreeMap<String, (u64, Where)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Held,
    Sold,
    Returned,
}

impl Audited {
    fn available(&self) -> u64 {
        self.supply - self.held - self.sold
    }

    fn take(&mut self, sale: &str, event: &Value) {
        self.events += 1;
        assert_eq!(event["event_id"], format!("{sale}/{}", self.events), "{event}");
        let payload = &event["payload"];
        match payload["type"].as_str().unwrap() {
            "sale_created" => self.supply = payload["supply"].as_u64().unwrap(),
            "order_placed" => self.place(payload),
            "order_confirmed" => self.turn(payload, Where::Held, Where::Sold),
            "order_cancelled" | "order_expired" => self.turn(payload, Where::Held, Where::Returned),
            // As an attack does with its own sale in the end.
            "sale_changed" if payload["state"] == "closed" => self.is_closed = true,
            _ => panic!("no fact that could be: {event}"),
        }
    }

    fn place(&mut self, payload: &Value) {
        assert!(!self.is_closed, "sold after its end: {payload}");
        let units = payload["quantity"].as_u64().unwrap();
        assert!(units <= self.available(), "oversold: {payload}");
        let held = payload["status"] == "held";
        *(if held { &mut self.held } else { &mut self.sold }) += units;
        let at = if held { Where::Held } else { Where::Sold };
        let id = payload["order"].as_str().unwrap().to_owned();
        assert!(self.orders.insert(id, (units, at)).is_none(), "placed twice: {payload}");
    }

    fn turn(&mut self, payload: &Value, from: Where, to: Where) {
        let order = self.orders.get_mut(payload["order"].as_str().unwrap()).unwrap();
        let (units, at) = *order;
        assert_eq!(at, from, "{payload}");
        order.1 = to;
        self.held -= units;
        if to == Where::Sold {
            self.sold += units;
        }
    }
}
