//! The index from `(topic, id)` to offset, from topic to offsets and from offset to place: derived
//! from the log, never trusted over it.
//!
//! The newest events are in memory ([`Generation`]). A full generation is sealed into an immutable,
//! sorted file (a *run*); small runs are merged into larger ones in the background. A lookup gives
//! *candidates*: prints can collide, so the caller confirms each of them against the log. It knows
//! nothing of frames, counters or what a topic is called.

mod catalogue;
mod error;
mod filter;
mod generation;
mod indexer;
mod merge;
mod page;
mod records;
mod run;
mod runs;
mod seal;
mod shelf;
#[cfg(test)]
mod tests;

use kilat_journal::Place;

use crate::content::Content;

pub(crate) use catalogue::Restored;
pub(crate) use error::IndexError;
pub(crate) use generation::{GENERATION_EVENTS_MAX, Generation};
pub(crate) use indexer::{Indexer, Indexing};
pub(crate) use runs::{Candidate, Runs};
pub(crate) use shelf::Sealing;

/// A topic's number: topics are numbered by the log, in the order in which they first occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TopicId(pub(crate) u32);

/// What a generation knows of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) offset: u64,
    pub(crate) content: Content,
}

/// A point from which the log can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    /// The offset of the first event of a frame.
    pub(crate) offset: u64,
    /// Where that frame is.
    pub(crate) place: Place,
}
