//! How a lane answers: the replies of a group, those to one connection in one write.

use super::connection::Ticket;
use super::event_loop::EventLoop;
use super::mailbox::Finished;
use super::reply::{self, Asked, Envelope};
use crate::ids::RequestId;
use crate::problem;
use kilat_engine::{Placed, Unavailable, Verdict};

/// Replies that leave together: of requests of one connection that came one behind the other.
#[derive(Default)]
pub(super) struct Run {
    /// Slot and serial of the connection.
    to: Option<(usize, u64)>,
    out: Vec<u8>,
}

impl EventLoop {
    /// Writes the replies of a group, then looks at what came in behind the requests.
    pub(super) fn answer(&mut self, finished: Finished) {
        let (Finished::Orders { tickets, .. } | Finished::Events { tickets, .. }) = &finished;
        self.settle(tickets);
        match finished {
            Finished::Orders { placed: Ok(placed), tickets } => self.answer_orders(placed, tickets),
            Finished::Events { verdicts: Ok(verdicts), tickets } => {
                self.answer_events(&verdicts, &tickets);
            }
            Finished::Orders { placed: Err(why), tickets } => self.refuse_orders(&tickets, why),
            Finished::Events { verdicts: Err(why), tickets } => self.refuse_events(&tickets, why),
        }
        self.end_answers();
    }

    /// Sends what is still to be sent of the answers so far, and counts them.
    pub(super) fn end_answers(&mut self) {
        self.end_run();
        self.placing.counts.flush();
    }

    fn refuse_orders(&mut self, tickets: &[Ticket], why: Unavailable) {
        for ticket in tickets {
            let label = self.refuse(ticket, why);
            self.placing.counts.note(label, ticket.since);
        }
    }

    fn refuse_events(&mut self, tickets: &[Ticket], why: Unavailable) {
        self.publishing.failed(tickets);
        for ticket in tickets {
            self.refuse(ticket, why);
        }
    }

    fn answer_orders(&mut self, placed: Placed, tickets: Vec<Ticket>) {
        for (index, ticket) in tickets.iter().enumerate() {
            let asked = placed.orders.get(index);
            let asked = Asked { sale: asked.sale, customer: asked.customer };
            let outcome = &placed.outcomes()[index];
            if let Some(trip) = &ticket.trip {
                trip.placed(&self.setup.app.tracer, &placed);
            }
            let label = self.reply(ticket, |envelope, out, id| {
                envelope.outcome(out, outcome, placed.at, &asked, id)
            });
            self.placing.counts.note(label, ticket.since);
        }
        self.placing.recycle(placed.orders, tickets);
    }

    fn answer_events(&mut self, verdicts: &[Verdict], tickets: &[Ticket]) {
        self.publishing.count(verdicts, tickets);
        for (ticket, verdict) in tickets.iter().zip(verdicts) {
            if let Some(trip) = &ticket.trip {
                trip.stored(&self.setup.app.tracer);
            }
            self.reply(ticket, |envelope, out, id| envelope.published(out, *verdict, id));
        }
    }

    fn refuse(&mut self, ticket: &Ticket, why: Unavailable) -> &'static str {
        self.reply(ticket, |envelope, out, id| envelope.problem(out, problem::unavailable(why), id))
    }

    /// Writes one reply, which leaves when its turn has come and its run ends.
    pub(super) fn reply<T>(
        &mut self,
        ticket: &Ticket,
        write: impl FnOnce(&mut Envelope, &mut Vec<u8>, &str) -> T,
    ) -> T {
        let to = Some((ticket.slot, ticket.serial));
        if self.run.to != to {
            self.end_run();
            self.run.to = to;
            self.run.out.clear();
        }
        let id = RequestId::of(ticket.request_id.as_deref());
        let out = &mut self.run.out;
        let start = out.len();
        let told = write(&mut self.envelope, out, id.as_str());
        if let Some(trip) = &ticket.trip {
            trip.end(&self.setup.app.tracer, id.as_str(), reply::status(&out[start..]));
        }
        let connection = self.connections.get_mut(ticket.slot);
        match connection.filter(|connection| connection.serial == ticket.serial) {
            Some(connection) => connection.pipeline.settle(ticket.number, start, out),
            None => out.truncate(start),
        }
        told
    }

    /// Sends what was written for a connection, then looks what it asks next.
    fn end_run(&mut self) {
        let Some((slot, serial)) = self.run.to.take() else {
            return;
        };
        let connection = self.connections.get_mut(slot);
        let Some(connection) = connection.filter(|connection| connection.serial == serial) else {
            return;
        };
        connection.since = self.now;
        if connection.send(&self.run.out).is_err() {
            return self.drop_connection(slot);
        }
        self.go_on(slot);
    }

    /// Goes on with a connection after replies were sent: with what came in behind their requests,
    /// or to its end.
    pub(super) fn go_on(&mut self, slot: usize) {
        let Some(connection) = self.connections.get(slot) else {
            return;
        };
        if self.stopping || connection.has_ended() {
            self.close_if_idle(slot);
        } else if connection.readable || !connection.unread.is_empty() {
            self.serve(slot);
        }
    }
}
