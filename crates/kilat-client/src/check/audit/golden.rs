//! The format's bytes never change: a log made of fixed things is the golden one.

use super::records::{Origin, Records};
use super::{Ending, RunFacts, RunId};
use crate::Lang;
use crate::check::finding::{Finding, Id, Outcome};
use serde_json::value::RawValue;
use std::time::Duration;

/// The version that the golden log names.
const PROGRAM: &str = "kilat 0.1.0";
const GOLDEN: &str = include_str!("../../../tests/golden/audit-1.jsonl");

fn finding(index: u64, id: &str, outcome: Outcome, message: &str) -> Finding {
    let is_found = outcome == Outcome::Found;
    Finding {
        index,
        id: Id::new(id).unwrap(),
        outcome,
        message: message.to_owned(),
        status: (outcome != Outcome::Unknown).then_some(if is_found { 200 } else { 404 }),
        attempts: if outcome == Outcome::Unknown { 5 } else { 1 },
        began_at: "2026-11-21T09:00:00.000001Z".parse().unwrap(),
        elapsed: Duration::from_micros(412_345 + index),
        reply_time: is_found.then_some(Duration::from_micros(411_999)),
        row: is_found
            .then(|| RawValue::from_string(r#"{"name":"Kopi ☕","stock":0}"#.to_owned()).unwrap()),
        notable: is_found,
    }
}

fn run(text: &str) -> RunId {
    RunId::from_text(text).unwrap()
}

/// Two runs, of which the second goes on with the first.
fn golden() -> String {
    let facts = RunFacts {
        profile: "stock".to_owned(),
        url: "http://127.0.0.1:5000/get_stock?sku={id}".to_owned(),
        lang: Lang::Indonesian,
        total: Some(4),
    };
    let mut out = Vec::new();
    let at = "2026-11-21T08:59:59.999999Z".parse().unwrap();
    let (first, second) =
        (run("019aa5c1-9b00-7000-8000-000000000001"), run("019aa5c1-9b00-7000-8000-000000000002"));
    let mut records = Records::new(first);
    records.start(PROGRAM, &facts, None, at, &mut out);
    let message = "Habis! Stok 'Kopi ☕' adalah 0 unit di Jakarta.";
    records.lookup(&finding(0, "SKU-001", Outcome::Found, message), None, &mut out);
    let message = "Error: SKU \"x\\\n\u{2028} tidak ditemukan.";
    records.lookup(&finding(1, "x\\\n\u{2028}", Outcome::NotFound, message), Some(1), &mut out);
    let origin = Origin { root: first, run: first, n: 2, sum: records.sum() };
    let mut records = Records::new(second);
    records.start(PROGRAM, &RunFacts { total: None, ..facts }, Some(&origin), at, &mut out);
    let message = "Timeout: SKU 🙂 melewati 10 detik.";
    records.lookup(&finding(0, "🙂", Outcome::Unknown, message), Some(0), &mut out);
    let message = "Habis! Stok 'é' adalah 0 unit di Bandung.";
    records.lookup(&finding(1, "\u{202e}é", Outcome::Found, message), None, &mut out);
    let message = "Error: SKU & tidak ditemukan. Pesan: Not found";
    records.lookup(&finding(2, "&", Outcome::NotFound, message), None, &mut out);
    let ending = Ending {
        complete: true,
        requests: 7,
        elapsed: Duration::from_secs(1),
        ..Ending::default()
    };
    records.end(&ending, at, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn bytes_are_the_golden_ones() {
    let made = golden();
    // To look at, when the format has a new version on purpose.
    println!("{made}");
    assert_eq!(made, GOLDEN);
}
