//! Gives the space of forgotten bodies back, in the background.
//!
//! A rule is honoured by readers at once; bytes go when the segment that holds
//! them is written again, which is possible once the log has left it. The frame
//! of a rule begins a segment if need be, so that is soon, unless the disk was
//! full then.

use kilat_eventlog::{Reader, Reclaimed};
use kilat_journal::Directory;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What the thread is told.
#[derive(Default)]
pub(super) struct Bell {
    state: Mutex<State>,
    rung: Condvar,
}

#[derive(Default)]
struct State {
    /// There is a new rule.
    rule: bool,
    /// The segment that the log is in.
    segment: u64,
    closed: bool,
}

impl Bell {
    /// A rule is durable.
    pub(super) fn rule(&self) {
        self.lock().rule = true;
        self.rung.notify_one();
    }

    /// A frame was written to this segment.
    pub(super) fn at(&self, segment: u64) {
        let mut state = self.lock();
        if state.segment != segment {
            state.segment = segment;
            drop(state);
            self.rung.notify_one();
        }
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.rung.notify_one();
    }

    /// Where to start: at the first segment when there is a new rule, at `pending` once the log
    /// has left it. `None` at the end.
    fn wait(&self, pending: Option<u64>) -> Option<u64> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if std::mem::take(&mut state.rule) {
                return Some(1);
            }
            if pending.is_some_and(|pending| pending < state.segment) {
                return pending;
            }
            state = self.rung.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// No code panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread: gives back what it can, each time that there is something new, and at the start
/// what a process that was killed had not come to.
pub(super) fn reclaim(reader: &Reader<Directory>, bell: &Arc<Bell>) {
    if reader.has_rules() {
        bell.rule();
    }
    let mut pending = None;
    while let Some(from) = bell.wait(pending) {
        match reader.reclaim_from(from) {
            Ok(Reclaimed { bytes, next }) => {
                pending = next;
                if bytes > 0 {
                    tracing::info!(bytes, "forgotten bodies were given back to the disk");
                }
            }
            Err(error) => {
                pending = None;
                tracing::warn!(%error, "forgotten bodies stay on disk; forget again to retry");
            }
        }
    }
}
