//! What the committing thread, readers and publishers share: the durable state, the log's files
//! and the index.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kilat_journal::{JournalId, LogReader, Storage};

use crate::error::ReadError;
use crate::index::{IndexError, Indexing};
use crate::publication::Printer;
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

    /// Runs cover all events before this offset; who looks for one there need not look in memory.
    pub(crate) fn covered(&self) -> u64 {
        self.memory_first.load(Ordering::Acquire)
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
}
