//! Groups of orders to be used again: a batch of thousands is megabytes that
//! the system would otherwise have to clear for each request.

use kilat_engine::Orders;
use std::sync::{Mutex, PoisonError};

/// Most groups kept.
const SPARE_MAX: usize = 8;

/// Emptied groups that have kept their memory.
#[derive(Default)]
pub(crate) struct Groups(Mutex<Vec<Orders>>);

impl Groups {
    /// An empty group.
    pub(crate) fn take(&self) -> Orders {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Takes a group back whose outcomes have been told.
    pub(crate) fn give_back(&self, mut group: Orders) {
        group.clear();
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_MAX {
            spare.push(group);
        }
    }
}
