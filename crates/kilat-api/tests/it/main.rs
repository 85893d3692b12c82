//! The contract of events, from the outside.
//!
//! | module | asks |
//! |---|---|
//! | `reading` | how a test reads a body, and what came out |
//! | `content` | which events are equal |
//! | `faults` | what is refused, by index and field or by line and column |
//! | `forms` | objects, arrays, lines; what is stored of them |
//! | `cloud` | CloudEvents in their three modes |
//! | `random` | the same for anything that can be thought of |

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking; clippy sees only functions marked as tests"
)]

mod cloud;
mod content;
mod faults;
mod forms;
mod random;
mod reading;
