//! Tests of the ledger through its public API.
//!
//! | module | subject |
//! |---|---|
//! | `shop` | a ledger with short commands, used by the others |
//! | `placing`, `settling`, `admin`, `reading` | the rules as tables |
//! | `model`, `histories` | random histories against an independent, naive model |
//! | `snapshots`, `stored_bytes` | replay, freeze, thaw; bytes that are not ours |

#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

mod admin;
mod histories;
mod model;
mod placing;
mod reading;
mod settling;
mod shop;
mod snapshots;
mod stored_bytes;
