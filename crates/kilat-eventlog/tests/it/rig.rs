//! Disks, a log on them, and the smallest committing loop there can be.

use std::sync::mpsc;

use kilat_eventlog::{
    ForgetRule, GROUP_HEADER_BYTES, OpenError, Opened, Options, Origin, Publication, ReadError,
    Reader, Recovery, Staged, StoredEvent, Verdict, Verified, Writer,
};
use kilat_journal::simulation::{CrashingStorage, Random};
use kilat_journal::{Committer, Frame, JournalId};

use crate::model::{Event, Model};

pub(crate) const ID: JournalId = JournalId(*b"event log tests!");
pub(crate) const KEY: [u8; 16] = *b"a key for prints";
/// So few events make a generation that seals and merges happen in small tests.
pub(crate) const GENERATION_EVENTS: usize = 64;

/// Random numbers that `KILAT_SEED` repeats.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("KILAT_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Random::new(now.map_or(0, |time| time.as_nanos() as u64)).draw()
    });
    println!("KILAT_SEED={seed}");
    seed
}

/// Two disks, and how a log is laid out on them.
#[derive(Clone)]
pub(crate) struct Rig {
    pub(crate) log: CrashingStorage,
    pub(crate) index: CrashingStorage,
    pub(crate) generation_events_max: usize,
    pub(crate) journal: kilat_journal::Options,
}

impl Rig {
    pub(crate) fn new(seed: u64) -> Self {
        let journal = kilat_journal::Options {
            first_segment_bytes: 16 << 10,
            segment_bytes_max: 64 << 10,
            payload_bytes_max: 64 << 10,
            ..kilat_journal::Options::new(ID)
        };
        Self {
            log: CrashingStorage::new(seed),
            index: CrashingStorage::new(seed ^ 1),
            generation_events_max: GENERATION_EVENTS,
            journal,
        }
    }

    pub(crate) fn options(&self) -> Options<CrashingStorage> {
        let (log, index) = (self.log.clone(), self.index.clone());
        Options {
            generation_events_max: self.generation_events_max,
            ..Options::new(log, index, self.journal, KEY)
        }
    }

    pub(crate) fn try_open(&self) -> Result<Live, OpenError> {
        let Opened { journal, writer, reader, recovery } = kilat_eventlog::open(self.options())?;
        let committer = Committer::spawn(journal, Box::new(drop)).expect("threads");
        let now = writer.last_received_ms();
        Ok(Live { committer, writer, reader, recovery, now })
    }

    pub(crate) fn open(&self) -> Live {
        self.try_open().expect("the log opens")
    }

    /// Checks the whole log offline.
    pub(crate) fn verify(&self) -> Verified {
        kilat_eventlog::verify(&self.log, Some(&self.index), self.journal.id, &KEY, content_of)
            .expect("a check")
    }

    /// The power goes and comes back.
    pub(crate) fn crash(&self) {
        self.log.crash();
        self.index.crash();
    }
}

pub(crate) fn content_of(event: &StoredEvent) -> Option<kilat_eventlog::Content> {
    event.body.as_deref().map(kilat_eventlog::Content::of)
}

/// An open log at work.
pub(crate) struct Live {
    pub(crate) committer: Committer<CrashingStorage>,
    pub(crate) writer: Writer<CrashingStorage>,
    pub(crate) reader: Reader<CrashingStorage>,
    pub(crate) recovery: Recovery,
    /// The clock, in milliseconds.
    pub(crate) now: i64,
}

/// Nothing more can be committed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failed;

impl Live {
    pub(crate) fn publication(&self, origin: Origin, events: &[Event]) -> Publication {
        let mut publication = self.reader.publication(origin);
        events.iter().for_each(|event| publication.push(event.as_new()).expect("it fits"));
        publication
    }

    /// Publishes in one group of its own and waits until it is durable.
    pub(crate) fn try_publish(
        &mut self,
        origin: Origin,
        events: &[Event],
    ) -> Result<Vec<Verdict>, Failed> {
        let mut publication = self.publication(origin, events);
        self.reader.look_up(&mut publication).map_err(|_| Failed)?;
        let mut verdicts = self.commit(&[publication])?;
        Ok(verdicts.remove(0))
    }

    pub(crate) fn publish(&mut self, events: &[Event]) -> Vec<Verdict> {
        self.try_publish(Origin::Published, events).expect("durable")
    }

    /// Waits until another group is taken.
    pub(crate) fn wait_for_room(&self) {
        while !self.writer.has_room() {
            std::thread::yield_now();
        }
    }

    /// Decides publications as one group and waits until it is durable.
    pub(crate) fn commit(
        &mut self,
        publications: &[Publication],
    ) -> Result<Vec<Vec<Verdict>>, Failed> {
        self.wait_for_room();
        let bytes: usize = publications.iter().map(Publication::frame_bytes_max).sum();
        self.committer.reserve(GROUP_HEADER_BYTES + bytes).map_err(|_| Failed)?;
        self.now += 1;
        self.writer.begin(self.now, Vec::new());
        let decide = |publication| {
            let mut verdicts = Vec::new();
            let decided = self.writer.decide(publication, &mut verdicts);
            decided.map(|()| verdicts).map_err(|_| Failed)
        };
        let verdicts = publications.iter().map(decide).collect::<Result<Vec<_>, Failed>>()?;
        let staged = self.writer.finish();
        assert!(staged.payload.len() <= GROUP_HEADER_BYTES + bytes, "more than was reserved");
        self.store(staged)?;
        Ok(verdicts)
    }

    pub(crate) fn store(&self, staged: Staged<CrashingStorage>) -> Result<u64, Failed> {
        let (done, waiting) = mpsc::channel();
        let Staged { payload, head_bytes, begins_segment, durable } = staged;
        let publish = Box::new(move |committed| {
            let _ = done.send(durable.publish(&committed));
        });
        let frame = Frame { payload, head_bytes: Some(head_bytes), begins_segment, done: publish };
        self.committer.commit(frame).map_err(|_| Failed)?;
        waiting.recv().map_err(|_| Failed)
    }

    pub(crate) fn try_forget(&mut self, rule: &ForgetRule) -> Result<u64, Failed> {
        self.now += 1;
        self.committer.reserve_segment(GROUP_HEADER_BYTES).map_err(|_| Failed)?;
        let (below, staged) = self.writer.forget(rule, self.now).map_err(|_| Failed)?;
        assert!(staged.payload.len() <= GROUP_HEADER_BYTES, "more than was reserved");
        self.store(staged).map(|_| below)
    }

    /// Ends in good order.
    pub(crate) fn close(self) {
        drop(self.committer.close());
        self.writer.close();
    }

    /// Everything that can be read of a topic or all, in pages of any size.
    pub(crate) fn read_all(&self, topic: Option<&str>, limit: usize) -> Vec<StoredEvent> {
        self.try_read_all(topic, limit).expect("pages")
    }

    pub(crate) fn try_read_all(
        &self,
        topic: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.reader.read(topic, after, limit, usize::MAX)?;
            assert!(page.events.len() <= limit.max(1), "a page is too long");
            all.extend(page.events);
            after = page.next;
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    /// Compares everything that can be seen with what is meant to be there.
    pub(crate) fn check(&self, model: &Model) {
        self.try_check(model).expect("pages");
    }

    /// An error is what could not be read; a difference is a panic.
    pub(crate) fn try_check(&self, model: &Model) -> Result<(), ReadError> {
        assert_eq!(self.reader.end(), model.end(), "events");
        assert_eq!(self.reader.counters(), model.counters, "counters");
        assert_eq!(self.reader.ledger_cursor(), model.ledger_cursor, "ledger's frame");
        let topics = self.reader.topics();
        let topics: Vec<_> = topics.iter().map(|t| (t.topic.to_string(), t.events)).collect();
        assert_eq!(topics, model.topics, "topics");
        self.check_events(model, None, &self.try_read_all(None, 50)?);
        for (topic, _) in &model.topics {
            self.check_events(model, Some(topic), &self.try_read_all(Some(topic), 7)?);
        }
        Ok(())
    }

    fn check_events(&self, model: &Model, topic: Option<&str>, read: &[StoredEvent]) {
        let offsets: Vec<u64> = read.iter().map(|event| event.offset).collect();
        assert_eq!(offsets, model.offsets(topic), "offsets of {topic:?}");
        for event in read {
            let offset = event.offset as usize;
            let meant = &model.events[offset];
            assert_eq!((&*event.topic, &*event.id), (&*meant.topic, &*meant.id), "{offset}");
            assert_eq!(event.content, meant.content(), "content of {offset}");
            assert_eq!(event.received_ms, model.received_ms[offset], "time of {offset}");
            let body = (!model.forgotten.contains(&event.offset)).then_some(&meant.body);
            assert_eq!(event.body.as_ref(), body, "body of {offset}");
        }
    }
}
