//! Seals generations into runs and merges runs, one step at a time, on the caller's thread.
//!
//! The order of every step is: a file under a temporary name, its bytes durable, read back and
//! checked, renamed, the name durable, recorded, shown. So a crash or a failed write anywhere
//! leaves what was there before, and the step can be taken again.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kilat_journal::{JournalId, Position, SnapshotError, Storage};

use super::catalogue::{Catalogue, Restored, TEMPORARY_SUFFIX};
use super::error::BuildError;
use super::merge::{MergeContents, next_merge};
use super::run::{Contents, Run, run_name, write_run};
use super::runs::Runs;
use super::seal::SealContents;
use super::{Generation, Sample};

/// A generation to be sealed, and what is to be known when the index is loaded next.
pub(crate) struct Sealing {
    /// It begins where the runs end, and ends where a frame ends.
    pub(crate) generation: Arc<Generation>,
    /// By offset. The first is that of the generation's first frame, so that each offset has a
    /// sample before it in its own run.
    pub(crate) samples: Vec<Sample>,
    /// The durable frame with the generation's last event.
    pub(crate) position: Position,
    /// Whatever the caller needs after that frame.
    pub(crate) state: Vec<u8>,
}

/// The runs of one index.
pub(super) struct Shelf<S: Storage> {
    storage: S,
    journal: JournalId,
    catalogue: Mutex<Catalogue<S>>,
    /// A copy of the catalogue's, which can be locked for long.
    shown: Mutex<Arc<Runs>>,
    /// Ends a merge early.
    stop: AtomicBool,
}

impl<S: Storage> Shelf<S> {
    /// Loads what is in `storage`; see [`Catalogue::load`].
    pub(super) fn load(
        storage: S,
        journal: JournalId,
    ) -> Result<(Self, Option<Restored>, Vec<String>), SnapshotError> {
        let (catalogue, restored, skipped) = Catalogue::load(storage.clone(), journal)?;
        Ok((Self::of(storage, journal, catalogue), restored, skipped))
    }

    /// An empty one. Whatever `storage` holds is removed.
    pub(super) fn anew(storage: S, journal: JournalId) -> Result<Self, SnapshotError> {
        let catalogue = Catalogue::anew(storage.clone(), journal)?;
        Ok(Self::of(storage, journal, catalogue))
    }

    fn of(storage: S, journal: JournalId, catalogue: Catalogue<S>) -> Self {
        let shown = Mutex::new(Arc::new(catalogue.runs().clone()));
        let stop = AtomicBool::new(false);
        Self { storage, journal, catalogue: Mutex::new(catalogue), shown, stop }
    }

    /// The runs there are now.
    pub(super) fn runs(&self) -> Arc<Runs> {
        Arc::clone(&self.shown.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Removes what crashes left behind; to be called before anything is built.
    pub(super) fn clean_up(&self) {
        self.catalogue().clean_up();
    }

    /// Makes a run of a generation. Nothing is lost by an error: seal it again.
    pub(super) fn seal(&self, sealing: &Sealing) -> Result<(), BuildError> {
        let built = if sealing.generation.offsets().is_empty() {
            None
        } else {
            let mut contents = SealContents::of(&sealing.generation, &sealing.samples);
            Some(self.build(&mut contents, &AtomicBool::new(false))?)
        };
        let mut catalogue = self.catalogue();
        let runs = match built {
            Some(run) => self.shelve(run, catalogue.runs())?,
            None => catalogue.runs().clone(),
        };
        catalogue.record_seal(runs, sealing.position, &sealing.state)?;
        self.show(&catalogue);
        Ok(())
    }

    /// Merges some runs if there are too many; `false` if there are not.
    pub(super) fn merge(&self) -> Result<bool, BuildError> {
        let runs = self.runs();
        let events: Vec<u64> = runs.list().iter().map(|run| run.events()).collect();
        let Some(merged) = next_merge(&events) else {
            return Ok(false);
        };
        let mut contents = MergeContents::of(runs.list()[merged].to_vec());
        drop(runs);
        let run = self.build(&mut contents, &self.stop)?;
        drop(contents);
        let mut catalogue = self.catalogue();
        let runs = self.shelve(run, catalogue.runs())?;
        catalogue.record_merge(runs)?;
        self.show(&catalogue);
        Ok(true)
    }

    /// Makes the next start rebuild the index from the log.
    pub(super) fn condemn(&self) -> Result<(), SnapshotError> {
        self.catalogue().condemn()
    }

    /// Ends the merge under way, and all later ones at once.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn catalogue(&self) -> MutexGuard<'_, Catalogue<S>> {
        self.catalogue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, catalogue: &Catalogue<S>) {
        let runs = Arc::new(catalogue.runs().clone());
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = runs;
    }

    /// Writes a run under a temporary name, makes it durable and reads it back.
    fn build(&self, contents: &mut impl Contents, stop: &AtomicBool) -> Result<Run, BuildError> {
        let name = run_name(&contents.offsets());
        let temporary = format!("{name}{TEMPORARY_SUFFIX}");
        let built = self.write(&temporary, &name, contents, stop);
        if built.is_err() {
            // The cause is what is reported; what stays is overwritten by the next attempt.
            let _ = self.storage.remove(&temporary);
        }
        built
    }

    fn write(
        &self,
        temporary: &str,
        name: &str,
        contents: &mut impl Contents,
        stop: &AtomicBool,
    ) -> Result<Run, BuildError> {
        let file = self.storage.create(temporary).map_err(|error| refused(name, error))?;
        write_run(&file, self.journal, contents, stop)?;
        drop(file);
        let read_back = || {
            let run = Run::open(&self.storage, temporary, name, self.journal)?;
            run.check_pages(stop).map(|()| run)
        };
        let run = read_back().map_err(|error| refused(name, io::Error::other(error)))?;
        if stop.load(Ordering::Relaxed) { Err(BuildError::Stopped) } else { Ok(run) }
    }

    /// Gives a run its name and its place among the others.
    fn shelve(&self, run: Run, others: &Runs) -> Result<Runs, BuildError> {
        let name = run.name().to_owned();
        let temporary = format!("{name}{TEMPORARY_SUFFIX}");
        let Some(runs) = others.with(run) else {
            return Err(BuildError::OutOfOrder { run: name });
        };
        let renamed = self.storage.rename(&temporary, &name);
        renamed
            .and_then(|()| self.storage.sync_directory())
            .map_err(|error| refused(&name, error))?;
        Ok(runs)
    }
}

fn refused(run: &str, error: io::Error) -> BuildError {
    BuildError::Write { run: run.to_owned(), error }
}
