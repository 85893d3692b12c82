//! How long an id waits before its next try: exponential with full jitter (Brooker,
//! *Exponential Backoff and Jitter*, 2015), so that calls that failed together don't come
//! back together.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

/// Longest wait after the first failure; each further one doubles it.
pub(crate) const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest wait at all.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Draws the jitter of waits.
pub(crate) struct Backoff {
    random: SmallRng,
}

/// The part of the longest wait that one call waits. All its ids wait alike, so that they come
/// back in one call and not each in one of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jitter(f64);

impl Backoff {
    /// The same seed draws the same waits.
    pub(crate) fn seeded(seed: u64) -> Self {
        Backoff { random: SmallRng::seed_from_u64(seed) }
    }

    /// Of one call.
    pub(crate) fn draw(&mut self) -> Jitter {
        Jitter(self.random.random_range(0.0..=1.0))
    }
}

impl Jitter {
    /// Before the retry after so many failures, from 1.
    pub(crate) fn wait(self, failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.up_to(BACKOFF_MIN.saturating_mul(doubled).min(BACKOFF_MAX))
    }

    /// Beyond a time that the server named, which is never gone under.
    pub(crate) fn spread(self) -> Duration {
        self.up_to(BACKOFF_MIN)
    }

    fn up_to(self, longest: Duration) -> Duration {
        longest.mul_f64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_fill_a_range_that_doubles_up_to_its_end() {
        let mut backoff = Backoff::seeded(1);
        for (failures, longest_ms) in
            [(0, 100), (1, 100), (2, 200), (3, 400), (6, 3_200), (7, 5_000), (99, 5_000)]
        {
            let waits: Vec<u128> =
                (0..500).map(|_| backoff.draw().wait(failures).as_millis()).collect();
            let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            assert!(*most <= longest_ms && *most > longest_ms * 9 / 10, "{failures}: {most}");
            assert!(*least < longest_ms / 10, "{failures}: {least}");
        }
    }

    #[test]
    fn a_seed_is_replayed() {
        let waits = |seed| {
            let mut backoff = Backoff::seeded(seed);
            (1..20).map(|failures| backoff.draw().wait(failures)).collect::<Vec<_>>()
        };
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
    }
}
