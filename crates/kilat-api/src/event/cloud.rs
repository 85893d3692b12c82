//! CloudEvents 1.0 in the JSON format, as events.
//!
//! The topic is the extension attribute `topic`, or else the `type`; `id`,
//! `source` and `time` are the event's own; every other attribute and the data
//! become members of the payload, so that nothing is lost. Attributes that are
//! `null` are not set (JSON Event Format 1.0.2, section 2.2).

use super::reading::{Draft, MISSING, Reading, TOPIC_EXPECTED};
use super::scan::{Quoted, Scanner, Syntax};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const TYPE_EXPECTED: &str = "is the topic unless there is an attribute `topic`, and must be 1 to \
    249 characters A-Z, a-z, 0-9, '.', '_' and '-' then";
/// The attributes of one CloudEvent. Those of the payload are in [`super::Buffers`], composed.
pub(super) struct Attributes<'a> {
    specversion: Slot<'a>,
    id: Slot<'a>,
    source: Slot<'a>,
    kind: Slot<'a>,
    time: Slot<'a>,
    topic: Slot<'a>,
    data: bool,
    data_base64: bool,
    /// Faults before this event.
    faults: usize,
}

/// Where an attribute's value goes.
type Slot<'a> = Option<Quoted<'a>>;

impl<'a> Attributes<'a> {
    /// Of an event that begins here.
    pub(super) fn begin(reading: &mut Reading<'_>) -> Self {
        reading.buffers.composed.clear();
        reading.buffers.composed.push('{');
        reading.buffers.canonical.out.clear();
        Attributes {
            specversion: None,
            id: None,
            source: None,
            kind: None,
            time: None,
            topic: None,
            data: false,
            data_base64: false,
            faults: reading.faults.total,
        }
    }

    /// Takes an attribute whose value is a string.
    pub(super) fn set(&mut self, reading: &mut Reading<'_>, name: &str, value: Quoted<'a>) {
        let slot = match name {
            "specversion" => &mut self.specversion,
            "id" => &mut self.id,
            "source" => &mut self.source,
            "type" => &mut self.kind,
            "time" => &mut self.time,
            "topic" => &mut self.topic,
            _ => return set_other(reading, name, value),
        };
        if slot.replace(value).is_some() {
            reading.given_again(name);
        } else if matches!(name, "specversion" | "type") {
            compose(reading, name, value.raw());
        }
    }

    /// Takes the data: its name says in which form, `raw` is JSON.
    pub(super) fn set_data(&mut self, reading: &mut Reading<'_>, name: &str, raw: &str) {
        let given = if name == "data" { &mut self.data } else { &mut self.data_base64 };
        if std::mem::replace(given, true) {
            reading.given_again(name);
        } else {
            compose(reading, name, raw);
        }
    }
}

/// An attribute that is part of the payload only.
fn set_other(reading: &mut Reading<'_>, name: &str, value: Quoted<'_>) {
    let text = value.text();
    let fault = match name {
        "subject" | "dataschema" if text.is_empty() => Some("must not be empty"),
        "datacontenttype" if !is_media_type(&text) => Some("must be a media type such as text/csv"),
        _ if text.chars().any(char::is_control) => Some("must not have control characters"),
        _ => None,
    };
    if let Some(message) = fault {
        reading.faults.push(name, message);
    } else if is_attribute_name(reading, name) {
        compose(reading, name, value.raw());
    }
}

/// `[a-z0-9]+`, and none of those that mean something else here.
fn is_attribute_name(reading: &mut Reading<'_>, name: &str) -> bool {
    let good = !name.is_empty()
        && name != "data"
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !good {
        reading.faults.push(name, "is no attribute: names have letters a-z and digits only");
    }
    good
}

fn compose(reading: &mut Reading<'_>, name: &str, raw: &str) {
    let composed = &mut reading.buffers.composed;
    if composed.len() > 1 {
        composed.push(',');
    }
    composed.extend(["\"", name, "\":", raw]);
}

/// `type/subtype`, with or without parameters (RFC 2046).
fn is_media_type(text: &str) -> bool {
    let kind = text.split(';').next().unwrap_or_default().trim();
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/')
    };
    kind.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

/// Passes an object and takes its attributes.
pub(super) fn structured<'a>(
    reading: &mut Reading<'_>,
    scanner: &mut Scanner<'a>,
) -> Result<Attributes<'a>, Syntax> {
    let mut attributes = Attributes::begin(reading);
    scanner.object(|scanner, name| {
        let name = name.text();
        match (&*name, scanner.peek()) {
            ("data", _) => {
                let start = scanner.at();
                let canonical = &mut reading.buffers.canonical;
                canonical.member(scanner, "data", &mut reading.faults)?;
                canonical.out.clear();
                attributes.set_data(reading, "data", scanner.since(start));
                Ok(())
            }
            (_, Some(b'n')) => scanner.literal().map(drop),
            ("data_base64", _) => base64_data(reading, scanner, &mut attributes),
            (_, Some(b'"')) => {
                let value = scanner.string()?;
                attributes.set(reading, &name, value);
                Ok(())
            }
            _ => not_a_string(reading, scanner, &name),
        }
    })?;
    Ok(attributes)
}

fn base64_data<'a>(
    reading: &mut Reading<'_>,
    scanner: &mut Scanner<'a>,
    attributes: &mut Attributes<'a>,
) -> Result<(), Syntax> {
    if let Some(value) = reading.text_value(scanner, "data_base64")? {
        if STANDARD.decode(value.text().as_bytes()).is_err() {
            reading.faults.push("data_base64", "must be Base64 (RFC 4648, section 4)");
        }
        attributes.set_data(reading, "data_base64", value.raw());
    }
    Ok(())
}

/// An extension may be a boolean or an integer of 32 bits; everything else must be a string.
fn not_a_string(
    reading: &mut Reading<'_>,
    scanner: &mut Scanner<'_>,
    name: &str,
) -> Result<(), Syntax> {
    const OWN: [&str; 9] = [
        "specversion",
        "id",
        "source",
        "type",
        "time",
        "topic",
        "subject",
        "datacontenttype",
        "dataschema",
    ];
    scanner.peek();
    let start = scanner.at();
    reading.skip(scanner, name)?;
    let raw = scanner.since(start);
    if OWN.contains(&name) {
        reading.faults.push(name, "must be a string");
    } else if raw != "true" && raw != "false" && raw.parse::<i32>().is_err() {
        let message = "an extension must be a string, a boolean or an integer of 32 bits";
        reading.faults.push(name, message);
    } else if is_attribute_name(reading, name) {
        compose(reading, name, raw);
    }
    Ok(())
}

/// Checks the attributes and passes the event on; it was sent in `bytes`.
pub(super) fn pass_on(reading: &mut Reading<'_>, attributes: &Attributes<'_>, bytes: usize) {
    reading.buffers.composed.push('}');
    // The event borrows it while the other buffers are written.
    let payload = std::mem::take(&mut reading.buffers.composed);
    let faults = attributes.faults;
    put_canonical(reading, &payload);
    if let Some(draft) = check(reading, attributes, &payload)
        && reading.faults.total == faults
    {
        // Data of the binary mode grows when it is written as JSON.
        reading.pass_on(&draft, bytes.max(payload.len()));
    }
    reading.buffers.composed = payload;
}

fn put_canonical(reading: &mut Reading<'_>, payload: &str) {
    let canonical = &mut reading.buffers.canonical;
    canonical.out.clear();
    canonical.out.push(b'[');
    let mut scanner = Scanner::new(payload, 0);
    if canonical.value(&mut scanner, "", &mut reading.faults).is_err() {
        // Its parts were checked when they were read.
        reading.faults.push("", "the event can't be written as JSON");
    }
}

fn check<'a>(
    reading: &mut Reading<'_>,
    attributes: &Attributes<'a>,
    payload: &'a str,
) -> Option<Draft<'a>> {
    let Attributes { specversion, id, source, kind, time, topic, data, data_base64, .. } =
        *attributes;
    for (slot, name) in
        [(specversion, "specversion"), (id, "id"), (source, "source"), (kind, "type")]
    {
        if slot.is_none() {
            reading.faults.push(name, MISSING);
        }
    }
    if specversion.is_some_and(|version| version.text() != "1.0") {
        reading.faults.push("specversion", "must be \"1.0\"");
    }
    if data && data_base64 {
        reading.faults.push("data_base64", "must not be given together with data");
    }
    let id = id.map(|id| id.text());
    if let Some(id) = &id {
        reading.check_id(id, "id");
    }
    if let Some(source) = &source {
        reading.check_source(&source.text());
    }
    if let Some(kind) = kind.map(|kind| kind.text())
        && (kind.is_empty() || kind.chars().any(char::is_control))
    {
        reading.faults.push("type", "must not be empty or have control characters");
    }
    let timestamp = time.and_then(|written| reading.check_time(written, "time"));
    let (written, field, expected) = match topic {
        Some(topic) => (topic, "topic", TOPIC_EXPECTED),
        None => (kind?, "type", TYPE_EXPECTED),
    };
    let topic = written.text();
    reading.check_topic(&topic, field, expected);
    Some(Draft { topic, event_id: id?, timestamp, source: source?, payload })
}
