//! Room for the bodies of replies: how long each may be, and how much all that are large take
//! together, so that thousands of hostile replies at once don't fill the memory.

use super::setback::Setback;
use std::future::Future;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Up to this many bytes a body is read without asking whether there is room for it.
const SMALL_BODY_BYTES: u64 = 8 << 10;
/// Bytes of all larger bodies that are under way at once, unless four of them need more.
const LARGE_BODIES_BYTES_MAX: usize = 32 << 20;
/// What a permit stands for.
const PERMIT_BYTES: usize = 1 << 10;

/// What replies may cost.
pub(super) struct Limits {
    /// Longest body, in bytes.
    pub(super) body_bytes_max: usize,
    large_bodies: Semaphore,
}

impl Limits {
    pub(super) fn new(body_bytes_max: usize) -> Limits {
        let bytes = body_bytes_max.saturating_mul(4).max(LARGE_BODIES_BYTES_MAX);
        let permits = bytes.div_ceil(PERMIT_BYTES).min(Semaphore::MAX_PERMITS);
        Limits { body_bytes_max, large_bodies: Semaphore::new(permits) }
    }

    /// For one body: none is taken yet.
    pub(super) fn room(&self) -> Room<'_> {
        Room { limits: self, permit: None }
    }
}

/// The room that a body may take, until this value is dropped.
pub(super) struct Room<'a> {
    pub(super) limits: &'a Limits,
    permit: Option<SemaphorePermit<'a>>,
}

impl Room<'_> {
    /// Waits until a body that has so many bytes may be read. Never adds to what it has: two that
    /// wait for each other's rest would wait for ever.
    ///
    /// # Errors
    /// [`Setback::TooLarge`] when it never may.
    pub(super) async fn take(&mut self, bytes: u64) -> Result<(), Setback> {
        if bytes > self.limits.body_bytes_max as u64 {
            return Err(Setback::TooLarge(self.limits.body_bytes_max));
        }
        if bytes > SMALL_BODY_BYTES && self.permit.is_none() {
            let permits = bytes.div_ceil(PERMIT_BYTES as u64);
            let permits = u32::try_from(permits).unwrap_or(u32::MAX);
            self.permit = self.limits.large_bodies.acquire_many(permits).await.ok();
        }
        Ok(())
    }

    /// Waits until a body may be read further that has so many bytes by now: when it is large it
    /// may become the longest.
    ///
    /// # Errors
    /// [`Setback::TooLarge`] when it has too many.
    pub(super) fn grow(&mut self, bytes: usize) -> impl Future<Output = Result<(), Setback>> {
        let (bytes, most) = (bytes as u64, self.limits.body_bytes_max as u64);
        self.take(if bytes > SMALL_BODY_BYTES { bytes.max(most) } else { bytes })
    }
}
