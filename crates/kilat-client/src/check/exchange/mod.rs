//! One request to its reply, or to the reason why there is none: bounded in time, in bytes and
//! in connections, whatever the other side does.
//!
//! Carries requests and understands neither ids nor replies; never retries what failed, beyond
//! what no server looked at: a pooled connection turned out to be closed, or HTTP/2 says so.
//!
//! HTTP/1 is spoken here and not by hyper's client because of its cost per connection: see
//! [`http1`]. HTTP/2 is hyper's.
//!
//! | module | holds |
//! |---|---|
//! | `setback` | why no reply came |
//! | `pool` | connections that wait for the next request, by origin |
//! | `dial` | a new connection: address, TCP, TLS |
//! | `names` | addresses of hosts |
//! | `guard` | which addresses are private |
//! | `tls` | whom to trust |
//! | `http1`, `head`, `chunked` | one request over HTTP/1 |
//! | `http2` | requests over one HTTP/2 connection |
//! | `room` | what the bodies of replies may take |
//! | `redirect` | where a redirect leads, and whether to follow |

mod chunked;
mod dial;
mod guard;
mod head;
mod http1;
mod http2;
mod names;
mod pool;
mod redirect;
mod room;
mod setback;
mod tls;

pub(crate) use setback::Setback;

use super::call::{Reply, Request};
use super::gauges::Gauge;
use crate::{ClientError, Lang};
use hyper::Uri;
use hyper::header::CONTENT_ENCODING;
use pool::Pool;
use room::Limits;
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What every request says of its sender, unless its profile says something else.
const USER_AGENT: &str = concat!("kilat/", env!("CARGO_PKG_VERSION"));
/// Longest head of a reply, in bytes; interim replies before it and trailers after it included.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// Most redirects that one attempt follows.
const REDIRECTS_MAX: usize = 3;
/// Files that a process needs beside its connections: logs, inputs, standard streams.
const SPARE_FILES: u64 = 64;

/// How requests are carried.
#[derive(Clone, Debug)]
pub(crate) struct ExchangeOptions {
    /// From the beginning of an attempt until its reply is whole: waiting for a connection,
    /// connecting, sending, receiving, redirects.
    pub(crate) timeout: Duration,
    /// Longest body of a reply, in bytes.
    pub(crate) body_bytes_max: usize,
    /// When HTTP/2 is spoken.
    pub(crate) http2: Http2,
    /// Certificate authorities to trust beside the well-known ones: a PEM file.
    pub(crate) ca: Option<PathBuf>,
    /// Most connections, and most requests under way; at least 1. Whoever sends more at once
    /// waits, at the cost of the attempt's time.
    pub(crate) connections_max: usize,
    /// Whether guarded requests may go to private addresses.
    pub(crate) allow_private: bool,
}

impl Default for ExchangeOptions {
    fn default() -> Self {
        ExchangeOptions {
            timeout: Duration::from_secs(10),
            body_bytes_max: 256 << 10,
            http2: Http2::Auto,
            ca: None,
            connections_max: 1_000,
            allow_private: false,
        }
    }
}

/// When HTTP/2 is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Http2 {
    /// Over TLS, if the server chooses it (ALPN).
    Auto,
    /// Always, with or without TLS.
    PriorKnowledge,
}

/// Carries requests over connections that it keeps. Cheap to clone; all clones share them.
#[derive(Clone)]
pub(crate) struct Exchange {
    shared: Arc<Shared>,
}

struct Shared {
    timeout: Duration,
    in_flight: Semaphore,
    pool: Pool,
}

impl Exchange {
    /// # Errors
    /// [`ClientError::Usage`] when the file of certificate authorities can't be used.
    pub(crate) fn new(options: &ExchangeOptions, lang: Lang) -> Result<Exchange, ClientError> {
        let connections_max = options.connections_max.clamp(1, Semaphore::MAX_PERMITS);
        let dialer = dial::Dialer::new(options, lang)?;
        let shared = Shared {
            timeout: options.timeout,
            in_flight: Semaphore::new(connections_max),
            pool: Pool::new(connections_max, dialer, Limits::new(options.body_bytes_max)),
        };
        Ok(Exchange { shared: Arc::new(shared) })
    }

    /// Requests sent beyond one for each call of [`Exchange::send`]: redirects that were
    /// followed, and what a closed connection had lost.
    pub(crate) fn extras(&self) -> &Gauge {
        &self.shared.pool.extras
    }

    /// Sends a request and waits for its whole reply. Redirects within the origin are
    /// followed. Must be called within a tokio runtime that has I/O and time.
    ///
    /// # Errors
    /// Why there is no reply; what was sent may have arrived nevertheless.
    pub(crate) async fn send(&self, request: &Request) -> Result<Reply, Setback> {
        let timeout = self.shared.timeout;
        tokio::time::timeout(timeout, self.follow(request))
            .await
            .unwrap_or(Err(Setback::TimedOut(timeout)))
    }

    async fn follow(&self, request: &Request) -> Result<Reply, Setback> {
        let Shared { in_flight, pool, .. } = &*self.shared;
        // Never closed, so there is always a permit in the end.
        let _permit = in_flight.acquire().await;
        let mut uri = Cow::Borrowed(&request.uri);
        for hop in 0..=REDIRECTS_MAX {
            if hop > 0 {
                pool.extras.add_one();
            }
            let reply = pool.ask(request, &uri).await?;
            match redirect::next(&request.method, &uri, &reply)? {
                None => return plain(reply),
                Some(to) => uri = Cow::Owned(to),
            }
        }
        Err(Setback::RedirectedOften { most: REDIRECTS_MAX, to: Uri::to_string(&uri) })
    }
}

/// The reply, when its body is what it is and not compressed: a bomb is never unpacked.
fn plain(reply: Reply) -> Result<Reply, Setback> {
    for coding in reply.headers.get_all(CONTENT_ENCODING) {
        if !coding.as_bytes().eq_ignore_ascii_case(b"identity") {
            return Err(Setback::Encoded(String::from_utf8_lossy(coding.as_bytes()).into()));
        }
    }
    Ok(reply)
}

/// How many of `wanted` connections the system lets this process have; raises the limit of
/// open files as far as it may.
pub(crate) fn connections_allowed(wanted: usize) -> usize {
    let needed = (wanted as u64).saturating_add(SPARE_FILES);
    let current = rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(0, |(soft, _)| soft);
    let allowed = if current >= needed {
        current
    } else {
        rlimit::increase_nofile_limit(needed).unwrap_or(current)
    };
    wanted.min(usize::try_from(allowed.saturating_sub(SPARE_FILES)).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests;
