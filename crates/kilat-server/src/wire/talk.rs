//! What the socket below hyper and the service above it know of each other.

use super::strict::Reason;
use futures_util::task::AtomicWaker;
use hyper::Response;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
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
/// Somebody is, by a stream of events without an end: it is of no use to who does not listen.
const STREAMING: u8 = 2;

const EVENT_STREAM: &[u8] = b"text/event-stream";

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
        if is_event_stream(reply.headers()) {
            self.0.change(STREAMING);
        }
        reply.map(|body| Answering { body, _answer: self })
    }
}

/// Whether a reply is a stream of events, which has no end and may be silent.
pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    kind.get(..EVENT_STREAM.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(EVENT_STREAM))
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

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use futures_util::stream;
    use http_body_util::StreamBody;
    use std::convert::Infallible;

    /// A table of orders is sent as it is read, so nobody knows its length; whoever ends sending
    /// behind the request gets all of it.
    #[test]
    fn only_a_stream_of_events_is_for_those_alone_who_listen() {
        for (kind, state) in [
            ("text/csv; charset=utf-8", ANSWERING),
            ("text/event-stream", STREAMING),
            ("Text/Event-Stream; charset=utf-8", STREAMING),
        ] {
            let frames = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x")))]);
            let reply =
                Response::builder().header(CONTENT_TYPE, kind).body(StreamBody::new(frames));
            let talk = Arc::<Talk>::default();
            let reply = talk.answer().with(reply.unwrap());
            assert_eq!(talk.state.load(Ordering::Relaxed), state, "{kind}");
            drop(reply);
            assert_eq!(talk.state.load(Ordering::Relaxed), IDLE, "{kind}");
        }
    }
}
