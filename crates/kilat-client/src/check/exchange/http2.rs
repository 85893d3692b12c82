//! Many requests over one HTTP/2 connection, by hyper.

use super::dial::Stream;
use super::http1::{Answered, Fault, is_ours};
use super::pool::Slot;
use super::setback::Setback;
use super::{HEAD_BYTES_MAX, Limits, Reply, Request, SMALL_BODY_BYTES, USER_AGENT};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::Uri;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper::header::{HeaderValue, USER_AGENT as USER_AGENT_NAME};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Most requests at once over one connection, however many the server allows.
const STREAMS_MAX: usize = 1_000;
/// Bytes of one reply that may arrive before they are read.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
/// Bytes of all replies of one connection that may arrive before they are read.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;

type Driver = Connection<TokioIo<Stream>, Full<Bytes>, TokioExecutor>;

/// An HTTP/2 connection.
#[derive(Clone)]
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    load: Arc<Load>,
}

struct Load {
    streams: AtomicUsize,
    streams_max: AtomicUsize,
}

/// One place on a connection, free again when dropped.
pub(super) struct Place {
    link: Link,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.link.load.streams.fetch_sub(1, Relaxed);
    }
}

impl Link {
    /// Begins to speak HTTP/2 over a new connection.
    pub(super) async fn open(stream: Stream, slot: Slot) -> Result<Link, Setback> {
        let (sender, driver) = Builder::new(TokioExecutor::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(HEAD_BYTES_MAX as u32)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|e| setback(&e))?;
        let load = Load {
            streams: AtomicUsize::new(0),
            streams_max: AtomicUsize::new(streams_max(&driver)),
        };
        let load = Arc::new(load);
        tokio::spawn(drive(driver, Arc::clone(&load), slot));
        Ok(Link { sender, load })
    }

    /// A place for one request, if there is a free one.
    pub(super) fn place(&self) -> Option<Place> {
        let Load { streams, streams_max } = &*self.load;
        if self.is_closed() || streams.load(Relaxed) >= streams_max.load(Relaxed) {
            return None;
        }
        streams.fetch_add(1, Relaxed);
        Some(Place { link: self.clone() })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.load.streams.load(Relaxed) == 0
    }
}

/// Keeps the connection going until nobody needs it, and watches how much it may carry.
async fn drive(driver: Driver, load: Arc<Load>, slot: Slot) {
    let mut driver = pin!(driver);
    poll_fn(|cx| {
        let done = driver.as_mut().poll(cx);
        load.streams_max.store(streams_max(&driver), Relaxed);
        done.map(|_| ())
    })
    .await;
    drop(slot);
}

fn streams_max(driver: &Driver) -> usize {
    driver.current_max_send_streams().clamp(1, STREAMS_MAX)
}

impl Place {
    /// Sends `request` to `uri` and reads the reply.
    pub(super) async fn call(
        mut self,
        request: &Request,
        uri: &Uri,
        limits: &Limits,
    ) -> Result<Answered, Fault> {
        let mut message = hyper::Request::new(Full::new(request.body.clone()));
        *message.method_mut() = request.method.clone();
        *message.uri_mut() = uri.clone();
        let headers = message.headers_mut();
        headers.insert(USER_AGENT_NAME, HeaderValue::from_static(USER_AGENT));
        for (name, value) in request.headers.iter().filter(|(name, _)| !is_ours(name)) {
            headers.insert(name, value.clone());
        }
        let silent = |e: hyper::Error| Fault { setback: setback(&e), is_silent: true };
        let response = self.link.sender.send_request(message).await.map_err(silent)?;
        let (head, body) = response.into_parts();
        let body = read(body, limits).await?;
        let reply = Reply { status: head.status.as_u16(), headers: head.headers, body };
        Ok(Answered { reply, keeps_alive: true })
    }
}

async fn read(mut body: Incoming, limits: &Limits) -> Result<Bytes, Setback> {
    let too_large = || Setback::TooLarge(limits.body_bytes_max);
    if body.size_hint().lower() > limits.body_bytes_max as u64 {
        return Err(too_large());
    }
    let mut bytes = BytesMut::new();
    let mut permit = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| setback(&e))?;
        let Some(data) = frame.data_ref() else { continue };
        if bytes.len() + data.len() > limits.body_bytes_max {
            return Err(too_large());
        }
        bytes.extend_from_slice(data);
        if bytes.len() > SMALL_BODY_BYTES && permit.is_none() {
            permit = limits.large_bodies.acquire().await.ok();
        }
    }
    Ok(bytes.freeze())
}

/// What a failure of hyper's means.
fn setback(error: &hyper::Error) -> Setback {
    let mut deepest: &dyn Error = error;
    while let Some(source) = deepest.source() {
        if source.is::<std::io::Error>() {
            return Setback::Closed;
        }
        deepest = source;
    }
    if error.is_closed() || error.is_canceled() || error.is_incomplete_message() {
        return Setback::Closed;
    }
    Setback::Garbled(deepest.to_string())
}
