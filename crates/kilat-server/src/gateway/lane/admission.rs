//! Who of a thread's clients is let in while clients leave before they are answered.

use super::super::refusal::Refusal;
use crate::crowding::Crowding;
use crate::metrics::TurnedAwayCounts;
use kilat_api::problem::Code;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The thread is its only user, so the lock is never waited for.
pub(in crate::gateway) struct Admission {
    crowding: Mutex<Crowding>,
    counts: TurnedAwayCounts,
}

/// An order that was let in.
pub(super) struct Place<'a> {
    admission: &'a Admission,
    since: Instant,
    /// Whether its client has left, and is to be counted.
    left: Option<bool>,
}

impl Admission {
    pub(in crate::gateway) fn new(memory: Duration) -> Admission {
        let crowding = Mutex::new(Crowding::new(memory, Instant::now()));
        Admission { crowding, counts: TurnedAwayCounts::new() }
    }

    /// A place for an order, whose client may have left already: then it did not wait, or waits all
    /// the same, and is not to be `counted` any more.
    ///
    /// # Errors
    /// When it is to be turned away, what it is told.
    pub(super) fn admit(&self, has_left: bool, counted: &mut bool) -> Result<Place<'_>, Refusal> {
        *counted |= has_left;
        let (mut crowding, now) = (self.lock(), Instant::now());
        if crowding.admit(has_left, now) {
            return Ok(Place { admission: self, since: now, left: None });
        }
        self.counts.note(has_left);
        Err(Refusal::new(Code::Overloaded).retry_after(crowding.retry_after()))
    }

    /// No code panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Crowding> {
        self.crowding.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// The order has its reply; its client may have left before, which is `counted` once.
    pub(super) fn leave(mut self, has_left: bool, counted: &mut bool) {
        self.left = has_left.then(|| !std::mem::replace(counted, true));
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut crowding = self.admission.lock();
        match self.left {
            Some(false) => crowding.withdraw(),
            left => crowding.settle(left.is_some(), self.since, Instant::now()),
        }
    }
}
