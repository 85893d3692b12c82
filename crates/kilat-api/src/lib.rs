//! The HTTP contract of a sale: requests, replies, problem codes, limits and validation.
//!
//! Both sides of the wire use these types: the server to answer, the client to
//! ask. That is all they share, so that the client stays an outside witness.
//! Knows nothing about the ledger, the HTTP library, or who is asking.
//!
//! | module | holds |
//! |---|---|
//! | [`sale`] | creating, changing and showing sales |
//! | [`order`] | placing orders, one or a batch, and showing them |
//! | [`event`] | publishing events and reading them back |
//! | [`audit`] | the figures that prove conservation |
//! | [`problem`] | RFC 9457 problem documents and their stable codes |
//! | [`body`] | strict JSON decoding that names the field at fault |
//! | [`text`] | what an identifier may look like |
//! | [`schema`] | the same limits in the words of JSON Schema |

mod advice;
pub mod audit;
pub mod body;
pub mod event;
pub mod order;
pub mod problem;
pub mod sale;
pub mod schema;
pub mod text;

/// Request header that makes an order or an admin change safe to repeat.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Reply header, `true` when the reply repeats an earlier effect.
pub const IDEMPOTENCY_REPLAYED: &str = "idempotency-replayed";
/// Reply header that identifies this exchange in the logs.
pub const REQUEST_ID: &str = "x-request-id";
/// Reply header that names the process which answered.
pub const NODE: &str = "x-kilat-node";
