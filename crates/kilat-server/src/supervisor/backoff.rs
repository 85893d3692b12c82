//! How long to wait before a process is started again, so that one that can't run does not spin.

use std::time::Duration;

/// After the first end of a process that never got ready.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait.
const MOST: Duration = Duration::from_secs(5);
/// Who was ready for so long has recovered: its next end is a first one, however often it ends.
const RECOVERED: Duration = Duration::from_secs(2);

/// The ends in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    ends: u32,
}

impl Backoff {
    /// The wait after a life that was ready for so long. The first restart of a process that
    /// worked comes at once: buyers wait.
    pub(super) fn after(&mut self, was_ready: Option<Duration>) -> Duration {
        if was_ready.is_some_and(|ready| ready >= RECOVERED) {
            self.ends = 0;
        }
        let wait = match self.ends {
            0 if was_ready.is_some() => Duration::ZERO,
            ends => FIRST.saturating_mul(1 << ends.min(16)).min(MOST),
        };
        self.ends = self.ends.saturating_add(1);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits in milliseconds after lives that were ready for so many seconds.
    fn check(ready: &[Option<u64>], expected: &[u64]) {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = ready
            .iter()
            .map(|ready| backoff.after(ready.map(Duration::from_secs)).as_millis() as u64)
            .collect();
        assert_eq!(waits, expected, "{ready:?}");
    }

    #[test]
    fn one_that_cannot_run_is_tried_ever_less_often() {
        check(&[None; 8], &[100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    }

    #[test]
    fn one_that_worked_comes_back_at_once_but_not_for_ever() {
        check(&[Some(60), Some(60)], &[0, 0]);
        check(&[Some(0), Some(0), Some(0), Some(60)], &[0, 200, 400, 0]);
        check(&[Some(3); 20], &[0; 20]);
    }

    #[test]
    fn many_ends_do_not_overflow() {
        let mut backoff = Backoff { ends: u32::MAX };
        assert_eq!(backoff.after(None), MOST);
    }
}
