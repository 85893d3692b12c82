//! The payloads of the event log's frames, encoded and decoded in memory.
//!
//! Pure: no files. Decoders take any bytes: they check every length and copy nothing that the
//! input does not hold. What a sequence of frames means is decided elsewhere.

use std::fmt;
use std::ops::Range;

use crate::content::Content;
use crate::counters::Totals;
use crate::topics::TOPIC_BYTES_MAX;

/// What every head begins with.
pub(crate) const HEAD_FIXED_BYTES: usize = 64;
/// What every record begins with.
pub(crate) const RECORD_FIXED_BYTES: usize = 20;
/// What the table at the end of a head holds for one event: where its record and its body end.
pub(crate) const ENTRY_BYTES: usize = 8;
/// What a rule's head holds after the fixed part and before the topic.
const RULE_FIXED_BYTES: usize = 9;
/// Bytes to reserve for a frame beside what its publications ask for; a frame with a rule in it
/// takes no more than this.
pub const GROUP_HEADER_BYTES: usize = HEAD_FIXED_BYTES + RULE_FIXED_BYTES + TOPIC_BYTES_MAX;
/// The format of heads.
const VERSION: u8 = 1;
const KIND_EVENTS: u8 = 1;
const KIND_RULE: u8 = 2;
const SCOPE_ALL: u8 = 0;
const SCOPE_TOPIC: u8 = 1;

/// Why bytes are not a frame of the event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub(crate) &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The stored events of a group, possibly none.
    Events,
    /// A rule about bodies to forget.
    Rule,
}

/// The start of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fixed {
    pub(crate) kind: Kind,
    /// Events stored in this frame.
    pub(crate) count: u32,
    /// The offset of the first of them, or of the next event there will be.
    pub(crate) first: u64,
    /// When the group was decided, in milliseconds since 1970.
    pub(crate) received_ms: i64,
    /// The last frame of the ledger whose facts are all in the log.
    pub(crate) ledger_cursor: u64,
    /// The totals after this frame.
    pub(crate) totals: Totals,
}

impl Fixed {
    /// The offset after the last event of this frame.
    pub(crate) fn end(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count))
    }

    pub(crate) fn write(&self, place: &mut [u8]) {
        let kind = match self.kind {
            Kind::Events => KIND_EVENTS,
            Kind::Rule => KIND_RULE,
        };
        let totals = &self.totals;
        place[..4].copy_from_slice(&[VERSION, kind, 0, 0]);
        place[4..8].copy_from_slice(&self.count.to_le_bytes());
        place[8..16].copy_from_slice(&self.first.to_le_bytes());
        place[16..24].copy_from_slice(&self.received_ms.to_le_bytes());
        place[24..32].copy_from_slice(&self.ledger_cursor.to_le_bytes());
        place[32..40].copy_from_slice(&totals.received.to_le_bytes());
        place[40..48].copy_from_slice(&totals.duplicates.to_le_bytes());
        place[48..56].copy_from_slice(&totals.conflicts.to_le_bytes());
        place[56..64].copy_from_slice(&totals.projected.to_le_bytes());
    }

    /// Reads the start of a head that is `head_bytes` long in all.
    pub(crate) fn read(bytes: &[u8], head_bytes: usize) -> Result<Self, Malformed> {
        if bytes.len() < HEAD_FIXED_BYTES || head_bytes < HEAD_FIXED_BYTES {
            return Err(Malformed("the head is too short"));
        }
        let kind = match bytes[..4] {
            [VERSION, KIND_EVENTS, 0, 0] => Kind::Events,
            [VERSION, KIND_RULE, 0, 0] => Kind::Rule,
            _ => return Err(Malformed("the kind of frame is unknown")),
        };
        let totals = Totals {
            received: u64_at(bytes, 32),
            duplicates: u64_at(bytes, 40),
            conflicts: u64_at(bytes, 48),
            projected: u64_at(bytes, 56),
        };
        let fixed = Self {
            kind,
            count: u32_at(bytes, 4),
            first: u64_at(bytes, 8),
            received_ms: u64_at(bytes, 16).cast_signed(),
            ledger_cursor: u64_at(bytes, 24),
            totals,
        };
        fixed.check(head_bytes)
    }

    fn check(self, head_bytes: usize) -> Result<Self, Malformed> {
        let table = (self.count as usize).checked_mul(ENTRY_BYTES + RECORD_FIXED_BYTES);
        if table.is_none_or(|bytes| bytes > head_bytes - HEAD_FIXED_BYTES) {
            return Err(Malformed("there is no room for so many events"));
        }
        if self.kind == Kind::Rule && self.count > 0 {
            return Err(Malformed("a rule has events"));
        }
        let end = self.first.checked_add(u64::from(self.count));
        if end.is_none() || self.totals.stored() != end {
            return Err(Malformed("the totals contradict the offsets"));
        }
        Ok(self)
    }

    /// Where in the payload the table has its entries from the one before event `from` (if there
    /// is one) up to the last before `to`.
    pub(crate) fn entries(&self, head_bytes: usize, from: u32, to: u32) -> Range<usize> {
        let table = head_bytes - self.count as usize * ENTRY_BYTES;
        let from = from.saturating_sub(1) as usize;
        table + from * ENTRY_BYTES..table + to as usize * ENTRY_BYTES
    }

    /// Where the records are in the payload.
    fn records(&self, head_bytes: usize) -> Range<usize> {
        HEAD_FIXED_BYTES..head_bytes - self.count as usize * ENTRY_BYTES
    }
}

/// Where records and bodies of neighbouring events lie in a payload: read from the table.
#[derive(Debug)]
pub(crate) struct Spans {
    /// The end of each event's record, and of the one before the first.
    records: Vec<usize>,
    /// Likewise of the bodies.
    bodies: Vec<usize>,
}

impl Spans {
    /// Decodes the bytes at [`Fixed::entries`] and checks that they point into the frame.
    pub(crate) fn read(
        bytes: &[u8],
        fixed: &Fixed,
        head_bytes: usize,
        payload_bytes: usize,
        from: u32,
    ) -> Result<Self, Malformed> {
        let count = bytes.len() / ENTRY_BYTES + usize::from(from == 0);
        let mut spans =
            Self { records: Vec::with_capacity(count), bodies: Vec::with_capacity(count) };
        if from == 0 {
            spans.push(HEAD_FIXED_BYTES, head_bytes);
        }
        for entry in bytes.chunks_exact(ENTRY_BYTES) {
            let record_end = HEAD_FIXED_BYTES.checked_add(u32_at(entry, 0) as usize);
            let body_end = head_bytes.checked_add(u32_at(entry, 4) as usize);
            let (Some(record_end), Some(body_end)) = (record_end, body_end) else {
                return Err(Malformed("the table points outside of the frame"));
            };
            spans.push(record_end, body_end);
        }
        let records = fixed.records(head_bytes);
        let is_sound = spans.records.is_sorted()
            && spans.bodies.is_sorted()
            && spans.records.last().is_none_or(|end| *end <= records.end)
            && spans.bodies.last().is_none_or(|end| *end <= payload_bytes);
        if is_sound { Ok(spans) } else { Err(Malformed("the table points outside of the frame")) }
    }

    fn push(&mut self, record_end: usize, body_end: usize) {
        self.records.push(record_end);
        self.bodies.push(body_end);
    }

    /// How many events these are.
    pub(crate) fn len(&self) -> usize {
        self.records.len().saturating_sub(1)
    }

    /// The record of the event with this number among these, in the payload.
    pub(crate) fn record(&self, index: usize) -> Range<usize> {
        self.records[index]..self.records[index + 1]
    }

    /// Its body, in the payload.
    pub(crate) fn body(&self, index: usize) -> Range<usize> {
        self.bodies[index]..self.bodies[index + 1]
    }
}

/// What the head says of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) content: Content,
    pub(crate) topic: &'a str,
    pub(crate) id: &'a str,
}

impl<'a> Record<'a> {
    /// Appends the record. Topic and id are shorter than 64 KiB.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.topic.len() as u16).to_le_bytes());
        out.extend_from_slice(&(self.id.len() as u16).to_le_bytes());
        out.extend_from_slice(self.content.as_bytes());
        out.extend_from_slice(self.topic.as_bytes());
        out.extend_from_slice(self.id.as_bytes());
    }

    /// Reads a record that takes up all of `bytes`.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let split = bytes.split_first_chunk::<RECORD_FIXED_BYTES>();
        let (fixed, text) = split.ok_or(Malformed("a record is too short"))?;
        let topic_bytes = usize::from(u16::from_le_bytes([fixed[0], fixed[1]]));
        let id_bytes = usize::from(u16::from_le_bytes([fixed[2], fixed[3]]));
        if text.len() != topic_bytes + id_bytes {
            return Err(Malformed("a record is not as long as it says"));
        }
        let (topic, id) = text.split_at(topic_bytes);
        let not_text = |_| Malformed("a topic or id is not text");
        Ok(Self {
            content: Content::from_bytes(array_at(fixed, 4)),
            topic: std::str::from_utf8(topic).map_err(not_text)?,
            id: std::str::from_utf8(id).map_err(not_text)?,
        })
    }
}

/// A whole head.
#[derive(Debug)]
pub(crate) enum Head<'a> {
    Events(EventsHead<'a>),
    Rule(Fixed, RuleText<'a>),
}

impl<'a> Head<'a> {
    /// Decodes the head of a frame whose body has `body_bytes`.
    pub(crate) fn decode(head: &'a [u8], body_bytes: usize) -> Result<Self, Malformed> {
        let fixed = Fixed::read(head, head.len())?;
        match fixed.kind {
            Kind::Events => EventsHead::decode(head, fixed, body_bytes).map(Self::Events),
            Kind::Rule if body_bytes > 0 => Err(Malformed("a rule has a body")),
            Kind::Rule => Ok(Self::Rule(fixed, RuleText::decode(&head[HEAD_FIXED_BYTES..])?)),
        }
    }

    pub(crate) fn fixed(&self) -> &Fixed {
        match self {
            Self::Events(events) => &events.fixed,
            Self::Rule(fixed, _) => fixed,
        }
    }
}

/// The head of a frame of events.
#[derive(Debug)]
pub(crate) struct EventsHead<'a> {
    pub(crate) fixed: Fixed,
    head: &'a [u8],
    spans: Spans,
}

impl<'a> EventsHead<'a> {
    fn decode(head: &'a [u8], fixed: Fixed, body_bytes: usize) -> Result<Self, Malformed> {
        let payload_bytes = head.len().saturating_add(body_bytes);
        let entries = &head[fixed.entries(head.len(), 0, fixed.count)];
        let spans = Spans::read(entries, &fixed, head.len(), payload_bytes, 0)?;
        let records_end = fixed.records(head.len()).end;
        let is_full = spans.records.last().is_some_and(|end| *end == records_end)
            && spans.bodies.last().is_some_and(|end| *end == payload_bytes);
        if !is_full {
            return Err(Malformed("the table leaves a part of the frame out"));
        }
        Ok(Self { fixed, head, spans })
    }

    /// Each event: its offset, its record, and where its body is in the frame's body.
    pub(crate) fn events(
        &self,
    ) -> impl Iterator<Item = (u64, Result<Record<'a>, Malformed>, Range<usize>)> {
        (self.fixed.first..).zip(0..self.spans.len()).map(|(offset, index)| {
            let record = Record::read(&self.head[self.spans.record(index)]);
            let body = self.spans.body(index);
            (offset, record, body.start - self.head.len()..body.end - self.head.len())
        })
    }
}

/// What a rule to forget says on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RuleText<'a> {
    /// `None`: all of them.
    pub(crate) topic: Option<&'a str>,
    /// Bodies of events before this offset are forgotten.
    pub(crate) below: u64,
}

impl<'a> RuleText<'a> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.below.to_le_bytes());
        out.push(if self.topic.is_some() { SCOPE_TOPIC } else { SCOPE_ALL });
        out.extend_from_slice(self.topic.unwrap_or_default().as_bytes());
    }

    fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let split = bytes.split_first_chunk::<RULE_FIXED_BYTES>();
        let (fixed, topic) = split.ok_or(Malformed("a rule is too short"))?;
        let topic = std::str::from_utf8(topic).map_err(|_| Malformed("a rule's topic is no text"));
        let topic = match (fixed[8], topic?) {
            (SCOPE_ALL, "") => None,
            (SCOPE_TOPIC, topic) => Some(topic),
            _ => return Err(Malformed("a rule's scope is unknown")),
        };
        Ok(Self { topic, below: u64_at(fixed, 0) })
    }
}

fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[offset..offset + N]);
    array
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, offset))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, offset))
}

#[cfg(test)]
mod tests;
