//! Rows of the tables as what they mean.

use super::batch::order_id;
use super::{codes, terms};
use crate::query::OwnedOrder;
use crate::sale::Sale;
use crate::store::{StoredFact, StoredKind};
use kilat_ledger::{Counters, Order, Time};
use serde_json::Value;
use std::sync::Arc;
use tokio_postgres::Row;

/// A row does not say what it must: another hand was at the tables.
#[derive(Debug, thiserror::Error)]
#[error("a row of {0} makes no sense: the schema kilat was changed by another hand")]
pub(super) struct Senseless(&'static str);

/// Columns of a sale, for [`sale`]; `s` is the table.
pub(super) const SALE_COLUMNS: &str = "s.number, s.terms::text AS terms, s.opens_at, s.closes_at, \
    s.switch, s.supply, s.available, s.held, s.sold, s.cancelled, s.expired, s.sequence";

/// Columns of an order, for [`order`]; `o` is the table.
pub(super) const ORDER_COLUMNS: &str = "o.id, o.sale, o.sequence, o.expires_at, o.quantity, \
    CASE WHEN o.status = 0 AND o.expires_at <= kilat.clock_ms() THEN 3::smallint \
    ELSE o.status END AS status, o.customer";

/// The oldest rows of the outbox that have `$1` facts or more between them, one row a fact, for
/// [`fact`].
pub(super) const FACTS: &str = "SELECT f.place, f.sale, coalesce(o.sequence, f.sequence) AS sequence, \
    f.at, f.kind, coalesce(o.id, f.order_id) AS order_id, o.customer, coalesce(o.key, f.key) AS key, \
    o.quantity, o.expires_at, s.id AS name, CASE WHEN f.kind = 0 THEN s.terms::text END AS terms, \
    (SELECT c.change::text FROM kilat.changes c \
    WHERE f.kind = 1 AND c.sale = f.sale AND c.key = f.key) AS change \
    FROM (SELECT b.*, sum(b.facts) OVER (ORDER BY b.place) AS total \
    FROM (SELECT * FROM kilat.outbox ORDER BY place LIMIT $1::bigint) b) f \
    JOIN kilat.sales s ON s.number = f.sale \
    LEFT JOIN LATERAL (SELECT * FROM kilat.orders o WHERE f.kind = 2 AND o.sale = f.sale \
    AND o.sequence >= f.sequence AND o.sequence < f.sequence + f.facts) o ON true \
    WHERE f.total - f.facts < $1::bigint ORDER BY f.place, o.sequence";

pub(super) fn sale(row: &Row) -> Result<Sale, Senseless> {
    read_sale(row).ok_or(Senseless("kilat.sales"))
}

fn read_sale(row: &Row) -> Option<Sale> {
    let units = |name| row.try_get::<_, i64>(name).ok().and_then(|n| u64::try_from(n).ok());
    let instant = |name| Some(row.try_get::<_, Option<i64>>(name).ok()?.map(Time::from_millis));
    Some(Sale {
        number: u32::try_from(row.try_get::<_, i32>("number").ok()?).ok()?,
        terms: terms::terms(&json(row.try_get("terms").ok()?)?)?,
        opens_at: instant("opens_at")?,
        closes_at: instant("closes_at")?,
        switch: terms::switch(row.try_get::<_, i16>("switch").ok()?.into())?,
        counters: Counters {
            supply: units("supply")?,
            available: units("available")?,
            held: units("held")?,
            sold: units("sold")?,
            cancelled: units("cancelled")?,
            expired: units("expired")?,
        },
        in_transit: 0,
        sequence: units("sequence")?,
    })
}

pub(super) fn order(row: &Row) -> Result<OwnedOrder, Senseless> {
    read_order(row).ok_or(Senseless("kilat.orders"))
}

fn read_order(row: &Row) -> Option<OwnedOrder> {
    let expires_at = row.try_get::<_, Option<i64>>("expires_at").ok()?.map(Time::from_millis);
    let order = Order {
        id: order_id(row.try_get("id").ok()?),
        sale: u32::try_from(row.try_get::<_, i32>("sale").ok()?).ok()?,
        quantity: u32::try_from(row.try_get::<_, i64>("quantity").ok()?).ok()?,
        status: codes::status(row.try_get("status").ok()?)?,
        hold: expires_at.is_some(),
        expires_at,
        sequence: u64::try_from(row.try_get::<_, i64>("sequence").ok()?).ok()?,
    };
    Some(OwnedOrder { order, customer: row.try_get("customer").ok()? })
}

pub(super) fn fact(row: &Row) -> Result<StoredFact, Senseless> {
    read_fact(row).ok_or(Senseless("kilat.outbox"))
}

fn read_fact(row: &Row) -> Option<StoredFact> {
    Some(StoredFact {
        sale: row.try_get("name").ok()?,
        number: u32::try_from(row.try_get::<_, i32>("sale").ok()?).ok()?,
        sequence: u64::try_from(row.try_get::<_, i64>("sequence").ok()?).ok()?,
        at: Time::from_millis(row.try_get("at").ok()?),
        kind: read_kind(row)?,
    })
}

fn read_kind(row: &Row) -> Option<StoredKind> {
    let id = || Some(order_id(row.try_get("order_id").ok()?));
    Some(match row.try_get::<_, i16>("kind").ok()? {
        0 => {
            let terms = terms::terms(&json(row.try_get("terms").ok()?)?)?;
            StoredKind::SaleCreated { terms: Arc::new(terms) }
        }
        1 => StoredKind::SaleChanged {
            key: row.try_get("key").ok()?,
            change: terms::change(&json(row.try_get("change").ok()?)?)?,
        },
        2 => StoredKind::OrderPlaced {
            id: id()?,
            customer: row.try_get("customer").ok()?,
            key: row.try_get("key").ok()?,
            quantity: u32::try_from(row.try_get::<_, i64>("quantity").ok()?).ok()?,
            expires_at: row.try_get::<_, Option<i64>>("expires_at").ok()?.map(Time::from_millis),
        },
        3 => StoredKind::OrderConfirmed { id: id()? },
        4 => StoredKind::OrderCancelled { id: id()? },
        5 => StoredKind::OrderExpired { id: id()? },
        _ => return None,
    })
}

fn json(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}
