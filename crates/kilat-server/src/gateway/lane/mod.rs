//! The fast lane of the gateway: orders, the one request that storms.
//!
//! ```text
//! client ─▶ is it exactly one small order with a key? ─▶ pipe, with those of others ─▶ replica
//!              │ no                                        └─ broken: `exchange` goes on
//!              ▼
//!    hyper takes the client over, with the bytes read so far
//! ```
//!
//! An order costs one read and one write with its client, and a share of a read and a write with
//! its replica. Everything else, all that is wrong included, goes the way of all requests, and so
//! does an order whose replica failed. So what is refused, repeated and limited is written once.
//!
//! Must never know other requests, or how a replica is chosen.

mod admission;
mod order;
mod pipe;
mod reply;

pub(super) use admission::Admission;
pub(super) use pipe::{Broken, Pipes};

use super::exchange::Courier;
use super::forward::{self, Origin};
use super::limits::{LANE_PATIENCE, LANE_REQUEST_BYTES_MAX};
use super::refusal::{Refusal, X_REQUEST_ID};
use super::reply::ReplyBody;
use super::trip::Trip;
use super::upload::Upload;
use super::worker::Worker;
use crate::guests::Guest;
use crate::ids::RequestId;
use crate::metrics;
use futures_util::FutureExt as _;
use hyper::header::HeaderValue;
use hyper::{Method, Request, Response};
use kilat_api::problem::Code;
use order::{Order, Seen};
use reply::{Reply, id_value};
use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};

/// How a client left the lane.
pub(super) enum Left {
    /// The connection is over.
    Gone,
    /// Something else came: all that was read and not answered.
    Else(Vec<u8>),
}

/// A client in the lane.
pub(super) struct Client<'a, S> {
    pub(super) worker: &'a Arc<Worker>,
    pub(super) origin: &'a Origin,
    pub(super) guest: &'a Guest,
    /// The socket under its stream.
    pub(super) socket: fn(&S) -> &TcpStream,
}

/// What a client did.
enum Did {
    /// It sent more.
    More,
    /// It sent nothing more, for so long as it may or for ever.
    NoMore,
    /// It was asked to leave before.
    Leave,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<'_, S> {
    /// Serves orders on `stream` until something else comes.
    ///
    /// # Errors
    /// When the client is gone, or takes nothing.
    pub(super) async fn serve(&self, stream: &mut S) -> io::Result<Left> {
        let limits = &self.worker.shared.limits;
        let mut alarm = Box::pin(sleep(limits.header_timeout));
        let mut unread = Vec::new();
        // Until when the rest of an order is waited for.
        let mut rest_until = None;
        let mut left_counted = false;
        loop {
            match order::look(&unread) {
                Seen::Order(order) => {
                    rest_until = None;
                    let length = order.length;
                    if self.exchange(stream, &order, &mut left_counted).await? {
                        return stream.shutdown().await.map(|()| Left::Gone);
                    }
                    unread.drain(..length);
                }
                Seen::Partial => {
                    let now = Instant::now();
                    let until = if unread.is_empty() {
                        // Who is silent has no buffer.
                        unread = Vec::new();
                        now + limits.header_timeout
                    } else {
                        *rest_until.get_or_insert(now + LANE_PATIENCE)
                    };
                    match self.read(stream, &mut unread, &mut alarm, until).await? {
                        Did::More => {}
                        Did::NoMore | Did::Leave if unread.is_empty() => return Ok(Left::Gone),
                        Did::NoMore | Did::Leave => return Ok(Left::Else(unread)),
                    }
                }
                Seen::Other => return Ok(Left::Else(unread)),
            }
        }
    }

    /// Answers an order; `true` when the connection is over then.
    async fn exchange(
        &self,
        stream: &mut S,
        order: &Order<'_>,
        left_counted: &mut bool,
    ) -> io::Result<bool> {
        self.guest.stir();
        let place = self.worker.admission.admit(self.has_left(stream), left_counted);
        let reply = self.answer(order, place.as_ref().err()).await;
        if let Ok(place) = place {
            place.leave(self.has_left(stream), left_counted);
        }
        let Some(mut reply) = reply else {
            return Ok(true);
        };
        if self.guest.is_asked() {
            reply.close();
        }
        self.send(stream, &reply).await?;
        self.guest.stir();
        Ok(reply.closes)
    }

    /// Reads once, waiting at most `until` then.
    async fn read(
        &self,
        stream: &mut S,
        into: &mut Vec<u8>,
        alarm: &mut Pin<Box<Sleep>>,
        until: Instant,
    ) -> io::Result<Did> {
        // An alarm that rings too early is set again then, and not for each request.
        if alarm.deadline() > until || alarm.is_elapsed() {
            alarm.as_mut().reset(until);
        }
        poll_fn(|cx| {
            if self.guest.poll_asked(cx).is_ready() {
                return Poll::Ready(Ok(Did::Leave));
            }
            let mut scratch = [MaybeUninit::uninit(); LANE_REQUEST_BYTES_MAX];
            let mut buf = ReadBuf::uninit(&mut scratch[into.len()..]);
            if let Poll::Ready(read) = Pin::new(&mut *stream).poll_read(cx, &mut buf) {
                into.extend_from_slice(buf.filled());
                let did = if buf.filled().is_empty() { Did::NoMore } else { Did::More };
                return Poll::Ready(read.map(|()| did));
            }
            while alarm.as_mut().poll(cx).is_ready() {
                if Instant::now() >= until {
                    return Poll::Ready(Ok(Did::NoMore));
                }
                alarm.as_mut().reset(until);
            }
            Poll::Pending
        })
        .await
    }

    /// Whether the client has closed its end, as far as the system has told.
    fn has_left(&self, stream: &S) -> bool {
        let ready = (self.socket)(stream).ready(Interest::READABLE).now_or_never();
        ready.is_some_and(|ready| ready.is_ok_and(|ready| ready.is_read_closed()))
    }

    /// The reply to an order, which is sent on unless it was refused; `None` when there is none.
    async fn answer(&self, order: &Order<'_>, refused: Option<&Refusal>) -> Option<Reply> {
        let since = std::time::Instant::now();
        let shared = &self.worker.shared;
        let id = RequestId::of(order.request_id);
        let (trip, told) = Trip::begin(&shared.tracer, &Method::POST, order.target, order.parent);
        let relayed = match refused {
            None => self.relay(order, id.as_str(), &trip, told).await,
            Some(refusal) => Err(*refusal),
        };
        let reply = match relayed {
            Ok(reply) => reply,
            Err(refusal) => {
                shared.figures.refused(refusal.code());
                let id = id_value(id.as_str());
                trip.log_refusal(refusal.code(), &id);
                let mut reply = refusal.reply(&shared.node, None);
                reply.headers_mut().insert(X_REQUEST_ID, id);
                Box::pin(Reply::of(reply)).await
            }
        }?;
        metrics::gateway_replied(reply.status, since);
        if trip.is_recorded() {
            trip.end(&id_value(id.as_str()), reply.status);
        }
        Some(reply)
    }

    /// Sends the order to the replica whose turn it is.
    async fn relay(
        &self,
        order: &Order<'_>,
        id: &str,
        trip: &Trip,
        told: Option<HeaderValue>,
    ) -> Result<Option<Reply>, Refusal> {
        let Worker { shared, pool, pipes, .. } = &**self.worker;
        let seat = shared.in_flight.take().ok_or(Refusal::new(Code::Overloaded))?;
        let mut courier = Courier::new(self.worker, trip);
        if trip.is_recorded() {
            // Its spans are those of all requests.
            let request = self.request(order, id, told)?;
            return self.receive(Box::pin(courier.deliver(request, seat)), id).await;
        }
        let index = courier.next_replica().await?;
        let place = pool.place(index).await.map_err(|_| Refusal::new(Code::Overloaded))?;
        let write = |out: &mut Vec<u8>| order.write(out, self.origin, id, told.as_ref());
        // Whoever answers is gone only at the end of all.
        let outcome = pipes.send(index, id, write).await.unwrap_or(Err(Broken::Over));
        drop(place);
        match outcome {
            Ok(reply) => {
                shared.replicas.members()[index].figures.replied(reply.status);
                Ok(Some(reply))
            }
            Err(broken) => {
                let request = self.request(order, id, told)?;
                self.receive(Box::pin(courier.go_on(index, broken, request, seat)), id).await
            }
        }
    }

    fn request(
        &self,
        order: &Order<'_>,
        id: &str,
        told: Option<HeaderValue>,
    ) -> Result<Request<Upload>, Refusal> {
        order.to_request(self.origin, id, told).ok_or(Refusal::new(Code::Internal))
    }

    /// The reply that came by the way of all requests; none when it ended early.
    async fn receive(
        &self,
        delivered: Pin<Box<impl Future<Output = Result<Response<ReplyBody>, Refusal>>>>,
        id: &str,
    ) -> Result<Option<Reply>, Refusal> {
        let mut reply = delivered.await?;
        forward::reply(reply.headers_mut(), &id_value(id));
        Ok(Box::pin(Reply::of(reply)).await)
    }

    /// Sends all of a reply, however slowly it is taken.
    async fn send(&self, stream: &mut S, reply: &Reply) -> io::Result<()> {
        let write_timeout = self.worker.shared.limits.write_timeout;
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let mut rest = reply.bytes();
        while !rest.is_empty() {
            let sent = timeout(write_timeout, stream.write(rest)).await.map_err(late)??;
            if sent == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = &rest[sent..];
        }
        timeout(write_timeout, stream.flush()).await.map_err(late)?
    }
}
