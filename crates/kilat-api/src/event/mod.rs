//! Events: what a published one says, how it is read from a body, what is replied.
//!
//! ```text
//! body ─▶ read: one pass ─▶ Event { topic, event_id, body, canonical } for each
//!           ├─ scan: JSON's grammar     ├─ canonical: equal values, equal bytes
//!           └─ cloud: CloudEvents 1.0   └─ faults: what is wrong, and where
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `read` | bodies: an object, an array, lines |
//! | `native` | an event in Kilat's own form |
//! | `cloud` | CloudEvents in the structured, batched and binary modes, as events |
//! | `canonical` | the bytes by which two events are compared |
//! | `reply` | replies, as both sides of the wire know them |
//! | `reading` | what all forms share: each event checked and passed on |
//! | `scan`, `time`, `faults` | what those are made of |
//!
//! Knows nothing about where events are stored or who publishes them.

mod binary;
mod canonical;
mod cloud;
mod faults;
mod native;
mod read;
mod reading;
mod reply;
mod scan;
mod time;

pub use binary::{Binary, read_binary};
pub use canonical::PAYLOAD_DEPTH_MAX;
pub use read::{Form, read};
pub use reading::{Buffers, Event, OnInvalid, Read, Skipped};
pub use reply::{
    EventRequest, EventResult, EventStatus, EventsPage, ForgetReply, ForgetRequest, PublishRequest,
    Published, Runtime, StatsReply, StoredEvent, TopicCount, TopicsReply,
};

/// Most events in one body.
pub const EVENTS_MAX: usize = 10_000;
/// Longest event, in bytes as sent.
pub const EVENT_BYTES_MAX: usize = 1 << 20;
/// Largest body of `POST /publish`; a larger one is answered 413.
pub const PUBLISH_BODY_BYTES_MAX: usize = 4 << 20;
/// Most events on one page of `GET /events`.
pub const PAGE_EVENTS_MAX: usize = 1_000;
/// Events on a page when the caller does not say.
pub const PAGE_EVENTS_DEFAULT: usize = 100;
/// Most topics on one page of `GET /topics`.
pub const PAGE_TOPICS_MAX: usize = 10_000;
/// Most topics that `GET /stats` lists.
pub const STATS_TOPICS_MAX: usize = 1_000;
