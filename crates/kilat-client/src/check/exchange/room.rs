//! Room for the bodies of replies: how long each may be, and how much all that are large take
//! together, so that thousands of hostile replies at once don't fill the memory. What HTTP/2 lets
//! arrive before it is asked for comes on top: see `http2`.
//!
//! A body whose length is not told takes the room of the longest. So that a few that stand still
//! keep only the very long from going on, there are two rooms: each body begins in the common
//! one, and who outgrows his part of it, which he keeps, needs a place in the second. Whoever has
//! that waits for nothing, so nobody waits for ever; 128 that wait for it fill the common room.

use super::setback::Setback;
use std::future::Future;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Up to this many bytes a body is read without asking whether there is room for it.
const SMALL_BODY_BYTES: u64 = 8 << 10;
/// Most that a body takes of the common room, in bytes.
const COMMON_BODY_BYTES: u64 = 256 << 10;
/// The common room, in bytes.
const COMMON_BYTES: usize = 32 << 20;
/// How many bodies find room beyond it at least.
const LONG_BODIES: usize = 4;
/// What a permit stands for.
const PERMIT_BYTES: usize = 1 << 10;

/// What replies may cost.
pub(super) struct Limits {
    /// Longest body, in bytes.
    pub(super) body_bytes_max: usize,
    common: Semaphore,
    long: Semaphore,
}

impl Limits {
    pub(super) fn new(body_bytes_max: usize) -> Limits {
        let long = body_bytes_max.div_ceil(PERMIT_BYTES).saturating_mul(LONG_BODIES);
        Limits {
            body_bytes_max,
            common: Semaphore::new(COMMON_BYTES / PERMIT_BYTES),
            long: Semaphore::new(long.min(Semaphore::MAX_PERMITS)),
        }
    }

    /// For one body: none is taken yet.
    pub(super) fn room(&self) -> Room<'_> {
        Room { limits: self, common: None, long: None }
    }

    /// What is taken of the common room, in KiB.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        COMMON_BYTES / PERMIT_BYTES - self.common.available_permits()
    }
}

/// The room that a body may take, until this value is dropped.
pub(super) struct Room<'a> {
    pub(super) limits: &'a Limits,
    common: Option<SemaphorePermit<'a>>,
    long: Option<SemaphorePermit<'a>>,
}

impl Room<'_> {
    /// Waits until a body that has so many bytes may be read.
    ///
    /// # Errors
    /// [`Setback::TooLarge`] when it never may.
    pub(super) async fn take(&mut self, bytes: u64) -> Result<(), Setback> {
        if bytes > self.limits.body_bytes_max as u64 {
            return Err(Setback::TooLarge(self.limits.body_bytes_max));
        }
        if bytes > SMALL_BODY_BYTES && self.common.is_none() {
            let part = permits(bytes.min(COMMON_BODY_BYTES));
            self.common = self.limits.common.acquire_many(part).await.ok();
        }
        if bytes > COMMON_BODY_BYTES && self.long.is_none() {
            let rest = permits(bytes - COMMON_BODY_BYTES);
            self.long = self.limits.long.acquire_many(rest).await.ok();
        }
        Ok(())
    }

    /// Waits until a body may be read further that has so many bytes by now, and may become as
    /// long as there is room for where it is.
    ///
    /// # Errors
    /// [`Setback::TooLarge`] when it has too many.
    pub(super) fn grow(&mut self, bytes: usize) -> impl Future<Output = Result<(), Setback>> {
        let (bytes, most) = (bytes as u64, self.limits.body_bytes_max as u64);
        self.take(match bytes {
            _ if bytes <= SMALL_BODY_BYTES => bytes,
            _ if bytes <= COMMON_BODY_BYTES => bytes.max(most.min(COMMON_BODY_BYTES)),
            _ => bytes.max(most),
        })
    }
}

fn permits(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(PERMIT_BYTES as u64)).unwrap_or(u32::MAX)
}
