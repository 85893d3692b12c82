//! From an offset to the bytes of its event: the index says where in the log to begin, the log's
//! own frames say the rest.

use std::ops::Range;
use std::sync::Arc;

use kilat_journal::{FrameInfo, Storage};

use crate::error::ReadError;
use crate::frame::{Fixed, HEAD_FIXED_BYTES, Malformed, Record, Spans};
use crate::index::{Known, Runs, Sample};
use crate::shared::Shared;

/// Walks over frames, best in the order of offsets: the frame found last is kept.
pub(crate) struct Locator<'a, S: Storage> {
    shared: &'a Shared<S>,
    runs: Arc<Runs>,
    at: Option<Found>,
    buffer: Vec<u8>,
}

/// A frame that was looked at.
pub(crate) struct Found {
    info: FrameInfo,
    head_bytes: usize,
    pub(crate) fixed: Fixed,
}

impl<'a, S: Storage> Locator<'a, S> {
    pub(crate) fn new(shared: &'a Shared<S>, runs: Arc<Runs>) -> Self {
        Self { shared, runs, at: None, buffer: Vec::new() }
    }

    /// Goes to the frame of a durable event.
    pub(crate) fn seek(&mut self, offset: u64) -> Result<&Fixed, ReadError> {
        if !self.at.as_ref().is_some_and(|found| found.holds(offset)) {
            let found = self.find(offset)?;
            self.at = Some(found);
        }
        self.found().map(|found| &found.fixed)
    }

    fn find(&mut self, offset: u64) -> Result<Found, ReadError> {
        let sample = self.sample_before(offset)?.ok_or_else(|| self.misled(offset))?;
        let log = &self.shared.log;
        let mut next = match &self.at {
            Some(found) if found.fixed.end() <= offset && found.info.place >= sample.place => {
                log.after(&found.info)?
            }
            _ => Some(log.frame(sample.place)?),
        };
        while let Some(info) = next {
            let found = self.look_at(info)?;
            if found.fixed.first > offset {
                break;
            }
            if found.holds(offset) {
                return Ok(found);
            }
            next = log.after(&found.info)?;
        }
        Err(self.misled(offset))
    }

    fn look_at(&mut self, info: FrameInfo) -> Result<Found, ReadError> {
        let head_bytes = info.head_bytes.ok_or(Malformed("the frame has no head"));
        let head_bytes = head_bytes.map_err(|why| malformed(&info, why))? as usize;
        self.buffer.clear();
        self.shared.log.read(&info, 0..HEAD_FIXED_BYTES.min(head_bytes), &mut self.buffer)?;
        let fixed = Fixed::read(&self.buffer, head_bytes).map_err(|why| malformed(&info, why))?;
        Ok(Found { info, head_bytes, fixed })
    }

    /// Runs cover the older events, the tail the newer ones. The tail lets go of what a run has
    /// taken over, so who finds it there no more asks the runs of now.
    fn sample_before(&mut self, offset: u64) -> Result<Option<Sample>, ReadError> {
        if offset >= self.runs.end() {
            let visible = self.shared.visible();
            self.runs = self.shared.index.runs();
            if offset >= self.runs.end() {
                return Ok(visible.tail.sample_before(offset));
            }
        }
        self.runs.place_before(offset).map_err(|error| self.shared.index_failed(&error))
    }

    /// The segment that the frame at hand is in.
    pub(crate) fn segment(&self) -> u64 {
        self.at.as_ref().map_or(0, |found| found.info.place.segment)
    }

    fn found(&self) -> Result<&Found, ReadError> {
        self.at.as_ref().ok_or_else(|| ReadError::Index("no event was looked for".to_owned()))
    }

    fn misled(&self, offset: u64) -> ReadError {
        self.shared.condemn(format!("event {offset} is not where it says"))
    }

    /// What is stored at `offset` if it is the event of this topic and id.
    pub(crate) fn confirm(
        &mut self,
        offset: u64,
        (topic, id): (&str, &[u8]),
    ) -> Result<Option<Known>, ReadError> {
        let first = self.seek(offset)?.first;
        let spans = self.spans((offset - first) as u32, 1)?;
        let mut bytes = std::mem::take(&mut self.buffer);
        bytes.clear();
        self.read(spans.record(0), &mut bytes)?;
        let record = self.record(&bytes)?;
        let is_same = record.topic == topic && record.id.as_bytes() == id;
        let known = is_same.then_some(Known { offset, content: record.content });
        self.buffer = bytes;
        Ok(known)
    }

    /// Where `count` events of the frame at hand are in it, from the one with number `from` on.
    pub(crate) fn spans(&mut self, from: u32, count: u32) -> Result<Spans, ReadError> {
        let mut bytes = std::mem::take(&mut self.buffer);
        bytes.clear();
        let found = self.found()?;
        let entries = found.fixed.entries(found.head_bytes, from, from + count);
        self.read(entries, &mut bytes)?;
        let payload_bytes = found.info.payload_bytes as usize;
        let spans = Spans::read(&bytes, &found.fixed, found.head_bytes, payload_bytes, from);
        let spans = spans.map_err(|why| malformed(&found.info, why))?;
        self.buffer = bytes;
        Ok(spans)
    }

    /// Appends bytes of the frame at hand.
    pub(crate) fn read(&self, range: Range<usize>, into: &mut Vec<u8>) -> Result<(), ReadError> {
        Ok(self.shared.log.read(&self.found()?.info, range, into)?)
    }

    /// A record of the frame at hand.
    pub(crate) fn record<'b>(&self, bytes: &'b [u8]) -> Result<Record<'b>, ReadError> {
        let info = &self.found()?.info;
        Record::read(bytes).map_err(|why| malformed(info, why))
    }
}

impl Found {
    fn holds(&self, offset: u64) -> bool {
        (self.fixed.first..self.fixed.end()).contains(&offset)
    }
}

fn malformed(info: &FrameInfo, why: Malformed) -> ReadError {
    ReadError::Frame { frame: info.number, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Content, NewEvent, Opened, Options, Origin, open};
    use kilat_journal::simulation::CrashingStorage;
    use kilat_journal::{Committer, Frame, JournalId};

    /// Prints of different ids can be equal, though nobody can make them so.
    #[test]
    fn a_suspicion_is_confirmed_only_for_the_same_topic_and_id() {
        let journal = kilat_journal::Options {
            first_segment_bytes: 16 << 10,
            segment_bytes_max: 16 << 10,
            payload_bytes_max: 4 << 10,
            ..kilat_journal::Options::new(JournalId([1; 16]))
        };
        let (log, index) = (CrashingStorage::new(1), CrashingStorage::new(2));
        let Opened { journal, mut writer, reader, .. } =
            open(Options::new(log, index, journal, [2; 16])).expect("a log");
        let committer = Committer::spawn(journal, Box::new(drop)).expect("threads");
        for number in 0..3 {
            let mut publication = reader.publication(Origin::Published);
            for id in ["a", "bc"] {
                let id = format!("{id}{number}");
                let content = Content::of(id.as_bytes());
                let event = NewEvent { topic: "t", id: &id, content, body: b"body" };
                publication.push(event).expect("it fits");
            }
            writer.begin(1, Vec::new());
            writer.decide(&publication, &mut Vec::new()).expect("decided");
            let staged = writer.finish();
            let crate::Staged { payload, head_bytes, durable, .. } = staged;
            let head_bytes = Some(head_bytes);
            let done = Box::new(move |committed| {
                durable.publish(&committed);
            });
            committer
                .submit(Frame { payload, head_bytes, begins_segment: false, done })
                .expect("taken");
        }
        drop(committer.close());
        let mut locator = Locator::new(&reader.shared, reader.shared.index.runs());
        for (offset, topic, id, is_it) in [
            (3, "t", "bc1", true),
            (0, "t", "a0", true),
            (4, "t", "a2", true),
            (3, "t", "bc2", false),
            (3, "tb", "c1", false),
            (3, "", "bc1", false),
            (2, "t", "bc1", false),
        ] {
            let known = locator.confirm(offset, (topic, id.as_bytes())).expect("read");
            let content = Content::of(id.as_bytes());
            let expected = is_it.then_some(Known { offset, content });
            assert_eq!(known, expected, "{offset} {topic} {id}");
        }
    }
}
