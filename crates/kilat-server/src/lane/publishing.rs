//! The events of a round: read here, published as one group, answered one by one.

use super::connection::Ticket;
use crate::metrics::{Answer, EVENTS, PublishCounts};
use kilat_api::event::{Buffers, Event, Form, OnInvalid, read};
use kilat_engine::{Content, Events, NewEvent, Publication, Verdict};
use metrics::{Counter, counter};
use std::time::Instant;

/// A lane's events that are not sent yet, and what reading them needs.
pub(super) struct Publishing {
    events: Events,
    publication: Publication,
    pub(super) tickets: Vec<Ticket>,
    buffers: Buffers,
    /// Counters of `stored`, `duplicate` and `conflict`.
    results: [Counter; 3],
    counts: PublishCounts,
}

impl Publishing {
    pub(super) fn new(events: Events) -> Publishing {
        let publication = events.publication();
        let results =
            ["stored", "duplicate", "conflict"].map(|result| counter!(EVENTS, "result" => result));
        let (tickets, buffers) = (Vec::new(), Buffers::default());
        let counts = PublishCounts::default();
        Publishing { events, publication, tickets, buffers, results, counts }
    }

    /// Adds the event in `body`; `false` when it is none, which is for the full lane to explain.
    pub(super) fn push(&mut self, body: &[u8]) -> bool {
        let Publishing { publication, buffers, .. } = self;
        let before = publication.len();
        let mut pushed = true;
        let mut take = |event: &Event<'_>| {
            let Event { topic, event_id, body, canonical, .. } = *event;
            let content = Content::of(canonical);
            pushed = publication.push(NewEvent { topic, id: event_id, content, body }).is_ok();
        };
        let read = read(body, Form::Json, OnInvalid::Refuse, buffers, &mut take);
        if read.is_err() {
            publication.truncate(before);
        }
        read.is_ok() && pushed
    }

    pub(super) fn len(&self) -> usize {
        self.tickets.len()
    }

    /// The group, and whose events they are.
    pub(super) fn take(&mut self) -> (Publication, Vec<Ticket>) {
        let publication = std::mem::replace(&mut self.publication, self.events.publication());
        (publication, std::mem::take(&mut self.tickets))
    }

    /// Counts what became of a group, and how long it took.
    pub(super) fn count(&mut self, verdicts: &[Verdict], tickets: &[Ticket]) {
        let mut counts = [0; 3];
        for verdict in verdicts {
            counts[match verdict {
                Verdict::Stored(_) => 0,
                Verdict::Duplicate(_) => 1,
                Verdict::Conflict(_) => 2,
            }] += 1;
        }
        for (counter, count) in self.results.iter().zip(counts) {
            counter.increment(count);
        }
        self.time(tickets, Answer::Accepted);
    }

    /// Counts a group that could not be stored.
    pub(super) fn failed(&mut self, tickets: &[Ticket]) {
        self.time(tickets, Answer::Failed);
    }

    /// Notes how long those who hold `tickets` have waited for this answer.
    fn time(&mut self, tickets: &[Ticket], answer: Answer) {
        let now = Instant::now();
        for ticket in tickets {
            self.counts.note(answer, now.duration_since(ticket.since));
        }
        self.counts.flush();
    }
}
