//! A body being read: what each event is checked against, and where a valid one goes.
//!
//! What a list of faults needs is made only when there is a fault, so that good events
//! don't pay for it; and nothing that is made grows with the number of faults. Must never
//! know in which form an event was written.

use super::canonical::Canonical;
use super::faults::Faults;
use super::scan::{Quoted, Scanner, Syntax};
use super::{EVENT_BYTES_MAX, EVENTS_MAX, time};
use crate::problem::{Code, FieldFault, Problem};
use crate::text;
use jiff::Timestamp;
use std::borrow::Cow;

/// What becomes of a body with events that are not valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnInvalid {
    /// It is refused whole.
    #[default]
    Refuse,
    /// They are left out and reported.
    Skip,
}

/// A valid event, in the form in which it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Event<'e> {
    /// Its place in the body, from 0.
    pub index: usize,
    /// Its topic.
    pub topic: &'e str,
    /// Its id within the topic.
    pub event_id: &'e str,
    /// Members of a JSON object, as sent, on one line: `"timestamp":…,"source":…,"payload":…`.
    /// The first is missing when the event has no time of its own.
    pub body: &'e [u8],
    /// The instant, the source and the payload: the same bytes for the same content.
    pub canonical: &'e [u8],
}

/// Memory that is used for one event after the other.
#[derive(Default)]
pub struct Buffers {
    pub(super) canonical: Canonical,
    body: Vec<u8>,
    /// The payload of a CloudEvent, which is not one piece of what was sent.
    pub(super) composed: String,
}

/// What was read beside the events that were passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// How many events there are, the skipped ones too.
    pub events: usize,
    /// Those left out, in order; none unless [`OnInvalid::Skip`] was asked.
    pub skipped: Vec<Skipped>,
}

/// An event that is not valid and was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its place in the body, from 0.
    pub index: usize,
    /// What is wrong with it: at most [`crate::problem::FAULTS_MAX`] faults in all of a body.
    pub errors: Vec<FieldFault>,
    /// How many faults are not listed.
    pub more: usize,
}

/// A body as text.
///
/// # Errors
/// [`Code::Malformed`] with the place where it is not UTF-8.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        Stop::Syntax(Syntax { at: valid.len(), what: "the text must be UTF-8" }).explain(&valid)
    })
}

/// Why reading ended early.
pub(super) enum Stop {
    Syntax(Syntax),
    TooMany,
    NoList,
}

impl From<Syntax> for Stop {
    fn from(syntax: Syntax) -> Self {
        Stop::Syntax(syntax)
    }
}

impl Stop {
    pub(super) fn explain(&self, text: &str) -> Problem {
        match self {
            Stop::TooMany => wrong_number(1),
            Stop::NoList => {
                Problem::invalid(vec![FieldFault::new("", "must be an array of events")])
            }
            Stop::Syntax(Syntax { at, what }) => {
                let before = &text[..*at];
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                Problem::new(Code::Malformed)
                    .with_detail(format!("not valid JSON: {what}, at line {line} column {column}"))
            }
        }
    }
}

/// There must be `least` to [`EVENTS_MAX`] events, and there are not.
fn wrong_number(least: usize) -> Problem {
    let message = format!("must have {least} to {EVENTS_MAX} events");
    Problem::invalid(vec![FieldFault::new("", message)])
}

/// An event whose fields are known to be right.
pub(super) struct Draft<'a> {
    pub(super) topic: Cow<'a, str>,
    pub(super) event_id: Cow<'a, str>,
    /// As written, and what it means.
    pub(super) timestamp: Option<(Quoted<'a>, Timestamp)>,
    pub(super) source: Quoted<'a>,
    /// As written; its canonical form is in the buffers.
    pub(super) payload: &'a str,
}

/// A body being read.
pub(super) struct Reading<'b> {
    pub(super) buffers: &'b mut Buffers,
    pub(super) faults: Faults,
    on_invalid: OnInvalid,
    take: &'b mut dyn FnMut(&Event<'_>),
    /// Index and number of faults of each event that is not valid; empty unless they are skipped.
    skipped: Vec<(usize, usize)>,
    /// The first event that names a topic of the sale's.
    reserved: Option<usize>,
}

impl<'b> Reading<'b> {
    pub(super) fn new(
        on_invalid: OnInvalid,
        buffers: &'b mut Buffers,
        take: &'b mut dyn FnMut(&Event<'_>),
    ) -> Self {
        let (faults, skipped) = (Faults::default(), Vec::new());
        Reading { buffers, faults, on_invalid, take, skipped, reserved: None }
    }

    /// Goes on to the next event; `faults` is how many there were before this one.
    pub(super) fn close(&mut self, faults: usize) {
        if self.faults.total > faults && self.on_invalid == OnInvalid::Skip {
            self.skipped.push((self.faults.index, self.faults.total - faults));
        }
        self.faults.index += 1;
    }

    /// Passes a value that should be a string; `None` when it is none.
    pub(super) fn text_value<'a>(
        &mut self,
        scanner: &mut Scanner<'a>,
        field: &str,
    ) -> Result<Option<Quoted<'a>>, Syntax> {
        if scanner.peek() == Some(b'"') {
            return scanner.string().map(Some);
        }
        self.skip(scanner, field)?;
        self.faults.push(field, "must be a string");
        Ok(None)
    }

    /// Passes a value whose canonical form is not needed.
    pub(super) fn skip(&mut self, scanner: &mut Scanner<'_>, field: &str) -> Result<(), Syntax> {
        let canonical = &mut self.buffers.canonical;
        let written = canonical.out.len();
        canonical.value(scanner, field, &mut self.faults)?;
        canonical.out.truncate(written);
        Ok(())
    }

    pub(super) fn given_again(&mut self, field: &str) {
        self.faults.push(field, "is given more than once");
    }

    pub(super) fn check_topic(&mut self, topic: &str, field: &str, expected: &str) {
        if !text::is_topic(topic) {
            self.faults.push(field, expected);
        } else if text::is_sale_topic(topic) {
            self.reserved.get_or_insert(self.faults.index);
        }
    }

    pub(super) fn check_id(&mut self, id: &str, field: &str) {
        if !text::is_printable(id, text::EVENT_ID_CHARS_MAX) {
            self.faults.push(field, printable(text::EVENT_ID_CHARS_MAX));
        }
    }

    pub(super) fn check_time<'a>(
        &mut self,
        written: Quoted<'a>,
        field: &str,
    ) -> Option<(Quoted<'a>, Timestamp)> {
        let instant = time::instant(&written.text());
        if instant.is_none() {
            self.faults.push(field, time::EXPECTED);
        }
        Some((written, instant?))
    }

    pub(super) fn check_source(&mut self, source: &str) {
        if !text::is_printable(source, text::SOURCE_CHARS_MAX) {
            self.faults.push("source", printable(text::SOURCE_CHARS_MAX));
        }
    }

    /// Finishes both forms of an event of `bytes`, whose canonical payload is written, and
    /// gives it to who takes it.
    pub(super) fn pass_on(&mut self, draft: &Draft<'_>, bytes: usize) {
        if bytes > EVENT_BYTES_MAX {
            self.faults.push("", format!("an event may have at most {EVENT_BYTES_MAX} bytes"));
        }
        if self.on_invalid == OnInvalid::Refuse && self.faults.total > 0 || bytes > EVENT_BYTES_MAX
        {
            return;
        }
        self.buffers.finish(draft);
        (self.take)(&Event {
            index: self.faults.index,
            topic: &draft.topic,
            event_id: &draft.event_id,
            body: &self.buffers.body,
            canonical: &self.buffers.canonical.out,
        });
    }

    /// What became of the whole body; `may_be_empty` if a body without events is one.
    pub(super) fn finish(self, may_be_empty: bool) -> Result<Read, Problem> {
        let Reading { faults, on_invalid, skipped, reserved, .. } = self;
        if let Some(index) = reserved {
            return Err(Problem::new(Code::TopicReserved).with_detail(format!(
                "event {index} names a topic that starts with \"{}\"; those are the sale's own",
                text::SALE_TOPIC_PREFIX
            )));
        }
        if faults.index == 0 && !may_be_empty {
            return Err(wrong_number(1));
        }
        if faults.total > 0 && on_invalid == OnInvalid::Refuse {
            return Err(Problem::invalid_of(faults.listed, faults.total));
        }
        Ok(Read { events: faults.index, skipped: group(faults.listed, skipped) })
    }
}

/// Gives each event that was left out its faults.
fn group(listed: Vec<FieldFault>, skipped: Vec<(usize, usize)>) -> Vec<Skipped> {
    let mut listed = listed.into_iter();
    let with_faults = |(index, total): (usize, usize)| {
        let errors: Vec<_> = listed.by_ref().take(total).collect();
        let more = total - errors.len();
        Skipped { index, errors, more }
    };
    skipped.into_iter().map(with_faults).collect()
}

/// What is said of a field that is not there.
pub(super) const MISSING: &str = "is missing";
/// What a topic must be.
pub(super) const TOPIC_EXPECTED: &str =
    "must be 1 to 249 characters A-Z, a-z, 0-9, '.', '_' and '-', and not \".\" or \"..\"";

fn printable(chars_max: usize) -> String {
    format!("must be 1 to {chars_max} printable characters")
}

impl Buffers {
    /// How much memory it keeps, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.canonical.bytes() + self.body.capacity() + self.composed.capacity()
    }

    /// Completes `[payload` to `[payload,[seconds,nanoseconds],source]`, and writes the body.
    fn finish(&mut self, draft: &Draft<'_>) {
        let out = &mut self.canonical.out;
        match &draft.timestamp {
            Some((_, instant)) => {
                out.extend_from_slice(b",[");
                let mut digits = itoa::Buffer::new();
                out.extend_from_slice(digits.format(instant.as_second()).as_bytes());
                out.push(b',');
                out.extend_from_slice(digits.format(instant.subsec_nanosecond()).as_bytes());
                out.extend_from_slice(b"],");
            }
            None => out.extend_from_slice(b",null,"),
        }
        self.canonical.string(&draft.source);
        self.canonical.out.push(b']');
        self.put_body(draft);
    }

    fn put_body(&mut self, draft: &Draft<'_>) {
        self.body.clear();
        if let Some((written, _)) = &draft.timestamp {
            self.body.extend_from_slice(b"\"timestamp\":");
            self.body.extend_from_slice(written.raw().as_bytes());
            self.body.push(b',');
        }
        self.body.extend_from_slice(b"\"source\":");
        self.body.extend_from_slice(draft.source.raw().as_bytes());
        self.body.extend_from_slice(b",\"payload\":");
        let payload = draft.payload.as_bytes();
        if memchr::memchr2(b'\n', b'\r', payload).is_none() {
            self.body.extend_from_slice(payload);
        } else {
            // JSON has line breaks between its tokens only, and always beside another separator.
            self.body.extend(payload.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
        }
    }
}
