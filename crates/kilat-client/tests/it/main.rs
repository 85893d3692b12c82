//! The witness against servers that keep their promises, are unlucky, or lie.

#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

mod attack;
mod audit;
mod check_profile;
mod fake;
mod log;
mod publish;
mod report;
mod sale;
mod standin;
mod stress;
