//! One caller's events on their way to the log: checked, encoded and hashed on the caller's
//! thread, so that the committing thread only compares and copies.
//!
//! It knows nothing of what is stored; what [`Reader::look_up`](crate::Reader::look_up) found
//! about its events is kept here for the committing thread.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hasher as _;

use kilat_journal::PAYLOAD_BYTES_MAX;
use siphasher::sip::SipHasher13;

use crate::content::Content;
use crate::counters::Origin;
use crate::frame::{ENTRY_BYTES, GROUP_HEADER_BYTES, RECORD_FIXED_BYTES, Record};
use crate::index::Known;
use crate::topics::TOPIC_BYTES_MAX;

/// The longest id of an event in bytes.
pub const ID_BYTES_MAX: usize = 1_024;
/// Most bytes that one publication may come to in a frame.
pub const PUBLICATION_BYTES_MAX: usize = PAYLOAD_BYTES_MAX - GROUP_HEADER_BYTES;
/// Up to so many topics are told apart by looking through them.
const TOPICS_LISTED_MAX: usize = 8;
/// Between topic and id in what is hashed: a byte that no text has.
const SEPARATOR: u8 = 0xff;

/// An event to be stored.
#[derive(Debug, Clone, Copy)]
pub struct NewEvent<'a> {
    /// Its topic: 1 to [`TOPIC_BYTES_MAX`] bytes.
    pub topic: &'a str,
    /// Its id, unique in the topic: 1 to [`ID_BYTES_MAX`] bytes.
    pub id: &'a str,
    /// What it says: an event of the same id and another content is in conflict with this one.
    pub content: Content,
    /// What is kept of it. Not empty, and its first byte is not zero: that is how a forgotten
    /// body reads on disk.
    pub body: &'a [u8],
}

/// Why an event was not taken into a publication. Fix the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushError {
    /// The topic is empty or too long.
    Topic,
    /// The id is empty or too long.
    Id,
    /// The body is empty or begins with a zero byte.
    Body,
    /// The publication would not fit into one frame: split it.
    Full,
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic => write!(f, "a topic has 1 to {TOPIC_BYTES_MAX} bytes; name another"),
            Self::Id => write!(f, "an id has 1 to {ID_BYTES_MAX} bytes; use another"),
            Self::Body => f.write_str("a body is not empty and begins with no zero byte; fill it"),
            Self::Full => {
                write!(f, "a publication holds at most {PUBLICATION_BYTES_MAX} bytes; split it")
            }
        }
    }
}

impl std::error::Error for PushError {}

/// Makes prints: keyed, so that nobody can choose ids that collide.
///
/// SipHash-1-3 over the topic, a separator and the id; over the topic's name and not its number,
/// so that whoever prepares a publication needs no table of topics.
#[derive(Clone)]
pub(crate) struct Printer(SipHasher13);

impl Printer {
    pub(crate) fn new(key: &[u8; 16]) -> Self {
        Self(SipHasher13::new_with_key(key))
    }

    /// A print that no event has, by which the key can be told.
    pub(crate) fn key_print(&self) -> u64 {
        self.print("", "")
    }

    pub(crate) fn print(&self, topic: &str, id: &str) -> u64 {
        let mut hasher = self.0;
        hasher.write(topic.as_bytes());
        hasher.write(&[SEPARATOR]);
        hasher.write(id.as_bytes());
        hasher.finish()
    }
}

/// One caller's events, stored together or not at all. [`Reader::publication`] makes an empty
/// one.
///
/// [`Reader::publication`]: crate::Reader::publication
#[derive(Clone)]
pub struct Publication {
    printer: Printer,
    origin: Origin,
    topics: LocalTopics,
    prints: Vec<u64>,
    events: Vec<Piece>,
    records: Vec<u8>,
    bodies: Vec<u8>,
    /// What was found in the runs.
    pub(crate) found: LookUp,
}

/// What a look-up in the runs found.
#[derive(Clone, Default)]
pub(crate) struct LookUp {
    /// Events stored before this offset would have been found.
    pub(crate) covered: u64,
    /// The events that are stored, by their number in the publication.
    pub(crate) hits: Vec<Hit>,
}

#[derive(Clone)]
pub(crate) struct Hit {
    pub(crate) index: u32,
    pub(crate) known: Known,
}

/// What is kept of an event beside its encoded bytes.
#[derive(Clone, Copy)]
struct Piece {
    record_end: u32,
    body_end: u32,
    topic: u32,
    id_bytes: u32,
}

/// An event of a publication as the committing thread sees it.
#[derive(Clone, Copy)]
pub(crate) struct Prepared<'a> {
    pub(crate) print: u64,
    /// The topic's number in the publication.
    pub(crate) topic: u32,
    pub(crate) id: &'a [u8],
    pub(crate) content: Content,
    pub(crate) record: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Publication {
    /// An empty publication on its way to a log elsewhere: to be read with
    /// [`Publication::events`] there, never to be stored as it is.
    #[must_use]
    pub fn in_transit() -> Self {
        Self::new(Printer::new(&[0; 16]), Origin::Published)
    }

    pub(crate) fn new(printer: Printer, origin: Origin) -> Self {
        Self {
            printer,
            origin,
            topics: LocalTopics::default(),
            prints: Vec::new(),
            events: Vec::new(),
            records: Vec::new(),
            bodies: Vec::new(),
            found: LookUp::default(),
        }
    }

    /// Adds an event.
    ///
    /// # Errors
    /// [`PushError`]: the publication is as it was.
    pub fn push(&mut self, event: NewEvent<'_>) -> Result<(), PushError> {
        self.check(&event)?;
        let NewEvent { topic, id, content, body } = event;
        Record { content, topic, id }.write(&mut self.records);
        self.bodies.extend_from_slice(body);
        self.prints.push(self.printer.print(topic, id));
        self.events.push(Piece {
            record_end: self.records.len() as u32,
            body_end: self.bodies.len() as u32,
            topic: self.topics.number(topic),
            id_bytes: id.len() as u32,
        });
        Ok(())
    }

    fn check(&self, event: &NewEvent<'_>) -> Result<(), PushError> {
        let NewEvent { topic, id, body, .. } = event;
        if topic.is_empty() || topic.len() > TOPIC_BYTES_MAX {
            return Err(PushError::Topic);
        }
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            return Err(PushError::Id);
        }
        if body.first().is_none_or(|first| *first == 0) {
            return Err(PushError::Body);
        }
        let more = ENTRY_BYTES + RECORD_FIXED_BYTES + topic.len() + id.len();
        let bytes = self.frame_bytes_max().saturating_add(more).saturating_add(body.len());
        if bytes > PUBLICATION_BYTES_MAX { Err(PushError::Full) } else { Ok(()) }
    }

    /// How many events it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The most bytes that it adds to a frame.
    #[must_use]
    pub fn frame_bytes_max(&self) -> usize {
        self.records.len() + self.bodies.len() + self.events.len() * ENTRY_BYTES
    }

    /// The events in the order in which they were added.
    pub fn events(&self) -> impl Iterator<Item = NewEvent<'_>> {
        (0..self.len()).map(|index| {
            let Prepared { topic, id, content, body, .. } = self.event(index);
            let topic = &*self.topics.names[topic as usize];
            // It was pushed as a text.
            let id = str::from_utf8(id).unwrap_or_default();
            NewEvent { topic, id, content, body }
        })
    }

    /// Says whose events these are.
    pub fn set_origin(&mut self, origin: Origin) {
        self.origin = origin;
    }

    /// Whether these are a ledger's facts, which count as no deliveries.
    #[must_use]
    pub fn is_projected(&self) -> bool {
        matches!(self.origin, Origin::Projected { .. })
    }

    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }

    /// Takes back all events but the first `len`. To be called before it is looked up.
    pub fn truncate(&mut self, len: usize) {
        let last = len.checked_sub(1).and_then(|last| self.events.get(last));
        let (records, bodies) = match last {
            Some(last) => (last.record_end, last.body_end),
            None if len == 0 => (0, 0),
            None => return,
        };
        self.prints.truncate(len);
        self.events.truncate(len);
        self.records.truncate(records as usize);
        self.bodies.truncate(bodies as usize);
    }

    /// Forgets all events, and keeps the memory for others.
    pub fn clear(&mut self) {
        self.topics.clear();
        self.prints.clear();
        self.events.clear();
        self.records.clear();
        self.bodies.clear();
        self.found.covered = 0;
        self.found.hits.clear();
    }

    /// The topics in it, each once.
    pub(crate) fn topics(&self) -> &[Box<str>] {
        &self.topics.names
    }

    pub(crate) fn prints(&self) -> &[u64] {
        &self.prints
    }

    /// The event with this number, which is below [`Publication::len`].
    #[inline]
    pub(crate) fn event(&self, index: usize) -> Prepared<'_> {
        let piece = &self.events[index];
        let (record_start, body_start) = match index {
            0 => (0, 0),
            _ => {
                let before = &self.events[index - 1];
                (before.record_end as usize, before.body_end as usize)
            }
        };
        let record = &self.records[record_start..piece.record_end as usize];
        let mut content = [0; 16];
        content.copy_from_slice(&record[4..RECORD_FIXED_BYTES]);
        Prepared {
            print: self.prints[index],
            topic: piece.topic,
            id: &record[record.len() - piece.id_bytes as usize..],
            content: Content::from_bytes(content),
            record,
            body: &self.bodies[body_start..piece.body_end as usize],
        }
    }

    /// Topic and id of the event with this number.
    pub(crate) fn key(&self, index: usize) -> (&str, &[u8]) {
        let event = self.event(index);
        (&self.topics.names[event.topic as usize], event.id)
    }
}

impl fmt::Debug for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publication")
            .field("origin", &self.origin)
            .field("events", &self.events.len())
            .finish_non_exhaustive()
    }
}

/// The topics of one publication, numbered in the order of appearance.
#[derive(Clone, Default)]
struct LocalTopics {
    names: Vec<Box<str>>,
    /// The number of the topic asked for last: neighbours often share theirs.
    last: u32,
    /// Used when there are more than [`TOPICS_LISTED_MAX`].
    by_name: HashMap<Box<str>, u32>,
}

impl LocalTopics {
    fn number(&mut self, topic: &str) -> u32 {
        if self.names.get(self.last as usize).is_none_or(|name| **name != *topic) {
            self.last = self.find(topic).unwrap_or_else(|| self.add(topic));
        }
        self.last
    }

    fn find(&self, topic: &str) -> Option<u32> {
        if self.names.len() > TOPICS_LISTED_MAX {
            return self.by_name.get(topic).copied();
        }
        self.names.iter().position(|name| **name == *topic).map(|number| number as u32)
    }

    fn add(&mut self, topic: &str) -> u32 {
        let number = self.names.len() as u32;
        self.names.push(topic.into());
        if self.names.len() > TOPICS_LISTED_MAX {
            let unlisted = self.by_name.len();
            for (number, name) in self.names.iter().enumerate().skip(unlisted) {
                self.by_name.insert(name.clone(), number as u32);
            }
        }
        number
    }

    fn clear(&mut self) {
        self.names.clear();
        self.by_name.clear();
        self.last = 0;
    }
}
