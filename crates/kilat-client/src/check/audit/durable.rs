//! The thread that makes appended lines durable and tells of it.
//!
//! While it waits for the device, the writer goes on appending; all of that becomes durable with
//! the next flush. A failed flush is final: which pages are on the device is not known, and the
//! kernel reports it once, so another flush would say nothing.

use super::OnDurable;
use super::failure::Failure;
use super::file::{Medium, Place};
use super::tail::UNSYNCED_BYTES_MAX;
use crate::check::finding::Finding;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// What the writer and this thread share.
#[derive(Default)]
struct State {
    /// In lines that are appended and not yet durable.
    findings: Vec<Finding>,
    /// Bytes of this run, appended and durable.
    appended: u64,
    synced: u64,
    /// Records of this run, appended and durable.
    records: u64,
    synced_records: u64,
    /// The writer is gone.
    closed: bool,
    /// This thread is gone.
    stopped: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }
}

/// The thread, seen from whoever waits for its end.
pub(super) struct Durability {
    thread: JoinHandle<Result<(), Failure>>,
}

impl Durability {
    /// Starts the thread; the writer gets the other end.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub(super) fn start(
        medium: Arc<dyn Medium>,
        place: Place,
        on_durable: OnDurable,
    ) -> io::Result<(Durability, Appended)> {
        let shared = Arc::new(Shared::default());
        let flusher = Flusher { shared: Arc::clone(&shared), medium, place, on_durable };
        let thread =
            thread::Builder::new().name("audit-durable".to_owned()).spawn(|| flusher.run())?;
        Ok((Durability { thread }, Appended { shared }))
    }

    /// Waits until everything is durable, or is known not to be.
    pub(super) fn join(self) -> Result<(), Failure> {
        self.thread.join().unwrap_or(Err(Failure::Stopped))
    }
}

/// Where the writer says what it has appended.
pub(super) struct Appended {
    shared: Arc<Shared>,
}

impl Appended {
    /// Waits until so many bytes more may be appended: not more than [`UNSYNCED_BYTES_MAX`] are
    /// ever there that are not durable.
    ///
    /// # Errors
    /// [`Failure::Stopped`] when nothing becomes durable any more.
    pub(super) fn make_room(&self, bytes: usize) -> Result<(), Failure> {
        let mut state = self.shared.state();
        while !state.stopped && state.appended + bytes as u64 - state.synced > UNSYNCED_BYTES_MAX {
            state = self.shared.wait(state);
        }
        if state.stopped { Err(Failure::Stopped) } else { Ok(()) }
    }

    /// Tells of an append: its findings, which are taken, its bytes and how many records the
    /// run has now.
    pub(super) fn push(&self, findings: &mut Vec<Finding>, bytes: usize, records: u64) {
        self.shared.change(|state| {
            state.findings.append(findings);
            state.appended += bytes as u64;
            state.records = records;
        });
    }

    /// How many records of this run are durable.
    pub(super) fn synced_records(&self) -> u64 {
        self.shared.state().synced_records
    }
}

impl Drop for Appended {
    fn drop(&mut self) {
        self.shared.change(|state| state.closed = true);
    }
}

struct Flusher {
    shared: Arc<Shared>,
    medium: Arc<dyn Medium>,
    place: Place,
    on_durable: OnDurable,
}

impl Flusher {
    fn run(mut self) -> Result<(), Failure> {
        let mut findings = Vec::new();
        while let Some((bytes, records)) = self.take(&mut findings) {
            self.medium.sync().map_err(Failure::Sync)?;
            if !self.place.holds() {
                return Err(Failure::Moved);
            }
            self.shared.change(|state| {
                state.synced = bytes;
                state.synced_records = records;
            });
            if !findings.is_empty() {
                (self.on_durable)(&findings);
                findings.clear();
            }
        }
        Ok(())
    }

    /// Waits for something that is not durable, and takes the findings in it.
    fn take(&self, findings: &mut Vec<Finding>) -> Option<(u64, u64)> {
        let mut state = self.shared.state();
        while state.appended == state.synced {
            if state.closed {
                return None;
            }
            state = self.shared.wait(state);
        }
        std::mem::swap(&mut state.findings, findings);
        Some((state.appended, state.records))
    }
}

impl Drop for Flusher {
    /// Also when whoever is told panics: the writer must not wait for ever.
    fn drop(&mut self) {
        self.shared.change(|state| state.stopped = true);
    }
}
