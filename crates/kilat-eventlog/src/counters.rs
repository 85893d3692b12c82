//! What was delivered and what came of it, exact after any crash: every frame carries the totals
//! after it. It knows nothing of topics.

/// What came of everything ever delivered. `received = unique + duplicates + conflicts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Events delivered by publishers.
    pub received: u64,
    /// Of those, stored.
    pub unique: u64,
    /// Of those, stored before with the same content.
    pub duplicates: u64,
    /// Of those, another content was stored before under the same topic and id.
    pub conflicts: u64,
    /// Events stored as copies of the ledger's facts; they count nowhere else.
    pub projected: u64,
}

/// Whose events a publication holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A publisher's.
    Published,
    /// Copies of the ledger's facts.
    Projected {
        /// When these events are stored, all facts up to this frame of the ledger are.
        ledger_frame: u64,
    },
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is stored at this offset.
    Stored(u64),
    /// It is stored already, at this offset.
    Duplicate(u64),
    /// Another content is stored under its topic and id, at this offset.
    Conflict(u64),
}

/// The totals as frames carry them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub(crate) received: u64,
    pub(crate) duplicates: u64,
    pub(crate) conflicts: u64,
    pub(crate) projected: u64,
}

impl Totals {
    pub(crate) fn count(&mut self, origin: Origin, verdict: Verdict) {
        match (origin, verdict) {
            (Origin::Published, verdict) => {
                self.received += 1;
                self.duplicates += u64::from(matches!(verdict, Verdict::Duplicate(_)));
                self.conflicts += u64::from(matches!(verdict, Verdict::Conflict(_)));
            }
            (Origin::Projected { .. }, Verdict::Stored(_)) => self.projected += 1,
            (Origin::Projected { .. }, _) => {}
        }
    }

    /// How many events there must be in the log; `None` when the totals contradict themselves.
    pub(crate) fn stored(&self) -> Option<u64> {
        let dropped = self.duplicates.checked_add(self.conflicts)?;
        self.received.checked_sub(dropped)?.checked_add(self.projected)
    }

    /// Whether these can be the totals at a later time than `before`.
    pub(crate) fn follows(&self, before: &Self) -> bool {
        self.received >= before.received
            && self.duplicates >= before.duplicates
            && self.conflicts >= before.conflicts
            && self.projected >= before.projected
    }
}

impl From<Totals> for Counters {
    fn from(totals: Totals) -> Self {
        let Totals { received, duplicates, conflicts, projected } = totals;
        let unique = received.saturating_sub(duplicates).saturating_sub(conflicts);
        Self { received, unique, duplicates, conflicts, projected }
    }
}
