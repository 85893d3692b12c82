//! Durability, tested by destroying it.
//!
//! `KILAT_SEED` replays a random test, `KILAT_CUTS` sets how many power cuts are simulated.

#![expect(clippy::expect_used, reason = "what a test can't go on without stops it")]

mod bits;
mod committer;
mod copy;
mod crashes;
mod data_directory;
mod failures;
mod forget;
mod golden;
mod log;
mod reader;
mod snapshots;
mod tail;
mod unfinished;
