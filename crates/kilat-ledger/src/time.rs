//! Instants as data. Knows no clock: whoever holds the state supplies the time.

/// Milliseconds since the Unix epoch, UTC. Negative before 1970.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(i64);

impl Time {
    /// Earlier than every other time; the clock of a ledger that has seen no fact.
    pub const MIN: Self = Self(i64::MIN);

    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This time and `seconds` more; stops at the largest time.
    #[must_use]
    pub const fn plus_seconds(self, seconds: u32) -> Self {
        // A u32 of seconds is below 2^42 milliseconds, so only the sum can overflow.
        Self(self.0.saturating_add(seconds as i64 * 1_000))
    }
}
