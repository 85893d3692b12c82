//! The newest events as the committing thread sees them, durable or not: the open generation and
//! the sealed one before it.
//!
//! A generation is sealed only when the one before it is in a run. So at most one is on its way to
//! disk, memory is bounded, and what a publisher looked up stays good for at least a generation's
//! worth of events.

use std::sync::Arc;

use crate::content::Content;
use crate::index::{Generation, Known, TopicId};

pub(crate) struct Memory {
    open: Generation,
    previous: Option<Arc<Generation>>,
}

impl Memory {
    /// For the events from `first` on.
    pub(crate) fn new(first: u64, events_max: usize) -> Self {
        Self { open: Generation::with_events_max(first, events_max), previous: None }
    }

    /// Events from this offset on are here.
    pub(crate) fn first(&self) -> u64 {
        self.previous.as_ref().map_or(self.open.offsets().start, |sealed| sealed.offsets().start)
    }

    /// The offset of the next event.
    pub(crate) fn end(&self) -> u64 {
        self.open.offsets().end
    }

    pub(crate) fn is_full(&self) -> bool {
        self.open.is_full()
    }

    /// Whether the open generation may be sealed, given that runs cover the events before
    /// `covered`.
    pub(crate) fn can_seal(&self, covered: u64) -> bool {
        covered >= self.open.offsets().start
    }

    /// Whether the open generation holds nothing.
    pub(crate) fn is_open_empty(&self) -> bool {
        self.open.offsets().is_empty()
    }

    /// Seals the open generation, which is to become a run, and lets the one before it go.
    pub(crate) fn seal(&mut self) -> Arc<Generation> {
        let next = Generation::after(&self.open);
        let sealed = Arc::new(std::mem::replace(&mut self.open, next));
        self.previous = Some(Arc::clone(&sealed));
        sealed
    }

    /// Fetches what [`Memory::find`] will need.
    #[inline]
    pub(crate) fn warm(&self, print: u64) {
        self.open.warm(print);
        if let Some(sealed) = &self.previous {
            sealed.warm(print);
        }
    }

    #[inline]
    pub(crate) fn find(&self, print: u64, topic: TopicId, id: &[u8]) -> Option<Known> {
        let known = self.open.find(print, topic, id);
        known.or_else(|| self.previous.as_ref()?.find(print, topic, id))
    }

    #[inline]
    pub(crate) fn insert(
        &mut self,
        print: u64,
        topic: TopicId,
        id: &[u8],
        content: Content,
    ) -> u64 {
        self.open.insert(print, topic, id, content)
    }
}
