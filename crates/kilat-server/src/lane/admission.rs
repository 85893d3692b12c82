//! Who is let in while callers leave before they are answered, and what the others are told.

use super::connection::Ticket;
use super::event_loop::EventLoop;
use super::pipeline::Kind;
use crate::metrics::TurnedAwayCounts;
use kilat_api::problem::Code;

/// Requests of a round that are not carried out.
pub(super) struct TurnedAway {
    orders: Vec<Ticket>,
    events: Vec<Ticket>,
    counts: TurnedAwayCounts,
}

impl TurnedAway {
    pub(super) fn new() -> TurnedAway {
        let counts = TurnedAwayCounts::new();
        TurnedAway { orders: Vec::new(), events: Vec::new(), counts }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.events.is_empty()
    }

    pub(super) fn push(&mut self, kind: Kind, ticket: Ticket) {
        match kind {
            Kind::Order => self.orders.push(ticket),
            Kind::Event => self.events.push(ticket),
        }
    }
}

impl EventLoop {
    /// Whether the next request of a connection is carried out; it counts as in flight then.
    pub(super) fn lets_in(&mut self, slot: usize) -> bool {
        let has_left = self.connections.get_mut(slot).is_none_or(|connection| {
            // It did not wait, or waits for the reply all the same.
            connection.left_counted |= connection.half_closed;
            connection.half_closed
        });
        let lets_in = self.crowding.admit(has_left, self.now);
        if !lets_in {
            self.turned_away.counts.note(has_left);
        }
        lets_in
    }

    /// Notes whether those stayed whose requests are answered now. Who left is one, however much
    /// they asked for.
    pub(super) fn settle(&mut self, tickets: &[Ticket]) {
        let mut gone = None;
        for &Ticket { slot, serial, since, .. } in tickets {
            let connection = self.connections.get_mut(slot);
            let (has_left, is_counted) =
                match connection.filter(|connection| connection.serial == serial) {
                    Some(connection) => {
                        let has_left = connection.half_closed;
                        let counted = connection.left_counted;
                        connection.left_counted |= has_left;
                        (has_left, counted)
                    }
                    None => (true, gone.replace((slot, serial)) == Some((slot, serial))),
                };
            match has_left && is_counted {
                true => self.crowding.withdraw(),
                false => self.crowding.settle(has_left, since, self.now),
            }
        }
    }

    /// Tells those who were turned away in this round to come later.
    pub(super) fn answer_turned_away(&mut self) {
        if self.turned_away.is_empty() {
            return;
        }
        for ticket in std::mem::take(&mut self.turned_away.orders) {
            let label = self.turn_away(&ticket);
            self.placing.counts.note(label, ticket.since);
        }
        let events = std::mem::take(&mut self.turned_away.events);
        self.publishing.failed(&events);
        for ticket in &events {
            self.turn_away(ticket);
        }
        self.end_answers();
    }

    fn turn_away(&mut self, ticket: &Ticket) -> &'static str {
        let retry_after = self.crowding.retry_after();
        self.reply(ticket, |envelope, out, id| {
            envelope.problem_for(out, Code::Overloaded, retry_after, id)
        })
    }
}
