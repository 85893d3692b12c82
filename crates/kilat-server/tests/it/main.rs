//! The server over a real loopback socket, in front of an in-process engine.
//!
//! | module | asks |
//! |---|---|
//! | `world`, `http` | a server of its own for each test, and a client that can misbehave |
//! | `roles` | every route with every role |
//! | `misuse` | every route with everything that can be wrong with a request |
//! | `contract` | every refusal by code and in order, replays, batches, pages of orders |
//! | `crowding` | more than can be served, and callers who leave before they are answered |
//! | `events` | publishing, reading, counting and forgetting events |
//! | `forms` | the forms in which events are published |
//! | `follow` | the stream of events |
//! | `live` | streams, health, metrics, stopping |
//! | `lookups` | the five reference lookup APIs, on their own port |
//! | `slow` | peers that are slow, large, many or broken |
//! | `payloads`, `strict` | bytes that two readers could read in two ways; what a server does with them |
//! | `supervisor` | processes that are kept running |
//! | `gateway` | one address for several replicas that misbehave |
//! | `docs` | the description: it lists every call, and every reply seen in any of these tests |
//! | `pipelining` | requests that are sent one behind the other |
//! | `pages` | the buy page and its visitors |
//! | `own_orders` | what a visitor has bought or holds |
//! | `replica` | most of these once more, with a core behind the server |

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking; clippy sees only functions marked as tests"
)]

mod contract;
mod crowding;
mod docs;
mod events;
mod follow;
mod forms;
mod gateway;
mod http;
mod live;
mod lookups;
mod misuse;
mod ops;
mod ops_words;
mod own_orders;
mod pages;
mod payloads;
mod pipelining;
mod replica;
mod roles;
mod slow;
mod strict;
mod supervisor;
mod world;
