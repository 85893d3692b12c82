//! A sale on an engine in a temporary directory, for the other modules.

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

pub(crate) async fn create(engine: &Engine, supply: u64, hold_seconds: u32) -> Outcome {
    let terms =
        Box::new(SaleTerms { id: SALE.into(), supply, hold_seconds, ..SaleTerms::default() });
    engine.handle().change(Change::CreateSale { terms }).await.unwrap().0
}

/// One order, as a customer called like its key would place it.
pub(crate) async fn place(engine: &Engine, key: &str, hold: bool) -> Result<Outcome, Unavailable> {
    let mut orders = Orders::default();
    let id = OrderId::from_bits(key.bytes().fold(1, |sum, b| sum * 257 + u128::from(b)));
    let text = OrderText { sale: SALE, customer: key, key };
    orders.push(engine.handle().fingerprinter(), id, &text, 1, hold);
    engine.handle().place_all(orders).await.map(|placed| placed.outcomes()[0])
}

pub(crate) async fn confirm(engine: &Engine, order: OrderId) -> Outcome {
    let order = OrderRef { sale: SALE.into(), order, by: None };
    engine.handle().change(Change::ConfirmOrder(order)).await.unwrap().0
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
