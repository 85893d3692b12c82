//! What goes from the store to the board: newest states only, whichever thread read them.

use crate::board::Board;
use crate::sale::Sale;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Two threads of a process read states, and the one that read the older may come later.
pub(super) struct Shown {
    board: Arc<Board>,
    /// The sequence of each sale that is on the board.
    sequences: Mutex<HashMap<String, u64>>,
    since: Instant,
}

impl Shown {
    pub(super) fn on(board: Arc<Board>) -> Shown {
        Shown { board, sequences: Mutex::default(), since: Instant::now() }
    }

    /// Shows each state that is newer than the one shown.
    pub(super) fn show(&self, sales: &[Sale]) {
        // No code panics while it holds the lock.
        let mut sequences = self.sequences.lock().unwrap_or_else(PoisonError::into_inner);
        for sale in sales {
            match sequences.get_mut(&sale.terms.id) {
                Some(shown) if *shown >= sale.sequence => continue,
                Some(shown) => *shown = sale.sequence,
                None => drop(sequences.insert(sale.terms.id.clone(), sale.sequence)),
            }
            self.board.publish(sale);
        }
    }

    /// What was shown is what the store had at `at` or later. A process that stood still for a
    /// while after it had asked has nothing new to show.
    pub(super) fn seen(&self, at: Instant) {
        let tick_ms = at.saturating_duration_since(self.since).as_millis();
        self.board.hear(u64::try_from(tick_ms).unwrap_or(u64::MAX), at, false);
        self.board.set_live(true);
    }

    pub(super) fn set_live(&self, live: bool) {
        self.board.set_live(live);
    }
}
