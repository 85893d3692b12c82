//! What the committing thread, readers and publishers share: the durable state, the log's files
//! and the index.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kilat_journal::{JournalId, LogReader, Storage};

use crate::error::ReadError;
use crate::index::{Candidate, IndexError, Indexing};
use crate::locate::Locator;
use crate::publication::{Hit, LookUp, Printer, Publication};
use crate::visible::Visible;

pub(crate) struct Shared<S: Storage> {
    visible: Mutex<Visible>,
    /// How many events are durable: a copy that is read without the lock.
    end: AtomicU64,
    /// Events from this offset on are in the committing thread's memory: nobody need look for them
    /// in the runs, which cover all before it.
    memory_first: AtomicU64,
    pub(crate) index: Indexing<S>,
    pub(crate) log: LogReader<S>,
    pub(crate) storage: S,
    pub(crate) journal: JournalId,
    pub(crate) printer: Printer,
    /// Held while segments are rewritten: one at a time.
    pub(crate) reclaiming: Mutex<()>,
}

impl<S: Storage> Shared<S> {
    pub(crate) fn new(
        visible: Visible,
        index: Indexing<S>,
        storage: S,
        journal: JournalId,
        printer: Printer,
    ) -> Self {
        Self {
            end: AtomicU64::new(visible.figures.end),
            memory_first: AtomicU64::new(visible.figures.end),
            visible: Mutex::new(visible),
            index,
            log: LogReader::open(storage.clone(), journal),
            storage,
            journal,
            printer,
            reclaiming: Mutex::new(()),
        }
    }

    /// A panic elsewhere leaves the state whole: no code that can panic runs under the lock.
    pub(crate) fn visible(&self) -> MutexGuard<'_, Visible> {
        self.visible.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Lets those see a new end who do not take the lock.
    pub(crate) fn show_end(&self, end: u64) {
        self.end.store(end, Ordering::Release);
    }

    /// Says from which offset on events are in memory; runs cover all before it.
    pub(crate) fn show_memory(&self, first: u64) {
        self.memory_first.store(first, Ordering::Release);
    }

    /// Has the index rebuilt at the next start if it is damaged.
    pub(crate) fn index_failed(&self, error: &IndexError) -> ReadError {
        if error.is_damage() {
            self.condemn(error.to_string())
        } else {
            ReadError::Index(error.to_string())
        }
    }

    /// Has the index rebuilt at the next start.
    pub(crate) fn condemn(&self, why: String) -> ReadError {
        match self.index.condemn() {
            Ok(()) => ReadError::Index(why),
            Err(error) => ReadError::Index(format!("{why}, and it can't be given up: {error}")),
        }
    }

    /// Looks for a publication's events that are not in memory.
    pub(crate) fn look_up(&self, publication: &Publication) -> Result<LookUp, ReadError> {
        let covered = self.memory_first.load(Ordering::Acquire);
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
