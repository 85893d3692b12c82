//! The engine from outside: what callers are told, and what a restart remembers.
//!
//! | module | asks |
//! |---|---|
//! | `answers` | does every caller get an answer, and the right one? |
//! | `events` | is each event stored once, and each fact copied once? |
//! | `conformance` | does every backend do so, with all that can be asked of it? |
//! | `replica` | does a replica keep its word when its core or the network does not? |
//! | `strangers` | does a core keep its own when somebody else comes? |
//! | `in_stripes` | where may a sale in stripes differ? |
//! | `restart` | is what was acknowledged there again after any stop? |

#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

mod answers;
mod conformance;
mod events;
mod in_stripes;
mod node;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod process;
mod proxy;
#[cfg(feature = "redis")]
mod redis_fleet;
#[cfg(feature = "redis")]
mod redis_server;
mod replica;
mod restart;
mod sale;
mod strangers;
mod traces;
