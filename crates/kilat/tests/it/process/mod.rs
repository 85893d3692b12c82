//! Processes killed, starved, misled and asked for the wrong thing.

mod attack;
mod backup;
mod bad_input;
mod chaos;
pub(crate) mod check;
mod cli;
mod clock;
mod consent;
mod core;
mod crowd;
mod demo;
mod events;
mod failing_disk;
mod kept;
mod kills;
mod lookup;
mod operations;
mod pauses;
#[cfg(feature = "redis")]
mod redis_stores;
#[cfg(feature = "postgres")]
pub(crate) mod stores;
mod traces;
mod up;
