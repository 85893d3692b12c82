//! The thread that moves facts from the store's outbox to the event log.
//!
//! Of all processes that work on a store one holds the lease and moves them. A fact leaves the
//! outbox only when the event log has it; were one moved twice, its id would make it a duplicate.
//! Nothing waits for this thread.

use super::ledger_store::{LedgerStore, StoredFact};
use super::session::Session;
use super::{OUTBOX_LOOK_EVERY, RELAY_FACTS_MAX};
use crate::events::FactEvent;
use crate::{Events, Unavailable};
use kilat_eventlog::{Content, NewEvent, Origin, Publication, PushError, Verdict};
use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Pause before the lease that another process has is asked for again.
const LEASE_LOOK_EVERY: Duration = Duration::from_millis(500);
/// Pause after the event log could not take a publication.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct Relay<S: LedgerStore> {
    pub(super) session: Session<S>,
    pub(super) events: Events,
    /// Closed when the process stops.
    pub(super) stop: Receiver<()>,
    pub(super) meters: Meters,
}

/// A fact contradicts what the event log has under its id: one of the two is not what it was.
struct Halted(String);

impl<S: LedgerStore> Relay<S> {
    /// Moves facts until the process stops.
    pub(super) fn run(mut self) {
        let mut pause = Duration::ZERO;
        while let Err(RecvTimeoutError::Timeout) = self.stop.recv_timeout(pause) {
            match self.step() {
                Ok(next) => pause = next,
                Err(Halted(why)) => {
                    tracing::error!(
                        why,
                        "the sale's facts are not moved to the event log any more"
                    );
                    self.meters.halted.set(1.0);
                    return;
                }
            }
        }
        // If this fails it ends by itself, only later.
        if self.session.is_connected() {
            let _ = self.session.call(LedgerStore::release_lease);
        }
    }

    /// Moves what there is, up to a limit; says how long to rest after it.
    fn step(&mut self) -> Result<Duration, Halted> {
        let held = self.session.call(LedgerStore::hold_lease);
        self.meters.lease.set(if matches!(held, Ok(true)) { 1.0 } else { 0.0 });
        let facts = match held {
            Ok(true) => self.session.call(|store| store.facts(RELAY_FACTS_MAX)),
            Ok(false) => return Ok(LEASE_LOOK_EVERY),
            Err(fault) => Err(fault),
        };
        let Ok(facts) = facts else {
            return Ok(self.session.wait());
        };
        if facts.is_empty() {
            return Ok(OUTBOX_LOOK_EVERY);
        }
        if let Err(why) = self.publish(&facts)? {
            tracing::debug!(%why, "facts wait in the outbox");
            return Ok(RETRY_PAUSE);
        }
        // If this fails they are published again and found to be duplicates.
        if self.session.call(LedgerStore::moved).is_ok() {
            self.meters.moved.increment(facts.len() as u64);
        }
        Ok(if facts.len() < RELAY_FACTS_MAX { OUTBOX_LOOK_EVERY } else { Duration::ZERO })
    }

    fn publish(&self, facts: &[StoredFact]) -> Result<Result<(), Unavailable>, Halted> {
        let publication = self.publication(facts).map_err(|error| Halted(error.to_string()))?;
        let (reply, answer) = sync_channel(1);
        self.events.publish_with(publication, Box::new(move |told| drop(reply.send(told))));
        let verdicts = match answer.recv().unwrap_or(Err(Unavailable::Unknown)) {
            Ok(verdicts) => verdicts,
            Err(why @ Unavailable::TooManyTopics) => return Err(Halted(why.to_string())),
            Err(why) => return Ok(Err(why)),
        };
        let conflict = facts.iter().zip(&verdicts).find_map(|(fact, verdict)| match verdict {
            Verdict::Conflict(offset) => Some((fact, offset)),
            Verdict::Stored(_) | Verdict::Duplicate(_) => None,
        });
        match conflict {
            None => Ok(Ok(())),
            Some((fact, offset)) => Err(Halted(format!(
                "fact {} of sale {} contradicts event {offset}: the store or the event log was \
                 replaced; give both that belong together",
                fact.sequence, fact.sale
            ))),
        }
    }

    fn publication(&self, facts: &[StoredFact]) -> Result<Publication, PushError> {
        let mut publication = self.events.publication();
        // Facts of a ledger whose frames this log does not follow.
        publication.set_origin(Origin::Projected { ledger_frame: 0 });
        let mut event = FactEvent::default();
        for fact in facts {
            event.set(&fact.sale, &fact.fact());
            let FactEvent { topic, id, body, .. } = &event;
            publication.push(NewEvent { topic, id, content: Content::of(body), body })?;
        }
        Ok(publication)
    }
}

/// What the relay measures.
pub(super) struct Meters {
    lease: Gauge,
    halted: Gauge,
    moved: Counter,
}

impl Meters {
    pub(super) fn new() -> Meters {
        describe_gauge!("kilat_relay_lease", "1 in the process that moves facts to the event log");
        describe_gauge!("kilat_relay_halted", "1 when facts are not moved any more");
        describe_counter!("kilat_relay_facts_total", "Facts moved to the event log");
        let halted = gauge!("kilat_relay_halted");
        halted.set(0.0);
        let lease = gauge!("kilat_relay_lease");
        Meters { lease, halted, moved: counter!("kilat_relay_facts_total") }
    }
}
