//! The body of a request: kept until it is answered when it is small, else passed on as it comes.
//!
//! Must never know what a body means or where it goes.

use super::limits::{BODY_BYTES_MAX, KEPT_BODY_BYTES_MAX, KEPT_BYTES_MAX};
use super::refusal::Refusal;
use crate::seats::{Seat, Seats};
use crate::wire::Talk;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use kilat_api::problem::Code;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

/// What a replica gets.
pub(super) enum Upload {
    /// All of it; gone once it was sent.
    Whole(Option<Bytes>),
    /// The beginning of it, and what comes.
    Passing(Box<Passing>),
}

/// Why a body did not arrive whole, once it did not.
pub(super) type Fault = Arc<OnceLock<Refusal>>;

/// A body that is passed on as it comes.
pub(super) struct Passing {
    first: Option<Bytes>,
    rest: Incoming,
    /// Bytes that may still come.
    left: u64,
    deadline: Pin<Box<Sleep>>,
    talk: Arc<Talk>,
    fault: Fault,
    _seat: Seat,
}

/// A body that ended before its end.
#[derive(Debug)]
pub(super) struct CutOff;

/// Room for bodies that are kept.
pub(super) struct Store {
    used: AtomicUsize,
    uploads: Seats,
    body_timeout: Duration,
}

/// The room that one body takes.
pub(super) struct Room {
    store: Arc<Store>,
    bytes: usize,
}

/// What became of a body.
pub(super) struct Taken {
    pub(super) upload: Upload,
    /// To be kept as long as the upload may be sent again.
    pub(super) room: Option<Room>,
    /// Told when the upload is passed on and does not end well.
    pub(super) fault: Option<Fault>,
}

impl Store {
    pub(super) fn new(uploads_max: usize, body_timeout: Duration) -> Store {
        Store { used: AtomicUsize::new(0), uploads: Seats::new(uploads_max), body_timeout }
    }

    /// Reads a body, or as much of it as is kept.
    ///
    /// # Errors
    /// 413 over the limit, 408 over the deadline, 400 for one that breaks off, 503 without room.
    pub(super) async fn take(
        self: &Arc<Self>,
        body: Incoming,
        talk: &Arc<Talk>,
    ) -> Result<Taken, Refusal> {
        if body.is_end_stream() {
            return Ok(Taken { upload: Upload::Whole(None), room: None, fault: None });
        }
        let length = body.size_hint().exact();
        if length.is_some_and(|length| length > BODY_BYTES_MAX) {
            return Err(too_large());
        }
        let mut gathering = Gathering {
            body,
            first: Bytes::new(),
            all: BytesMut::new(),
            room: Room { store: Arc::clone(self), bytes: 0 },
        };
        let deadline = Instant::now() + self.body_timeout;
        let is_small = length.is_none_or(|length| length <= KEPT_BODY_BYTES_MAX as u64);
        let is_whole = is_small
            && timeout_at(deadline, gathering.run())
                .await
                .map_err(|_| too_slow())?
                .map_err(|refusal| talk.refused().map_or(refusal, Refusal::from))?;
        let Gathering { body, first, all, room } = gathering;
        let bytes = if all.is_empty() { first } else { all.freeze() };
        if is_whole {
            let upload = Upload::Whole(Some(bytes));
            return Ok(Taken { upload, room: Some(room), fault: None });
        }
        let seat = self.uploads.take().ok_or(busy())?;
        let fault = Fault::default();
        let passing = Passing {
            left: BODY_BYTES_MAX - bytes.len() as u64,
            first: Some(bytes).filter(|bytes| !bytes.is_empty()),
            rest: body,
            deadline: Box::pin(sleep_until(deadline)),
            talk: Arc::clone(talk),
            fault: Arc::clone(&fault),
            _seat: seat,
        };
        let upload = Upload::Passing(Box::new(passing));
        Ok(Taken { upload, room: None, fault: Some(fault) })
    }
}

/// A body on its way into memory; what has come stays here when it is given up.
struct Gathering {
    body: Incoming,
    /// One piece stays as it is; more are put together.
    first: Bytes,
    all: BytesMut,
    room: Room,
}

impl Gathering {
    /// Whether it is whole now; otherwise it is too large to be kept.
    async fn run(&mut self) -> Result<bool, Refusal> {
        while let Some(frame) = self.body.frame().await {
            let Ok(data) = frame.map_err(|_| broken_off())?.into_data() else {
                continue;
            };
            if !self.room.grow(data.len()) {
                return Err(busy());
            }
            self.add(data);
            if self.room.bytes > KEPT_BODY_BYTES_MAX {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn add(&mut self, data: Bytes) {
        if self.first.is_empty() && self.all.is_empty() {
            self.first = data;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&data);
    }
}

impl Room {
    fn grow(&mut self, bytes: usize) -> bool {
        let used = self.store.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        used + bytes <= KEPT_BYTES_MAX
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.store.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

fn too_large() -> Refusal {
    Refusal::closing(Code::TooLarge)
}

fn too_slow() -> Refusal {
    Refusal::closing(Code::RequestTimeout)
}

fn broken_off() -> Refusal {
    Refusal::closing(Code::Malformed).because("the body broke off")
}

fn busy() -> Refusal {
    Refusal::closing(Code::Overloaded)
}

impl Upload {
    /// The same again, if it is kept.
    pub(super) fn copy(&self) -> Option<Upload> {
        match self {
            Upload::Whole(bytes) => Some(Upload::Whole(bytes.clone())),
            Upload::Passing(_) => None,
        }
    }
}

impl Passing {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let fault = match Pin::new(&mut self.rest).poll_frame(cx) {
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                match self.left.checked_sub(bytes) {
                    Some(left) => {
                        self.left = left;
                        return Poll::Ready(Some(Ok(frame)));
                    }
                    None => too_large(),
                }
            }
            Poll::Ready(Some(Err(_))) => self.talk.refused().map_or(broken_off(), Refusal::from),
            Poll::Pending if self.deadline.as_mut().poll(cx).is_pending() => return Poll::Pending,
            Poll::Pending => too_slow(),
        };
        let _ = self.fault.set(fault);
        Poll::Ready(Some(Err(CutOff)))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        match &mut *self {
            Upload::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Upload::Passing(passing) => passing.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Upload::Whole(bytes) => bytes.is_none(),
            Upload::Passing(passing) => passing.first.is_none() && passing.rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Upload::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64)
            }
            // What is sent first was not passed on yet.
            Upload::Passing(passing) if passing.first.is_none() => passing.rest.size_hint(),
            Upload::Passing(_) => SizeHint::default(),
        }
    }
}

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body ended before its end")
    }
}

impl std::error::Error for CutOff {}
