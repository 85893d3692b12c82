//! How far the log has come, as readers in this process are told: newest only, whichever thread
//! learnt it.

use crate::events::RemoteLog;
use crate::protocol::events::LogState;
use crate::store::postgres::LogFigures;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// See the module.
pub(super) struct Told {
    log: Arc<RemoteLog>,
    ends: watch::Sender<u64>,
    /// When this process came to the log, and what there was.
    since: (Instant, LogFigures),
    newest: Mutex<LogFigures>,
}

impl Told {
    pub(super) fn new(log: Arc<RemoteLog>, at_start: LogFigures) -> (Told, watch::Receiver<u64>) {
        let (ends, watched) = watch::channel(at_start.end);
        let since = (Instant::now(), at_start);
        let told = Told { log, ends, since, newest: Mutex::new(at_start) };
        told.log.tell(&told.state(at_start));
        (told, watched)
    }

    /// Shows what is newer than what was shown. Both numbers only ever grow.
    pub(super) fn tell(&self, figures: LogFigures) {
        let age = |figures: &LogFigures| (figures.end, figures.counters.received);
        // No code panics while it holds the lock.
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if age(&figures) <= age(&newest) {
            return;
        }
        *newest = figures;
        self.log.tell(&self.state(figures));
        self.ends.send_if_modified(|known| std::mem::replace(known, figures.end) != figures.end);
    }

    fn state(&self, figures: LogFigures) -> LogState {
        let (started, at_start) = self.since;
        LogState {
            end: figures.end,
            counters: figures.counters,
            at_start: at_start.counters,
            open_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            projector_frame: 0,
            projector_halted: None,
        }
    }
}
