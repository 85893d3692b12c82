//! Concurrent bulk lookups with an audit log: thousands of ids asked of an API, each
//! ending exactly once as found, not found or unknown.
//!
//! Knows how to ask, how to wait and how to write down; never how the API finds its answer.
//!
//! | module | holds |
//! |---|---|
//! | [`audit`] | the log of a check |
//! | `again` | the command that goes on where a check ended |
//! | `call` | one request and its reply |
//! | `exchange` | how a request comes to its reply, or why not |
//! | `finding` | what is learned of one id |
//! | `gauges` | how far a run is, for whoever shows it |
//! | `ids` | which ids are asked for |
//! | `pace` | how hard the API may be asked |
//! | `profile` | how an API is asked and understood |
//! | `stop` | how a run is ended before its end |
//! | `profile` | how an API is asked and understood |
//! | `pace` | how hard the API may be asked |
//! | `gauges` | how far a run is, for whoever shows it |
//! | `stop` | how a run is ended before its end |
//! | `spans` | durations and rates as people write them |
//! | `show` | what people and programs see of it |

pub mod audit;
#[cfg_attr(not(test), expect(dead_code, reason = "what runs a check follows"))]
mod again;
#[expect(dead_code, reason = "its users follow")]
mod call;
#[expect(dead_code, reason = "its users follow")]
mod exchange;
mod finding;
#[expect(dead_code, reason = "its user follows")]
mod gauges;
#[expect(dead_code, reason = "its users follow")]
mod ids;
#[expect(dead_code, unused_imports, reason = "its user follows")]
mod pace;
#[cfg_attr(not(test), expect(dead_code, reason = "its users follow"))]
mod profile;
#[cfg_attr(not(test), expect(dead_code, reason = "its user follows"))]
mod stop;

pub use finding::{Finding, ID_BYTES_MAX, ID_SENT_BYTES_MAX, Id, Outcome};
pub use pace::{
    CONCURRENCY_FIXED_MAX, CONCURRENCY_MAX, CONCURRENCY_UNASKED_MAX, HedgeAfter, PaceOptions, Rate,
};
pub use profile::{Profile, SeedTexts};
pub use stop::Stop;
#[cfg_attr(not(test), expect(dead_code, reason = "its users follow"))]
mod profile;

pub use finding::{Finding, ID_BYTES_MAX, ID_SENT_BYTES_MAX, Id, Outcome};
pub use profile::{Profile, SeedTexts};
#[expect(dead_code, reason = "its user follows")]
mod gauges;
#[expect(dead_code, unused_imports, reason = "its user follows")]
mod pace;
#[cfg_attr(not(test), expect(dead_code, reason = "its user follows"))]
mod stop;

pub use finding::{Finding, ID_BYTES_MAX, ID_SENT_BYTES_MAX, Id, Outcome};
pub use pace::{
    CONCURRENCY_FIXED_MAX, CONCURRENCY_MAX, CONCURRENCY_UNASKED_MAX, HedgeAfter, PaceOptions, Rate,
};
pub use stop::Stop;
#[expect(dead_code, unused_imports, reason = "what runs a check follows")]
mod show;
mod spans;

pub use finding::{Finding, ID_BYTES_MAX, ID_SENT_BYTES_MAX, Id, Outcome};
pub use show::{Progress, Report, Resumed, Traffic, WATCHED_IDS_MAX};
pub use spans::{HedgeAfter, parse_hedge, parse_rate, parse_span};
