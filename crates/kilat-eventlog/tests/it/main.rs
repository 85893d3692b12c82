//! The event log through its public face, on storage in memory that crashes, fails and fills up.

#![expect(clippy::expect_used, reason = "a test that can't go on fails")]

mod crashes;
mod damage;
mod forgetting;
mod full;
mod indexes;
mod model;
mod property;
mod publishing;
mod races;
mod reading;
mod rig;
mod verifying;
