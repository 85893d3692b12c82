//! What stands between a socket and hyper, in the gateway and in every server: only what can be read
//! in one way comes through, and each way to be slow has its deadline.
//!
//! ```text
//! socket ─▶ Wire (Strict: is it one good request?) ─▶ hyper ─▶ the service of the connection
//!             └─ refused: hyper reads a request of REFUSED_METHOD ─▶ Talk::refused says why
//! ```
//!
//! hyper writes the refusal, in its turn, as every other reply. [`Talk`] is what both ends know of
//! each other: below, why reading has ended; above, whether somebody is being answered.
//!
//! Must never know a route, a replica, or what a request asks for.

mod socket;
pub(crate) mod strict;
mod talk;

pub(crate) use socket::{Deadlines, REFUSED_METHOD, Wire};
pub(crate) use strict::{Reason, Rules};
pub(crate) use talk::{Answering, Talk, is_event_stream};
