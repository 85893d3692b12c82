//! Concurrent bulk lookups with an audit log: thousands of ids asked of an API, each
//! ending exactly once as found, not found or unknown.
//!
//! Knows how to ask, how to wait and how to write down; never how the API finds its answer.
//!
//! | module | holds |
//! |---|---|
//! | `finding` | what is learned of one id |

mod finding;

pub use finding::{Finding, ID_BYTES_MAX, ID_SENT_BYTES_MAX, Id, Outcome};
