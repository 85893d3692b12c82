//! What the socket below hyper and the service above it know of each other.

use super::strict::Reason;
use futures_util::task::AtomicWaker;
use hyper::Response;
use hyper::body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

/// One connection.
#[derive(Default)]
pub(crate) struct Talk {
    refused: OnceLock<Reason>,
    /// Requests so far that were taken over by the service.
    taken: AtomicUsize,
    /// One of those below.
    state: AtomicU8,
    /// Whoever reads, when it has to hear of a change of the state.
    reader: AtomicWaker,
}

/// Nobody is being answered.
const IDLE: u8 = 0;
/// Somebody is, by a reply that has an end.
const ANSWERING: u8 = 1;
/// Somebody is, by a reply without a known end: it is of no use to who does not listen.
const STREAMING: u8 = 2;

impl Talk {
    /// Why the connection is not read any further, once it is not.
    pub(crate) fn refused(&self) -> Option<Reason> {
        self.refused.get().copied()
    }

    /// Only the first reason counts.
    pub(super) fn refuse(&self, reason: Reason) {
        let _ = self.refused.set(reason);
    }

    /// Notes that a request was taken over, until its [`Answer`] is dropped.
    pub(crate) fn answer(self: &Arc<Self>) -> Answer {
        self.taken.fetch_add(1, Ordering::Relaxed);
        self.state.store(ANSWERING, Ordering::Relaxed);
        Answer(Arc::clone(self))
    }

    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Whether nobody is being answered; `cx` is woken when that changes.
    pub(super) fn is_idle(&self, cx: &Context<'_>) -> bool {
        self.reader.register(cx.waker());
        self.state.load(Ordering::Relaxed) == IDLE
    }

    /// Whether somebody gets a reply that has an end; `cx` is woken when that changes.
    pub(super) fn is_answering(&self, cx: &Context<'_>) -> bool {
        self.reader.register(cx.waker());
        self.state.load(Ordering::Relaxed) == ANSWERING
    }

    fn change(&self, state: u8) {
        self.state.store(state, Ordering::Relaxed);
        self.reader.wake();
    }
}

/// A request that is being answered.
pub(crate) struct Answer(Arc<Talk>);

impl Answer {
    /// Goes with the body of the reply, to its end.
    pub(crate) fn with<B: Body>(self, reply: Response<B>) -> Response<Answering<B>> {
        let has_end = reply.body().size_hint().exact().is_some();
        if !has_end {
            self.0.change(STREAMING);
        }
        reply.map(|body| Answering { body, _answer: self })
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.0.change(IDLE);
    }
}

/// The body of a reply on its way.
pub(crate) struct Answering<B> {
    body: B,
    _answer: Answer,
}

impl<B: Body + Unpin> Body for Answering<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
