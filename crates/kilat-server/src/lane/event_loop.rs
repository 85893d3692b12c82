//! The loop of a lane: events in, one group out, outcomes in, replies out.

use super::connection::{Arrived, Connection, Ticket};
use super::door::{DOOR, Door};
use super::mailbox::{BELL, Finished, Mail, Mailbox};
use super::publishing::Publishing;
use super::reply::{self, Asked, Envelope};
use super::request::{self, HotEvent, HotOrder, REQUEST_BYTES_MAX, Seen};
use super::trip::Trip;
use super::{Handover, LaneOptions};
use crate::problem;
use crate::seats::Seat;
use crate::state::App;
use kilat_api::problem::Code;
use kilat_engine::{OrderText, Orders, Placed, Unavailable, Verdict};
use mio::event::Event;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Longest wait for a commit without a look at the sockets.
///
/// What arrives during a commit can't be committed before it ends, so a lane
/// that waits for one sleeps through it and then finds all requests at once,
/// instead of waking up for each.
const COMMIT_PATIENCE: Duration = Duration::from_micros(500);
/// Events taken from the system at once.
const EVENTS_PER_ROUND: usize = 1_024;
/// Orders after which a group is sent without waiting for the end of the round.
const ORDERS_PER_GROUP: usize = 2_048;
/// How often silent connections are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Groups kept for reuse.
const SPARE_GROUPS_MAX: usize = 8;

/// What a lane starts with.
pub(super) struct Setup {
    pub(super) poll: Poll,
    pub(super) door: Option<Door>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) options: LaneOptions,
    pub(super) app: App,
    pub(super) handovers: mpsc::Sender<Handover>,
}

pub(super) struct EventLoop {
    setup: Setup,
    connections: Slab<Connection>,
    /// Orders of this round, and whose they are.
    group: Orders,
    tickets: Vec<Ticket>,
    spare: Vec<(Orders, Vec<Ticket>)>,
    publishing: Publishing,
    scratch: Box<[u8]>,
    output: Vec<u8>,
    envelope: Envelope,
    counts: crate::metrics::OrderCounts,
    /// Groups that the engine has and this lane waits for.
    groups_in_flight: usize,
    serial: u64,
    now: Instant,
    swept: Instant,
    stopping: bool,
}

impl EventLoop {
    pub(super) fn new(setup: Setup) -> EventLoop {
        EventLoop {
            connections: Slab::new(),
            group: Orders::default(),
            tickets: Vec::new(),
            spare: Vec::new(),
            publishing: Publishing::new(setup.app.events.clone()),
            scratch: vec![0; REQUEST_BYTES_MAX].into_boxed_slice(),
            output: Vec::new(),
            envelope: Envelope::new(Arc::clone(&setup.app.node)),
            counts: crate::metrics::OrderCounts::default(),
            groups_in_flight: 0,
            serial: 0,
            now: Instant::now(),
            swept: Instant::now(),
            stopping: false,
            setup,
        }
    }

    /// Runs until told to stop and all in flight is answered.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_PER_ROUND);
        let mut mail = Mail::default();
        while !(self.stopping && self.connections.is_empty()) {
            if self.groups_in_flight > 0 {
                self.setup.mailbox.wait(COMMIT_PATIENCE);
                // Answers first: who is quick to ask again joins the next group.
                self.collect(&mut mail);
            }
            match self.setup.poll.poll(&mut events, self.patience()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    return tracing::error!(%error, "a lane can't wait for events and ends");
                }
                Ok(()) => {}
            }
            self.now = Instant::now();
            self.envelope.tick();
            events.iter().for_each(|event| self.meet(event));
            self.collect(&mut mail);
            self.send_group();
            self.send_events();
            self.sweep();
        }
    }

    /// A lane without connections sleeps until it is called; one that has
    /// waited for a commit only looks what has come meanwhile.
    fn patience(&self) -> Option<Duration> {
        let is_done = self.stopping && self.connections.is_empty();
        // Requests that stood behind answered ones are taken before the sockets are looked at.
        let has_taken = !self.group.is_empty() || self.publishing.len() > 0;
        if self.groups_in_flight > 0 || has_taken || is_done {
            return Some(Duration::ZERO);
        }
        let rests = self.setup.door.as_ref().is_some_and(Door::rests);
        (rests || !self.connections.is_empty()).then_some(SWEEP_EVERY)
    }

    fn meet(&mut self, event: &Event) {
        match event.token() {
            DOOR => self.setup.door.iter_mut().for_each(Door::accept),
            BELL => {}
            Token(slot) => {
                let Some(connection) = self.connections.get_mut(slot) else {
                    return;
                };
                if event.is_writable()
                    && !connection.unsent.is_empty()
                    && connection.flush().is_err()
                {
                    return self.drop_connection(slot);
                }
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    connection.readable = true;
                    // A half-closed peer may have sent its last request with the end.
                    self.serve(slot, event.is_read_closed());
                }
            }
        }
    }

    /// Serves what other threads left: new connections and outcomes.
    fn collect(&mut self, mail: &mut Mail) {
        self.setup.mailbox.take(mail);
        for (stream, seat) in mail.incoming.drain(..) {
            self.admit(stream, seat);
        }
        for finished in mail.finished.drain(..) {
            self.groups_in_flight -= 1;
            self.answer(finished);
        }
        if mail.stop && !self.stopping {
            self.stop();
        }
    }

    fn admit(&mut self, mut stream: mio::net::TcpStream, seat: Seat) {
        let entry = self.connections.vacant_entry();
        let slot = entry.key();
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.setup.poll.registry().register(&mut stream, Token(slot), interest)
        {
            return tracing::warn!(%error, "a connection can't be watched and is closed");
        }
        self.serial += 1;
        entry.insert(Connection::new(stream, seat, self.serial, self.now));
        self.serve(slot, false);
    }

    /// Reads and takes requests until the connection has nothing more or one is in flight.
    fn serve(&mut self, slot: usize, mut ended: bool) {
        while let Some(connection) = self.connections.get_mut(slot) {
            if connection.in_flight || !connection.unsent.is_empty() {
                return;
            }
            if !connection.unread.is_empty() {
                match self.take_unread(slot) {
                    Progress::Served | Progress::Gone => continue,
                    Progress::NeedsMore => {}
                }
            }
            let Some(connection) = self.connections.get_mut(slot) else {
                return;
            };
            if !connection.readable {
                return;
            }
            match connection.read(&mut self.scratch) {
                Arrived::Bytes(count, emptied) => {
                    // With the end in sight one more read must fetch it.
                    connection.readable = !emptied || std::mem::take(&mut ended);
                    self.take_read(slot, count);
                }
                Arrived::Nothing => connection.readable = false,
                Arrived::End => return self.drop_connection(slot),
            }
        }
    }

    /// Looks at bytes kept from earlier reads.
    fn take_unread(&mut self, slot: usize) -> Progress {
        let Some(connection) = self.connections.get_mut(slot) else {
            return Progress::Gone;
        };
        let unread = std::mem::take(&mut connection.unread);
        let (progress, used) = self.take(slot, &unread);
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.unread = unread;
            connection.unread.drain(..used);
            if connection.unread.is_empty() {
                connection.unread = Vec::new();
            }
        }
        progress
    }

    /// Looks at bytes just read: in place if nothing was kept before them.
    fn take_read(&mut self, slot: usize, count: usize) {
        let Some(connection) = self.connections.get_mut(slot) else {
            return;
        };
        if !connection.unread.is_empty() {
            return connection.unread.extend_from_slice(&self.scratch[..count]);
        }
        let scratch = std::mem::take(&mut self.scratch);
        let (_, used) = self.take(slot, &scratch[..count]);
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.keep(&scratch[used..count], self.now);
        }
        self.scratch = scratch;
    }

    /// Takes at most one request from `bytes`; tells how many were used.
    fn take(&mut self, slot: usize, bytes: &[u8]) -> (Progress, usize) {
        match request::look(bytes) {
            Seen::Partial => (Progress::NeedsMore, 0),
            Seen::Order(order) if self.may_order(&order) => {
                self.enqueue(slot, &order);
                (Progress::Served, order.length)
            }
            Seen::Event(event) if self.may_publish(&event) && self.publishing.push(event.body) => {
                self.publish(slot, &event);
                (Progress::Served, event.length)
            }
            Seen::Order(_) | Seen::Event(_) | Seen::Other => {
                self.hand_over(slot, bytes.to_vec());
                (Progress::Gone, 0)
            }
        }
    }

    /// Callers named by a customer token, and those who must be turned away, are the full lane's.
    fn may_order(&self, order: &HotOrder<'_>) -> bool {
        self.setup.app.access.is_plain_shop(order.authorization)
    }

    fn may_publish(&self, event: &HotEvent<'_>) -> bool {
        self.setup.app.access.is_plain_publisher(event.authorization)
    }

    /// Notes whose the event is that was just added.
    fn publish(&mut self, slot: usize, event: &HotEvent<'_>) {
        let trip = Trip::begin(&self.setup.app.tracer, event.traceparent, None);
        if let Some(ticket) = self.ticket(slot, event.request_id, trip) {
            self.publishing.tickets.push(ticket);
        }
        if self.publishing.len() >= ORDERS_PER_GROUP {
            self.send_events();
        }
    }

    /// Marks the connection as waiting for a reply.
    fn ticket(
        &mut self,
        slot: usize,
        request_id: Option<&str>,
        trip: Option<Box<Trip>>,
    ) -> Option<Ticket> {
        let connection = self.connections.get_mut(slot)?;
        connection.in_flight = true;
        connection.since = self.now;
        let request_id = request_id.map(Into::into);
        Some(Ticket { slot, serial: connection.serial, request_id, since: self.now, trip })
    }

    /// Sends the events of this round to the engine as one group.
    fn send_events(&mut self) {
        if self.publishing.len() == 0 {
            return;
        }
        let (publication, tickets) = self.publishing.take();
        let mailbox = Arc::clone(&self.setup.mailbox);
        let done = Box::new(move |verdicts| mailbox.finish(Finished::Events { verdicts, tickets }));
        self.groups_in_flight += 1;
        self.setup.app.events.hand_over(publication, done);
    }

    fn enqueue(&mut self, slot: usize, order: &HotOrder<'_>) {
        let trip = Trip::begin(&self.setup.app.tracer, order.traceparent, Some(order.sale));
        let Some(ticket) = self.ticket(slot, order.request_id, trip) else {
            return;
        };
        let text =
            OrderText { sale: order.sale, customer: &order.request.customer, key: order.key };
        let prints = self.setup.app.handle.hasher();
        self.group.push(
            prints,
            crate::ids::order_id(),
            &text,
            order.request.quantity,
            order.request.hold,
        );
        if let Some(trip) = &ticket.trip {
            self.group.trace_last(trip.context());
        }
        self.tickets.push(ticket);
        if self.group.len() >= ORDERS_PER_GROUP {
            self.send_group();
        }
    }

    /// Sends the orders of this round to the engine as one group.
    fn send_group(&mut self) {
        if self.group.is_empty() {
            return;
        }
        let (group, tickets) = self.spare.pop().unwrap_or_default();
        let orders = std::mem::replace(&mut self.group, group);
        let tickets = std::mem::replace(&mut self.tickets, tickets);
        let mailbox = Arc::clone(&self.setup.mailbox);
        let done = Box::new(move |placed| mailbox.finish(Finished::Orders { placed, tickets }));
        self.groups_in_flight += 1;
        self.setup.app.handle.place(orders, done);
    }

    /// Writes the replies of a group, then looks at what came in behind the requests.
    fn answer(&mut self, finished: Finished) {
        match finished {
            Finished::Orders { placed: Ok(placed), tickets } => self.answer_orders(placed, tickets),
            Finished::Events { verdicts: Ok(verdicts), tickets } => {
                self.answer_events(&verdicts, &tickets);
            }
            Finished::Orders { placed: Err(why), tickets } => {
                for ticket in &tickets {
                    let label = self.refuse(ticket, why);
                    self.counts.note(label, ticket.since);
                }
            }
            Finished::Events { verdicts: Err(why), tickets } => {
                self.publishing.failed(&tickets);
                for ticket in &tickets {
                    self.refuse(ticket, why);
                }
            }
        }
        self.counts.flush();
    }

    fn answer_orders(&mut self, placed: Placed, mut tickets: Vec<Ticket>) {
        for (index, ticket) in tickets.iter().enumerate() {
            let asked = placed.orders.get(index);
            let asked = Asked { sale: asked.sale, customer: asked.customer };
            let id = crate::ids::RequestId::of(ticket.request_id.as_deref());
            self.output.clear();
            let label = self.envelope.outcome(
                &mut self.output,
                &placed.outcomes()[index],
                placed.at,
                &asked,
                id.as_str(),
            );
            self.counts.note(label, ticket.since);
            if let Some(trip) = &ticket.trip {
                trip.placed(&self.setup.app.tracer, &placed);
            }
            self.send(ticket, id.as_str());
        }
        self.recycle(placed.orders, &mut tickets);
    }

    fn answer_events(&mut self, verdicts: &[Verdict], tickets: &[Ticket]) {
        self.publishing.count(verdicts, tickets);
        for (ticket, verdict) in tickets.iter().zip(verdicts) {
            let id = crate::ids::RequestId::of(ticket.request_id.as_deref());
            self.output.clear();
            self.envelope.published(&mut self.output, *verdict, id.as_str());
            self.send(ticket, id.as_str());
        }
    }

    fn refuse(&mut self, ticket: &Ticket, why: Unavailable) -> &'static str {
        let id = crate::ids::RequestId::of(ticket.request_id.as_deref());
        self.output.clear();
        let label = self.envelope.problem(&mut self.output, problem::unavailable(why), id.as_str());
        self.send(ticket, id.as_str());
        label
    }

    fn send(&mut self, ticket: &Ticket, request_id: &str) {
        if let Some(trip) = &ticket.trip {
            trip.end(&self.setup.app.tracer, request_id, reply::status(&self.output));
        }
        let Some(connection) = self.connections.get_mut(ticket.slot) else {
            return;
        };
        if connection.serial != ticket.serial {
            return;
        }
        connection.in_flight = false;
        connection.since = self.now;
        if connection.send(&self.output).is_err() {
            return self.drop_connection(ticket.slot);
        }
        if self.stopping {
            self.close_if_idle(ticket.slot);
        } else if connection.readable || !connection.unread.is_empty() {
            self.serve(ticket.slot, false);
        }
    }

    fn recycle(&mut self, mut orders: Orders, tickets: &mut Vec<Ticket>) {
        if self.spare.len() < SPARE_GROUPS_MAX {
            orders.clear();
            tickets.clear();
            self.spare.push((orders, std::mem::take(tickets)));
        }
    }

    /// Gives a connection to the full lane together with what was read of it.
    fn hand_over(&mut self, slot: usize, already_read: Vec<u8>) {
        let Connection { mut stream, seat, .. } = self.connections.remove(slot);
        if let Err(error) = self.setup.poll.registry().deregister(&mut stream) {
            return tracing::warn!(%error, "a connection can't be handed over and is closed");
        }
        let stream = std::net::TcpStream::from(OwnedFd::from(stream));
        if let Err(refused) = self.setup.handovers.try_send(Handover { stream, already_read, seat })
        {
            let (mpsc::error::TrySendError::Full(mut handover)
            | mpsc::error::TrySendError::Closed(mut handover)) = refused;
            reply::write_busy(&mut handover.stream, &self.setup.app.node);
        }
    }

    /// Looks for connections that are silent for too long, and opens the door again.
    fn sweep(&mut self) {
        if self.now.duration_since(self.swept) < SWEEP_EVERY {
            return;
        }
        self.swept = self.now;
        let options = self.setup.options;
        let scarce = self.setup.app.seats.are_scarce();
        let idle_timeout =
            if scarce { self.setup.app.limits.silence_when_full } else { options.idle_timeout };
        let late = |connection: &Connection| {
            let waits = if connection.is_idle() { idle_timeout } else { options.request_timeout };
            !connection.in_flight && self.now.duration_since(connection.since) > waits
        };
        let late: Vec<usize> =
            self.connections.iter().filter(|(_, c)| late(c)).map(|(slot, _)| slot).collect();
        late.into_iter().for_each(|slot| self.time_out(slot));
        self.setup.door.iter_mut().for_each(Door::reopen);
    }

    /// Closes a connection that was silent for too long. Who has begun a request is told why.
    fn time_out(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot) else {
            return;
        };
        if !connection.unread.is_empty() {
            self.output.clear();
            let id = crate::ids::RequestId::of(None);
            self.envelope.problem(&mut self.output, Code::RequestTimeout, id.as_str());
            // The peer may be gone; the connection ends either way.
            let _ = connection.send(&self.output);
        }
        self.drop_connection(slot);
    }

    fn stop(&mut self) {
        self.stopping = true;
        self.setup.door = None;
        let slots: Vec<usize> = self.connections.iter().map(|(slot, _)| slot).collect();
        slots.into_iter().for_each(|slot| self.close_if_idle(slot));
    }

    fn close_if_idle(&mut self, slot: usize) {
        if self.connections.get(slot).is_some_and(|c| !c.in_flight && c.unsent.is_empty()) {
            self.drop_connection(slot);
        }
    }

    fn drop_connection(&mut self, slot: usize) {
        if let Some(connection) = self.connections.try_remove(slot) {
            connection.close();
        }
    }
}

/// What a look at a connection's bytes led to.
enum Progress {
    /// A request is in flight.
    Served,
    /// The request is not whole.
    NeedsMore,
    /// The connection is no longer this lane's.
    Gone,
}
