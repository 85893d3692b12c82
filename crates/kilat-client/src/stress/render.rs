//! An event of the run as bytes, and whether a stored event is the one that was sent.
//!
//! Nothing is kept: an event follows from its number and the seed.

use crate::attack::mix;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Source of every event of a run.
pub(crate) const SOURCE: &str = "kilat-stress";
/// The day of all events; event k happens k milliseconds into it, again and again.
const DAY: &str = "2026-01-01";
const DAY_MS: u64 = 86_400_000;

/// Writes batches.
#[derive(Clone, Debug)]
pub(crate) struct Renderer {
    /// `{"topic":"…","event_id":"run-`
    head: Vec<u8>,
    run: String,
    topic: String,
    seed: u64,
}

/// An event as `GET /events` shows it.
#[derive(Debug, Deserialize)]
pub(crate) struct Stored<'a> {
    pub offset: u64,
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    #[serde(borrow)]
    pub event_id: Cow<'a, str>,
    #[serde(borrow, default)]
    timestamp: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    source: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    #[serde(borrow)]
    received_at: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload<'a> {
    number: u64,
    #[serde(borrow)]
    check: Cow<'a, str>,
}

impl Renderer {
    pub(crate) fn new(topic: &str, run: &str, seed: u64) -> Renderer {
        let head = format!("{{\"topic\":\"{topic}\",\"event_id\":\"{run}-").into_bytes();
        Renderer { head, run: run.to_owned(), topic: topic.to_owned(), seed }
    }

    /// Puts the body with `events` into `body`.
    pub(crate) fn body(&self, events: &[u64], body: &mut Vec<u8>) {
        body.clear();
        body.push(b'[');
        for &event in events {
            if body.len() > 1 {
                body.push(b',');
            }
            self.event(event, body);
        }
        body.push(b']');
    }

    fn event(&self, event: u64, body: &mut Vec<u8>) {
        let mut digits = itoa::Buffer::new();
        let number = digits.format(event).as_bytes();
        body.extend_from_slice(&self.head);
        body.extend_from_slice(number);
        body.extend_from_slice(b"\",\"timestamp\":\"");
        body.extend_from_slice(DAY.as_bytes());
        body.extend_from_slice(&time(event));
        body.extend_from_slice(b"\",\"source\":\"");
        body.extend_from_slice(SOURCE.as_bytes());
        body.extend_from_slice(b"\",\"payload\":{\"number\":");
        body.extend_from_slice(number);
        body.extend_from_slice(b",\"check\":\"");
        body.extend_from_slice(&hex(self.check(event)));
        body.extend_from_slice(b"\"}}");
    }

    fn check(&self, event: u64) -> u64 {
        mix(self.seed ^ event)
    }

    /// The id of an event.
    pub(crate) fn id(&self, event: u64) -> String {
        format!("{}-{event}", self.run)
    }

    /// The number of this run's event with this id.
    pub(crate) fn number_of(&self, id: &str) -> Option<u64> {
        let digits = id.strip_prefix(self.run.as_str())?.strip_prefix('-')?;
        let event = digits.parse().ok()?;
        (self.id(event) == id).then_some(event)
    }

    /// The first field of a stored event that differs from what was sent.
    pub(crate) fn difference(&self, event: u64, stored: &Stored<'_>) -> Option<&'static str> {
        let instant = |text: &str| text.parse::<jiff::Timestamp>().ok();
        let sent = [DAY.as_bytes(), &time(event)].concat();
        let sent = std::str::from_utf8(&sent).ok().and_then(instant);
        if stored.topic != self.topic {
            return Some("topic");
        }
        if sent.is_none() || stored.timestamp.as_deref().and_then(instant) != sent {
            return Some("timestamp");
        }
        if stored.source.as_deref() != Some(SOURCE) {
            return Some("source");
        }
        let payload: Option<Payload<'_>> =
            stored.payload.and_then(|payload| serde_json::from_str(payload.get()).ok());
        let is_same = payload.is_some_and(|payload| {
            payload.number == event && payload.check.as_bytes() == hex(self.check(event))
        });
        if !is_same {
            return Some("payload");
        }
        instant(&stored.received_at).is_none().then_some("received_at")
    }
}

/// `Thh:mm:ss.mmmZ`.
fn time(event: u64) -> [u8; 14] {
    let ms = event % DAY_MS;
    let mut text = *b"T00:00:00.000Z";
    let (seconds, minutes, hours) = (ms / 1_000, ms / 60_000, ms / 3_600_000);
    for (at, value) in [(1, hours), (4, minutes % 60), (7, seconds % 60)] {
        text[at] = b'0' + (value / 10) as u8;
        text[at + 1] = b'0' + (value % 10) as u8;
    }
    for (at, unit) in [(10, 100), (11, 10), (12, 1)] {
        text[at] = b'0' + (ms % 1_000 / unit % 10) as u8;
    }
    text
}

fn hex(value: u64) -> [u8; 16] {
    let mut text = [0; 16];
    for (at, digit) in text.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(value >> (60 - 4 * at) & 15) as usize];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renderer() -> Renderer {
        Renderer::new("stress.x", "run", 42)
    }

    /// Event `event` as a server that changes nothing would show it.
    fn shown(event: u64) -> String {
        let mut body = Vec::new();
        renderer().body(&[event], &mut body);
        let text = String::from_utf8(body).unwrap();
        let event = text.trim_start_matches('[').trim_end_matches("}]");
        format!("{event},\"offset\":7,\"received_at\":\"2026-11-21T01:02:03Z\"}}")
    }

    #[track_caller]
    fn check(event: u64, shown: &str, difference: Option<&str>) {
        let stored: Stored<'_> = serde_json::from_str(shown).unwrap();
        assert_eq!(renderer().difference(event, &stored), difference, "{shown}");
    }

    #[test]
    fn a_body_is_json() {
        let mut body = vec![1, 2, 3];
        renderer().body(&[0, 86_399_999, 86_400_001], &mut body);
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value.as_array().unwrap().len(), 3);
        assert_eq!(value[1]["timestamp"], "2026-01-01T23:59:59.999Z");
        assert_eq!(value[2]["timestamp"], "2026-01-01T00:00:00.001Z");
        assert_eq!(value[2]["event_id"], "run-86400001");
        assert_eq!(value[1]["payload"]["check"], format!("{:016x}", mix(42 ^ 86_399_999)));
    }

    #[test]
    fn what_was_sent_is_known_again_and_nothing_else_is() {
        let event = 3_723_004;
        let good = shown(event);
        check(event, &good, None);
        check(event, &good.replace("T01:02:03.004Z", "T08:02:03.004+07:00"), None);
        check(event, &good.replace("{\"number\":3723004,", "{ \"number\" : 3723004, "), None);
        check(event, &good.replace("stress.x", "stress.y"), Some("topic"));
        check(event, &good.replace("T01:02:03.004Z", "T01:02:03.005Z"), Some("timestamp"));
        check(event, &good.replace("T01:02:03.004Z", "now"), Some("timestamp"));
        check(event, &good.replace(SOURCE, "other"), Some("source"));
        check(event, &good.replace("\"number\":3", "\"number\":4"), Some("payload"));
        check(event, &good.replace("{\"number\"", "{\"more\":1,\"number\""), Some("payload"));
        check(event + 1, &good.replace("03.004", "03.005"), Some("payload"));
        check(event, &good.replace("2026-11-21T01:02:03Z", ""), Some("received_at"));
    }

    #[test]
    fn ids_belong_to_the_run() {
        assert_eq!(renderer().number_of("run-17"), Some(17));
        for stranger in ["run-017", "run-", "other-17", "run17", "run-+17"] {
            assert_eq!(renderer().number_of(stranger), None, "{stranger}");
        }
    }
}
