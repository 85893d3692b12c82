//! Tests with servers of others, which are started, killed and started again.
//!
//! | module | asks |
//! |---|---|
//! | `postgres` | is there one effect a key, and no fact lost, whatever ends at whatever moment? |
//! | `histories` | does a store come to what the pure ledger says, at the store's own times? |
//! | `refusals` | is a server that can't keep the promises refused, with the setting to change? |
//! | `world` | a server, an event log, and processes that work with both |

mod histories;
mod postgres;
mod refusals;
mod world;
