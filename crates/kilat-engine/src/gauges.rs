//! What waits, read when somebody asks: no hook in the path of a command.

use crate::{Events, Handle};

impl Handle {
    /// Commands that wait for a batch now, also while the disk does not answer.
    #[must_use]
    pub fn queue_depth(&self) -> usize {
        self.intake.depth()
    }
}

impl Events {
    /// Events that wait for a group now.
    #[must_use]
    pub fn queue_depth(&self) -> usize {
        self.intake.depth()
    }

    /// How many topics there are; `None` where only the core knows, which nobody waits for here.
    #[must_use]
    pub fn topics_here(&self) -> Option<usize> {
        self.log.topics_here()
    }
}
