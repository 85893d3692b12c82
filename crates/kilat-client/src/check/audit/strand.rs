//! The records of one run, followed from its first.

use super::chain::Sum;
use super::record::Record;

/// How far a run has been followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Strand {
    /// Number of the next record.
    pub(super) next: u64,
    /// Sum of the last one.
    pub(super) sum: Sum,
}

/// Why a record is not the next of its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Break {
    /// Records from this number on are not where they should be.
    Missing(u64),
    /// A record with this number was there before.
    Repeated,
    /// It, or the record before it, is not what was written.
    Changed,
}

impl Strand {
    /// Goes on to a record. After a break it goes on from there, so that one fault is one break.
    pub(super) fn follow(&mut self, record: &Record<'_>) -> Result<(), Break> {
        let Strand { next, sum } = *self;
        if record.n < next {
            return Err(Break::Repeated);
        }
        *self = Strand { next: record.n.saturating_add(1), sum: record.sum };
        if record.n > next {
            Err(Break::Missing(next))
        } else if sum.next(record.text) != record.sum {
            Err(Break::Changed)
        } else {
            Ok(())
        }
    }
}
