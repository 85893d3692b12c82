//! Many requests over one HTTP/2 connection, by hyper.

use super::dial::{Slot, Stream};
use super::http1::{Answered, Fault, Heed, host, is_ours};
use super::room::Limits;
use super::setback::Setback;
use super::{HEAD_BYTES_MAX, Reply, Request, USER_AGENT};
use bytes::{Bytes, BytesMut};
use h2::Reason;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper::header::{HeaderName, HeaderValue, USER_AGENT as USER_AGENT_NAME};
use hyper::{HeaderMap, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// Most requests at once over one connection, however many the server allows.
const STREAMS_MAX: usize = 256;
/// What is taken for the server's limit until it tells: the least that RFC 9113 recommends.
const STREAMS_UNTOLD: usize = 100;
/// Stands for a limit that the server has not told: more than is ever used.
const UNTOLD: usize = STREAMS_MAX + 1;
/// The first pause before looking whether the server told its limit; each is twice the last.
const SETTINGS_PAUSE: Duration = Duration::from_millis(1);
/// From a pause like this on it is not waited for: a second in all.
const SETTINGS_PAUSE_MAX: Duration = Duration::from_millis(1 << 10);
/// How long a connection with open requests may be silent before it is asked whether it is
/// alive, and how long it may take to say so.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Bytes of one reply that may arrive before they are read, and before there is room for it.
const STREAM_WINDOW_BYTES: u32 = 32 << 10;
/// Bytes of all replies of one connection that may arrive before they are read: so many that
/// those that wait for room never keep the others from going on.
const CONNECTION_WINDOW_BYTES: u32 = STREAMS_MAX as u32 * STREAM_WINDOW_BYTES;

/// Longest head that is taken at all: one between this and [`HEAD_BYTES_MAX`] is told as what it
/// is, and not as a fault of the stream.
const HEAD_BYTES_TAKEN: u32 = 4 * HEAD_BYTES_MAX as u32;
/// What HTTP/2 counts for a header field beside its name and value (RFC 9113, 6.5.2).
const FIELD_BYTES: usize = 32;

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
    /// It left a request unheard: hyper learns that only from the next one.
    is_over: AtomicBool,
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
        let (sender, mut driver) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(SILENCE_MAX)
            .keep_alive_timeout(SILENCE_MAX)
            .initial_max_send_streams(UNTOLD)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(HEAD_BYTES_TAKEN)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|e| setback(&e))?;
        let streams_max = settle(&mut driver).await?;
        let (streams, streams_max) = (AtomicUsize::new(0), AtomicUsize::new(streams_max));
        let load = Arc::new(Load { streams, streams_max, is_over: AtomicBool::new(false) });
        tokio::spawn(drive(driver, Arc::clone(&load), slot));
        Ok(Link { sender, load })
    }

    /// A place for one request, if there is a free one.
    pub(super) fn place(&self) -> Option<Place> {
        let Load { streams, streams_max, .. } = &*self.load;
        if self.is_closed() || streams.load(Relaxed) >= streams_max.load(Relaxed) {
            return None;
        }
        streams.fetch_add(1, Relaxed);
        Some(Place { link: self.clone() })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed() || self.load.is_over.load(Relaxed)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.load.streams.load(Relaxed) == 0
    }

    /// What a request without a reply means, also for those to come.
    fn fault(&self, error: &hyper::Error) -> Fault {
        let heed = heed(error);
        if heed == Heed::Unheard {
            self.load.is_over.store(true, Relaxed);
        }
        Fault { setback: setback(error), heed }
    }
}

/// Waits until the server tells how many requests at once it takes: it refuses those beyond.
/// Nothing announces that, so it is looked for now and then.
async fn settle(driver: &mut Driver) -> Result<usize, Setback> {
    let mut pause = SETTINGS_PAUSE;
    while pause < SETTINGS_PAUSE_MAX {
        match tokio::time::timeout(pause, &mut *driver).await {
            Ok(Err(e)) => return Err(no_beginning(setback(&e))),
            Ok(Ok(())) => return Err(Setback::NoHttp2),
            Err(_) => {}
        }
        if let Some(told) = streams_max(driver) {
            return Ok(told);
        }
        pause *= 2;
    }
    Ok(STREAMS_UNTOLD)
}

/// Before anything was asked only a server of another protocol breaks the rules.
fn no_beginning(setback: Setback) -> Setback {
    if let Setback::Garbled(_) = setback { Setback::NoHttp2 } else { setback }
}

fn streams_max(driver: &Driver) -> Option<usize> {
    let told = driver.current_max_send_streams();
    (told != UNTOLD).then(|| told.clamp(1, STREAMS_MAX))
}

/// Keeps the connection going until nobody needs it, and watches how much it may carry.
async fn drive(driver: Driver, load: Arc<Load>, slot: Slot) {
    let mut driver = pin!(driver);
    poll_fn(|cx| {
        let done = driver.as_mut().poll(cx);
        if let Some(told) = streams_max(&driver) {
            load.streams_max.store(told, Relaxed);
        }
        done.map(|_| ())
    })
    .await;
    drop(slot);
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
        *message.uri_mut() = target(uri)?;
        let headers = message.headers_mut();
        headers.insert(USER_AGENT_NAME, HeaderValue::from_static(USER_AGENT));
        for (name, value) in request.headers.iter().filter(|(name, _)| !is_ours(name)) {
            headers.insert(name, value.clone());
        }
        let response = self.link.sender.send_request(message).await;
        let response = response.map_err(|e| self.link.fault(&e))?;
        let (head, body) = response.into_parts();
        let body = read(body, within(0, &head.headers)?, limits).await?;
        let reply = Reply { status: head.status.as_u16(), headers: head.headers, body };
        Ok(Answered { reply, keeps_alive: true })
    }
}

/// The URI without a user's name, which has no place in a request.
fn target(uri: &Uri) -> Result<Uri, Setback> {
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if !has_user {
        return Ok(uri.clone());
    }
    let mut parts = uri.clone().into_parts();
    parts.authority = host(uri).parse().ok();
    Uri::from_parts(parts).map_err(|e| Setback::Unsendable(e.to_string()))
}

/// The length of a head, or of it and its trailers, while that is within the limit.
fn within(before: usize, fields: &HeaderMap) -> Result<usize, Setback> {
    let field = |(name, value): (&HeaderName, &HeaderValue)| {
        name.as_str().len() + value.len() + FIELD_BYTES
    };
    let bytes = before + fields.iter().map(field).sum::<usize>();
    if bytes > HEAD_BYTES_MAX { Err(Setback::HeadTooLarge(HEAD_BYTES_MAX)) } else { Ok(bytes) }
}

/// Reads the body behind a head of this many bytes.
async fn read(mut body: Incoming, head_bytes: usize, limits: &Limits) -> Result<Bytes, Setback> {
    let mut room = limits.room();
    let length = body.size_hint().exact();
    room.take(length.unwrap_or(0)).await?;
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| setback(&e))?;
        if let Some(trailers) = frame.trailers_ref() {
            within(head_bytes, trailers)?;
        }
        let Some(data) = frame.data_ref() else { continue };
        room.grow(bytes.len() + data.len()).await?;
        bytes.extend_from_slice(data);
    }
    // A stream that the server resets without an error ends like a whole body.
    if body.is_end_stream() { Ok(bytes.freeze()) } else { Err(Setback::Closed) }
}

/// How far the request got. A server that breaks it off for a reason of its own has said what
/// there is to say, and is not asked again at once.
fn heed(error: &hyper::Error) -> Heed {
    match protocol_error(error) {
        // Too much for now, unless the connection ends by and by.
        Some(e) if e.is_reset() => Heed::silent_if(e.reason() == Some(Reason::REFUSED_STREAM)),
        // Said of requests behind the last that it looked at (RFC 9113, 6.8), and of no others.
        Some(e) if e.is_go_away() && e.is_remote() => match e.reason() {
            Some(Reason::NO_ERROR) => Heed::Unheard,
            Some(Reason::ENHANCE_YOUR_CALM) => Heed::Heeded,
            _ => Heed::Silent,
        },
        Some(e) => Heed::silent_if(e.is_io() || e.reason() == Some(Reason::NO_ERROR)),
        // Never sent: the end of the connection was seen in time.
        None if error.is_canceled() => Heed::Unheard,
        None => Heed::silent_if(setback(error) == Setback::Closed),
    }
}

fn protocol_error(error: &hyper::Error) -> Option<&h2::Error> {
    let mut next = error.source();
    while let Some(source) = next {
        if let Some(found) = source.downcast_ref() {
            return Some(found);
        }
        next = source.source();
    }
    None
}

/// What a failure of hyper's means.
fn setback(error: &hyper::Error) -> Setback {
    if let Some(e) = protocol_error(error).filter(|e| e.is_remote() && e.reason().is_some()) {
        let reason = e.reason().unwrap_or(Reason::NO_ERROR);
        let is_overload = matches!(reason, Reason::ENHANCE_YOUR_CALM | Reason::REFUSED_STREAM);
        return match reason {
            Reason::NO_ERROR => Setback::Closed,
            _ => Setback::BrokenOff { why: reason.description().to_owned(), is_overload },
        };
    }
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
