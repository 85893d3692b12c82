//! One request and its reply: to which replica it goes, and to which next when that one fails.
//!
//! ```text
//! body kept or passed on ─▶ a seat among those in flight, else 503
//!   ─▶ the replica whose turn it is ─▶ reply kept back until whole, or a stream passed on
//!        └─ failed: nothing sent, or it may be repeated ─▶ another replica, or wait for one
//! ```
//!
//! Nothing is repeated once a byte of its reply was passed on. Must never know sockets.

use super::forward::{self, Origin};
use super::lane::Broken;
use super::limits::{DOUBT_EVERY, REPLICA_WAIT, REPLY_TIMEOUT};
use super::pool::{Failed, Lease};
use super::refusal::{Person, Refusal, X_REQUEST_ID};
use super::repeat::is_repeatable;
use super::replicas::{Health, bit};
use super::reply::{self, Kept, ReplyBody};
use super::tries::Tries;
use super::trip::Trip;
use super::upload::{Fault, Taken, Upload};
use super::worker::Worker;
use crate::metrics;
use crate::seats::Seat;
use crate::trace::TRACEPARENT;
use crate::wire::{Answering, REFUSED_METHOD, Talk, is_event_stream};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use kilat_api::problem::Code;
use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use tokio::time::{Instant, timeout, timeout_at};

/// What is known about a client.
pub(super) struct Client {
    pub(super) origin: Origin,
    pub(super) talk: Arc<Talk>,
}

/// Answers one request.
pub(super) async fn answer(
    worker: Arc<Worker>,
    client: Arc<Client>,
    request: Request<Incoming>,
) -> Response<Answering<ReplyBody>> {
    let (since, answer) = (std::time::Instant::now(), client.talk.answer());
    let (mut head, body) = request.into_parts();
    let mut person = Person::of(&head);
    let (id, parent) = forward::request(&mut head, &client.origin);
    let (trip, told) = Trip::begin(&worker.shared.tracer, &head.method, head.uri.path(), parent);
    told.into_iter().for_each(|told| drop(head.headers.insert(TRACEPARENT, told)));
    let relayed = match client.talk.refused() {
        Some(reason) if head.method.as_str() == REFUSED_METHOD => Err(reason.into()),
        _ => match worker.shared.store.take(body, &client.talk).await {
            Ok(taken) => {
                person.iter_mut().for_each(|person| person.sent(&taken.upload));
                relay(&worker, head, taken, &trip).await
            }
            Err(refusal) => Err(refusal),
        },
    };
    let reply = match relayed {
        Ok(mut reply) => {
            forward::reply(reply.headers_mut(), &id);
            reply
        }
        Err(refusal) => {
            worker.shared.figures.refused(refusal.code());
            trip.log_refusal(refusal.code(), &id);
            let mut reply = refusal.reply(&worker.shared.node, person.as_ref());
            reply.headers_mut().insert(X_REQUEST_ID, id.clone());
            reply
        }
    };
    metrics::gateway_replied(reply.status(), since);
    trip.end(&id, reply.status());
    answer.with(reply)
}

async fn relay(
    worker: &Arc<Worker>,
    head: hyper::http::request::Parts,
    taken: Taken,
    trip: &Trip,
) -> Result<Response<ReplyBody>, Refusal> {
    let Taken { upload, room: _room, fault } = taken;
    let seat = worker.shared.in_flight.take().ok_or(Refusal::new(Code::Overloaded))?;
    let repeatable = fault.is_none() && is_repeatable(&head);
    let request = Request::from_parts(head, upload);
    Courier { repeatable, fault, ..Courier::new(worker, trip) }.deliver(request, seat).await
}

/// Carries one request until somebody answers it.
pub(super) struct Courier<'a> {
    worker: &'a Arc<Worker>,
    trip: &'a Trip,
    repeatable: bool,
    /// The replicas that were tried since one was waited for.
    tried: u64,
    /// How often it may have reached a replica.
    attempts: u32,
    tries: Tries,
    /// Until when one may be waited for, all waits together.
    patience: Option<Instant>,
    fault: Option<Fault>,
}

const TOO_LATE: &str = "the replica did not answer in time";

/// Why an attempt brought no reply.
enum Setback {
    /// Nothing was sent.
    Unsent(Box<Request<Upload>>),
    /// The replica failed; it may have been carried out.
    Lost,
    /// The replica was left, by no fault that is known; it may be carried out still.
    Left,
    /// It may be carried out still.
    Late,
    /// Nothing was sent, and nothing will be: all replicas have more than they can do.
    Busy,
}

impl<'a> Courier<'a> {
    /// For a request whose effect is the same however often it arrives.
    pub(super) fn new(worker: &'a Arc<Worker>, trip: &'a Trip) -> Courier<'a> {
        Courier {
            worker,
            trip,
            repeatable: true,
            tried: 0,
            attempts: 0,
            tries: Tries::default(),
            patience: None,
            fault: None,
        }
    }

    /// Goes on after `request` was given to a connection to the replica at `index` that it shared
    /// with others, and which `broke`: that is no loss of its own.
    pub(super) async fn go_on(
        mut self,
        index: usize,
        broke: Broken,
        request: Request<Upload>,
        seat: Seat,
    ) -> Result<Response<ReplyBody>, Refusal> {
        let was_sent = !matches!(broke, Broken::Unsent(_) | Broken::Behind);
        self.attempts += u32::from(was_sent);
        match broke {
            Broken::Unsent(kind) => self.doubt(index, &kind.into()),
            Broken::Lost(why) => self.fail(index, &why),
            Broken::Silent | Broken::Behind | Broken::Over => {}
            Broken::Leaving => self.note_leaving(index),
            Broken::Late => return Err(self.lost(TOO_LATE)),
        }
        if broke != Broken::Over {
            self.tried |= bit(index);
        }
        self.worker.shared.figures.repeated();
        self.deliver(request, seat).await
    }

    pub(super) async fn deliver(
        mut self,
        mut request: Request<Upload>,
        seat: Seat,
    ) -> Result<Response<ReplyBody>, Refusal> {
        loop {
            let index = self.next_replica().await?;
            let copy = if self.repeatable { copy(&request) } else { None };
            let setback = match self.attempt(index, request).await {
                Ok(whole) => match self.receive(index, whole, copy.is_some()).await {
                    Ok(received) => return self.pass_on(received, seat),
                    Err(setback) => setback,
                },
                Err(setback) => setback,
            };
            self.tried |= bit(index);
            request = match (setback, copy) {
                (Setback::Unsent(request), _) if self.tries.may_connect() => *request,
                (Setback::Unsent(_), _) => return Err(Refusal::new(Code::NoReplica)),
                (Setback::Left, Some(copy)) => copy,
                (Setback::Lost, Some(copy)) if self.tries.may_lose() => copy,
                (Setback::Lost | Setback::Left, _) => {
                    return Err(self.lost("the replica failed before it answered"));
                }
                (Setback::Busy, _) => return Err(Refusal::new(Code::Overloaded)),
                (Setback::Late, _) => return Err(self.lost(TOO_LATE)),
            };
            self.worker.shared.figures.repeated();
        }
    }

    fn lost(&self, detail: &'static str) -> Refusal {
        let fault = self.fault.as_ref().and_then(|fault| fault.get().copied());
        fault.unwrap_or(Refusal::new(Code::ReplicaLost).because(detail))
    }

    /// The next in turn; when there is none, whoever comes back in time.
    pub(super) async fn next_replica(&mut self) -> Result<usize, Refusal> {
        let shared = &self.worker.shared;
        if let Some(index) = shared.replicas.choose(self.tried) {
            return Ok(index);
        }
        let _seat = shared.waiting.take().ok_or(Refusal::new(Code::NoReplica))?;
        let mut better = shared.replicas.better();
        let patience = *self.patience.get_or_insert_with(|| Instant::now() + REPLICA_WAIT);
        let mut is_waiting = true;
        loop {
            // Who is ready now and has failed before has said so again meanwhile. The last try is
            // for another, if one comes back in time.
            let is_spared = is_waiting && self.tries.is_last() && !self.has_tried_all();
            let spared = if is_spared { self.tried } else { 0 };
            if let Some(index) = shared.replicas.choose(spared) {
                self.tried = 0;
                return Ok(index);
            }
            if !is_waiting {
                return Err(Refusal::new(Code::NoReplica));
            }
            is_waiting = matches!(timeout_at(patience, better.changed()).await, Ok(Ok(())));
        }
    }

    fn has_tried_all(&self) -> bool {
        self.tried.count_ones() as usize >= self.worker.shared.replicas.members().len()
    }

    /// Sends the request to a replica and waits for the head of its reply.
    async fn attempt(
        &mut self,
        index: usize,
        mut request: Request<Upload>,
    ) -> Result<(Response<Incoming>, Lease), Setback> {
        let shared = &self.worker.shared;
        let member = &shared.replicas.members()[index];
        let hop = self.trip.hop(&mut request, &member.replica, self.attempts);
        self.attempts += 1;
        let mut sending = pin!(self.worker.pool.send(index, &member.replica, request));
        let started = Instant::now();
        let sent = loop {
            match timeout(DOUBT_EVERY, sending.as_mut()).await {
                Ok(sent) => break sent,
                Err(_) if self.repeatable && self.has_better(index) && self.tries.may_move() => {
                    self.trip.end_hop(hop, Err("silent"));
                    return Err(Setback::Left);
                }
                Err(_) if started.elapsed() > REPLY_TIMEOUT => {
                    self.trip.end_hop(hop, Err("timeout"));
                    return Err(Setback::Late);
                }
                Err(_) => {}
            }
        };
        self.trip.end_hop(hop, said(&sent));
        sent.map_err(|failed| self.note(index, failed))
    }

    /// Whether a replica has become doubtful and another is ready.
    fn has_better(&self, index: usize) -> bool {
        let replicas = &self.worker.shared.replicas;
        !replicas.is_ready(index) && replicas.is_any_ready()
    }

    /// Takes a replica that failed out, at once: a probe says when it is back.
    fn note(&mut self, index: usize, failed: Failed) -> Setback {
        match failed {
            Failed::Busy => Setback::Busy,
            Failed::Unsent(request, why) => {
                self.attempts -= 1;
                self.doubt(index, &why);
                Setback::Unsent(request)
            }
            // The client's doing.
            Failed::Lost(_) if self.fault.as_ref().is_some_and(|fault| fault.get().is_some()) => {
                Setback::Lost
            }
            Failed::Lost(why) => {
                self.fail(index, &why);
                Setback::Lost
            }
        }
    }

    /// Nothing was sent to a replica that can't be connected to.
    fn doubt(&self, index: usize, why: &io::Error) {
        let replicas = &self.worker.shared.replicas;
        if let Some(health) = health_after(why) {
            replicas.note(index, health, why);
            replicas.members()[index].doubt.notify_one();
        }
    }

    fn note_leaving(&self, index: usize) {
        self.worker.shared.replicas.note(index, Health::Out, &"it is stopping");
    }

    fn fail(&self, index: usize, why: &dyn Display) {
        let replicas = &self.worker.shared.replicas;
        replicas.note(index, Health::Out, why);
        let member = &replicas.members()[index];
        member.figures.failed();
        member.doubt.notify_one();
    }

    /// Keeps a reply back until it is whole, unless it is a stream or large.
    async fn receive(
        &mut self,
        index: usize,
        (reply, mut lease): (Response<Incoming>, Lease),
        may_repeat: bool,
    ) -> Result<Received, Setback> {
        let (head, mut body) = reply.into_parts();
        if is_event_stream(&head.headers) {
            lease.leave_place();
            return Ok(Received { index, head, body: Coming::Stream(body, lease) });
        }
        let kept = reply::keep(&mut body).await.map_err(|why| {
            self.fail(index, &why);
            Setback::Lost
        })?;
        if !kept.is_whole {
            lease.leave_place();
            return Ok(Received { index, head, body: Coming::Rest(kept, body, lease) });
        }
        lease.give_back();
        let is_leaving = reply::is_leaving(head.status, &kept.bytes);
        if is_leaving && may_repeat && self.tries.may_move() {
            self.note_leaving(index);
            return Err(Setback::Left);
        }
        Ok(Received { index, head, body: Coming::Whole(kept) })
    }

    fn pass_on(&self, received: Received, seat: Seat) -> Result<Response<ReplyBody>, Refusal> {
        let shared = &self.worker.shared;
        let Received { index, head, body } = received;
        let body = match body {
            Coming::Whole(kept) => ReplyBody::whole(kept.bytes),
            Coming::Rest(kept, rest, lease) => {
                ReplyBody::passing(kept.bytes, rest, lease, seat, None)
            }
            Coming::Stream(rest, lease) => {
                let seat = shared.streams.take().ok_or(Refusal::new(Code::Overloaded))?;
                let stopping = Some(shared.stopping.clone());
                ReplyBody::passing(bytes::Bytes::new(), rest, lease, seat, stopping)
            }
        };
        shared.replicas.members()[index].figures.replied(head.status);
        Ok(Response::from_parts(head, body))
    }
}

/// What an attempt came to, in a few words.
fn said(sent: &Result<(Response<Incoming>, Lease), Failed>) -> Result<StatusCode, &'static str> {
    match sent {
        Ok((reply, _)) => Ok(reply.status()),
        Err(Failed::Unsent(..)) => Err("not_connected"),
        Err(Failed::Busy) => Err("busy"),
        Err(Failed::Lost(_)) => Err("connection_lost"),
    }
}

/// What a failure to connect says about the replica; nothing when it may be our own, as without
/// free file descriptors or ports.
fn health_after(why: &io::Error) -> Option<Health> {
    match why.kind() {
        ErrorKind::TimedOut => Some(Health::Doubtful),
        ErrorKind::ConnectionRefused
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::BrokenPipe
        | ErrorKind::Other => Some(Health::Out),
        _ => None,
    }
}

/// A reply that is passed on now.
struct Received {
    index: usize,
    head: hyper::http::response::Parts,
    body: Coming,
}

enum Coming {
    Whole(Kept),
    Rest(Kept, Incoming, Lease),
    Stream(Incoming, Lease),
}

/// The same request once more, if its body is kept.
fn copy(request: &Request<Upload>) -> Option<Request<Upload>> {
    let mut copy = Request::new(request.body().copy()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}
