//! Every limit of the HTTP side, by name, and what happens when it is reached.
//!
//! Knows numbers only.

use std::time::Duration;

/// Largest body of one order; a larger one is answered 413.
pub const ORDER_BODY_BYTES_MAX: usize = 16 * 1024;
/// Largest body of a batch of orders; a larger one is answered 413.
pub const BATCH_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Largest body of an admin call; a larger one is answered 413.
pub const SALE_BODY_BYTES_MAX: usize = 64 * 1024;
/// Largest form of the buy page; a larger one is answered 413.
pub const FORM_BODY_BYTES_MAX: usize = 4 * 1024;
/// Largest body of events; a larger one is answered 413.
pub const PUBLISH_BODY_BYTES_MAX: usize = kilat_api::event::PUBLISH_BODY_BYTES_MAX;
/// Largest body of an order to forget events; a larger one is answered 413.
pub const FORGET_BODY_BYTES_MAX: usize = 16 * 1024;
/// Bodies of events up to this size are read where they arrive; larger ones take a few
/// milliseconds and go to a thread that nobody else waits for.
pub const PUBLISH_INLINE_BYTES_MAX: usize = 16 * 1024;
/// Most larger bodies and pages of events that are read at a time; each takes a few times its size
/// in memory. More wait, one a connection.
pub const FILE_READS_MAX: usize = 8;
/// Bytes of events after which a page is not filled further, in `GET /events` and in a stream.
pub const PAGE_EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most events that are passed over, because the caller may not see them, to fill one page.
pub const PAGE_EVENTS_HIDDEN_MAX: usize = 10_000;
/// Most events in one piece of a stream.
pub const STREAM_EVENTS_MAX: usize = 256;
/// Bytes of events after which a piece of a stream is not filled further.
pub const STREAM_EVENT_BYTES_MAX: usize = 64 * 1024;
/// Shortest time between two looks of a stream at the log when there was nothing more to send.
pub const STREAM_EVENTS_INTERVAL: Duration = Duration::from_millis(20);
/// Topics on a page of `GET /topics` when the caller does not say.
pub const PAGE_TOPICS_DEFAULT: usize = 1_000;
/// Largest head of a request; a larger one is answered 431.
///
/// hyper grows a connection's buffer up to this, so it also bounds memory.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most headers of a request; more are answered 431.
pub const HEADERS_MAX: usize = 64;
/// What is still read of a connection that ends while its peer may be sending, so that the last reply
/// arrives: closing with unread bytes would reset it. More than any body that a gateway passes on, or
/// whoever refuses one would look to the gateway like a replica that broke.
pub(crate) const LINGER_BYTES_MAX: usize = 2 * PUBLISH_BODY_BYTES_MAX;
/// Longest time for that.
pub(crate) const LINGER_TIME_MAX: Duration = Duration::from_secs(1);
/// Longest request id that is taken over from the caller, in bytes; another one is made otherwise.
pub const REQUEST_ID_BYTES_MAX: usize = 64;
/// Longest `Authorization` header that is looked at, in bytes; a longer one is refused.
pub const AUTHORIZATION_BYTES_MAX: usize = 4 * 1024;
/// Clocks of those who sign customer tokens may differ from ours by this, in seconds.
pub const TOKEN_LEEWAY_SECONDS: u64 = 5;
/// Silence after which a stream sends a comment, so that proxies keep it open.
pub const STREAM_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Longest wait of a reader that knows a later place than this replica does yet.
pub const STREAM_BEHIND_MAX: Duration = Duration::from_millis(500);
/// Shortest time between two events of a stream; changes within it are folded into one.
pub const STREAM_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes of the live stock that the system keeps for a reader who is slow to take them; it may keep
/// twice as many. What does not fit is left out, and the newest is sent when there is room again.
pub const STREAM_UNSENT_BYTES: usize = 16 * 1024;
/// Most connections on their way from the fast lane to the full lane; one more is told 503 and closed.
pub const HANDOVERS_MAX: usize = 4_096;
/// For so long after the last request was turned away it counts that callers left before they were
/// answered. Longer than those
/// wait who come again after `Retry-After`.
pub const CROWDING_MEMORY: Duration = Duration::from_secs(5);
/// Most orders on a page of a visitor's own; the rest is on the next.
pub const PAGE_OWN_ORDERS_MAX: usize = 50;
/// Longest that the buy page waits for its visitor's own orders; it is shown without them then.
pub const OWN_ORDERS_PATIENCE: Duration = Duration::from_millis(500);
/// Longest that a readiness probe waits for the engine before it says 503.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The limits that an operator can set.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest time for a request's head to arrive: 408, and the connection is closed. Longest silence
    /// between requests: the connection is closed.
    pub header_timeout: Duration,
    /// Longest time for a whole body to arrive: 408, and the connection is closed.
    pub body_timeout: Duration,
    /// Longest time without the peer taking a byte of a reply: the connection is closed.
    pub write_timeout: Duration,
    /// Most connections; one more is told 503 and closed.
    pub connections_max: usize,
    /// While hardly any more connections may be made, those that were silent for so long, or up to
    /// twice as long, are closed.
    pub silence_when_full: Duration,
    /// Most event streams; one more is answered 503.
    pub streams_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(15),
            write_timeout: Duration::from_secs(30),
            connections_max: 16_384,
            silence_when_full: Duration::from_secs(5),
            streams_max: 12_288,
        }
    }
}
