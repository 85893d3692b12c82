//! The thread that takes publications from the queue and has the store decide them.
//!
//! One batch is under way at a time and grows by itself to what arrived during the last one. A
//! batch whose fate is not known is sent again under the same number, so that it counts once and
//! its callers get the verdicts of the first attempt.

use super::told::Told;
use crate::Unavailable;
use crate::events::{Forgotten, PublishedCallback, Work};
use crate::intake::{Intake, Queued as _, Waited, Waiting};
use crate::query::Reply;
use crate::store::fault::StoreFault;
use crate::store::postgres::{Postgres, Published, Turn};
use crate::store::session::Session;
use crate::store::{EXPIRY_LOOK_EVERY, SEND_WAIT_MAX, outage};
use kilat_eventlog::{ForgetRule, Publication};
use metrics::{Counter, Histogram, counter, describe_counter, describe_histogram, histogram};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// See the module.
pub(super) struct Publisher {
    session: Session<Postgres>,
    intake: Arc<Intake<Work>>,
    told: Arc<Told>,
    turn: Turn,
    meters: Meters,
    /// When to look whether the store is still there, or back.
    look: Instant,
}

impl Publisher {
    pub(super) fn new(
        session: Session<Postgres>,
        intake: Arc<Intake<Work>>,
        told: Arc<Told>,
    ) -> Publisher {
        let turn = Turn { publisher: Uuid::now_v7(), number: 0 };
        Publisher { session, intake, told, turn, meters: Meters::new(), look: Instant::now() }
    }

    /// Runs until the queue is closed and empty; then everything taken is answered.
    pub(super) fn run(mut self) {
        let mut taken = Vec::new();
        loop {
            match self.intake.wait(Some(self.look)) {
                Waited::Closed => break,
                Waited::Deadline => {}
                Waited::Work { .. } => {
                    self.intake.take(&mut taken);
                    self.carry_out(&mut taken);
                }
            }
            if Instant::now() >= self.look {
                self.look();
            }
        }
    }

    /// While the store is away this is what finds out that it is back.
    fn look(&mut self) {
        let pause = match self.session.call(Postgres::figures) {
            Ok(figures) => {
                self.told.tell(figures);
                self.intake.resume();
                EXPIRY_LOOK_EVERY
            }
            Err(fault) => {
                tracing::debug!(%fault, "the log was not looked at");
                outage::without_store(&self.session, &self.intake);
                self.session.wait()
            }
        };
        self.look = Instant::now() + pause;
    }

    /// Publications up to a rule are one batch; a rule comes after what was queued before it.
    fn carry_out(&mut self, taken: &mut Vec<Waiting<Work>>) {
        let mut batch = Batch::new();
        for Waiting { work, since } in taken.drain(..) {
            if since.elapsed() > SEND_WAIT_MAX {
                work.refuse(Unavailable::Overloaded);
                continue;
            }
            match work {
                Work::Publish { publication, done } => batch.push(publication, done, since),
                Work::Forget { rule, reply } => {
                    self.publish(std::mem::replace(&mut batch, Batch::new()));
                    self.forget(&rule, reply, since);
                }
            }
        }
        self.publish(batch);
    }

    fn publish(&mut self, mut batch: Batch) {
        if batch.publications.is_empty() {
            return;
        }
        let since = Instant::now();
        match self.decide(&batch) {
            Ok(Published { verdicts: Some(verdicts), figures }) => {
                self.meters.committed(since.elapsed(), verdicts.len());
                // Whoever waits for events is woken before the replies go.
                self.told.tell(figures);
                batch.settle(verdicts);
            }
            Ok(_) if batch.publications.len() == 1 => batch.refuse(Unavailable::TooManyTopics),
            // Only those that make topics are refused.
            Ok(_) => batch.split().for_each(|one| self.publish(one)),
            Err(why) => batch.refuse(why),
        }
    }

    /// Has the batch decided, however often it takes to learn what became of it.
    fn decide(&mut self, batch: &Batch) -> Result<Published, Unavailable> {
        let publications: Vec<_> = batch.publications.iter().map(|(one, _)| &**one).collect();
        self.turn.number += 1;
        let (turn, mut again) = (self.turn, false);
        loop {
            let fault = match self.session.call(|log| log.publish(turn, &publications)) {
                Ok(published) => {
                    self.intake.resume();
                    return Ok(published);
                }
                Err(fault) => fault,
            };
            again |= matches!(fault, StoreFault::Lost(_));
            let waited = batch.oldest.elapsed();
            if let Some(why) = outage::verdict(&self.session, &self.intake, &fault, waited, again) {
                return Err(why);
            }
            thread::sleep(self.session.wait());
        }
    }

    /// A rule goes up to the newest event, so one whose fate is not known is not repeated.
    fn forget(&mut self, rule: &ForgetRule, reply: Reply<Forgotten>, since: Instant) {
        loop {
            let fault = match self.session.call(|log| log.forget(rule)) {
                Ok(forgotten) => return reply(Ok(forgotten)),
                Err(StoreFault::Lost(_)) => return reply(Err(Unavailable::Unknown)),
                Err(fault) => fault,
            };
            let waited = since.elapsed();
            if let Some(why) = outage::verdict(&self.session, &self.intake, &fault, waited, false) {
                return reply(Err(why));
            }
            thread::sleep(self.session.wait());
        }
    }
}

/// Publications that are stored as one. Dropped without having been answered, it tells their
/// callers that nothing is known: nobody waits for ever.
struct Batch {
    publications: Vec<(Box<Publication>, PublishedCallback)>,
    /// When the first of them came.
    oldest: Instant,
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.publications.drain(..).for_each(|(_, done)| done(Err(Unavailable::Unknown)));
    }
}

impl Batch {
    fn new() -> Batch {
        Batch { publications: Vec::new(), oldest: Instant::now() }
    }

    fn push(&mut self, publication: Box<Publication>, done: PublishedCallback, since: Instant) {
        if publication.is_empty() {
            done(Ok(Vec::new()));
            return;
        }
        self.oldest = self.oldest.min(since);
        self.publications.push((publication, done));
    }

    fn split(&mut self) -> impl Iterator<Item = Batch> {
        let oldest = self.oldest;
        let publications = std::mem::take(&mut self.publications);
        publications.into_iter().map(move |one| Batch { publications: vec![one], oldest })
    }

    fn refuse(mut self, why: Unavailable) {
        self.publications.drain(..).for_each(|(_, done)| done(Err(why)));
    }

    /// Gives each caller the verdicts on its events; there is one for each.
    fn settle(mut self, verdicts: Vec<kilat_eventlog::Verdict>) {
        let mut verdicts = verdicts.into_iter();
        for (publication, done) in self.publications.drain(..) {
            done(Ok(verdicts.by_ref().take(publication.len()).collect()));
        }
    }
}

/// What the publisher measures.
struct Meters {
    groups: Counter,
    group_events: Histogram,
    publish_seconds: Histogram,
}

impl Meters {
    fn new() -> Meters {
        describe_counter!("kilat_event_groups_total", "Groups of publications committed");
        describe_histogram!("kilat_event_group_events", "Events of a group, duplicates included");
        describe_histogram!(
            "kilat_store_publish_seconds",
            "Time until the store has decided a group of publications and made it durable"
        );
        Meters {
            groups: counter!("kilat_event_groups_total"),
            group_events: histogram!("kilat_event_group_events"),
            publish_seconds: histogram!("kilat_store_publish_seconds"),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a group's events are far below 2^52")]
    fn committed(&self, took: Duration, events: usize) {
        self.groups.increment(1);
        self.group_events.record(events as f64);
        self.publish_seconds.record(took.as_secs_f64());
    }
}
