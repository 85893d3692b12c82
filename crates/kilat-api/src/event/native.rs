//! An event in Kilat's own form: `topic`, `event_id`, `timestamp`, `source` and `payload`, each
//! once, and nothing else.

use super::reading::{Draft, MISSING, Reading, TOPIC_EXPECTED};
use super::scan::{Quoted, Scanner, Syntax};

/// Where a member's value goes: nothing yet, or what was given if it was a string.
type Slot<'a> = Option<Option<Quoted<'a>>>;

#[derive(Default)]
struct Slots<'a> {
    topic: Slot<'a>,
    event_id: Slot<'a>,
    timestamp: Slot<'a>,
    source: Slot<'a>,
    payload: Option<&'a str>,
}

/// Passes an object; `None` when it is no valid event.
pub(super) fn read<'a>(
    reading: &mut Reading<'_>,
    scanner: &mut Scanner<'a>,
) -> Result<Option<Draft<'a>>, Syntax> {
    let mut slots = Slots::default();
    let faults = reading.faults.total;
    reading.buffers.canonical.out.clear();
    reading.buffers.canonical.out.push(b'[');
    scanner.object(|scanner, name| member(reading, scanner, &name, &mut slots))?;
    let draft = check(reading, &slots);
    Ok(draft.filter(|_| reading.faults.total == faults))
}

#[inline]
fn member<'a>(
    reading: &mut Reading<'_>,
    scanner: &mut Scanner<'a>,
    name: &Quoted<'a>,
    slots: &mut Slots<'a>,
) -> Result<(), Syntax> {
    let name = name.text();
    let slot = match &*name {
        "topic" => &mut slots.topic,
        "event_id" => &mut slots.event_id,
        "timestamp" => &mut slots.timestamp,
        "source" => &mut slots.source,
        "payload" => return payload(reading, scanner, &mut slots.payload),
        unknown => {
            reading.skip(scanner, unknown)?;
            reading.faults.push(unknown, "is not a field of an event");
            return Ok(());
        }
    };
    let again = slot.replace(reading.text_value(scanner, &name)?).is_some();
    if again {
        reading.given_again(&name);
    }
    Ok(())
}

fn payload<'a>(
    reading: &mut Reading<'_>,
    scanner: &mut Scanner<'a>,
    slot: &mut Option<&'a str>,
) -> Result<(), Syntax> {
    if slot.is_some() {
        reading.given_again("payload");
        return reading.skip(scanner, "payload");
    }
    let (kind, start) = (scanner.peek(), scanner.at());
    reading.buffers.canonical.value(scanner, "payload", &mut reading.faults)?;
    if kind != Some(b'{') {
        reading.faults.push("payload", "must be an object");
    }
    *slot = Some(scanner.since(start));
    Ok(())
}

fn check<'a>(reading: &mut Reading<'_>, slots: &Slots<'a>) -> Option<Draft<'a>> {
    let Slots { topic, event_id, timestamp, source, payload } = *slots;
    let topic = require(reading, topic, "topic").map(|topic| topic.text());
    let event_id = require(reading, event_id, "event_id").map(|id| id.text());
    let timestamp = require(reading, timestamp, "timestamp");
    let source = require(reading, source, "source");
    if payload.is_none() {
        reading.faults.push("payload", MISSING);
    }
    if let Some(topic) = &topic {
        reading.check_topic(topic, "topic", TOPIC_EXPECTED);
    }
    if let Some(id) = &event_id {
        reading.check_id(id, "event_id");
    }
    let timestamp = timestamp.and_then(|written| reading.check_time(written, "timestamp"));
    if let Some(source) = &source {
        reading.check_source(&source.text());
    }
    let (topic, event_id, source, payload) = (topic?, event_id?, source?, payload?);
    Some(Draft { topic, event_id, timestamp: Some(timestamp?), source, payload })
}

/// What was written in a slot; a wrong type is known already.
fn require<'a>(reading: &mut Reading<'_>, slot: Slot<'a>, field: &str) -> Option<Quoted<'a>> {
    if slot.is_none() {
        reading.faults.push(field, MISSING);
    }
    slot.flatten()
}
