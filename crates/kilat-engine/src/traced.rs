//! Orders whose way is recorded, and when their group passed which stage.
//!
//! Ids are those of W3C Trace Context. What becomes of them is for whoever sent the group: the
//! engine carries them along and looks at a clock, for traced groups alone.

use crate::Placed;
use std::sync::Arc;
use std::time::Instant;

/// Where a request stands in a trace that is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace, never 0.
    pub trace_id: u128,
    /// The span that what happens next is a part of, never 0.
    pub span_id: u64,
}

/// An order of a group and its place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traced {
    /// Index of the order in its group.
    pub order: u32,
    /// Its place.
    pub context: TraceContext,
}

/// When a group passed a stage.
#[derive(Clone, Copy, Debug)]
pub struct Stages {
    /// It was put into the queue.
    pub queued: Instant,
    /// It was taken out of it with a batch.
    pub taken: Instant,
    /// All of it was decided; what follows is the disk. `None` where a store decides and makes
    /// durable in one step.
    pub decided: Option<Instant>,
}

/// Called by a core for each group with traced orders that it answers, on a thread that other
/// answers wait for: it must only pass on what it was told.
pub type TracedCallback = Arc<dyn Fn(&Placed) + Send + Sync>;
