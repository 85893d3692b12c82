//! A sale's terms and changes as the JSON that the tables keep, and back.
//!
//! Equal terms give equal values: whether a sale or a change is the same is decided on them.

use super::codes::{refusal_code, switch_number};
use kilat_ledger::{
    CHANGES_MAX, KEY_BYTES_MAX, Refusal, SALES_MAX, SUPPLY_MAX, SaleChange, SaleSwitch, SaleTerms,
    TERMS_TEXT_BYTES_MAX, Time,
};
use serde_json::{Map, Value, json};

/// What `kilat.create_sale` is told.
pub(super) fn creation(terms: &SaleTerms) -> String {
    let mut detail = json!({"terms": terms_value(terms), "sales_max": SALES_MAX});
    if let Some(refusal) = refused(terms) {
        detail["refused"] = refusal_code(refusal).into();
    }
    detail.to_string()
}

/// Why a sale that does not exist yet can't be made, from its terms alone.
fn refused(terms: &SaleTerms) -> Option<Refusal> {
    let SaleTerms { id, title, sku, price_amount, price_currency, .. } = terms;
    let texts = [id, title, sku, price_amount, price_currency];
    let is_backwards = matches!((terms.opens_at, terms.closes_at), (Some(a), Some(b)) if a >= b);
    if texts.iter().any(|text| text.len() > TERMS_TEXT_BYTES_MAX) {
        Some(Refusal::TooLong)
    } else if is_backwards {
        Some(Refusal::InvalidSchedule)
    } else {
        (terms.supply > SUPPLY_MAX).then_some(Refusal::SupplyOverflow)
    }
}

fn terms_value(terms: &SaleTerms) -> Value {
    json!({
        "id": terms.id,
        "title": terms.title,
        "sku": terms.sku,
        "price_amount": terms.price_amount,
        "price_currency": terms.price_currency,
        "supply": terms.supply,
        "per_customer": terms.per_customer,
        "opens_at": terms.opens_at.map(Time::as_millis),
        "closes_at": terms.closes_at.map(Time::as_millis),
        "hold_seconds": terms.hold_seconds,
    })
}

/// The terms in a value, if they are all there.
pub(super) fn terms(value: &Value) -> Option<SaleTerms> {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    Some(SaleTerms {
        id: text("id")?,
        title: text("title")?,
        sku: text("sku")?,
        price_amount: text("price_amount")?,
        price_currency: text("price_currency")?,
        supply: value["supply"].as_u64()?,
        per_customer: value["per_customer"].as_u64().and_then(|most| u32::try_from(most).ok()),
        opens_at: instant(&value["opens_at"]),
        closes_at: instant(&value["closes_at"]),
        hold_seconds: value["hold_seconds"].as_u64().and_then(|s| u32::try_from(s).ok())?,
    })
}

/// What `kilat.change_sale` is told.
pub(super) fn alteration(key: &str, change: &SaleChange) -> String {
    let mut detail = json!({
        "change": change_value(change), "supply_max": SUPPLY_MAX, "changes_max": CHANGES_MAX,
    });
    if key.len() > KEY_BYTES_MAX {
        detail["refused"] = refusal_code(Refusal::TooLong).into();
    }
    detail.to_string()
}

/// Only what is to be changed. More than any supply is refused, however much more it is.
fn change_value(change: &SaleChange) -> Value {
    let mut value = Map::new();
    value.insert("add_supply".to_owned(), change.add_supply.min(SUPPLY_MAX + 1).into());
    if let Some(state) = change.state {
        value.insert("state".to_owned(), switch_number(state).into());
    }
    for (name, instant) in [("opens_at", change.opens_at), ("closes_at", change.closes_at)] {
        if let Some(instant) = instant {
            value.insert(name.to_owned(), instant.map(Time::as_millis).into());
        }
    }
    Value::Object(value)
}

/// The change in a value.
pub(super) fn change(value: &Value) -> Option<SaleChange> {
    let schedule = |name: &str| value.get(name).map(instant);
    Some(SaleChange {
        add_supply: value["add_supply"].as_u64()?,
        state: match value.get("state") {
            Some(number) => Some(switch(number.as_i64()?)?),
            None => None,
        },
        opens_at: schedule("opens_at"),
        closes_at: schedule("closes_at"),
    })
}

pub(super) fn switch(number: i64) -> Option<SaleSwitch> {
    let switches = [SaleSwitch::Open, SaleSwitch::Paused, SaleSwitch::Closed];
    switches.into_iter().find(|switch| i64::from(switch_number(*switch)) == number)
}

fn instant(value: &Value) -> Option<Time> {
    value.as_i64().map(Time::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_and_changes_come_back_as_they_were() {
        let full = SaleTerms {
            id: "a".into(),
            title: "\u{26a1} \"<&>\"".into(),
            supply: SUPPLY_MAX,
            per_customer: Some(u32::MAX),
            opens_at: Some(Time::from_millis(i64::MIN)),
            closes_at: Some(Time::from_millis(i64::MAX)),
            hold_seconds: u32::MAX,
            ..SaleTerms::default()
        };
        for written in [full, SaleTerms::default()] {
            assert_eq!(terms(&terms_value(&written)), Some(written));
        }
        for state in [None, Some(SaleSwitch::Paused), Some(SaleSwitch::Closed)] {
            for opens_at in [None, Some(None), Some(Some(Time::from_millis(-5)))] {
                let written = SaleChange { add_supply: 3, state, opens_at, closes_at: opens_at };
                assert_eq!(change(&change_value(&written)), Some(written));
            }
        }
    }
}
