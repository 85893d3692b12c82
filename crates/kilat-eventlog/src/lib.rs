//! Exactly once: a log of events that stores each `(topic, id)` once and for ever, and the index
//! from `(topic, id)` to offset that is derived from it. It knows nothing of HTTP, JSON or the
//! sale, and nothing of async.
//!
//! ```text
//!  callers' threads                committing thread                       journal's thread
//!  Reader::publication
//!    ▶ Publication::push           Writer::begin
//!    ▶ Reader::look_up  ─────────▶ Writer::decide ▶ Writer::finish ─frame▶ one write, one fdatasync
//!        │  filters, runs             │  open and previous generation            │
//!        ▼                            ▼                                          ▼
//!      index ◀── sealed generations ──────────────────────────────── Durable::publish ▶ replies
//!        │ postings, places                                                      │
//!        ▼                                                                       ▼
//!  Reader::read ◀────────────────── what is durable: end, topics, counters ──────┘
//! ```
//!
//! Memory runs ahead of the disk, replies and readers do not. A duplicate of an event that is still
//! being written is decided in the same group or a later one, so its reply waits for that write.
//!
//! Reading order: `content`, `counters`, `topics` → `frame` (what is on disk) → `publication` →
//! `memory` and `index` → `writer` → `visible`, `tail`, `state` (what readers see) → `locate`,
//! `reader` → `recovery`, `forget`, `verify`, `tip`.
//!
#![doc = include_str!("../../../docs/formats/events.md")]

mod content;
mod counters;
mod error;
mod forget;
mod frame;
mod index;
mod locate;
mod look_up;
mod memory;
mod publication;
mod reader;
mod recovery;
mod rules;
mod shared;
mod state;
mod tail;
mod tip;
mod topics;
mod verify;
mod visible;
mod writer;

pub use content::Content;
pub use counters::{Counters, Origin, Verdict};
pub use error::{OpenError, ReadError, ReclaimError, Refusal};
pub use forget::{ForgetRule, Reclaimed};
pub use frame::{GROUP_HEADER_BYTES, Malformed};
pub use publication::{ID_BYTES_MAX, NewEvent, PUBLICATION_BYTES_MAX, Publication, PushError};
pub use reader::{PAGE_EVENTS_MAX, Page, Reader, StoredEvent};
pub use recovery::{Opened, Options, Recovery, open};
pub use tip::Tip;
pub use topics::{TOPIC_BYTES_MAX, TOPICS_MAX, TopicCount};
pub use verify::{FINDINGS_MAX, Verified, verify};
pub use writer::{Durable, Staged, Writer};
