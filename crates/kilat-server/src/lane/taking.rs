//! How a lane takes requests from its connections: all that are whole, into the groups of the round.

use super::connection::{Arrived, Connection, Ticket};
use super::event_loop::EventLoop;
use super::mailbox::Finished;
use super::pipeline::Kind;
use super::request::{self, HotEvent, HotOrder, Seen};
use super::trip::Trip;
use kilat_engine::OrderText;
use std::sync::Arc;

/// Requests after which a group is sent without waiting for the end of the round.
const REQUESTS_PER_GROUP: usize = 2_048;

/// Where a look at a connection's bytes ended.
enum Progress {
    /// All that was whole is in flight.
    NeedsMore,
    /// The next request is not to be taken before those in flight are answered.
    Waits,
    /// The connection is no longer this lane's.
    Gone,
}

impl EventLoop {
    /// Reads and takes requests until the connection has nothing more or must wait for replies.
    pub(super) fn serve(&mut self, slot: usize) {
        if self.stopping {
            return self.close_if_idle(slot);
        }
        let mut progress = self.take_unread(slot);
        while let Progress::NeedsMore = progress {
            let Some(connection) = self.connections.get_mut(slot) else {
                return;
            };
            // Who does not take replies is not asked for more requests.
            if !connection.readable || !connection.unsent.is_empty() {
                return;
            }
            match connection.read(&mut self.scratch) {
                Arrived::Bytes(count, emptied) => {
                    // The end comes without another event once it was announced.
                    connection.readable = !emptied || connection.half_closed;
                    progress = self.take_read(slot, count);
                }
                Arrived::Nothing => connection.readable = false,
                Arrived::End => {
                    (connection.readable, connection.half_closed) = (false, true);
                    return self.go_on(slot);
                }
            }
        }
    }

    /// Looks at bytes kept from earlier reads.
    fn take_unread(&mut self, slot: usize) -> Progress {
        let Some(connection) = self.connections.get_mut(slot) else {
            return Progress::Gone;
        };
        if connection.unread.is_empty() {
            return Progress::NeedsMore;
        }
        if !connection.unsent.is_empty() {
            return Progress::Waits;
        }
        let unread = std::mem::take(&mut connection.unread);
        let (progress, used) = self.take(slot, &unread);
        if let Some(connection) = self.connections.get_mut(slot)
            && used < unread.len()
        {
            connection.unread = unread;
            connection.unread.drain(..used);
        }
        progress
    }

    /// Looks at bytes just read: in place if nothing was kept before them.
    fn take_read(&mut self, slot: usize, count: usize) -> Progress {
        let Some(connection) = self.connections.get_mut(slot) else {
            return Progress::Gone;
        };
        if !connection.unread.is_empty() {
            connection.unread.extend_from_slice(&self.scratch[..count]);
            return self.take_unread(slot);
        }
        let scratch = std::mem::take(&mut self.scratch);
        let (progress, used) = self.take(slot, &scratch[..count]);
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.keep(&scratch[used..count], self.now);
        }
        self.scratch = scratch;
        progress
    }

    /// Takes the whole requests at the start of `bytes`; tells how many bytes were used.
    fn take(&mut self, slot: usize, bytes: &[u8]) -> (Progress, usize) {
        let mut used = 0;
        while used < bytes.len() {
            match self.take_one(slot, &bytes[used..]) {
                Ok(length) => used += length,
                Err(progress) => return (progress, used),
            }
        }
        (Progress::NeedsMore, used)
    }

    /// Takes the request at the start of `bytes` and tells its length, or why it was not taken.
    fn take_one(&mut self, slot: usize, bytes: &[u8]) -> Result<usize, Progress> {
        match request::look(bytes) {
            Seen::Partial => Err(Progress::NeedsMore),
            Seen::Order(order) if self.may_order(&order) => self.take_order(slot, &order),
            Seen::Event(event) if self.may_publish(&event) => {
                self.has_room(slot, Kind::Event)?;
                self.take_event(slot, &event)?.ok_or_else(|| self.pass_on(slot, bytes))
            }
            Seen::Order(_) | Seen::Event(_) | Seen::Other => Err(self.pass_on(slot, bytes)),
        }
    }

    /// Gives the connection to the full lane, which answers everything from here on, so that
    /// nothing may be in flight.
    fn pass_on(&mut self, slot: usize, bytes: &[u8]) -> Progress {
        if !self.connections.get(slot).is_some_and(Connection::owes_nothing) {
            return Progress::Waits;
        }
        self.hand_over(slot, bytes.to_vec());
        Progress::Gone
    }

    /// Whether a request of this kind may be taken now.
    fn has_room(&self, slot: usize, kind: Kind) -> Result<(), Progress> {
        let admits = |connection: &Connection| connection.pipeline.admits(kind);
        let admitted = self.connections.get(slot).is_some_and(admits);
        if admitted { Ok(()) } else { Err(Progress::Waits) }
    }

    /// Callers named by a customer token, and those who must be turned away, are the full lane's.
    fn may_order(&self, order: &HotOrder<'_>) -> bool {
        self.setup.app.access.is_plain_shop(order.authorization)
    }

    fn may_publish(&self, event: &HotEvent<'_>) -> bool {
        self.setup.app.access.is_plain_publisher(event.authorization)
    }

    /// Adds an order to the group of the round.
    fn take_order(&mut self, slot: usize, order: &HotOrder<'_>) -> Result<usize, Progress> {
        self.has_room(slot, Kind::Order)?;
        let trip = Trip::begin(&self.setup.app.tracer, order.traceparent, Some(order.sale));
        let ticket = self.ticket(slot, Kind::Order, order.request_id, trip)?;
        if !self.lets_in(slot) {
            self.turned_away.push(Kind::Order, ticket);
            return Ok(order.length);
        }
        let text =
            OrderText { sale: order.sale, customer: &order.request.customer, key: order.key };
        self.placing.push(&text, order.request.quantity, order.request.hold, ticket);
        if self.placing.len() >= REQUESTS_PER_GROUP {
            self.send_orders();
        }
        Ok(order.length)
    }

    /// Adds an event to the group of the round; none when it is no event.
    fn take_event(&mut self, slot: usize, event: &HotEvent<'_>) -> Result<Option<usize>, Progress> {
        let lets_in = self.lets_in(slot);
        if lets_in && !self.publishing.push(event.body) {
            self.crowding.withdraw();
            return Ok(None);
        }
        let trip = Trip::begin(&self.setup.app.tracer, event.traceparent, None);
        let ticket = self.ticket(slot, Kind::Event, event.request_id, trip)?;
        if !lets_in {
            self.turned_away.push(Kind::Event, ticket);
            return Ok(Some(event.length));
        }
        self.publishing.tickets.push(ticket);
        if self.publishing.len() >= REQUESTS_PER_GROUP {
            self.send_events();
        }
        Ok(Some(event.length))
    }

    /// Marks a request of the connection as in flight.
    fn ticket(
        &mut self,
        slot: usize,
        kind: Kind,
        request_id: Option<&str>,
        trip: Option<Box<Trip>>,
    ) -> Result<Ticket, Progress> {
        let connection = self.connections.get_mut(slot).ok_or(Progress::Gone)?;
        connection.since = self.now;
        let (serial, number) = (connection.serial, connection.pipeline.begin(kind));
        let request_id = request_id.map(Into::into);
        Ok(Ticket { slot, serial, number, request_id, since: self.now, trip })
    }

    /// Sends the orders of this round to the engine as one group.
    pub(super) fn send_orders(&mut self) {
        if self.placing.len() == 0 {
            return;
        }
        let (orders, tickets) = self.placing.take();
        let mailbox = Arc::clone(&self.setup.mailbox);
        let done = Box::new(move |placed| mailbox.finish(Finished::Orders { placed, tickets }));
        self.groups_in_flight += 1;
        self.setup.app.handle.place(orders, done);
    }

    /// Sends the events of this round to the engine as one group.
    pub(super) fn send_events(&mut self) {
        if self.publishing.len() == 0 {
            return;
        }
        let (publication, tickets) = self.publishing.take();
        let mailbox = Arc::clone(&self.setup.mailbox);
        let done = Box::new(move |verdicts| mailbox.finish(Finished::Events { verdicts, tickets }));
        self.groups_in_flight += 1;
        self.setup.app.events.hand_over(publication, done);
    }
}
