//! A sale on an engine in a temporary directory, for the other modules.

use crate::node::Way;
use kilat_engine::{
    Change, Engine, Options, OrderId, OrderRef, OrderText, Orders, Outcome, Refusal, SaleTerms,
    Unavailable,
};
use std::path::Path;

pub(crate) const SALE: &str = "sale";

pub(crate) fn open(path: &Path) -> Engine {
    Engine::start(Options::new(path.to_owned(), Box::new(|why| panic!("{why}")))).unwrap()
}

/// An engine with a sale of `supply` units.
pub(crate) async fn with_sale(path: &Path, supply: u64) -> Engine {
    let engine = open(path);
    let created = create(&engine, supply, 60).await;
    assert!(matches!(created, Outcome::SaleCreated), "{created:?}");
    engine
}

pub(crate) async fn create(way: &impl Way, supply: u64, hold_seconds: u32) -> Outcome {
    let terms =
        Box::new(SaleTerms { id: SALE.into(), supply, hold_seconds, ..SaleTerms::default() });
    way.handle().change(Change::CreateSale { terms }).await.unwrap().0
}

/// One order, as a customer called like its key would place it.
pub(crate) async fn place(way: &impl Way, key: &str, hold: bool) -> Result<Outcome, Unavailable> {
    let id = OrderId::from_bits(key.bytes().fold(1, |sum, b| sum * 257 + u128::from(b)));
    way.handle().place_all(order(way, id, key, hold)).await.map(|placed| placed.outcomes()[0])
}

/// A group of one order.
pub(crate) fn order(way: &impl Way, id: OrderId, key: &str, hold: bool) -> Orders {
    let mut orders = Orders::default();
    let text = OrderText { sale: SALE, customer: key, key };
    orders.push(way.handle().hasher(), id, &text, 1, hold);
    orders
}

pub(crate) async fn confirm(way: &impl Way, order: OrderId) -> Outcome {
    let order = OrderRef { sale: SALE.into(), order, by: None };
    way.handle().change(Change::ConfirmOrder(order)).await.unwrap().0
}

pub(crate) fn refused(outcome: Outcome) -> Option<Refusal> {
    match outcome {
        Outcome::Refused(why) => Some(why),
        _ => None,
    }
}

pub(crate) fn ordered(outcome: Outcome) -> Option<(OrderId, bool)> {
    match outcome {
        Outcome::Order { order, replayed } => Some((order.id, replayed)),
        _ => None,
    }
}
