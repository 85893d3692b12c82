//! Places among the connections that the process may have.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// All places; clones count together.
#[derive(Clone)]
pub(crate) struct Seats {
    taken: Arc<AtomicUsize>,
    most: usize,
}

/// One connection's place; free again when it is dropped.
pub(crate) struct Seat(Arc<AtomicUsize>);

impl Seats {
    /// So many, all free.
    pub(crate) fn new(most: usize) -> Seats {
        Seats { taken: Arc::default(), most }
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// How many there are.
    pub(crate) const fn most(&self) -> usize {
        self.most
    }

    /// Whether hardly any are left: time to ask those to leave who do nothing with theirs.
    pub(crate) fn are_scarce(&self) -> bool {
        self.taken() >= self.most - self.most / 8
    }

    /// A place, if one is free.
    pub(crate) fn take(&self) -> Option<Seat> {
        let free = |now: usize| (now < self.most).then_some(now + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free).ok()?;
        Some(Seat(Arc::clone(&self.taken)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_free_again_when_it_is_dropped() {
        let seats = Seats::new(1);
        let seat = seats.clone().take();
        assert!(seat.is_some() && seats.take().is_none());
        drop(seat);
        assert!(seats.take().is_some());
    }
}
