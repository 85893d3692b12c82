//! Looking for the events of a publication among those that runs cover.

use std::ops::Range;

use kilat_journal::Storage;

use crate::error::ReadError;
use crate::index::Candidate;
use crate::locate::Locator;
use crate::publication::{Hit, LookUp, Publication};
use crate::shared::Shared;

impl<S: Storage> Shared<S> {
    /// Looks for a publication's events that are not in memory.
    pub(crate) fn look_up(&self, publication: &Publication) -> Result<LookUp, ReadError> {
        let covered = self.covered();
        let hits = self.look_up_in(publication, 0..covered)?;
        Ok(LookUp { covered, hits })
    }

    /// Looks for a publication's events among those at these offsets, which runs cover. A print
    /// that is found is a suspicion only: it is confirmed against topic and id in the log.
    pub(crate) fn look_up_in(
        &self,
        publication: &Publication,
        offsets: Range<u64>,
    ) -> Result<Vec<Hit>, ReadError> {
        let runs = self.index.runs();
        let mut candidates = Vec::new();
        let asked = runs.of_offsets(&offsets).candidates_of(publication.prints(), &mut candidates);
        asked.map_err(|error| self.index_failed(&error))?;
        candidates.retain(|candidate| offsets.contains(&candidate.offset));
        // Neighbours share a frame.
        candidates.sort_unstable_by_key(|candidate| candidate.offset);
        let mut locator = Locator::new(self, runs);
        let mut hits = Vec::new();
        for Candidate { print, offset } in candidates {
            let known = locator.confirm(offset, publication.key(print))?;
            hits.extend(known.map(|known| Hit { index: print as u32, known }));
        }
        hits.sort_unstable_by_key(|hit| hit.index);
        Ok(hits)
    }
}
