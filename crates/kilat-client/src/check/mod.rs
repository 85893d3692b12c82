//! Concurrent bulk lookups with an audit log: thousands of ids asked of an API, each
//! ending exactly once as found, not found or unknown.
//!
//! Knows how to ask, how to wait and how to write down; never how the API finds its answer.
//!
//! | module | holds |
//! |---|---|
//! | [`audit`] | the log of a check |
//! | `call` | one request and its reply |
//! | `exchange` | how a request comes to its reply, or why not |
//! | `finding` | what is learned of one id |
//! | `profile` | how an API is asked and understood |
//! | `ids` | which ids are asked for |

pub mod audit;
mod call;
#[expect(dead_code, reason = "its users follow")]
mod exchange;
mod finding;
#[cfg_attr(not(test), expect(dead_code, reason = "its users follow"))]
mod profile;
#[expect(dead_code, reason = "its users follow")]
mod ids;

pub use finding::{Finding, ID_BYTES_MAX, ID_SENT_BYTES_MAX, Id, Outcome};
pub use profile::{Profile, SeedTexts};
