//! The fake's sale: rules from the contract, and the lies about them.

use super::{Answer, Fault, State, answer, problem};
use crate::standin::Ask;
use serde_json::{Value, json};
use std::collections::HashMap;

#[derive(Default)]
pub(super) struct Sale {
    request: Value,
    supply: u64,
    sequence: u64,
    orders: Vec<Order>,
    keys: HashMap<(String, String), usize>,
    pub(super) state: Option<String>,
    oversold: u64,
}

#[derive(Clone)]
pub(super) struct Order {
    id: String,
    customer: String,
    quantity: u64,
    status: &'static str,
    sequence: u64,
    hidden: bool,
}

impl Sale {
    pub(super) fn new(request: Value, supply: u64) -> Sale {
        Sale { request, supply, ..Sale::default() }
    }

    fn units(&self, status: &str) -> u64 {
        self.orders.iter().filter(|o| o.status == status).map(|o| o.quantity).sum()
    }

    fn available(&self) -> u64 {
        self.supply.saturating_sub(self.units("confirmed") + self.units("held"))
    }

    pub(super) fn place(
        &mut self,
        key: &str,
        customer: &str,
        quantity: u64,
        status: &'static str,
    ) -> Order {
        self.sequence += 1;
        let order = Order {
            id: format!(
                "{:016x}{:016x}",
                self.sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                self.sequence
            ),
            customer: customer.to_owned(),
            quantity,
            status,
            sequence: self.sequence,
            hidden: false,
        };
        self.keys.insert((customer.to_owned(), key.to_owned()), self.orders.len());
        self.orders.push(order.clone());
        order
    }
}

pub(super) fn route(state: &State, ask: &Ask) -> Answer {
    let (path, query) = ask.path.split_once('?').unwrap_or((&ask.path, ""));
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let mut sales = state.sales.lock().unwrap();
    match (ask.method.as_str(), &parts[..]) {
        ("GET", ["readyz"]) => answer(200, json!({})),
        ("GET", ["livez"]) => answer(503, Value::Null),
        ("POST" | "PATCH", ["v1", "sales"] | ["v1", "sales", _]) if !ask.is_admin() => {
            problem(401, "unauthorized")
        }
        ("POST", ["v1", "sales"]) => create(state, &mut sales, ask),
        ("GET", ["v1", "sales"]) => {
            answer(200, json!({"sales": sales.values().map(show).collect::<Vec<_>>()}))
        }
        (_, ["v1", "sales", id, rest @ ..]) => match sales.get_mut(*id) {
            None => problem(404, "sale_not_found"),
            Some(sale) => on_sale(state, sale, ask, rest, query),
        },
        _ => problem(404, "not_found"),
    }
}

fn create(state: &State, sales: &mut HashMap<String, Sale>, ask: &Ask) -> Answer {
    state.admin_keys.lock().unwrap().extend(ask.key().map(str::to_owned));
    let id = ask.body["id"].as_str().unwrap().to_owned();
    let supply = ask.body["supply"].as_u64().unwrap();
    if sales.contains_key(&id) {
        return problem(409, "sale_exists");
    }
    let sale = Sale::new(ask.body.clone(), supply);
    let shown = show(&sale);
    sales.insert(id, sale);
    answer(201, shown)
}

fn show(sale: &Sale) -> Value {
    let mut shown = sale.request.clone();
    shown["supply"] = sale.supply.into();
    shown["available"] = sale.available().into();
    shown["held"] = sale.units("held").into();
    shown["sold"] = sale.units("confirmed").into();
    shown["state"] = sale.state.clone().unwrap_or_else(|| "open".to_owned()).into();
    shown
}

fn on_sale(state: &State, sale: &mut Sale, ask: &Ask, rest: &[&str], query: &str) -> Answer {
    match (ask.method.as_str(), rest) {
        ("GET", []) => answer(200, show(sale)),
        ("PATCH", []) => change(state, sale, ask),
        ("GET", ["audit"]) => answer(200, audit(state.fault, sale)),
        ("POST", ["orders"]) => order(state.fault, sale, ask),
        ("GET", ["orders"]) if !ask.is_admin() => problem(401, "unauthorized"),
        ("GET", ["orders"]) => list(sale, query),
        ("GET", ["orders", id]) => match sale.orders.iter().find(|o| o.id == *id && !o.hidden) {
            Some(order) => answer(200, reply(sale, order)),
            None => problem(404, "order_not_found"),
        },
        ("POST", ["orders", id, "confirm"]) => confirm(state.fault, sale, id),
        _ => problem(404, "not_found"),
    }
}

fn change(state: &State, sale: &mut Sale, ask: &Ask) -> Answer {
    state.admin_keys.lock().unwrap().extend(ask.key().map(str::to_owned));
    sale.supply += ask.body["add_supply"].as_u64().unwrap_or(0);
    if state.fault == Fault::ClosesNoSale {
        return problem(403, "forbidden");
    }
    if let Some(to) = ask.body["state"].as_str() {
        sale.state = Some(to.to_owned());
    }
    for field in ["opens_at", "closes_at"] {
        if ask.body.get(field).is_some() {
            sale.request[field] = ask.body[field].clone();
        }
    }
    answer(200, show(sale))
}

/// Marks a reply that never leaves.
pub(super) const LOST: &str = "lost";

fn audit(fault: Fault, sale: &Sale) -> Value {
    let (mut sold, held) = (sale.units("confirmed"), sale.units("held"));
    if fault == Fault::OversellsAndHidesIt {
        sold = sold.min(sale.supply);
    }
    if fault == Fault::AuditDoesNotBalance {
        sold = sold.saturating_sub(1);
    }
    json!({"supply": sale.supply, "available": sale.available(), "held": held, "sold": sold, "confirmed": sold,
        "cancelled": 0, "expired": 0, "balanced": fault != Fault::AuditSaysUnbalanced})
}

fn reply(sale: &Sale, order: &Order) -> Value {
    let expires = (order.status == "held").then_some("2100-01-01T00:00:00Z");
    json!({"order": order.id, "sale": sale.request["id"], "customer": order.customer, "quantity": order.quantity,
        "status": order.status, "expires_at": expires, "sequence": order.sequence, "node": "fake"})
}

fn order(fault: Fault, sale: &mut Sale, ask: &Ask) -> Answer {
    let customer = ask.body["customer"].as_str().unwrap().to_owned();
    let quantity = ask.body["quantity"].as_u64().unwrap();
    let key = ask.key().unwrap().to_owned();
    if let Some(&at) = sale.keys.get(&(customer.clone(), key.clone())) {
        return repeat(fault, sale, ask, at);
    }
    match sale.state.as_deref() {
        Some("paused") => return problem(409, "paused"),
        Some("closed") => return problem(409, "closed"),
        _ => {}
    }
    let has: u64 = sale.orders.iter().filter(|o| o.customer == customer).map(|o| o.quantity).sum();
    if sale.request["per_customer"].as_u64().is_some_and(|most| has + quantity > most) {
        return problem(409, "limit_reached");
    }
    let lies = matches!(fault, Fault::OversellsByOne | Fault::OversellsAndHidesIt);
    let early = if fault == Fault::SaysSoldOutTooEarly { 1 } else { 0 };
    if sale.available() < quantity + early {
        if !(lies && sale.oversold == 0) {
            return problem(409, "sold_out");
        }
        sale.oversold = 1;
    }
    let hold = ask.body["hold"].as_bool().unwrap_or(false);
    let mut placed = sale.place(&key, &customer, quantity, if hold { "held" } else { "confirmed" });
    if fault == Fault::SecondOrderAfterLostReply && sale.sequence == 5 {
        sale.keys.remove(&(customer, key));
        return Answer {
            headers: vec![(LOST, String::new())],
            ..answer(201, reply(sale, &placed))
        };
    }
    spoil(fault, sale, &mut placed);
    answer(201, reply(sale, &placed))
}

/// Lies about the order that was just placed.
fn spoil(fault: Fault, sale: &mut Sale, placed: &mut Order) {
    if sale.sequence != 5 {
        return;
    }
    let before = sale.orders[3].clone();
    match fault {
        Fault::ForgetsAnAcknowledgedOrder => sale.orders[4].hidden = true,
        Fault::SameIdTwice => placed.id.clone_from(&before.id),
        Fault::SameSequenceTwice => placed.sequence = before.sequence,
        Fault::AnotherQuantityInReply => placed.quantity += 1,
        Fault::ListsAnotherCustomer => sale.orders[4].customer = "someone-else".to_owned(),
        _ => {}
    }
}

fn repeat(fault: Fault, sale: &mut Sale, ask: &Ask, at: usize) -> Answer {
    let mut order = sale.orders[at].clone();
    match fault {
        Fault::RefusesReplay => return problem(409, "sold_out"),
        Fault::ForgetsToMarkReplays => return answer(201, reply(sale, &order)),
        Fault::SecondOrderForOneKey => {
            order = sale.place(ask.key().unwrap(), &order.customer, order.quantity, "confirmed");
        }
        _ => {}
    }
    Answer {
        headers: vec![("idempotency-replayed", "true".to_owned())],
        ..answer(201, reply(sale, &order))
    }
}

fn list(sale: &Sale, query: &str) -> Answer {
    let after: u64 = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("after="))
        .map_or(0, |n| n.parse().unwrap());
    let page: Vec<&Order> =
        sale.orders.iter().filter(|o| o.sequence > after && !o.hidden).take(30).collect();
    let next = (page.len() == 30).then(|| page.last().unwrap().sequence);
    answer(
        200,
        json!({"orders": page.iter().map(|o| reply(sale, o)).collect::<Vec<_>>(), "next": next}),
    )
}

fn confirm(fault: Fault, sale: &mut Sale, id: &str) -> Answer {
    let Some(at) = sale.orders.iter().position(|o| o.id == id) else {
        return problem(404, "order_not_found");
    };
    let mut order = sale.orders[at].clone();
    order.status = "confirmed";
    if fault != Fault::ConfirmsWithoutEffect {
        sale.orders[at].status = "confirmed";
    }
    answer(200, reply(sale, &order))
}
