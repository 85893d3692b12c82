//! Every limit of the gateway, by name, and what happens when it is reached.
//!
//! Knows numbers only.

use crate::limits::{BATCH_BODY_BYTES_MAX, CROWDING_MEMORY, PUBLISH_BODY_BYTES_MAX};
use crate::wire::Rules;
use std::time::Duration;

/// Largest head of a request; a larger one is answered 431.
pub const HEAD_BYTES_MAX: usize = crate::limits::HEAD_BYTES_MAX;
/// Headers that the gateway adds to a request at most.
pub(super) const HEADERS_ADDED_MAX: usize = 8;
/// Most headers of a request; more are answered 431. With those added it is what a replica takes.
pub const HEADERS_MAX: usize = crate::limits::HEADERS_MAX - HEADERS_ADDED_MAX;
/// How requests are read. A client that ends sending has mostly given up, and others wait for its place.
pub(super) const RULES: Rules =
    Rules { headers_max: HEADERS_MAX, any_method: false, any_shape: false, half_closed: false };
/// Largest body of a request; a larger one is answered 413. No replica takes a larger one.
pub const BODY_BYTES_MAX: u64 = if BATCH_BODY_BYTES_MAX > PUBLISH_BODY_BYTES_MAX {
    BATCH_BODY_BYTES_MAX as u64
} else {
    PUBLISH_BODY_BYTES_MAX as u64
};
/// Largest body of a request that is kept until it is answered, so that it can be sent again; a
/// larger one is passed on as it comes, once.
pub const KEPT_BODY_BYTES_MAX: usize = 64 * 1024;
/// Bytes of bodies that are kept at a time, in each thread; past it a body is answered 503.
pub const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Largest reply that is read whole before any of it is passed on, so that a replica that dies
/// meanwhile can be replaced by another.
pub const KEPT_REPLY_BYTES_MAX: usize = 64 * 1024;
/// Longest time that a reply which is not whole is kept back.
pub const KEPT_REPLY_TIME_MAX: Duration = Duration::from_millis(250);
/// Most replicas.
pub const REPLICAS_MAX: usize = 64;
/// Most replicas that may fail one after the other with one request; then 502. A break of a connection
/// that it shared with others does not count: any of them may have been to blame.
pub const LOSSES_MAX: u32 = 3;
/// Most times that a request leaves a replica that did not fail: one that is silent while another is
/// ready, or that is stopping. Past it the request waits for the reply.
pub const MOVES_MAX: u32 = 8;
/// Most times that a request finds a replica to which it can't even connect; then 503.
pub const CONNECTS_MAX: u32 = 2 * REPLICAS_MAX as u32;
/// Longest time for a connection to a replica to be made; then another replica is tried.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest time from a request to the head of its reply; then 502.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest silence of a replica in the middle of a reply, streams of events apart; then the
/// connection is cut.
pub const REPLY_SILENCE_MAX: Duration = Duration::from_secs(30);
/// How often a request that waits for its reply looks whether its replica still answers probes.
pub const DOUBT_EVERY: Duration = Duration::from_millis(500);
/// Longest time that a request waits for some replica to come back, all its waits together; then 503.
pub const REPLICA_WAIT: Duration = Duration::from_secs(1);
/// Most requests that wait so, in each thread; one more is answered 503 at once.
pub const WAITING_MAX: usize = 1_024;
/// Time between two probes of a replica, up to a quarter more or less.
pub const PROBE_EVERY: Duration = Duration::from_millis(250);
/// Longest time for a replica to answer a probe; then it counts as silent.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// Most unused connections that are kept to a replica, by each thread.
pub const SPARE_CONNECTIONS_MAX: usize = 512;
/// Longest time that a request waits because its replica is busy with others; then 503.
pub const BUSY_WAIT: Duration = Duration::from_secs(2);
/// Longest time that an unused connection is kept; shorter than any replica's.
pub const SPARE_TIME_MAX: Duration = Duration::from_secs(10);
/// Largest order that the fast lane takes, head and body; a larger one goes the way of all other
/// requests.
pub const LANE_REQUEST_BYTES_MAX: usize = 4 * 1024;
/// Most headers of such an order.
pub(super) const LANE_HEADERS_MAX: usize = 24;
/// Longest time that the fast lane waits for the rest of an order before it lets it go that way, too.
pub const LANE_PATIENCE: Duration = Duration::from_millis(100);
/// Orders that are on one connection of the fast lane at a time before another is opened.
pub const PIPE_DEPTH: usize = 64;
/// Most such connections to a replica, by each thread; past it they carry more.
pub const PIPES_MAX: usize = 8;
/// How often spare connections are looked through.
pub(super) const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// Most bytes that are read ahead of a reply.
pub(super) const REPLY_BUFFER_BYTES_MAX: usize = 64 * 1024;

const _: () = assert!(KEPT_BODY_BYTES_MAX as u64 <= BODY_BYTES_MAX);
const _: () = assert!(KEPT_BODY_BYTES_MAX <= KEPT_BYTES_MAX);
const _: () = assert!(LANE_HEADERS_MAX <= HEADERS_MAX);
const _: () = assert!(LANE_REQUEST_BYTES_MAX <= HEAD_BYTES_MAX);
const _: () = assert!(REPLICAS_MAX <= u64::BITS as usize);

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
    /// Most requests that are with replicas; one more is answered 503 at once.
    pub in_flight_max: usize,
    /// Most requests that are with one replica, in equal shares from each thread; more wait their
    /// turn here. A connection for each of thousands would cost more than the work itself.
    pub replica_busy_max: usize,
    /// Most streams of events; one more is answered 503.
    pub streams_max: usize,
    /// Most bodies that are passed on as they come; one more is answered 503.
    pub uploads_max: usize,
    /// For so long after the last was turned away it counts that callers left before they were
    /// answered.
    pub crowding_memory: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let limits = crate::limits::Limits::default();
        Limits {
            header_timeout: limits.header_timeout,
            body_timeout: limits.body_timeout,
            write_timeout: limits.write_timeout,
            connections_max: limits.connections_max,
            silence_when_full: limits.silence_when_full,
            in_flight_max: 8_192,
            replica_busy_max: SPARE_CONNECTIONS_MAX,
            streams_max: limits.streams_max,
            uploads_max: 256,
            crowding_memory: CROWDING_MEMORY,
        }
    }
}
