//! Events and results as JSON, written by hand: a reply to a thousand events has a thousand results.

use crate::render::{put_string, put_time};
use kilat_api::event::{EventStatus, Read, Skipped};
use kilat_engine::{StoredEvent, Time, Verdict};

/// Bytes of one result, rounded up.
const RESULT_BYTES: usize = 48;
/// Bytes of a page and of an event on it beside their texts, rounded up.
const FIXED_BYTES: usize = 160;

/// What became of the events of one body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) stored: u64,
    pub(super) duplicates: u64,
    pub(super) conflicts: u64,
    pub(super) invalid: u64,
}

impl Counts {
    pub(super) fn of(verdicts: &[Verdict], read: &Read) -> Counts {
        let mut counts = Counts { invalid: read.skipped.len() as u64, ..Counts::default() };
        for verdict in verdicts {
            match verdict {
                Verdict::Stored(_) => counts.stored += 1,
                Verdict::Duplicate(_) => counts.duplicates += 1,
                Verdict::Conflict(_) => counts.conflicts += 1,
            }
        }
        counts
    }
}

/// The contract's `Published`; without results when only the least is wanted.
pub(super) fn published(
    counts: &Counts,
    read: &Read,
    verdicts: &[Verdict],
    minimal: bool,
) -> Vec<u8> {
    let results = if minimal { 0 } else { read.events };
    let mut out = Vec::with_capacity(FIXED_BYTES + results * RESULT_BYTES);
    let members = [
        ("{\"received\":", counts.stored + counts.duplicates + counts.conflicts),
        (",\"stored\":", counts.stored),
        (",\"duplicates\":", counts.duplicates),
        (",\"conflicts\":", counts.conflicts),
        (",\"invalid\":", counts.invalid),
    ];
    for (name, count) in members {
        out.extend_from_slice(name.as_bytes());
        put_number(&mut out, count);
    }
    if !minimal {
        out.extend_from_slice(b",\"results\":[");
        put_results(&mut out, read, verdicts);
        out.push(b']');
    }
    out.push(b'}');
    out
}

/// The contract's `Published` for one event that was stored or known.
pub(crate) fn put_one(out: &mut Vec<u8>, verdict: Verdict) {
    let counts = match verdict {
        Verdict::Stored(_) => "\"stored\":1,\"duplicates\":0,\"conflicts\":0",
        Verdict::Duplicate(_) => "\"stored\":0,\"duplicates\":1,\"conflicts\":0",
        Verdict::Conflict(_) => "\"stored\":0,\"duplicates\":0,\"conflicts\":1",
    };
    for part in ["{\"received\":1,", counts, ",\"invalid\":0,\"results\":["] {
        out.extend_from_slice(part.as_bytes());
    }
    put_verdict(out, verdict);
    out.extend_from_slice(b"]}");
}

/// One result an event, in the order sent.
fn put_results(out: &mut Vec<u8>, read: &Read, verdicts: &[Verdict]) {
    let (mut verdicts, mut skipped) = (verdicts.iter(), read.skipped.iter().peekable());
    for index in 0..read.events {
        if index > 0 {
            out.push(b',');
        }
        if let Some(skipped) = skipped.next_if(|skipped| skipped.index == index) {
            put_skipped(out, skipped);
        } else if let Some(verdict) = verdicts.next() {
            put_verdict(out, *verdict);
        }
    }
}

fn put_verdict(out: &mut Vec<u8>, verdict: Verdict) {
    let (status, offset) = match verdict {
        Verdict::Stored(offset) => (EventStatus::Stored, offset),
        Verdict::Duplicate(offset) => (EventStatus::Duplicate, offset),
        Verdict::Conflict(offset) => (EventStatus::Conflict, offset),
    };
    out.extend_from_slice(b"{\"status\":\"");
    out.extend_from_slice(status.as_str().as_bytes());
    out.extend_from_slice(b"\",\"offset\":");
    put_number(out, offset);
    out.push(b'}');
}

fn put_skipped(out: &mut Vec<u8>, skipped: &Skipped) {
    out.extend_from_slice(b"{\"status\":\"invalid\"");
    if !skipped.errors.is_empty() {
        out.extend_from_slice(b",\"errors\":");
        // Texts and numbers only, and memory can't refuse them.
        let _ = serde_json::to_writer(&mut *out, &skipped.errors);
    }
    if skipped.more > 0 {
        out.extend_from_slice(b",\"more\":");
        put_number(out, skipped.more as u64);
    }
    out.push(b'}');
}

/// The contract's `EventsPage`.
pub(super) fn page(topic: Option<&str>, events: &[StoredEvent], next: Option<u64>) -> Vec<u8> {
    let texts: usize = events.iter().map(json_bytes).sum();
    let mut out = Vec::with_capacity(FIXED_BYTES + texts);
    out.extend_from_slice(b"{\"topic\":");
    match topic {
        Some(topic) => put_string(&mut out, topic),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"count\":");
    put_number(&mut out, events.len() as u64);
    out.extend_from_slice(b",\"events\":[");
    for (number, event) in events.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        put_event(&mut out, event);
    }
    out.extend_from_slice(b"],\"next\":");
    match next {
        Some(next) => put_number(&mut out, next),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
    out
}

fn json_bytes(event: &StoredEvent) -> usize {
    FIXED_BYTES + event.topic.len() + event.id.len() + event.body.as_ref().map_or(0, Vec::len)
}

/// One piece of a stream: each event with its offset as its id.
pub(super) fn stream_piece(events: &[StoredEvent]) -> Vec<u8> {
    let mut out = Vec::with_capacity(events.iter().map(json_bytes).sum());
    for event in events {
        out.extend_from_slice(b"id: ");
        put_number(&mut out, event.offset);
        out.extend_from_slice(b"\nevent: event\ndata: ");
        put_event(&mut out, event);
        out.extend_from_slice(b"\n\n");
    }
    out
}

/// The contract's `StoredEvent`, on one line. What was kept of it is a piece of JSON already.
fn put_event(out: &mut Vec<u8>, event: &StoredEvent) {
    out.extend_from_slice(b"{\"offset\":");
    put_number(out, event.offset);
    out.extend_from_slice(b",\"topic\":");
    put_string(out, &event.topic);
    out.extend_from_slice(b",\"event_id\":");
    put_string(out, &event.id);
    let received = Time::from_millis(event.received_ms);
    match &event.body {
        Some(body) => {
            if !body.starts_with(b"\"timestamp\":") {
                out.extend_from_slice(b",\"timestamp\":");
                put_time(out, received);
            }
            out.push(b',');
            out.extend_from_slice(body);
        }
        None => out.extend_from_slice(b",\"forgotten\":true"),
    }
    out.extend_from_slice(b",\"received_at\":");
    put_time(out, received);
    out.push(b'}');
}

fn put_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}
