//! Where a sale in stripes differs from one in one piece, as ADR 16 decides: sequences are counted in each
//! stripe, facts of different stripes have no order, pages list stripe after stripe, and orders of one group
//! are decided in their order only where their customers share a stripe. In all else the two are not to be
//! told apart: tests ask what they have to allow for here, and nowhere else.

use crate::node::{Node, Way as _};
use kilat_engine::{Change, OrderId, OrderText, Orders, Outcome, Sale, SaleTerms};
use std::collections::BTreeMap;

/// Stripe and number of a sequence.
fn parts(sequence: u64) -> (u64, u64) {
    (sequence >> 40, sequence & ((1 << 40) - 1))
}

/// The sale's sequence counts its facts; in stripes it only grows.
pub(crate) fn has_facts(node: &Node, sale: &Sale, facts: u64) -> bool {
    if node.is_striped() { sale.sequence >= facts } else { sale.sequence == facts }
}

/// Ids of a sale's events, numbered as if it were in one piece, after it was found that each stripe's have
/// no gap and come in their order.
pub(crate) fn as_one(node: &Node, ids: Vec<String>) -> Vec<String> {
    if !node.is_striped() {
        return ids;
    }
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for id in &ids {
        let (stripe, number) = id.strip_prefix("sale/").unwrap().split_once('.').unwrap();
        let last = last.entry(stripe).or_default();
        *last += 1;
        assert_eq!(number, last.to_string(), "{ids:?}");
    }
    (1..=ids.len()).map(|n| format!("sale/{n}")).collect()
}

/// Customers in the order in which they bought.
pub(crate) fn in_order(node: &Node, mut customers: Vec<String>) -> Vec<String> {
    if node.is_striped() {
        customers.sort_unstable();
    }
    customers
}

/// Customers whose orders are decided in the order of their group.
pub(crate) async fn neighbours(node: &Node, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..20 * count).map(|n| format!("n{n:03}")).collect();
    if !node.is_striped() {
        return names.into_iter().take(count).collect();
    }
    let terms = SaleTerms { id: "scratch".into(), supply: 1_000, ..SaleTerms::default() };
    let create = Change::CreateSale { terms: Box::new(terms) };
    assert_eq!(node.handle().change(create).await.unwrap().0, Outcome::SaleCreated);
    let mut orders = Orders::default();
    for (bits, name) in (1 << 90..).zip(&names) {
        let text = OrderText { sale: "scratch", customer: name, key: "k" };
        orders.push(node.handle().hasher(), OrderId::from_bits(bits), &text, 1, false);
    }
    let placed = node.handle().place_all(orders).await.unwrap();
    let mut of_stripe: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for (outcome, name) in placed.outcomes().iter().zip(names) {
        let Outcome::Order { order, .. } = outcome else { panic!("{outcome:?}") };
        of_stripe.entry(parts(order.sequence).0).or_default().push(name);
    }
    let mut many = of_stripe.into_values().filter(|names| names.len() >= count);
    many.next().unwrap().into_iter().take(count).collect()
}
