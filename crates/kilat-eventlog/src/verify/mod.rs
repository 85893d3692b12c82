//! Checking a whole log offline, without the lock and without changing anything: frames and chain,
//! offsets and totals, that nothing is stored twice, what bodies say, and that the index agrees.
//!
//! It takes 12 bytes of memory an event.

mod index;
mod unique;

use std::collections::HashMap;
use std::sync::Arc;

use kilat_journal::{Corruption, FrameView, JournalId, RecoverError, Storage};

use crate::content::Content;
use crate::counters::Counters;
use crate::error::OpenError;
use crate::frame::{EventsHead, Head, Malformed};
use crate::index::TopicId;
use crate::publication::Printer;
use crate::reader::StoredEvent;
use crate::recovery::check_follows;
use crate::rules::Rules;
use crate::topics::Numbering;
use crate::visible::{Change, Figures, Visible};
use index::IndexCheck;

/// Findings that are told one by one; more are only counted.
pub const FINDINGS_MAX: usize = 100;

/// What a check found.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    /// Whole frames, each with its checksums, digest and chain in order.
    pub frames: u64,
    /// Segments they are in.
    pub segments: u64,
    /// Bytes of an unfinished frame after the last whole one; normal after a crash.
    pub torn_bytes: u64,
    /// The chain after the last frame: it names this history.
    pub chain: [u8; 32],
    /// Events stored.
    pub events: u64,
    /// Of those, events whose bodies are forgotten because a rule says so.
    pub forgotten: u64,
    /// Of those, events whose bodies are in the files yet: their space was not given back so far.
    pub still_stored: u64,
    /// When the last group was decided, in milliseconds since 1970, if there is one.
    pub received_ms: Option<i64>,
    /// Topics they are in.
    pub topics: usize,
    /// What the log says was delivered.
    pub counters: Counters,
    /// Events that the index covers; the others are found by reading the log.
    pub indexed: u64,
    /// Damage of the files, if there is any: nothing after it was checked.
    pub corruption: Option<Corruption>,
    /// What does not hold, one sentence each, up to [`FINDINGS_MAX`].
    pub findings: Vec<String>,
    /// How many findings there are.
    pub findings_count: u64,
}

impl Verified {
    /// Whether everything holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.corruption.is_none() && self.findings_count == 0
    }

    fn find(&mut self, finding: String) {
        self.findings_count += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }
}

/// Checks the log in `log`, and its index in `index` if there is one. `content_of` says what the content of an
/// event is by its body; `None` if that can't be told.
///
/// # Errors
/// [`OpenError`]: what kept the check from being done. Damage is a finding.
pub fn verify<S: Storage>(
    log: &S,
    index: Option<&S>,
    journal: JournalId,
    fingerprint_key: &[u8; 16],
    content_of: impl FnMut(&StoredEvent) -> Option<Content>,
) -> Result<Verified, OpenError> {
    let mut check = Check {
        visible: Visible::new(),
        printer: Printer::new(fingerprint_key),
        content_of,
        prints: Vec::new(),
        topics: Vec::new(),
        blank: HashMap::new(),
        found: Verified::default(),
        index: IndexCheck::none(),
    };
    if let Some(index) = index {
        let key_print = check.printer.key_print();
        check.index = IndexCheck::load(index, journal, key_print, &mut check.found)?;
    }
    let walked = kilat_journal::verify(log, journal, |frame| check.take(&frame));
    let Check { visible, mut prints, topics, blank, mut found, index, .. } = check;
    match walked {
        Ok(walked) => {
            (found.frames, found.segments) = (walked.frames, walked.segments);
            (found.torn_bytes, found.chain) = (walked.torn_bytes, walked.position.chain);
            found.corruption = walked.corruption;
        }
        Err(RecoverError::Refused { frame, error }) => {
            found.frames = frame - 1;
            found.find(format!("frame {frame} makes no sense: {error}"));
        }
        Err(other) => return Err(OpenError::Log(other)),
    }
    let mut blanks = 0;
    for (topic, Blank { last, count }) in blank {
        blanks += count;
        if visible.rules.below(topic) <= last {
            found.find(format!("the body of event {last} is blank and no rule says so"));
        }
    }
    found.forgotten = forgotten(&topics, &visible.rules);
    found.still_stored = found.forgotten.saturating_sub(blanks);
    index.finish(&visible, &mut found);
    let twice = unique::twice(&mut prints);
    if !twice.is_empty() {
        let printer = Printer::new(fingerprint_key);
        unique::confirm(log, journal, &printer, &twice, &mut found)?;
    }
    found.events = visible.figures.end;
    found.received_ms = Some(visible.figures.received_ms).filter(|_| found.frames > 0);
    found.topics = visible.topics.len();
    found.counters = visible.figures.totals.into();
    Ok(found)
}

/// How many of the events with these topics are forgotten.
fn forgotten(topics: &[TopicId], rules: &Rules) -> u64 {
    let concerned = (0..rules.end()).zip(topics);
    concerned.filter(|(offset, topic)| *offset < rules.below(**topic)).count() as u64
}

/// The events of a topic that have blank bodies.
#[derive(Default)]
struct Blank {
    /// The offset of the last.
    last: u64,
    count: u64,
}

struct Check<F> {
    /// The state after the frames read so far; it needs no tail.
    visible: Visible,
    printer: Printer,
    content_of: F,
    /// Of every event.
    prints: Vec<u64>,
    /// Of every event: what is forgotten is known only after the last rule.
    topics: Vec<TopicId>,
    blank: HashMap<TopicId, Blank>,
    found: Verified,
    index: IndexCheck,
}

impl<F: FnMut(&StoredEvent) -> Option<Content>> Check<F> {
    /// Checks a frame; an error where nothing after it can be judged.
    fn take(&mut self, frame: &FrameView<'_>) -> Result<(), Malformed> {
        let head_bytes = frame.head_bytes.ok_or(Malformed("it is not split"))? as usize;
        let split = frame.payload.split_at_checked(head_bytes);
        let (head, body) = split.ok_or(Malformed("its head is longer than all of it"))?;
        let head = Head::decode(head, body.len())?;
        check_follows(head.fixed(), &self.visible.figures)?;
        let mut change = Change { figures: Figures::of(head.fixed()), ..Change::default() };
        match &head {
            Head::Rule(fixed, rule) => {
                if rule.below > fixed.first {
                    return Err(Malformed("a rule forgets events that there are not"));
                }
                change.rule = crate::rules::in_force(rule, &self.visible.topics);
            }
            Head::Events(events) => self.events(frame.number, events, body, &mut change)?,
        }
        self.index.frame(frame, &change, self.visible.figures.end, &mut self.found);
        self.visible.apply_but_tail(&change);
        self.index.state_after(frame, &self.visible, &mut self.found);
        Ok(())
    }

    fn events(
        &mut self,
        frame: u64,
        head: &EventsHead<'_>,
        bodies: &[u8],
        change: &mut Change,
    ) -> Result<(), Malformed> {
        let known = std::mem::take(&mut self.visible.topics);
        let mut topics = Numbering::after(&known);
        for (offset, record, body) in head.events() {
            let record = record?;
            let (topic, name) = topics.number(record.topic);
            change.topics.push(topic);
            let print = self.printer.print(record.topic, record.id);
            self.prints.push(print);
            self.topics.push(topic);
            self.index.event(print, topic);
            let bytes = &bodies[body];
            if bytes.first() == Some(&0) || bytes.is_empty() {
                self.blank(frame, offset, topic, bytes);
                continue;
            }
            let event = StoredEvent {
                offset,
                topic: Arc::clone(name),
                id: record.id.to_owned(),
                content: record.content,
                received_ms: head.fixed.received_ms,
                body: Some(bytes.to_vec()),
            };
            if (self.content_of)(&event).is_some_and(|content| content != record.content) {
                self.found.find(format!("event {offset} does not say what its print says"));
            }
        }
        change.new_topics = topics.into_new();
        self.visible.topics = known;
        Ok(())
    }

    fn blank(&mut self, frame: u64, offset: u64, topic: TopicId, body: &[u8]) {
        if body.is_empty() || body.iter().any(|byte| *byte != 0) {
            self.found.find(format!("the body of event {offset} in frame {frame} is damaged"));
        }
        let blank = self.blank.entry(topic).or_default();
        blank.last = offset;
        blank.count += 1;
    }
}
