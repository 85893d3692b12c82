//! A fact of a sale as an event: what its topic, id and body are.
//!
//! The same fact always gives the same bytes, so that a copy made twice is a
//! duplicate. Old facts must keep theirs: add members, never change one.

use super::SALE_TOPIC_PREFIX;
use crate::sequence::Spelled;
use jiff::Timestamp;
use kilat_ledger::{Fact, FactKind, SaleChange, SaleSwitch, SaleTerms, Time};
use serde_json::{Value, json};
use std::io::Write as _;

/// Who says so, in every copied fact.
const SOURCE: &str = "kilat";

/// Reused memory for one event after the other.
#[derive(Default)]
pub(crate) struct FactEvent {
    pub(crate) topic: String,
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
    /// Facts come in batches of one instant; its text is made once.
    instant: Option<(Time, String)>,
}

impl FactEvent {
    /// Fills in the event of `fact`, a fact of the sale called `sale`.
    pub(crate) fn set(&mut self, sale: &str, fact: &Fact<'_>) {
        self.topic.clear();
        self.topic.push_str(SALE_TOPIC_PREFIX);
        self.topic.push_str(sale);
        self.id.clear();
        self.id.push_str(sale);
        self.id.push('/');
        self.id.push_str(&Spelled(fact.sequence).to_string());
        self.body.clear();
        self.body.extend_from_slice(b"\"timestamp\":\"");
        let at = self.instant_text(fact.at);
        self.body.extend_from_slice(at.as_bytes());
        self.instant = Some((fact.at, at));
        self.body.extend_from_slice(b"\",\"source\":\"");
        self.body.extend_from_slice(SOURCE.as_bytes());
        self.body.extend_from_slice(b"\",\"payload\":");
        put_payload(&mut self.body, fact);
    }

    fn instant_text(&mut self, at: Time) -> String {
        match self.instant.take() {
            Some((known, text)) if known == at => text,
            _ => rfc3339(at),
        }
    }
}

/// Members in the order of their names, without spaces.
fn put_payload(out: &mut Vec<u8>, fact: &Fact<'_>) {
    let payload = match &fact.kind {
        FactKind::OrderPlaced { .. } => return put_placed(out, fact),
        FactKind::OrderConfirmed { id } => {
            json!({"order": id.to_string(), "type": "order_confirmed"})
        }
        FactKind::OrderCancelled { id } => {
            json!({"order": id.to_string(), "type": "order_cancelled"})
        }
        FactKind::OrderExpired { id } => json!({"order": id.to_string(), "type": "order_expired"}),
        FactKind::SaleCreated { terms } => created(terms),
        FactKind::SaleChanged { change, .. } => changed(change),
    };
    out.extend_from_slice(payload.to_string().as_bytes());
}

/// One an order, so without a tree of values.
fn put_placed(out: &mut Vec<u8>, fact: &Fact<'_>) {
    let FactKind::OrderPlaced { id, customer, quantity, expires_at, .. } = &fact.kind else {
        return;
    };
    out.extend_from_slice(b"{\"customer\":");
    put_text(out, customer);
    out.extend_from_slice(b",\"expires_at\":");
    match expires_at {
        Some(end) => put_text(out, &rfc3339(*end)),
        None => out.extend_from_slice(b"null"),
    }
    let status = if expires_at.is_some() { "held" } else { "confirmed" };
    // Writing to memory can't fail.
    let _ = write!(
        out,
        ",\"order\":\"{id}\",\"quantity\":{quantity},\"status\":\"{status}\",\"type\":\"order_placed\"}}"
    );
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    // Neither memory nor a text can be refused.
    let _ = serde_json::to_writer(out, text);
}

fn created(terms: &SaleTerms) -> Value {
    json!({
        "closes_at": terms.closes_at.map(rfc3339),
        "hold_seconds": terms.hold_seconds,
        "opens_at": terms.opens_at.map(rfc3339),
        "per_customer": terms.per_customer,
        "price": {"amount": terms.price_amount, "currency": terms.price_currency},
        "sku": terms.sku,
        "supply": terms.supply,
        "title": terms.title,
        "type": "sale_created",
    })
}

/// Only what was changed.
fn changed(change: &SaleChange) -> Value {
    let mut value = json!({"type": "sale_changed"});
    if change.add_supply > 0 {
        value["add_supply"] = change.add_supply.into();
    }
    if let Some(state) = change.state {
        value["state"] = switch(state).into();
    }
    if let Some(opens_at) = change.opens_at {
        value["opens_at"] = opens_at.map(rfc3339).into();
    }
    if let Some(closes_at) = change.closes_at {
        value["closes_at"] = closes_at.map(rfc3339).into();
    }
    value
}

fn switch(state: SaleSwitch) -> &'static str {
    match state {
        SaleSwitch::Open => "open",
        SaleSwitch::Paused => "paused",
        SaleSwitch::Closed => "closed",
    }
}

/// For people and programs. A time beyond the year 9999 can't be written and reads as the last
/// that can.
#[must_use]
pub fn rfc3339(at: Time) -> String {
    Timestamp::from_millisecond(at.as_millis()).unwrap_or(Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kilat_ledger::OrderId;

    fn check(kind: FactKind<'_>, payload: &str) {
        let fact = Fact { at: Time::from_millis(1_500), sale: 0, sequence: 7, kind };
        let mut event = FactEvent::default();
        event.set("phone", &fact);
        assert_eq!(event.topic, "sale.phone");
        assert_eq!(event.id, "phone/7");
        let expected =
            format!(r#""timestamp":"1970-01-01T00:00:01.5Z","source":"kilat","payload":{payload}"#);
        assert_eq!(String::from_utf8_lossy(&event.body), expected);
        let whole = format!("{{{expected}}}");
        assert!(serde_json::from_str::<Value>(&whole).is_ok(), "{whole}");
    }

    #[test]
    fn each_kind_of_fact_has_its_payload() {
        let id = OrderId::from_bits(0xab);
        let order = "000000000000000000000000000000ab";
        let placed = |expires_at| FactKind::OrderPlaced {
            id,
            customer: "Budi \"B\"",
            key: "k",
            quantity: 2,
            expires_at,
            prints: None,
        };
        check(
            placed(None),
            &format!(
                r#"{{"customer":"Budi \"B\"","expires_at":null,"order":"{order}","quantity":2,"status":"confirmed","type":"order_placed"}}"#
            ),
        );
        check(
            placed(Some(Time::from_millis(2_000))),
            &format!(
                r#"{{"customer":"Budi \"B\"","expires_at":"1970-01-01T00:00:02Z","order":"{order}","quantity":2,"status":"held","type":"order_placed"}}"#
            ),
        );
        check(
            FactKind::OrderConfirmed { id },
            &format!(r#"{{"order":"{order}","type":"order_confirmed"}}"#),
        );
        check(
            FactKind::OrderCancelled { id },
            &format!(r#"{{"order":"{order}","type":"order_cancelled"}}"#),
        );
        check(
            FactKind::OrderExpired { id },
            &format!(r#"{{"order":"{order}","type":"order_expired"}}"#),
        );
        let change = SaleChange { add_supply: 5, opens_at: Some(None), ..SaleChange::default() };
        check(
            FactKind::SaleChanged { key: "k", change },
            r#"{"add_supply":5,"opens_at":null,"type":"sale_changed"}"#,
        );
    }

    #[test]
    fn an_instant_is_written_anew_when_it_changes() {
        let mut event = FactEvent::default();
        let kind = FactKind::OrderExpired { id: OrderId::from_bits(1) };
        for (millis, text) in [(0, "1970-01-01T00:00:00Z"), (1, "1970-01-01T00:00:00.001Z")] {
            let at = Time::from_millis(millis);
            event.set("a", &Fact { at, sale: 0, sequence: 1, kind: kind.clone() });
            assert!(String::from_utf8_lossy(&event.body).contains(text));
        }
    }
}
