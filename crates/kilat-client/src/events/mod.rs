//! The event log as its callers see it: delivering batches until they are
//! acknowledged, reading the counters, and forgetting bodies.
//!
//! | module | holds |
//! |---|---|
//! | `courier` | one batch, sent again until it has an answer |
//! | `receipt` | what the answer to a batch says |
//! | `stats` | the log's counters |
//! | `progress` | what people see while events are on their way |
//! | `forget` | dropping bodies that are no longer needed |

pub(crate) mod courier;
mod forget;
mod progress;
pub(crate) mod receipt;
pub(crate) mod stats;

pub use forget::{ForgetOptions, Forgot, forget, parse_age};
pub use progress::Progress;
pub use stats::Stats;

pub(crate) use progress::Scene;

use crate::{ClientError, Lang};

/// Most events of one batch.
pub const BATCH_EVENTS_MAX: u32 = kilat_api::event::EVENTS_MAX as u32;
/// Longest body of one batch, in bytes.
pub const BODY_BYTES_MAX: usize = kilat_api::event::PUBLISH_BODY_BYTES_MAX;
/// Most connections of one run.
pub const CONNECTIONS_MAX: u32 = 1_024;

/// Refuses an option outside its range.
pub(crate) fn check_range(
    option: &'static str,
    value: f64,
    from: f64,
    to: f64,
    lang: Lang,
) -> Result<(), ClientError> {
    if (from..=to).contains(&value) {
        return Ok(());
    }
    let values: [(&str, &dyn std::fmt::Display); 4] =
        [("option", &option), ("from", &from), ("to", &to), ("value", &value)];
    Err(ClientError::Usage(lang.say("error.range", &values)))
}
