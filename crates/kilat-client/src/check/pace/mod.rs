//! How hard an API may be asked: how many calls at once, how often, when again, and when not at all.
//!
//! State machines that are told the time and what came back. They send nothing, sleep
//! never, and know neither ids nor files.
//!
//! | module | decides |
//! |---|---|
//! | `limiter` | how many calls may be in flight |
//! | `rate` | how many may start in a second or a minute |
//! | `advice` | what a reply's headers ask for |
//! | `signal` | what an answer says of its server's health |
//! | `breaker` | whether a server is worth asking at all |
//! | `hold` | until when a server wants to be left alone |
//! | `budget` | whether one more retry may be afforded |
//! | `backoff` | how long the ids of a call wait before their next try |
//! | `hedge` | when a slow call gets a second one beside it |
//! | `origin` | all of it for one server |
//! | `origins` | which server a call goes to |

mod advice;
mod backoff;
mod breaker;
mod budget;
mod hedge;
mod hold;
mod limiter;
mod origin;
mod origins;
mod rate;
mod signal;

pub(crate) use advice::{Advice, RETRY_AFTER_MAX};
pub(crate) use backoff::{Backoff, Jitter};
pub use hedge::HedgeAfter;
pub(crate) use hedge::{Hedge, places as hedge_places};
pub(crate) use origin::{Admission, Hopeless, Kind, Pass};
pub(crate) use origins::{OriginNumber, Origins};
pub(crate) use rate::Meter;
pub use rate::Rate;
pub(crate) use signal::Signal;

use std::time::Duration;

/// A moment: time since the run began, by a clock that never goes back.
pub(crate) type At = Duration;

/// Most calls in flight that can be asked for.
pub const CONCURRENCY_MAX: u32 = 20_000;
/// Most calls in flight when the user names no number.
pub const CONCURRENCY_UNASKED_MAX: u32 = 1_000;
/// Up to so many calls in flight the user's number is taken as it is; above, the
/// server's pushback lowers it.
pub const CONCURRENCY_FIXED_MAX: u32 = 64;

/// How a check asks.
#[derive(Clone, Debug)]
pub struct PaceOptions {
    /// Most calls in flight, 1 to [`CONCURRENCY_MAX`]; without it as many as the server
    /// turns out to take, up to [`CONCURRENCY_UNASKED_MAX`].
    pub concurrency: Option<u32>,
    /// Most calls in flight that the system has room for.
    pub places: u32,
    /// Never adapt: a number above [`CONCURRENCY_FIXED_MAX`] is kept too.
    pub fixed: bool,
    /// Most calls that start in a time.
    pub rate: Option<Rate>,
    /// Longest time of one call, which its carrier keeps; here the bound of the last waits.
    pub timeout: Duration,
    /// After so long nothing more is sent, and the run ends incomplete.
    pub deadline: Option<Duration>,
    /// Further tries of one id.
    pub retries: u32,
    /// A second call beside a slow one.
    pub hedge: Option<HedgeAfter>,
    /// A server that fails for so long is given up.
    pub give_up: Duration,
}

impl Default for PaceOptions {
    fn default() -> Self {
        PaceOptions {
            concurrency: None,
            places: CONCURRENCY_MAX,
            fixed: false,
            rate: None,
            timeout: Duration::from_secs(10),
            deadline: None,
            retries: 4,
            hedge: None,
            give_up: Duration::from_secs(30),
        }
    }
}

impl PaceOptions {
    /// Most calls in flight, whatever the server takes.
    pub(crate) fn most(&self) -> u32 {
        let wanted = self.concurrency.unwrap_or(CONCURRENCY_UNASKED_MAX).min(CONCURRENCY_MAX);
        wanted.min(self.places).max(1)
    }

    /// The same when so much of the deadline's time has passed.
    pub(crate) fn after(&self, passed: Duration) -> PaceOptions {
        let deadline = self.deadline.map(|deadline| deadline.saturating_sub(passed));
        PaceOptions { deadline, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_calls_than_the_system_has_room_for() {
        for (concurrency, places, most) in [
            (None, CONCURRENCY_MAX, CONCURRENCY_UNASKED_MAX),
            (None, 5, 5),
            (None, 0, 1),
            (Some(64), CONCURRENCY_MAX, 64),
            (Some(64), 5, 5),
            (Some(u32::MAX), u32::MAX, CONCURRENCY_MAX),
        ] {
            let options = PaceOptions { concurrency, places, ..PaceOptions::default() };
            assert_eq!(options.most(), most, "{concurrency:?} {places}");
        }
    }
}
