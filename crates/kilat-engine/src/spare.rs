//! Payload buffers that have been committed, kept for the frames to come.

use std::sync::{Mutex, PoisonError};

/// Most buffers kept: one being filled, one handed over, one being written, one to spare.
const SPARE_BUFFERS_MAX: usize = 4;

/// Between the thread that fills buffers and the one that commits them.
#[derive(Default)]
pub(crate) struct SpareBuffers(Mutex<Vec<Vec<u8>>>);

impl SpareBuffers {
    pub(crate) fn keep(&self, buffer: Vec<u8>) {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_BUFFERS_MAX && buffer.capacity() > 0 {
            spare.push(buffer);
        }
    }

    /// A buffer that has grown to the size of a batch before, if there is one.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }
}
