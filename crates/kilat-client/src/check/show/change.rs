//! What is different from the round before, for `--watch`.
//!
//! Knows findings only: not when a round comes, nor where its changes are shown.

use super::plain::{ID_CHARS_MAX, MESSAGE_CHARS_MAX, plain};
use super::text::word;
use crate::Lang;
use crate::check::{Finding, Id, Outcome};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Most ids that are watched.
pub const WATCHED_IDS_MAX: usize = 100_000;
/// Longest row whose fields are compared, in bytes; of a longer one the messages are.
const ROW_BYTES_MAX: usize = 1_024;
/// Most fields that are shown one by one.
const FIELDS_MAX: usize = 4;
/// Characters of a field that are shown.
const FIELD_CHARS_MAX: usize = 60;

/// How each id ended in the last round.
#[derive(Default)]
pub(crate) struct Memory {
    last: HashMap<Id, Last>,
}

struct Last {
    outcome: Outcome,
    message: String,
    notable: bool,
    row: Option<Box<str>>,
}

/// What changed of one id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// As it is shown.
    pub(crate) id: String,
    /// What changed, in words.
    pub(crate) text: String,
    /// It became something that people should see.
    pub(crate) notable: bool,
}

impl Memory {
    /// Remembers `finding`; what is different from the last one of its id, if there was one.
    pub(crate) fn compare(&mut self, finding: &Finding, lang: Lang) -> Option<Change> {
        let now = Last::of(finding);
        let Some(last) = self.last.get_mut(&finding.id) else {
            self.last.insert(finding.id.clone(), now);
            return None;
        };
        let text = difference(last, &now, lang);
        let notable = now.notable && !last.notable;
        *last = now;
        let id = plain(finding.id.as_str(), ID_CHARS_MAX).into_owned();
        text.map(|text| Change { id, text, notable })
    }
}

impl Last {
    fn of(finding: &Finding) -> Last {
        let row = finding.row.as_deref().map(RawValue::get);
        Last {
            outcome: finding.outcome,
            message: finding.message.clone(),
            notable: finding.notable,
            row: row.filter(|row| row.len() <= ROW_BYTES_MAX).map(Box::from),
        }
    }

    fn fields(&self) -> Option<Map<String, Value>> {
        self.row.as_deref().and_then(|row| serde_json::from_str(row).ok())
    }
}

fn difference(last: &Last, now: &Last, lang: Lang) -> Option<String> {
    if last.outcome != now.outcome {
        let (from, to) = (word(last.outcome, lang), word(now.outcome, lang));
        return Some(format!("{from} → {to}: {}", shown(&now.message)));
    }
    let fields = changed_fields(last, now);
    if fields.is_empty() && last.message == now.message {
        return None;
    }
    // Why nobody can say changes with every attempt: it is no news of the id.
    if now.outcome == Outcome::Unknown {
        return None;
    }
    if (1..=FIELDS_MAX).contains(&fields.len()) {
        let became = if now.notable && !last.notable { shown(&now.message) } else { String::new() };
        return Some(format!("{}  {became}", fields.join(", ")).trim_end().to_owned());
    }
    Some(format!("{} → {}", shown(&last.message), shown(&now.message)))
}

fn shown(message: &str) -> String {
    plain(message, MESSAGE_CHARS_MAX).into_owned()
}

/// `stock 100 → 63 (−37)` for each field that changed, came or went.
fn changed_fields(last: &Last, now: &Last) -> Vec<String> {
    let (Some(last), Some(now)) = (last.fields(), now.fields()) else {
        return Vec::new();
    };
    let gone = last.keys().filter(|name| !now.contains_key(*name));
    let names = now.keys().chain(gone).filter(|name| last.get(*name) != now.get(*name));
    let text = |name: &String| {
        let (was, is) = (last.get(name), now.get(name));
        let moved = moved(was, is).map_or(String::new(), |by| format!(" ({by})"));
        format!("{} {} → {}{moved}", plain(name, FIELD_CHARS_MAX), field(was), field(is))
    };
    names.map(text).collect()
}

fn field(value: Option<&Value>) -> String {
    match value {
        None => "–".to_owned(),
        Some(Value::String(text)) => plain(text, FIELD_CHARS_MAX).into_owned(),
        Some(value) => plain(&value.to_string(), FIELD_CHARS_MAX).into_owned(),
    }
}

/// By how much a whole number moved, with its sign.
fn moved(was: Option<&Value>, is: Option<&Value>) -> Option<String> {
    let by = is?.as_i64()?.checked_sub(was?.as_i64()?)?;
    let sign = if by < 0 { '−' } else { '+' };
    Some(format!("{sign}{}", by.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::show::sample::{finding, with_row};

    fn stock(units: i64) -> Finding {
        let message = format!("Success! Stock of 'P' is {units} units.");
        let row = format!(r#"{{"name":"P","stock":{units}}}"#);
        let finding = with_row(finding(0, "SKU", Outcome::Found, &message), &row);
        Finding { notable: units == 0, ..finding }
    }

    /// What each finding says that the one before it did not.
    fn check(rounds: &[(Finding, Option<&str>)]) {
        let mut memory = Memory::default();
        for (finding, expected) in rounds {
            let change = memory.compare(finding, Lang::English);
            assert_eq!(change.map(|change| change.text).as_deref(), *expected, "{finding:?}");
        }
    }

    #[test]
    fn falling_stock_reads_as_numbers() {
        check(&[
            (stock(100), None),
            (stock(63), Some("stock 100 → 63 (−37)")),
            (stock(63), None),
            (stock(0), Some("stock 63 → 0 (−63)  Success! Stock of 'P' is 0 units.")),
            (stock(0), None),
            (stock(5), Some("stock 0 → 5 (+5)")),
        ]);
    }

    #[test]
    fn another_outcome_is_told_with_its_message() {
        let not_found = || finding(0, "SKU", Outcome::NotFound, "no such SKU");
        let unknown = |why| finding(0, "SKU", Outcome::Unknown, why);
        check(&[
            (not_found(), None),
            (stock(1), Some("not found → found: Success! Stock of 'P' is 1 units.")),
            (unknown("timeout after 1.0 s"), Some("found → unknown: timeout after 1.0 s")),
            (unknown("timeout after 1.1 s"), None),
        ]);
    }

    #[test]
    fn what_has_no_fields_in_common_is_told_by_its_messages() {
        let said = |message| finding(0, "SKU", Outcome::Found, message);
        let row = |row| with_row(said("same"), row);
        check(&[
            (said("gate A1"), None),
            (said("gate\nB2"), Some("gate A1 → gate\\nB2")),
            (row(r#"{"a":"x"}"#), Some("gate\\nB2 → same")),
            (row(r#"{"a":"y","b":[1]}"#), Some("a x → y, b – → [1]")),
            (row(r#"{"b":[1]}"#), Some("a y → –")),
            (row(r#"{"c":1,"d":1,"e":1,"f":1,"g":1}"#), Some("same → same")),
        ]);
    }

    #[test]
    fn ids_are_compared_with_themselves_and_becoming_notable_is_told() {
        let mut memory = Memory::default();
        let other = Finding { id: Id::new("OTHER\n").unwrap(), ..stock(7) };
        assert!(memory.compare(&stock(1), Lang::English).is_none());
        assert!(memory.compare(&other, Lang::English).is_none(), "seen for the first time");
        assert!(memory.compare(&stock(0), Lang::English).unwrap().notable);
        // What is notable and stays so is no news, whatever else changes.
        let other_name = with_row(stock(0), r#"{"name":"Q","stock":0}"#);
        assert!(!memory.compare(&other_name, Lang::English).unwrap().notable);
        let other = Finding { id: other.id, ..stock(6) };
        let change = memory.compare(&other, Lang::English).unwrap();
        assert_eq!((change.id.as_str(), change.notable), ("OTHER\\n", false));
    }
}
