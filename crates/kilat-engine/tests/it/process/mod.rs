//! Tests with servers of others, which are started, killed and started again.
//!
//! | module | asks |
//! |---|---|
//! | `postgres` | is there one effect a key, and no fact lost, whatever ends at whatever moment? |
//! | `earlier` | is what an earlier version left in a store found, and sold on? |
//! | `encrypted` | who is taken for the server, by its certificate? |
//! | `faults` | what is told while a server or the network does not answer, and what comes after? |
//! | `event_log` | is each event there once, in one order, for readers in every process? |
//! | `histories` | does a store come to what the pure ledger says, at the store's own times? |
//! | `refusals` | is a server that can't keep the promises refused, with the setting to change? |
//! | `redis` | does a ledger in Redis keep its word when the server or the network does not? |
//! | `redis_decr` | what does the oldest flash sale in Redis keep, a plain `DECR`? |
//! | `redis_failover` | what is kept, and what is lost, when a replica takes a primary's place? |
//! | `redis_stripes` | is a sale that is split over a cluster sold exactly, whatever moves? |
//! | `standby` | what is kept, and what is lost, when a standby takes a primary's place? |
//! | `world` | a server, an event log, and processes that work with both |

#[cfg(all(feature = "postgres", feature = "redis"))]
mod earlier;
#[cfg(feature = "postgres")]
mod encrypted;
#[cfg(feature = "postgres")]
mod event_log;
#[cfg(feature = "postgres")]
mod faults;
#[cfg(feature = "postgres")]
mod histories;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "redis")]
mod redis_decr;
#[cfg(feature = "redis")]
mod redis_failover;
#[cfg(feature = "redis")]
mod redis_stripes;
#[cfg(feature = "postgres")]
mod refusals;
#[cfg(feature = "postgres")]
mod standby;
#[cfg(feature = "postgres")]
mod world;
