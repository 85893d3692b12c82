//! One line of JSON Lines: is it an event, and if not, where and why not.
//!
//! The server decides; this looks first so that a mistake is named by file,
//! line and column, and so that one bad line can't spoil its batch.

use crate::Lang;
use kilat_api::text::{
    EVENT_ID_CHARS_MAX, SOURCE_CHARS_MAX, is_printable, is_sale_topic, is_topic,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Longest line, in bytes.
pub(crate) const LINE_BYTES_MAX: usize = kilat_api::event::EVENT_BYTES_MAX;

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadLine {
    /// Where, in characters from 1.
    pub column: u64,
    /// What is wrong, in the reader's language.
    pub message: String,
}

/// An event as published.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event<'a> {
    #[serde(borrow)]
    topic: &'a RawValue,
    #[serde(borrow)]
    event_id: &'a RawValue,
    #[serde(borrow)]
    timestamp: &'a RawValue,
    #[serde(borrow)]
    source: &'a RawValue,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// Checks one line without its line end. `Ok(false)`: there is nothing on it.
///
/// # Errors
/// [`BadLine`] for the first mistake.
pub(crate) fn check(line: &[u8], lang: Lang) -> Result<bool, BadLine> {
    let text = std::str::from_utf8(line).map_err(|e| {
        let good = std::str::from_utf8(&line[..e.valid_up_to()]).unwrap_or_default();
        bad(good, good.len(), lang.say("publish.not_utf8", &[]))
    })?;
    if text.trim_ascii().is_empty() {
        return Ok(false);
    }
    if !text.trim_ascii_start().starts_with('{') {
        let at = text.len() - text.trim_ascii_start().len();
        return Err(bad(text, at, lang.say("publish.not_an_object", &[])));
    }
    let event: Event<'_> = serde_json::from_str(text).map_err(|e| {
        let at = e.column().saturating_sub(1);
        let message = e.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(head, _)| head);
        bad(text, at, message.to_owned())
    })?;
    check_fields(&event).map(|()| true).map_err(|(value, key)| {
        let at = value.get().as_ptr() as usize - text.as_ptr() as usize;
        bad(text, at, lang.say(key, &[]))
    })
}

/// The value at fault and the text that says why.
fn check_fields<'a>(event: &Event<'a>) -> Result<(), (&'a RawValue, &'static str)> {
    let string = |value: &'a RawValue, key| string(value).ok_or((value, key));
    let topic = string(event.topic, "publish.topic")?;
    if !is_topic(&topic) {
        return Err((event.topic, "publish.topic"));
    }
    if is_sale_topic(&topic) {
        return Err((event.topic, "publish.topic_reserved"));
    }
    if !is_printable(&string(event.event_id, "publish.event_id")?, EVENT_ID_CHARS_MAX) {
        return Err((event.event_id, "publish.event_id"));
    }
    let timestamp = string(event.timestamp, "publish.timestamp")?;
    if timestamp.parse::<jiff::Timestamp>().is_err() {
        return Err((event.timestamp, "publish.timestamp"));
    }
    if !is_printable(&string(event.source, "publish.source")?, SOURCE_CHARS_MAX) {
        return Err((event.source, "publish.source"));
    }
    if !event.payload.get().starts_with('{') {
        return Err((event.payload, "publish.payload"));
    }
    Ok(())
}

fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(value.get()).ok().map(|text| text.0)
}

/// Whether anyone but the sales may publish to `topic`.
pub(crate) fn is_open_topic(topic: &str) -> bool {
    is_topic(topic) && !is_sale_topic(topic)
}

fn bad(text: &str, at: usize, message: String) -> BadLine {
    let before = text.get(..at.min(text.len())).unwrap_or(text);
    BadLine { column: before.chars().count() as u64 + 1, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"topic":"a.b","event_id":"1","timestamp":"2026-11-21T09:00:00+07:00","source":"s","payload":{"n":1}}"#;

    #[track_caller]
    fn check_bad(line: &[u8], column: u64, part: &str) {
        let found = check(line, Lang::English).unwrap_err();
        assert!(
            found.column == column && found.message.contains(part),
            "{found:?} for {}",
            String::from_utf8_lossy(line)
        );
    }

    /// The good line with one part of it replaced.
    #[track_caller]
    fn check_replaced(from: &str, to: &str, part: &str) {
        let at = GOOD.find(from).unwrap() + to.find(|c: char| c != ' ').unwrap_or(0);
        check_bad(GOOD.replacen(from, to, 1).as_bytes(), at as u64 + 1, part);
    }

    #[test]
    fn events_and_empty_lines() {
        assert_eq!(check(GOOD.as_bytes(), Lang::English), Ok(true));
        assert_eq!(check(format!("  {GOOD}\r").as_bytes(), Lang::English), Ok(true));
        for empty in ["", "  ", "\r", "\t"] {
            assert_eq!(check(empty.as_bytes(), Lang::English), Ok(false));
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_column() {
        check_replaced("\"a.b\"", "7", "topic");
        check_replaced("\"a.b\"", "\"a b\"", "topic");
        check_replaced("\"a.b\"", "\"..\"", "topic");
        check_replaced("\"a.b\"", "\"sale.x\"", "sales");
        check_replaced("\"1\"", "\"\"", "event_id");
        check_replaced("\"1\"", "\"\\u0007\"", "event_id");
        check_replaced("\"1\"", "12", "event_id");
        check_replaced("\"2026-11-21T09:00:00+07:00\"", "\"yesterday\"", "timestamp");
        check_replaced("\"2026-11-21T09:00:00+07:00\"", "  \"2026-11-21T09:00:00\"", "timestamp");
        check_replaced("\"s\"", "null", "source");
        check_replaced("{\"n\":1}", "[1]", "payload");
    }

    #[test]
    fn what_is_not_json_is_named_with_its_column() {
        check_bad(b"[]", 1, "one event");
        check_bad(b"  hello", 3, "one event");
        check_bad(GOOD.replace("\"a.b\",", "\"a.b\" ").as_bytes(), 16, "expected");
        check_bad(GOOD.replace("\"source\"", "\"sauce\"").as_bytes(), 77, "unknown field `sauce`");
        check_bad(
            GOOD.replace(",\"payload\":{\"n\":1}", "").as_bytes(),
            83,
            "missing field `payload`",
        );
        check_bad(&GOOD.as_bytes()[..50], 50, "EOF");
        check_bad(format!("{GOOD} x").as_bytes(), GOOD.len() as u64 + 2, "trailing");
    }

    #[test]
    fn columns_count_characters() {
        let line = GOOD.replace("\"a.b\"", "\"\u{e9}\u{e9}\"").replace("\"s\"", "7");
        check_bad(line.as_bytes(), 10, "topic");
        let mut line = "{\"\u{e9}".as_bytes().to_vec();
        line.push(0xff);
        check_bad(&line, 4, "UTF-8");
    }
}
