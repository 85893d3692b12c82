//! Connections that wait for the next request, by origin, and how a request gets one.
//!
//! There are never more than `connections_max`: each request under way uses at most one, so
//! that whoever needs a new one when all are open finds one that waits, and closes it.
//!
//! HTTP/1 ties a reply to its request by their order alone. Where a byte came that nobody asked
//! for, that order is lost: what its origin's used connections bring is refused from then on.

use super::dial::{Dialer, Origin, Slot, Stream};
use super::http1::{self, Answered, Fault, Heed, Line};
use super::http2::{Link, Place};
use super::room::Limits;
use super::setback::Setback;
use super::{Http2, Reply, Request};
use crate::check::gauges::Gauge;
use hyper::Uri;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How long a connection may wait. Whatever lies between may have forgotten an older one
/// without telling either end.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);
/// Most connections to which a request goes on that nobody looked at.
const REPEATS_MAX: u32 = 16;
/// From so many origins on, those without connections are forgotten.
const SHELVES_MIN: usize = 64;

pub(super) struct Pool {
    dialer: Dialer,
    pub(super) limits: Limits,
    connections_max: usize,
    open: Arc<AtomicUsize>,
    /// Requests sent beyond one a call.
    pub(super) extras: Gauge,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    shelves: HashMap<Origin, Shelf>,
    /// From so many shelves on, empty ones are thrown away.
    sweep_at: usize,
}

/// What is kept of one origin.
struct Shelf {
    /// HTTP/1 connections without a request; the oldest first.
    idle: VecDeque<Idle>,
    links: Vec<Link>,
    /// What the origin speaks, once that is known.
    speaks_http2: Option<bool>,
    /// Bytes came that nobody asked for: from then on a connection carries one request, since
    /// the reply to the next could be such bytes.
    is_astray: bool,
    /// Only one at a time finds out what the origin speaks, or opens the next HTTP/2 connection.
    gate: Arc<Semaphore>,
}

struct Idle {
    since: Instant,
    stream: Stream,
    slot: Slot,
}

/// A way to send one request.
enum Carrier {
    /// A connection of its own, and whether it carried requests before.
    Own { stream: Stream, slot: Slot, is_used: bool },
    /// A place on a shared one, and whether that carried requests before.
    Shared { place: Place, is_used: bool },
}

impl Carrier {
    fn is_used(&self) -> bool {
        let (Carrier::Own { is_used, .. } | Carrier::Shared { is_used, .. }) = self;
        *is_used
    }

    const fn is_shared(&self) -> bool {
        matches!(self, Carrier::Shared { .. })
    }
}

/// How often one request may go once more.
struct Repeats {
    /// After a connection that ended without a byte.
    silent: u32,
    /// After one on which nobody looked at it.
    unheard: u32,
}

impl Repeats {
    /// Whether it may after this, over a connection that carried requests before or did not.
    fn take(&mut self, heed: Heed, is_used: bool) -> bool {
        let left = match heed {
            Heed::Silent if is_used => &mut self.silent,
            Heed::Unheard => &mut self.unheard,
            Heed::Silent | Heed::Heeded => return false,
        };
        let is_left = *left > 0;
        // Who hears not even the first request of a connection hears nobody.
        *left = if is_used { left.saturating_sub(1) } else { 0 };
        is_left
    }
}

impl Pool {
    pub(super) fn new(connections_max: usize, dialer: Dialer, limits: Limits) -> Pool {
        Pool {
            dialer,
            limits,
            connections_max,
            open: Arc::default(),
            extras: Gauge::default(),
            inside: Mutex::default(),
        }
    }

    /// Sends `request` to `uri` over a connection that waits, or over a new one.
    ///
    /// A connection may have been closed by the server while it waited. So when one that was
    /// used before ends without a byte, the request goes once more over a new one. That may
    /// repeat a request that had arrived: each is declared safe to repeat. What nobody looked
    /// at goes on to the next connection: a server that retires them may end several around it.
    /// What is sent so counts in [`Pool::extras`].
    pub(super) async fn ask(&self, request: &Request, uri: &Uri) -> Result<Reply, Setback> {
        let origin = Origin::of(uri, request.guarded)?;
        let mut carrier = self.carrier(&origin).await?;
        let mut repeats = Repeats { silent: 1, unheard: REPEATS_MAX };
        loop {
            let (is_used, is_shared) = (carrier.is_used(), carrier.is_shared());
            match self.call(&origin, carrier, request, uri).await {
                Err(fault) if repeats.take(fault.heed, is_used) => {}
                result => return result.map_err(|fault| fault.setback),
            }
            // Where one connection waited too long, so did the others; a shared one is known
            // to be closed by now, or had no room.
            carrier = match is_shared {
                true => self.carrier(&origin).await?,
                false => self.fresh(&origin).await?,
            };
            self.extras.add_one();
        }
    }

    async fn call(
        &self,
        origin: &Origin,
        carrier: Carrier,
        request: &Request,
        uri: &Uri,
    ) -> Result<Reply, Fault> {
        match carrier {
            Carrier::Own { mut stream, slot, is_used } => {
                let called = http1::call(&mut stream, request, uri, &self.limits).await;
                let answered = called.inspect_err(|fault| self.blame(origin, fault, is_used))?;
                let idle = Idle { since: Instant::now(), stream, slot };
                self.settle(origin, answered, idle, is_used)
            }
            Carrier::Shared { place, .. } => {
                // Boxed, as below, so that a request over HTTP/1 that waits takes no room for this.
                let answering = Box::pin(place.call(request, uri, &self.limits));
                let Answered { reply, .. } = answering.await?;
                Ok(reply)
            }
        }
    }

    async fn carrier(&self, origin: &Origin) -> Result<Carrier, Setback> {
        let gate = match self.look(origin) {
            Look::Found(carrier) => return Ok(carrier),
            Look::Open => return self.fresh(origin).await,
            Look::Wait(gate) => gate,
        };
        // Never closed, so there is always a permit in the end.
        let _permit = gate.acquire().await;
        match self.look(origin) {
            Look::Found(carrier) => Ok(carrier),
            Look::Open | Look::Wait(_) => self.fresh(origin).await,
        }
    }

    fn look(&self, origin: &Origin) -> Look {
        let mut inside = self.lock();
        let shelf = inside.shelf(origin, self.dialer.http2);
        while let Some(mut idle) = shelf.idle.pop_back() {
            match http1::line(&mut idle.stream) {
                Line::Quiet if idle.since.elapsed() < IDLE_TIME_MAX => {
                    let Idle { stream, slot, .. } = idle;
                    return Look::Found(Carrier::Own { stream, slot, is_used: true });
                }
                Line::Quiet | Line::Ended => {}
                Line::Astray => shelf.go_astray(),
            }
        }
        shelf.links.retain(|link| !link.is_closed());
        if let Some(place) = shelf.links.iter().find_map(Link::place) {
            return Look::Found(Carrier::Shared { place, is_used: true });
        }
        match shelf.speaks_http2 {
            Some(false) => Look::Open,
            _ => Look::Wait(Arc::clone(&shelf.gate)),
        }
    }

    /// A new connection.
    async fn fresh(&self, origin: &Origin) -> Result<Carrier, Setback> {
        let slot = self.slot();
        let stream = Box::pin(self.dialer.dial(origin)).await?;
        let is_http2 = stream.chose_http2() || self.dialer.http2 == Http2::PriorKnowledge;
        if !is_http2 {
            self.lock().shelf(origin, self.dialer.http2).speaks_http2 = Some(false);
            return Ok(Carrier::Own { stream, slot, is_used: false });
        }
        let link = Box::pin(Link::open(stream, slot)).await?;
        let place = link.place().ok_or(Setback::Closed)?;
        let mut inside = self.lock();
        let shelf = inside.shelf(origin, self.dialer.http2);
        shelf.speaks_http2 = Some(true);
        shelf.links.push(link);
        Ok(Carrier::Shared { place, is_used: false })
    }

    /// Room for one more connection.
    fn slot(&self) -> Slot {
        let mut inside = self.lock();
        // Counted before: a shared connection is open for a moment after it was closed here.
        let too_many = (self.open.load(Relaxed) + 1).saturating_sub(self.connections_max);
        (0..too_many).all(|_| inside.close_one());
        Slot::take(&self.open)
    }

    /// Keeps the connection that brought a reply, and hands out the reply unless it may be
    /// the answer to an earlier request.
    fn settle(
        &self,
        origin: &Origin,
        answered: Answered,
        mut idle: Idle,
        is_used: bool,
    ) -> Result<Reply, Fault> {
        let line = match answered.keeps_alive {
            true => http1::line(&mut idle.stream),
            false => Line::Ended,
        };
        let mut inside = self.lock();
        let shelf = inside.shelf(origin, self.dialer.http2);
        if line == Line::Astray {
            shelf.go_astray();
        }
        if line == Line::Astray || (shelf.is_astray && is_used) {
            return Err(Setback::Astray.into());
        }
        if line == Line::Quiet && !shelf.is_astray {
            shelf.idle.push_back(idle);
        }
        Ok(answered.reply)
    }

    /// Remembers an origin that sent more than was asked for. What is no HTTP where a reply
    /// should begin anew may be the rest of one before.
    fn blame(&self, origin: &Origin, fault: &Fault, is_used: bool) {
        let is_rest = is_used && matches!(fault.setback, Setback::Garbled(_));
        if is_rest || fault.setback == Setback::Astray {
            self.lock().shelf(origin, self.dialer.http2).go_astray();
        }
    }

    /// Connections that are open.
    #[cfg(test)]
    pub(super) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Origins that are remembered.
    #[cfg(test)]
    pub(super) fn origins(&self) -> usize {
        self.lock().shelves.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What there is for a request.
enum Look {
    Found(Carrier),
    /// Nothing: open a connection.
    Open,
    /// Nothing, and only whoever holds this may open a connection.
    Wait(Arc<Semaphore>),
}

impl Inside {
    fn shelf(&mut self, origin: &Origin, http2: Http2) -> &mut Shelf {
        if !self.shelves.contains_key(origin) {
            if self.shelves.len() >= self.sweep_at {
                self.shelves.retain(|_, shelf| !shelf.is_forgettable());
                self.sweep_at = SHELVES_MIN.max(self.shelves.len() * 2);
            }
            self.shelves.insert(origin.clone(), Shelf::new(origin, http2));
        }
        self.shelves.entry(origin.clone()).or_insert_with(|| Shelf::new(origin, http2))
    }

    /// Closes one connection that waits; `false` when none does.
    fn close_one(&mut self) -> bool {
        self.shelves.values_mut().any(|shelf| {
            let idle_link = shelf.links.iter().position(Link::is_idle);
            shelf.idle.pop_front().is_some()
                || idle_link.map(|at| shelf.links.swap_remove(at)).is_some()
        })
    }
}

impl Shelf {
    fn new(origin: &Origin, http2: Http2) -> Shelf {
        let speaks_http2 = match http2 {
            Http2::PriorKnowledge => Some(true),
            Http2::Auto => (!origin.is_secure).then_some(false),
        };
        Shelf {
            idle: VecDeque::new(),
            links: Vec::new(),
            speaks_http2,
            is_astray: false,
            gate: Arc::new(Semaphore::new(1)),
        }
    }

    fn go_astray(&mut self) {
        self.is_astray = true;
        self.idle.clear();
    }

    fn is_forgettable(&self) -> bool {
        let is_unused = self.idle.is_empty() && self.links.is_empty();
        is_unused && !self.is_astray && Arc::strong_count(&self.gate) == 1
    }
}
