//! The outside witness: it buys, counts what it was promised, and proves that the sale kept it.
//!
//! Knows the HTTP contract (`kilat-api`) and nothing else of Kilat: it never
//! sees the engine, the ledger, the journal or the server, because an audit
//! that shares code with what it audits proves nothing.
//!
//! | module | holds |
//! |---|---|
//! | [`attack`] | a stampede of buyers, then the proof |
//! | [`publish`] | events from JSON Lines into the event log, with retries |
//! | [`stress`] | deliveries with duplicates, then the proof that each event is stored once |
//! | [`events`] | what both share, and what an operator does to the event log |
//! | [`check`] | bulk lookups of an API, with an audit log |
//! | [`sale`] | creating, changing and showing sales as an operator |
//! | [`health`] | the question that a container's health check asks |

rust_i18n::i18n!("locales", fallback = "en");

pub mod attack;
mod chart;
pub mod check;
mod error;
pub mod events;
pub mod health;
mod http;
mod lang;
mod latency;
pub mod publish;
pub mod sale;
mod stderr;
pub mod stress;
mod view;

pub use error::ClientError;
pub use http::{Access, Token};
pub use lang::Lang;
pub use view::View;
