//! Opening the log: what the index remembers, then the frames after it.
//!
//! The log is the only truth. The index names a position; if the log does not have that position,
//! frames are missing that were acknowledged, and opening ends there: a rebuild would only hide
//! the loss. If the log has it, the state that the index keeps must be the one that the log's own
//! frame at that position says, and the frames after it must follow from it. An index that does
//! not agree, that is damaged, or that belongs to another journal is passed over, and everything
//! is read again from the first frame; its answers are the same afterwards. A later read checks
//! what it takes from the index too: prints against ids, places against frames.
//!
//! While the log is read, full generations are sealed as in operation, so a rebuild takes no more
//! memory than that, however long the log is.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use kilat_journal::{FrameView, Journal, LogReader, Position, RecoverError, Storage};

use crate::error::OpenError;
use crate::frame::{EventsHead, Fixed, HEAD_FIXED_BYTES, Head, Malformed, RuleText};
use crate::index::{GENERATION_EVENTS_MAX, Indexer, Restored};
use crate::memory::Memory;
use crate::publication::Printer;
use crate::reader::Reader;
use crate::rules::in_force;
use crate::shared::Shared;
use crate::topics::Numbering;
use crate::visible::{Change, Figures, Visible};
use crate::writer::{Writer, hand_over, publish};

/// How often it is looked whether the index can take another generation.
const INDEX_PAUSE: Duration = Duration::from_millis(1);

/// What a log is opened with.
#[derive(Debug, Clone)]
pub struct Options<S> {
    /// Where the journal is.
    pub log: S,
    /// Where the index is.
    pub index: S,
    /// The journal's layout and identity.
    pub journal: kilat_journal::Options,
    /// The key of the prints: always the same for one log, and known to nobody who publishes.
    pub fingerprint_key: [u8; 16],
    /// Events in a generation of the index.
    pub generation_events_max: usize,
}

impl<S> Options<S> {
    /// The usual settings.
    pub fn new(
        log: S,
        index: S,
        journal: kilat_journal::Options,
        fingerprint_key: [u8; 16],
    ) -> Self {
        let generation_events_max = GENERATION_EVENTS_MAX;
        Self { log, index, journal, fingerprint_key, generation_events_max }
    }
}

/// An open log.
pub struct Opened<S: Storage> {
    /// To be run by a [`Committer`](kilat_journal::Committer).
    pub journal: Journal<S>,
    /// For the committing thread.
    pub writer: Writer<S>,
    /// For everybody else.
    pub reader: Reader<S>,
    /// What was found and done.
    pub recovery: Recovery,
}

/// What opening a log found and did.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// The frame up to which the index was used; `None` if it was made anew.
    pub index_frame: Option<u64>,
    /// Why the index or parts of it were passed over, one sentence each.
    pub index_skipped: Vec<String>,
    /// Frames read after that.
    pub frames: u64,
    /// Bytes of an unacknowledged frame that were cut from the tail.
    pub bytes_cut: u64,
    /// Events stored.
    pub events: u64,
    /// How long it took.
    pub took: Duration,
}

/// Opens the log, or makes one where there is none.
///
/// # Errors
/// [`OpenError`]
pub fn open<S: Storage>(options: Options<S>) -> Result<Opened<S>, OpenError> {
    let started = Instant::now();
    let id = options.journal.id;
    let printer = Printer::new(&options.fingerprint_key);
    let loaded = Indexer::load(options.index.clone(), id);
    let (mut indexer, restored, mut skipped) =
        loaded.map_err(|e| OpenError::Index(e.to_string()))?;
    let mut visible = Visible::new();
    let mut after = None;
    if let Some(restored) = restored {
        let log = LogReader::open(options.log.clone(), id);
        match agreed(&restored, indexer.runs().end(), &log, printer.key_print()) {
            Ok(remembered) => (after, visible) = (Some(restored.position), remembered),
            Err(why) => {
                has_reached(&options, restored.position)?;
                skipped.push(why);
                let anew = Indexer::anew(options.index.clone(), id);
                indexer = anew.map_err(|error| OpenError::Index(error.to_string()))?;
            }
        }
    }
    let memory = Memory::new(visible.figures.end, options.generation_events_max);
    let index = indexer.start().map_err(OpenError::Threads)?;
    let shared = Arc::new(Shared::new(visible, index, options.log.clone(), id, printer));
    let mut replay = Replay { shared: Arc::clone(&shared), memory };
    let (journal, found) =
        Journal::recover(options.log, options.journal, after, |frame| replay.take(&frame))
            .map_err(explain)?;
    let recovery = Recovery {
        index_frame: after.map(|position| position.frame),
        index_skipped: skipped,
        frames: found.frames,
        bytes_cut: found.bytes_cut,
        events: shared.end(),
        took: started.elapsed(),
    };
    let writer = Writer::new(Arc::clone(&shared), replay.memory);
    Ok(Opened { journal, writer, reader: Reader { shared }, recovery })
}

/// The state that the index keeps, if the log's frame at that position says the same.
fn agreed<S: Storage>(
    restored: &Restored,
    covered: u64,
    log: &LogReader<S>,
    key_print: u64,
) -> Result<Visible, String> {
    let visible = crate::state::decode(&restored.state, restored.position, key_print)
        .map_err(|why| format!("the index's state can't be used: {why}"))?;
    let differs = || "the index does not agree with the log".to_owned();
    let (position, place) = visible.last.ok_or_else(differs)?;
    let info = log.frame(place).map_err(|error| format!("{}: {error}", differs()))?;
    let head_bytes = info.head_bytes.ok_or_else(differs)? as usize;
    let mut head = Vec::new();
    log.read(&info, 0..HEAD_FIXED_BYTES.min(head_bytes), &mut head)
        .map_err(|error| format!("{}: {error}", differs()))?;
    let fixed = Fixed::read(&head, head_bytes).map_err(|why| why.to_string())?;
    let is_same = info.number == position.frame
        && Figures::of(&fixed) == visible.figures
        && covered == visible.figures.end;
    if is_same { Ok(visible) } else { Err(differs()) }
}

/// Before an index is rebuilt that the log does not agree with: the log must not have lost the
/// frames that it was made from.
fn has_reached<S: Storage>(options: &Options<S>, position: Position) -> Result<(), OpenError> {
    let (log, layout) = (options.log.clone(), options.journal);
    Journal::recover(log, layout, Some(position), |_| Ok::<(), Refused>(()))
        .map(drop)
        .map_err(explain)
}

/// Why a frame can't be taken.
#[derive(Debug)]
enum Refused {
    Malformed(Malformed),
    /// The index can't be written.
    Index(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => why.fmt(f),
            Self::Index(why) => f.write_str(why),
        }
    }
}

impl From<Malformed> for Refused {
    fn from(why: Malformed) -> Self {
        Self::Malformed(why)
    }
}

fn explain(error: RecoverError<Refused>) -> OpenError {
    OpenError::Log(match error {
        RecoverError::Refused { error: Refused::Index(why), .. } => return OpenError::Index(why),
        RecoverError::Refused { frame, error: Refused::Malformed(error) } => {
            RecoverError::Refused { frame, error }
        }
        RecoverError::Corrupt(corruption) => RecoverError::Corrupt(corruption),
        RecoverError::NewerFormat { segment, found, supported } => {
            RecoverError::NewerFormat { segment, found, supported }
        }
        RecoverError::Io(failure) => RecoverError::Io(failure),
    })
}

/// Takes frames in as they were committed once.
struct Replay<S: Storage> {
    shared: Arc<Shared<S>>,
    memory: Memory,
}

impl<S: Storage> Replay<S> {
    fn take(&mut self, frame: &FrameView<'_>) -> Result<(), Refused> {
        let head_bytes = frame.head_bytes.ok_or(Malformed("it is not split"))? as usize;
        let split = frame.payload.split_at_checked(head_bytes);
        let (head, body) = split.ok_or(Malformed("its head is longer than all of it"))?;
        let head = Head::decode(head, body.len())?;
        let before = self.shared.visible().figures;
        check_follows(head.fixed(), &before)?;
        let change = match &head {
            Head::Rule(fixed, rule) => self.rule(fixed, rule),
            Head::Events(events) => {
                self.memory.let_go();
                if self.memory.is_full() && events.fixed.count > 0 {
                    self.seal()?;
                }
                self.events(events)?
            }
        };
        let position = Position { frame: frame.number, chain: *frame.chain };
        publish(&self.shared, &change, None, position, frame.place);
        Ok(())
    }

    fn rule(&self, fixed: &Fixed, rule: &RuleText<'_>) -> Change {
        let rule = in_force(rule, &self.shared.visible().topics);
        Change { figures: Figures::of(fixed), rule, ..Change::default() }
    }

    fn events(&mut self, head: &EventsHead<'_>) -> Result<Change, Malformed> {
        let mut change = Change { figures: Figures::of(&head.fixed), ..Change::default() };
        let visible = self.shared.visible();
        let mut topics = Numbering::after(&visible.topics);
        for (_, record, _) in head.events() {
            let record = record?;
            let (topic, _) = topics.number(record.topic);
            let print = self.shared.printer.print(record.topic, record.id);
            self.memory.insert(print, topic, record.id.as_bytes(), record.content);
            change.topics.push(topic);
        }
        change.new_topics = topics.into_new();
        Ok(change)
    }

    /// Waits until the index can take the full generation, and hands it over. All of it is
    /// durable: recovery reads what the device holds.
    fn seal(&mut self) -> Result<(), Refused> {
        let index = &self.shared.index;
        while !(self.memory.can_seal(index.runs().end()) && index.can_seal()) {
            if let Some(problem) = index.problem() {
                return Err(Refused::Index(problem));
            }
            thread::sleep(INDEX_PAUSE);
        }
        hand_over(&self.shared, self.memory.seal());
        self.shared.show_memory(self.memory.first());
        Ok(())
    }
}

/// Whether a frame can come after what was before it.
pub(crate) fn check_follows(fixed: &Fixed, before: &Figures) -> Result<(), Malformed> {
    if fixed.first != before.end {
        return Err(Malformed("its offsets do not follow"));
    }
    if !fixed.totals.follows(&before.totals) {
        return Err(Malformed("its totals are lower than before"));
    }
    if fixed.received_ms < before.received_ms || fixed.ledger_cursor < before.ledger_cursor {
        return Err(Malformed("its time or its ledger's frame went back"));
    }
    Ok(())
}
