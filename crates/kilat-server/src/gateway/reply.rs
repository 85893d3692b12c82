//! The body of a reply: whole before any of it is passed on when it is small, so that a replica
//! which dies meanwhile can still be replaced; else passed on as it comes.
//!
//! Must never know a request.

use super::limits::{KEPT_REPLY_BYTES_MAX, KEPT_REPLY_TIME_MAX, REPLY_SILENCE_MAX};
use super::pool::Lease;
use crate::seats::Seat;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::watch;
use tokio::time::{Sleep, sleep, timeout};

/// What a client gets.
pub(super) enum ReplyBody {
    /// All of it; gone once it was sent.
    Whole(Option<Bytes>),
    /// The beginning of it, and what comes.
    Passing(Box<Passing>),
}

/// A body that is passed on as it comes.
pub(super) struct Passing {
    first: Option<Bytes>,
    rest: Incoming,
    /// Goes back when the body has ended well; otherwise the connection is closed.
    lease: Option<Lease>,
    /// When to give up, and when to end in good order.
    end: End,
    _seat: Seat,
}

enum End {
    /// After a silence, which is a fault.
    Silence(Pin<Box<Sleep>>),
    /// When the gateway stops: who follows events comes back and finds another.
    Stop(Pin<Box<dyn Future<Output = ()> + Send>>),
}

/// A reply that ended before its end.
#[derive(Debug)]
pub(super) struct CutOff;

/// What a replica that is stopping says of a request that it did not carry out.
const SHUTTING_DOWN: &[u8] = b"\"code\":\"shutting_down\"";

/// Whether a reply says that its replica is stopping.
pub(super) fn is_leaving(status: StatusCode, body: &[u8]) -> bool {
    status == StatusCode::SERVICE_UNAVAILABLE && memchr::memmem::find(body, SHUTTING_DOWN).is_some()
}

/// A reply's body as it is kept back.
pub(super) struct Kept {
    pub(super) bytes: Bytes,
    pub(super) is_whole: bool,
}

/// Reads a body until it is whole, too large, or late.
///
/// # Errors
/// When the replica ends it before its end.
pub(super) async fn keep(body: &mut Incoming) -> Result<Kept, hyper::Error> {
    if body.is_end_stream() {
        return Ok(Kept { bytes: Bytes::new(), is_whole: true });
    }
    let is_large = |length| length > KEPT_REPLY_BYTES_MAX as u64;
    if body.size_hint().exact().is_some_and(is_large) {
        return Ok(Kept { bytes: Bytes::new(), is_whole: false });
    }
    let (mut first, mut all) = (Bytes::new(), BytesMut::new());
    let gathered = timeout(KEPT_REPLY_TIME_MAX, gather(body, &mut first, &mut all)).await;
    let is_whole = gathered.unwrap_or(Ok(false))?;
    Ok(Kept { bytes: if all.is_empty() { first } else { all.freeze() }, is_whole })
}

/// One piece stays as it is; more are put together.
async fn gather(
    body: &mut Incoming,
    first: &mut Bytes,
    all: &mut BytesMut,
) -> Result<bool, hyper::Error> {
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        if first.is_empty() {
            *first = data;
        } else {
            if all.is_empty() {
                all.extend_from_slice(first);
            }
            all.extend_from_slice(&data);
        }
        if first.len().max(all.len()) > KEPT_REPLY_BYTES_MAX {
            return Ok(false);
        }
    }
    Ok(true)
}

impl ReplyBody {
    pub(super) fn whole(bytes: Bytes) -> ReplyBody {
        ReplyBody::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }

    /// `first`, then the rest as it comes; a stream of events ends when `stopping` turns `true`.
    pub(super) fn passing(
        first: Bytes,
        rest: Incoming,
        lease: Lease,
        seat: Seat,
        stopping: Option<watch::Receiver<bool>>,
    ) -> ReplyBody {
        let end = match stopping {
            None => End::Silence(Box::pin(sleep(REPLY_SILENCE_MAX))),
            Some(mut stopping) => End::Stop(Box::pin(async move {
                // An end of the sender is a stop, too.
                let _ = stopping.wait_for(|stopping| *stopping).await;
            })),
        };
        let first = Some(first).filter(|first| !first.is_empty());
        ReplyBody::Passing(Box::new(Passing { first, rest, lease: Some(lease), end, _seat: seat }))
    }
}

impl Passing {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        match Pin::new(&mut self.rest).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.note_progress();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(CutOff))),
            Poll::Ready(None) => {
                self.lease.take().into_iter().for_each(Lease::give_back);
                Poll::Ready(None)
            }
            Poll::Pending => match &mut self.end {
                End::Silence(limit) => limit.as_mut().poll(cx).map(|()| Some(Err(CutOff))),
                End::Stop(stop) => stop.as_mut().poll(cx).map(|()| None),
            },
        }
    }

    fn note_progress(&mut self) {
        if let End::Silence(limit) = &mut self.end {
            limit.as_mut().reset(tokio::time::Instant::now() + REPLY_SILENCE_MAX);
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        match &mut *self {
            ReplyBody::Whole(bytes) => {
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))))
            }
            ReplyBody::Passing(passing) => passing.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ReplyBody::Whole(bytes) => bytes.is_none(),
            ReplyBody::Passing(passing) => passing.first.is_none() && passing.rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ReplyBody::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64)
            }
            ReplyBody::Passing(passing) if passing.first.is_none() => passing.rest.size_hint(),
            ReplyBody::Passing(_) => SizeHint::default(),
        }
    }
}

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reply ended before its end")
    }
}

impl std::error::Error for CutOff {}
