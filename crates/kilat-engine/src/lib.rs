//! Order: from a queue of commands to durable facts and replies.
//!
//! ```text
//! Handle ─▶ Intake (bounded) ─▶ Batcher: decide ▶ evolve ▶ encode ─▶ Committer: one write, one fdatasync ─▶ replies
//!                                   ▲ expiry, when a hold is due            └▶ Board: what readers may see
//! ```
//!
//! The batcher's thread commits a small batch itself. A long queue makes two
//! threads a pipeline: while the journal's writer waits for the disk, the
//! batcher decides the next batch. Under load a batch grows by itself to what
//! arrived during one fdatasync; when idle a batch of one goes at once.
//!
//! *Invariant:* a reply, a refusal or a read leaves only after every fact it
//! could have seen is on stable storage. The one place where that happens is
//! `Release::run` in module `release`.
//!
//! Knows nothing about HTTP, environment variables or who is asking.

mod alarm;
mod backup;
mod batcher;
mod board;
mod change;
mod clock;
mod core;
mod embedded;
mod events;
mod freshness;
mod gauges;
mod handle;
mod intake;
mod meters;
mod orders;
mod protocol;
mod query;
mod recovery;
mod refusals;
mod release;
mod remote;
mod sale;
mod sequence;
mod snapshots;
mod socket;
mod spare;
#[cfg_attr(
    not(any(feature = "postgres", feature = "redis")),
    expect(dead_code, unused_imports, unused_variables, reason = "only a driver makes use of it")
)]
mod store;
mod traced;
mod verify;
mod watchers;
mod work;

pub use alarm::OnFailure;
pub use backup::{
    BackedUp, BackupCheck, BackupError, BackupManifest, BackupOptions, FileRecord, OnProgress,
    Restored, backup, check_backup, restore,
};
pub use board::Board;
pub use change::{Change, OrderRef};
pub use clock::Clock;
pub use core::{AskCallback, Core, CoreOptions};
pub use embedded::{Engine, Options, StartError};
pub use events::{
    EventRecovery, Events, Forgotten, ProjectorState, PublishedCallback, ReadError,
    SALE_TOPIC_PREFIX, rfc3339,
};
pub use handle::Handle;
pub use kilat_eventlog::{
    Content, Counters as EventCounters, ForgetRule, NewEvent, Page as EventPage, Publication,
    PushError, StoredEvent, TopicCount, Verdict, Verified as EventsVerified,
};
pub use kilat_journal::DirectoryError;
use kilat_journal::ReserveError;
pub use kilat_ledger::{
    Counters, Order, OrderId, OrderStatus, Outcome, Refusal, SaleChange, SaleState, SaleSwitch,
    SaleTerms, Time,
};
pub use orders::{OrderHasher, OrderText, Orders, Placed, PlacedCallback};
pub use query::{OwnedOrder, Page};
pub use recovery::Recovery;
pub use remote::{Asker, ConnectError, Remote, RemoteOptions};
pub use sale::Sale;
pub use sequence::STRIPES_MAX;
pub use socket::{AddressError, CoreAddress, CoreListener};
pub use store::{
    Allow, EventStore, Store, StoreAddress, StoreAddressError, StoreError, StoreOptions,
    StoreReason, Trust,
};
pub use traced::{Stages, TraceContext, Traced, TracedCallback};
pub use verify::{Verified, verify};

/// Why the engine did not take or finish a command. Nothing was changed.
///
/// So it is except with [`Unavailable::Failed`] and [`Unavailable::Unknown`], where that is not
/// known. With the same key all are safe to retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The queue is full or the command waited too long: retry after a moment.
    #[error("the queue is full, try again in a moment")]
    Overloaded,
    /// No space is left to record facts: free space, then retry.
    #[error("no space is left to record the change, free some and try again")]
    StorageFull,
    /// The engine is stopping: ask another node, or this one when it is back.
    #[error("this node is stopping, try again shortly")]
    ShuttingDown,
    /// The event log has as many topics as it can have: publish to one that there is.
    #[error("no more topics can be made, publish to one that there is")]
    TooManyTopics,
    /// The core or the store can't be reached and nothing was changed: retry after a moment.
    #[error("what keeps the state can't be reached, try again in a moment")]
    Away,
    /// The core or the store did not answer in time and what became of the command is unknown: retry with the
    /// same key.
    #[error(
        "the answer did not come in time, what became of the command is not known; try again with \
         the same key"
    )]
    Unknown,
    /// The journal failed and what became of the command is unknown: retry with the same key.
    #[error(
        "the journal failed, what became of the command is not known; try again with the same key"
    )]
    Failed,
}

/// No room for a frame, as a caller is told it. A batch is bounded so that its frame is never too
/// large.
impl From<ReserveError> for Unavailable {
    fn from(error: ReserveError) -> Self {
        match error {
            ReserveError::Stopped => Unavailable::Failed,
            ReserveError::StorageFull(_) | ReserveError::TooLarge { .. } => {
                Unavailable::StorageFull
            }
        }
    }
}

/// Most commands waiting for a batch; one more is answered [`Unavailable::Overloaded`].
pub const QUEUE_COMMANDS_MAX: usize = 65_536;
/// Most commands in one batch.
pub const BATCH_COMMANDS_MAX: usize = 8_192;
/// Most bytes of facts in one batch; the journal's frame has room for expiries beside them.
pub const BATCH_BYTES_MAX: usize = 7 << 20;
/// Longest wait in the queue before a command is given up undecided, in milliseconds.
pub const QUEUE_WAIT_MS_MAX: u64 = 2_000;
