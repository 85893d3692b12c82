//! Ledgers that another engine keeps, as a [`Handle`](crate::Handle) like that of an engine in this process, and
//! event logs that one keeps, as [`Events`](crate::Events).
//!
//! ```text
//! Handle ─▶ Intake (bounded) ─▶ Runner: one statement a batch ─▶ the store ─▶ Board, replies
//!                                  └▶ reads ─▶ Reads: one query each, and what others changed ─▶ Board
//!                                     Relay: facts in the store's outbox ─▶ Events
//! Events ─▶ Intake (bounded) ─▶ Publisher: one statement a batch ─▶ the store ─▶ ends, replies
//!                               LogReads: pages, and what others published ─▶ ends
//! ```
//!
//! The rules are those of `kilat-ledger`, in the same order, written once more in the language of
//! the store: a batch is decided where the state is, in one step. A process holds no state of its
//! own, so any number of them can work on one store at the same time.
//!
//! What a store must do stands in [`LedgerStore`]; adding one is its implementation, its scheme
//! in [`StoreAddress`], and its line in `everywhere!` of the engine's tests. Knows nothing of
//! HTTP, nor of any store's language.

mod address;
mod events;
mod fault;
mod ledger_store;
mod outage;
#[cfg(feature = "postgres")]
mod postgres;
mod reads;
mod reason;
#[cfg(feature = "redis")]
mod redis;
mod relay;
mod runner;
mod session;
mod shown;
mod start;

pub(crate) use address::without_secrets;
pub use address::{StoreAddress, StoreAddressError};
pub use events::EventStore;
pub use fault::StoreError;
pub(crate) use fault::StoreFault;
pub(crate) use ledger_store::{Decided, LedgerStore, StoredFact, StoredKind};
pub use reason::{Allow, StoreReason, Trust};
pub use start::{Store, StoreOptions};

use crate::QUEUE_WAIT_MS_MAX;
use std::time::Duration;

/// Longest wait for what became of a command that was sent; after that its caller is told that
/// nothing is known.
const ANSWER_WAIT_MAX: Duration = Duration::from_millis(4_000);
/// Longest wait for being sent.
const SEND_WAIT_MAX: Duration = Duration::from_millis(QUEUE_WAIT_MS_MAX);
/// After this long without the store new work is refused at once.
const AWAY_GRACE: Duration = Duration::from_millis(2_000);
/// Pauses between attempts to reach the store again: doubled from the first to the last, and each
/// shortened by a random part, so that replicas do not come back as one.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(10);
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(500);
/// How often holds that other processes placed are looked for, should those processes be gone.
const EXPIRY_LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often sales that other processes changed are read for the board.
const CHANGES_LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often the facts of an idle outbox are looked for, and the lease is asked for.
const OUTBOX_LOOK_EVERY: Duration = Duration::from_millis(50);
/// Facts that are moved to the event log as one publication.
const RELAY_FACTS_MAX: usize = 2_048;
