//! The threads that seal and merge, and how the rest of the log talks to them.
//!
//! A seal never waits for a merge: each has its own thread, and they meet only to record what is
//! done. Knows nothing of how a run is made.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use kilat_journal::{JournalId, SnapshotError, Storage};

use super::catalogue::Restored;
use super::error::BuildError;
use super::runs::Runs;
use super::shelf::{Sealing, Shelf};

/// The pause before what failed is tried again.
const RETRY_PAUSE_MS: u64 = 300;

/// An index on disk, before its threads run.
pub(crate) struct Indexer<S: Storage> {
    shelf: Shelf<S>,
}

/// An index at work. Dropping it is closing it.
pub(crate) struct Indexing<S: Storage> {
    desk: Arc<Desk<S>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the threads share.
struct Desk<S: Storage> {
    shelf: Shelf<S>,
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Default)]
struct Work {
    /// Stays here until its run is shown.
    sealing: Option<Arc<Sealing>>,
    /// Whether runs may have come since the merging thread last looked.
    unmerged: bool,
    merging: bool,
    seal_problem: Option<String>,
    merge_problem: Option<String>,
    closing: bool,
}

impl<S: Storage> Indexer<S> {
    /// Loads the newest state whose snapshot and runs are whole, older ones failing that. The
    /// sentences say what was passed over and why. Without a state the index is empty and the log
    /// is to be read from its beginning. Pages that lookups read are not checked here. Nothing on
    /// disk is changed.
    pub(crate) fn load(
        storage: S,
        journal: JournalId,
    ) -> Result<(Self, Option<Restored>, Vec<String>), SnapshotError> {
        let (shelf, restored, skipped) = Shelf::load(storage, journal)?;
        Ok((Self { shelf }, restored, skipped))
    }

    /// An empty index; what `storage` holds is removed. For a log that contradicts what was loaded.
    pub(crate) fn anew(storage: S, journal: JournalId) -> Result<Self, SnapshotError> {
        Shelf::anew(storage, journal).map(|shelf| Self { shelf })
    }

    /// The runs there are.
    pub(crate) fn runs(&self) -> Arc<Runs> {
        self.shelf.runs()
    }

    /// Removes what crashes left behind and starts the threads.
    pub(crate) fn start(self) -> io::Result<Indexing<S>> {
        self.shelf.clean_up();
        let work = Mutex::new(Work { unmerged: true, ..Work::default() });
        let desk = Arc::new(Desk { shelf: self.shelf, work, changed: Condvar::new() });
        let indexing = Indexing { desk, threads: Mutex::default() };
        indexing.spawn("index-seal", Desk::seal_all)?;
        indexing.spawn("index-merge", Desk::merge_all)?;
        Ok(indexing)
    }
}

impl<S: Storage> Indexing<S> {
    fn spawn(&self, name: &str, work: fn(&Desk<S>)) -> io::Result<()> {
        let desk = Arc::clone(&self.desk);
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || work(&desk))?;
        self.threads().push(thread);
        Ok(())
    }

    /// The runs there are now.
    pub(crate) fn runs(&self) -> Arc<Runs> {
        self.desk.shelf.runs()
    }

    /// Whether [`Indexing::seal`] would return at once: all that was sealed before is in the runs.
    pub(crate) fn can_seal(&self) -> bool {
        self.desk.work().sealing.is_none()
    }

    /// Hands a generation over, which begins where the one before it ended; waits while another
    /// is being sealed. A write that fails is tried again until it succeeds.
    pub(crate) fn seal(&self, sealing: Sealing) {
        let mut work = self.desk.wait_while(|work| work.sealing.is_some());
        work.sealing = Some(Arc::new(sealing));
        self.desk.changed.notify_all();
    }

    /// What keeps the index from sealing or merging now, in one sentence.
    pub(crate) fn problem(&self) -> Option<String> {
        let work = self.desk.work();
        work.seal_problem.clone().or_else(|| work.merge_problem.clone())
    }

    /// Makes the next start rebuild the index from the log, for when a read found damage. Lookups
    /// go on as they can.
    pub(crate) fn condemn(&self) -> Result<(), SnapshotError> {
        self.desk.shelf.condemn()
    }

    /// Waits until there is nothing to seal or merge, or a problem.
    #[cfg(test)]
    pub(crate) fn settle(&self) {
        let busy = |work: &Work| {
            let problem = work.seal_problem.is_some() || work.merge_problem.is_some();
            !problem && (work.sealing.is_some() || work.unmerged || work.merging)
        };
        drop(self.desk.wait_while(busy));
    }

    /// Ends the threads; lookups go on. A seal under way is finished if its next attempt succeeds;
    /// a merge is given up. Nothing may be sealed after this.
    pub(crate) fn close(&self) {
        self.desk.work().closing = true;
        self.desk.shelf.stop();
        self.desk.changed.notify_all();
        for thread in self.threads().drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Storage> Drop for Indexing<S> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<S: Storage> Desk<S> {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, mut unfit: impl FnMut(&Work) -> bool) -> MutexGuard<'_, Work> {
        let waited = self.changed.wait_while(self.work(), |work| unfit(work));
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    fn pause(&self) {
        let pause = Duration::from_millis(RETRY_PAUSE_MS);
        let waited = self.changed.wait_timeout_while(self.work(), pause, |work| !work.closing);
        drop(waited);
    }

    fn update(&self, change: impl FnOnce(&mut Work)) {
        change(&mut self.work());
        self.changed.notify_all();
    }

    /// The sealing thread.
    fn seal_all(&self) {
        while let Some((sealing, last)) = self.next_sealing() {
            match self.shelf.seal(&sealing) {
                Ok(()) => self.update(|work| {
                    work.sealing = None;
                    work.seal_problem = None;
                    work.unmerged = true;
                }),
                Err(_) if last => return,
                Err(error) => {
                    self.update(|work| work.seal_problem = Some(error.to_string()));
                    self.pause();
                }
            }
        }
    }

    /// The generation to seal, and whether this is the last attempt; `None` at the end.
    fn next_sealing(&self) -> Option<(Arc<Sealing>, bool)> {
        let work = self.wait_while(|work| work.sealing.is_none() && !work.closing);
        work.sealing.clone().map(|sealing| (sealing, work.closing))
    }

    /// The merging thread.
    fn merge_all(&self) {
        while self.begin_merge() {
            let merged = self.shelf.merge();
            let goes_on = match &merged {
                Err(BuildError::Read(error)) if error.is_damage() => self.shelf.condemn().is_err(),
                merged => !matches!(merged, Err(BuildError::Stopped)),
            };
            self.end_merge(&merged);
            if !goes_on {
                return;
            }
            if merged.is_err() {
                self.pause();
            }
        }
    }

    /// Waits for runs that may have to be merged; `false` at the end.
    fn begin_merge(&self) -> bool {
        let mut work = self.wait_while(|work| !work.unmerged && !work.closing);
        // From here on, runs that come are for the next merge.
        work.unmerged = false;
        work.merging = !work.closing;
        work.merging
    }

    fn end_merge(&self, merged: &Result<bool, BuildError>) {
        self.update(|work| {
            work.merging = false;
            match merged {
                Ok(more) => {
                    work.unmerged |= more;
                    work.merge_problem = None;
                }
                // The seal that is missing will say that there is something to merge.
                Err(BuildError::Unsettled | BuildError::Stopped) => {}
                Err(error) => {
                    work.unmerged = true;
                    work.merge_problem = Some(error.to_string());
                }
            }
        });
    }
}
