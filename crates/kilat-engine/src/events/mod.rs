//! The event log's side of the engine: queue, group, commit, reply, and the copy of the sale's
//! facts.
//!
//! ```text
//! Events ─▶ Intake (bounded) ─▶ Grouper: decide ▶ encode ─▶ Committer: one write, one fdatasync ─▶ replies
//!              ▲ Projector: facts of the ledger's durable frames        └▶ readers see the new end
//! ```
//!
//! Publications are parsed, hashed and looked up in the index by those who
//! publish; the grouping thread only decides. Knows nothing of HTTP, nor of
//! what a published event says.

mod copies;
mod fact;
mod grouper;
mod log;
mod projector;
mod reclaimer;
mod start;
mod work;

use crate::Unavailable;
use crate::intake::Intake;
use crate::protocol::events::LogState;
use kilat_eventlog::{Counters, ForgetRule, Page, Publication, TopicCount, Verdict};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

pub(crate) use copies::{Copies, Originals};
pub(crate) use fact::FactEvent;
pub use fact::rfc3339;
pub use log::ReadError;
pub(crate) use log::{Log, RemoteLog};
pub(crate) use projector::DurableEnd;
pub use projector::ProjectorState;
pub use start::EventRecovery;
pub(crate) use start::{EVENTS, EVENTS_INDEX, EventThreads, Outbox, open};
pub(crate) use work::{LIMITS, Work};

/// The topics of this prefix are the sales' own: nothing is published to them from outside.
pub const SALE_TOPIC_PREFIX: &str = "sale.";
/// Most events waiting to be committed; one more is answered [`Unavailable::Overloaded`].
const QUEUE_EVENTS_MAX: usize = 262_144;
/// Most bytes of events waiting to be committed.
const QUEUE_EVENT_BYTES_MAX: usize = 64 << 20;
/// Most bytes of one group of publications; the journal's frame has room for its header beside.
const GROUP_BYTES_MAX: usize = 7 << 20;

/// Called exactly once with one verdict an event, in the order published, or with why there are none.
pub type PublishedCallback = Box<dyn FnOnce(Result<Vec<Verdict>, Unavailable>) + Send>;

/// A way to the event log. Clones share the same queue.
#[derive(Clone)]
pub struct Events {
    pub(crate) intake: Arc<Intake<Work>>,
    pub(crate) log: Log,
    pub(crate) ends: watch::Receiver<u64>,
    pub(crate) projector: Arc<ProjectorState>,
    pub(crate) history: [u8; 16],
}

/// What a rule to forget came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// The rule holds for events below this offset.
    pub below: u64,
}

impl Events {
    /// An empty publication, to be filled by whoever publishes.
    #[must_use]
    pub fn publication(&self) -> Publication {
        self.log.publication()
    }

    /// Looks `publication` up in the index and queues it. `done` is called exactly once: with
    /// the verdicts, on the thread that committed them, or with the reason why there are none.
    /// It must only pass the result on.
    ///
    /// This reads files when an event may be an old duplicate.
    pub fn publish_with(&self, mut publication: Publication, done: PublishedCallback) {
        match self.log.look_up(&mut publication) {
            Ok(()) => self.hand_over(publication, done),
            Err(error) => {
                tracing::error!(%error, "the index of events can't be read");
                done(Err(Unavailable::Failed));
            }
        }
    }

    /// As [`Events::publish_with`], for threads that must not wait for a file: the index is
    /// searched by the thread that commits.
    pub fn hand_over(&self, publication: Publication, done: PublishedCallback) {
        self.put(Work::Publish { publication: Box::new(publication), done });
    }

    /// As [`Events::publish_with`], awaiting the verdicts.
    ///
    /// # Errors
    /// [`Unavailable`]: nothing of the publication was stored, except with
    /// [`Unavailable::Failed`], where that is not known. Publish it again.
    pub async fn publish(&self, publication: Publication) -> Result<Vec<Verdict>, Unavailable> {
        let (reply, result) = oneshot::channel();
        self.publish_with(publication, Box::new(move |verdicts| drop(reply.send(verdicts))));
        result.await.unwrap_or(Err(Unavailable::Failed))
    }

    /// Why a publication would be refused at once, as far as is known here without asking: who keeps
    /// the log in another process or a store looks for it about twice a second.
    #[must_use]
    pub fn refusal(&self) -> Option<Unavailable> {
        self.intake.refusal()
    }

    pub(crate) fn put(&self, work: Work) {
        self.intake.put_or_refuse(work);
    }

    /// Events in the order stored, of one topic or of all, with offsets greater than `after`.
    /// Reads files, or waits for who does.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn read(
        &self,
        topic: Option<&str>,
        after: Option<u64>,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Page, ReadError> {
        self.log.read(topic, after, limit, bytes_max)
    }

    /// Every topic with the number of its events. May wait for the core.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn topics(&self) -> Result<Vec<TopicCount>, ReadError> {
        self.log.topics()
    }

    /// What was ever delivered.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.log.counters()
    }

    /// What had been delivered when the log was opened.
    #[must_use]
    pub fn counters_at_start(&self) -> Counters {
        self.log.at_start()
    }

    /// When the process that holds the log opened it.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.log.started()
    }

    /// All of this in one, for a replica.
    pub(crate) fn state(&self) -> LogState {
        let open: Duration = self.started().elapsed();
        LogState {
            // First, so that a reader never finds fewer events than it was told of.
            end: *self.ends.borrow(),
            counters: self.counters(),
            at_start: self.counters_at_start(),
            open_ms: u64::try_from(open.as_millis()).unwrap_or(u64::MAX),
            projector_frame: self.projector.frame(),
            projector_halted: self.projector.halted(),
        }
    }

    /// Calls `watcher` after every commit until it returns `false`.
    pub(crate) fn watch(&self, watcher: impl Fn() -> bool + Send + 'static) {
        self.log.watch(Box::new(move |_| watcher()));
    }

    /// Names the history that the log belongs to. After the data directory was restored from a
    /// backup it is another one, and offsets beyond the backup are given anew.
    #[must_use]
    pub fn history(&self) -> [u8; 16] {
        self.history
    }

    /// How many events there are; changes after every commit.
    #[must_use]
    pub fn ends(&self) -> watch::Receiver<u64> {
        self.ends.clone()
    }

    /// How far the copy of the sale's facts has come, and whether it halted.
    #[must_use]
    pub fn projector(&self) -> &ProjectorState {
        &self.projector
    }

    /// Drops the bodies that `rule` names. Readers do not see them any more when this returns;
    /// their bytes on disk are given back in the background.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn forget(&self, rule: ForgetRule) -> Result<Forgotten, Unavailable> {
        let (reply, answer) = oneshot::channel();
        // A caller who left is no fault.
        let reply = Box::new(move |result| {
            let _ = reply.send(result);
        });
        self.intake.put(Work::Forget { rule, reply }).map_err(|(_, why)| why)?;
        answer.await.unwrap_or(Err(Unavailable::Failed))
    }
}
