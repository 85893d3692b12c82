//! The copy of the ledger's facts in the event log, each exactly once.
//!
//! The ledger's journal is the outbox: this thread follows its durable frames
//! and publishes every fact as an event. How far it has come is recorded in the
//! event log itself, in the frame of the copied events, so a start goes on
//! after the last copied frame; were one copied twice, its ids would make it a
//! duplicate. Only durable facts are read, so the event log is never ahead of
//! the ledger. Nothing waits for this thread.

use super::fact::FactEvent;
use super::work::Work;
use crate::Unavailable;
use crate::intake::Intake;
use kilat_eventlog::{Content, NewEvent, Origin, Publication, Reader, Verdict};
use kilat_journal::{Directory, FrameInfo, LogReader};
use kilat_ledger::{Fact, FactKind, Facts};
use metrics::{Gauge, describe_gauge, gauge};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// Bytes of events after which a publication is sent.
const PUBLICATION_BYTES: usize = 1 << 20;
/// Least time between two publications: under load each then holds hundreds of facts and costs
/// the sale no more than a hundred commits a second.
const PAUSE: Duration = Duration::from_millis(10);
/// Pause after the log could not take a publication.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Longest time that a stop waits for facts not yet copied; the next start copies the rest.
const STOP_MAX: Duration = Duration::from_secs(1);

/// How far the copy has come.
#[derive(Debug)]
pub struct ProjectorState {
    frame: AtomicU64,
    halted: Mutex<Option<String>>,
}

impl ProjectorState {
    pub(crate) fn starting_after(frame: u64) -> ProjectorState {
        ProjectorState { frame: AtomicU64::new(frame), halted: Mutex::default() }
    }

    /// The last frame of the ledger's journal whose facts are all in the event log.
    #[must_use]
    pub fn frame(&self) -> u64 {
        self.frame.load(Ordering::Relaxed)
    }

    /// Why no more facts are copied. The sale goes on; an operator has to look.
    #[must_use]
    pub fn halted(&self) -> Option<String> {
        self.halted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Facts up to this frame are copied, or no more are and why.
    pub(crate) fn set(&self, frame: u64, halted: Option<String>) {
        self.frame.store(frame, Ordering::Relaxed);
        *self.halted.lock().unwrap_or_else(PoisonError::into_inner) = halted;
    }
}

/// The last durable frame of the ledger's journal, for who follows it.
#[derive(Debug)]
pub(crate) struct DurableEnd {
    state: Mutex<EndState>,
    moved: Condvar,
}

#[derive(Debug)]
struct EndState {
    frame: u64,
    closed: bool,
    follower_waits: bool,
}

impl DurableEnd {
    pub(crate) fn new(frame: u64) -> DurableEnd {
        let state = EndState { frame, closed: false, follower_waits: false };
        DurableEnd { state: Mutex::new(state), moved: Condvar::new() }
    }

    /// The ledger's journal is durable up to `frame`.
    pub(crate) fn advance(&self, frame: u64) {
        let mut state = self.lock();
        state.frame = frame;
        let wake = std::mem::take(&mut state.follower_waits);
        drop(state);
        if wake {
            self.moved.notify_one();
        }
    }

    /// No more frames will come.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.moved.notify_all();
    }

    /// The durable end, once it is beyond `frame`; `None` when it is not and will not be.
    fn wait_beyond(&self, frame: u64) -> Option<u64> {
        let mut state = self.lock();
        while state.frame <= frame {
            if state.closed {
                return None;
            }
            state.follower_waits = true;
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Some(state.frame)
    }

    /// Sleeps, but not through a stop. Says whether there was one.
    fn sleep(&self, pause: Duration) -> bool {
        let state = self.lock();
        let closed = |state: &mut EndState| !state.closed;
        let slept = self.moved.wait_timeout_while(state, pause, closed);
        slept.unwrap_or_else(PoisonError::into_inner).0.closed
    }

    /// No code panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, EndState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The copying thread's state.
pub(crate) struct Projector {
    pub(super) facts: LogReader<Directory>,
    pub(super) ledger_end: Arc<DurableEnd>,
    /// The sales' ids, by the sale's number. Those known at the start and those created since.
    pub(super) sales: Vec<String>,
    pub(super) events: Reader<Directory>,
    pub(super) intake: Arc<Intake<Work>>,
    pub(super) state: Arc<ProjectorState>,
    pub(super) meters: Meters,
}

pub(super) struct Meters {
    frame: Gauge,
    halted: Gauge,
}

impl Meters {
    #[expect(clippy::cast_precision_loss, reason = "frames are far below 2^52")]
    pub(super) fn starting_after(ledger_frame: u64) -> Meters {
        describe_gauge!(
            "kilat_projector_frame",
            "Last frame of the ledger's journal whose facts are in the event log"
        );
        describe_gauge!("kilat_projector_halted", "1 when facts are not copied any more");
        let halted = gauge!("kilat_projector_halted");
        halted.set(0.0);
        let frame = gauge!("kilat_projector_frame");
        frame.set(ledger_frame as f64);
        Meters { frame, halted }
    }
}

/// Why the copy ends.
enum End {
    /// The engine stops.
    Stopped,
    /// Something is wrong that a retry does not mend.
    Halted(String),
}

impl Projector {
    /// Copies until the engine stops.
    pub(crate) fn run(mut self) {
        if let Err(End::Halted(why)) = self.follow() {
            tracing::error!(why, "the sale's facts are not copied to the event log any more");
            self.meters.halted.set(1.0);
            self.state.set(self.state.frame(), Some(why));
        }
    }

    fn follow(&mut self) -> Result<(), End> {
        let mut done = self.state.frame();
        let mut last: Option<FrameInfo> = None;
        let mut stop_by = None;
        while let Some(end) = self.ledger_end.wait_beyond(done) {
            let since = Instant::now();
            last = Some(self.copy_up_to(end, done, last)?);
            done = self.state.frame();
            let stopping = self.ledger_end.sleep(PAUSE.saturating_sub(since.elapsed()));
            if stopping && Instant::now() > *stop_by.get_or_insert(Instant::now() + STOP_MAX) {
                return Err(End::Stopped);
            }
        }
        Ok(())
    }

    /// Copies whole frames up to `end`, or as many as fill a publication.
    fn copy_up_to(
        &mut self,
        end: u64,
        done: u64,
        last: Option<FrameInfo>,
    ) -> Result<FrameInfo, End> {
        let mut frame = match last {
            Some(last) => self.facts.after(&last),
            None => self.facts.find(done + 1),
        };
        let mut publication = self.events.publication(Origin::Projected { ledger_frame: done });
        let mut bytes = Vec::new();
        loop {
            let found = frame.map_err(|error| unreadable(&error))?.ok_or_else(|| missing(done))?;
            bytes.clear();
            let payload = 0..found.payload_bytes as usize;
            self.facts.read(&found, payload, &mut bytes).map_err(|error| unreadable(&error))?;
            self.copy(found.number, &bytes, &mut publication)?;
            if found.number >= end || publication.frame_bytes_max() >= PUBLICATION_BYTES {
                self.send(publication, found.number)?;
                return Ok(found);
            }
            frame = self.facts.after(&found);
        }
    }

    /// Adds the facts of one frame; what fills the publication leaves at once.
    fn copy(&mut self, frame: u64, batch: &[u8], publication: &mut Publication) -> Result<(), End> {
        let corrupt = |error| End::Halted(format!("frame {frame} of the ledger: {error}"));
        let mut event = FactEvent::default();
        for fact in Facts::decode(batch).map_err(corrupt)? {
            let fact = fact.map_err(corrupt)?;
            let sale = self.sale_of(&fact);
            let sale = sale.ok_or_else(|| {
                End::Halted(format!("frame {frame} of the ledger names an unknown sale"))
            })?;
            event.set(sale, &fact);
            let content = Content::of(&event.body);
            let FactEvent { topic, id, body, .. } = &event;
            publication
                .push(NewEvent { topic, id, content, body })
                .map_err(|error| End::Halted(format!("frame {frame} of the ledger: {error}")))?;
            if publication.frame_bytes_max() >= 2 * PUBLICATION_BYTES {
                let origin = Origin::Projected { ledger_frame: frame - 1 };
                let full = std::mem::replace(publication, self.events.publication(origin));
                self.send(full, frame - 1)?;
            }
        }
        Ok(())
    }

    /// The sale's id; a new sale's is learnt from its first fact.
    fn sale_of(&mut self, fact: &Fact<'_>) -> Option<&str> {
        let number = fact.sale as usize;
        if let FactKind::SaleCreated { terms } = &fact.kind
            && number == self.sales.len()
        {
            self.sales.push(terms.id.clone());
        }
        self.sales.get(number).map(String::as_str)
    }

    /// Publishes until it is stored, and records that all facts up to `frame` are.
    fn send(&mut self, mut publication: Publication, frame: u64) -> Result<(), End> {
        publication.set_origin(Origin::Projected { ledger_frame: frame });
        loop {
            self.events
                .look_up(&mut publication)
                .map_err(|error| End::Halted(error.to_string()))?;
            match self.publish(publication.clone()) {
                Ok(verdicts) => return self.stored(&verdicts, frame),
                Err(Unavailable::Overloaded | Unavailable::StorageFull) => {
                    if self.ledger_end.sleep(RETRY_PAUSE) {
                        return Err(End::Stopped);
                    }
                }
                Err(why @ Unavailable::TooManyTopics) => return Err(End::Halted(why.to_string())),
                // The log is in this process: it is never away.
                Err(
                    Unavailable::ShuttingDown
                    | Unavailable::Failed
                    | Unavailable::Away
                    | Unavailable::Unknown,
                ) => return Err(End::Stopped),
            }
        }
    }

    fn publish(&self, publication: Publication) -> Result<Vec<Verdict>, Unavailable> {
        let (reply, answer) = mpsc::sync_channel(1);
        let done = Box::new(move |verdicts| drop(reply.send(verdicts)));
        self.intake.put_or_refuse(Work::Publish { publication: Box::new(publication), done });
        answer.recv().unwrap_or(Err(Unavailable::Failed))
    }

    /// Two facts under one id would mean that one of the two logs is not what it was.
    fn stored(&self, verdicts: &[Verdict], frame: u64) -> Result<(), End> {
        let conflict = verdicts.iter().find_map(|verdict| match verdict {
            Verdict::Conflict(offset) => Some(*offset),
            Verdict::Stored(_) | Verdict::Duplicate(_) => None,
        });
        if let Some(offset) = conflict {
            return Err(End::Halted(format!(
                "a fact up to frame {frame} of the ledger contradicts event {offset}: one of the \
                 two logs is not the one it was; run `kilat verify` on the data directory"
            )));
        }
        self.state.frame.store(frame, Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "frames are far below 2^52")]
        self.meters.frame.set(frame as f64);
        Ok(())
    }
}

fn unreadable(error: &kilat_journal::ReadError) -> End {
    End::Halted(format!("the ledger's journal can't be read: {error}"))
}

fn missing(done: u64) -> End {
    End::Halted(format!("the ledger's journal has no frame after {done}"))
}
