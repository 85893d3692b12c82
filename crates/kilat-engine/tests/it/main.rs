//! The engine from outside: what callers are told, and what a restart remembers.
//!
//! | module | asks |
//! |---|---|
//! | `answers` | does every caller get an answer, and the right one? |
//! | `events` | is each event stored once, and each fact copied once? |
//! | `restart` | is what was acknowledged there again after any stop? |

#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

mod answers;
mod events;
mod node;
mod restart;
mod sale;
