//! The newest events as the committing thread sees them, durable or not: the open generation and
//! the sealed one before it.
//!
//! A generation is sealed only when the one before it is in a run. So at most one is on its way to
//! disk and memory is bounded. The one before the sealed one stays for a little while: publishers
//! who looked their events up before the seal need not do so again.

use std::sync::Arc;

use crate::content::Content;
use crate::index::{Generation, Known, TopicId};

pub(crate) struct Memory {
    open: Generation,
    previous: Option<Arc<Generation>>,
    /// Until the open generation holds a part of what it can.
    older: Option<Arc<Generation>>,
    older_events: u64,
}

/// The older generation goes when the open one has this part of its events.
const OLDER_PART: usize = 4;

impl Memory {
    /// For the events from `first` on.
    pub(crate) fn new(first: u64, events_max: usize) -> Self {
        Self {
            open: Generation::with_events_max(first, events_max),
            previous: None,
            older: None,
            older_events: (events_max / OLDER_PART) as u64,
        }
    }

    /// Events from this offset on are here, and will be until the next seal.
    pub(crate) fn first(&self) -> u64 {
        self.previous.as_ref().map_or(self.open.offsets().start, |sealed| sealed.offsets().start)
    }

    /// Events from this offset on are here for now.
    pub(crate) fn first_for_now(&self) -> u64 {
        self.older.as_ref().map_or(self.first(), |older| older.offsets().start)
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
        self.older = self.previous.replace(Arc::clone(&sealed));
        sealed
    }

    /// Lets the older generation go when it has been there long enough.
    pub(crate) fn let_go(&mut self) {
        let open = self.open.offsets();
        if open.end - open.start >= self.older_events {
            self.older = None;
        }
    }

    /// Fetches what [`Memory::find`] will need, so that the waits for memory overlap.
    pub(crate) fn warm(&self, prints: &[u64]) {
        let sealed = self.previous.as_deref();
        for print in prints {
            self.open.warm(*print);
            if let Some(sealed) = sealed {
                sealed.warm(*print);
            }
        }
        for print in prints {
            self.open.warm_record(*print);
            if let Some(sealed) = sealed {
                sealed.warm_record(*print);
            }
        }
    }

    #[inline]
    pub(crate) fn find(&self, print: u64, topic: TopicId, id: &[u8]) -> Option<Known> {
        let known = self.open.find(print, topic, id);
        known.or_else(|| self.previous.as_ref()?.find(print, topic, id))
    }

    /// Looks where [`Memory::find`] does not.
    pub(crate) fn find_older(&self, print: u64, topic: TopicId, id: &[u8]) -> Option<Known> {
        self.older.as_ref()?.find(print, topic, id)
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
