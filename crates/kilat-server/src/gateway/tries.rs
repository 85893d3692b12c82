//! What a request may still try after a setback, counted by whose fault that was.
//!
//! Must never know replicas by name, or what a request asks for.

use super::limits::{CONNECTS_MAX, LOSSES_MAX, MOVES_MAX, REPLY_TIMEOUT};
use tokio::time::Instant;

/// What one request has tried so far.
pub(super) struct Tries {
    since: Instant,
    /// Replicas that failed with it.
    losses: u32,
    /// Replicas that it left though they did not fail.
    moves: u32,
    /// Replicas that it did not reach.
    unsent: u32,
}

impl Default for Tries {
    fn default() -> Tries {
        Tries { since: Instant::now(), losses: 0, moves: 0, unsent: 0 }
    }
}

impl Tries {
    /// Notes a replica that failed with the request; whether another may be tried.
    pub(super) fn may_lose(&mut self) -> bool {
        self.losses += 1;
        self.losses < LOSSES_MAX
    }

    /// Whether one more failure is the last.
    pub(super) const fn is_last(&self) -> bool {
        self.losses + 1 == LOSSES_MAX
    }

    /// Whether the request may leave its replica for another; noted if so.
    pub(super) fn may_move(&mut self) -> bool {
        let may = self.moves < MOVES_MAX && self.since.elapsed() < REPLY_TIMEOUT;
        self.moves += u32::from(may);
        may
    }

    /// Notes a replica that was not reached; whether another may be tried.
    pub(super) fn may_connect(&mut self) -> bool {
        self.unsent += 1;
        self.unsent < CONNECTS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often something may be done before it may not.
    fn times(mut may: impl FnMut() -> bool) -> u32 {
        (0..).take_while(|_| may()).count() as u32
    }

    #[test]
    fn each_kind_of_setback_has_a_bound_of_its_own() {
        let mut tries = Tries::default();
        assert_eq!(times(|| tries.may_connect()), CONNECTS_MAX - 1);
        assert_eq!(times(|| tries.may_move()), MOVES_MAX);
        assert!(!tries.is_last());
        assert_eq!(times(|| tries.may_lose()), LOSSES_MAX - 1);
        let long_ago = Instant::now().checked_sub(REPLY_TIMEOUT).unwrap();
        let mut late = Tries { since: long_ago, ..Tries::default() };
        assert!(!late.may_move(), "whoever has waited for so long waits where it is");
    }
}
