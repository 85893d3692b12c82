//! The thread that takes batches from the queue and has the store decide them.
//!
//! One batch is under way at a time, so that decisions come in the order of the queue and a batch
//! grows by itself to what arrived during the last one. A batch whose fate is not known is sent
//! again with the same keys and ids until its callers have waited long enough.

use super::fault::StoreFault;
use super::ledger_store::{Decided, LedgerStore};
use super::session::Session;
use super::shown::Shown;
use super::{EXPIRY_LOOK_EVERY, SEND_WAIT_MAX, outage};
use crate::intake::{Intake, Queued as _, Waited, Waiting};
use crate::query::Query;
use crate::traced::Stages;
use crate::work::Work;
use crate::{Placed, Unavailable};
use kilat_ledger::{Command, Outcome, Time};
use metrics::{Counter, Histogram, counter, describe_counter, describe_histogram, histogram};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// See the module.
pub(super) struct Runner<S: LedgerStore> {
    pub(super) session: Session<S>,
    pub(super) intake: Arc<Intake<Work>>,
    pub(super) reads: Arc<Intake<Query>>,
    pub(super) shown: Arc<Shown>,
    pub(super) meters: Meters,
    /// When to look for due holds.
    pub(super) expiry_look: Instant,
}

impl<S: LedgerStore> Runner<S> {
    /// Runs until the queue is closed and empty; then everything taken is answered.
    pub(super) fn run(mut self) {
        let mut taken = Vec::new();
        loop {
            match self.intake.wait(Some(self.expiry_look)) {
                Waited::Closed => break,
                Waited::Deadline => {}
                Waited::Work { .. } => {
                    self.intake.take(&mut taken);
                    self.carry_out(&mut taken);
                }
            }
            if Instant::now() >= self.expiry_look {
                self.expire();
            }
        }
    }

    fn carry_out(&mut self, taken: &mut Vec<Waiting<Work>>) {
        let pending = self.sort(taken);
        if pending.works.is_empty() {
            return;
        }
        let since = Instant::now();
        match self.decide(&pending) {
            Ok((decided, again)) => {
                self.meters.committed(since.elapsed(), &decided);
                self.learn(&decided);
                pending.settle(decided.outcomes, decided.at, again);
            }
            Err(why) => pending.refuse(why),
        }
    }

    /// Reads go to their own thread; what waited too long goes back.
    fn sort(&self, taken: &mut Vec<Waiting<Work>>) -> Pending {
        let now = Instant::now();
        let oldest = taken.first().map_or(now, |one| one.since);
        self.meters.taken(oldest);
        let mut works = Vec::with_capacity(taken.len());
        for Waiting { work, since } in taken.drain(..) {
            match work {
                Work::Query(query) => self.reads.put_or_refuse(query),
                work if since.elapsed() > SEND_WAIT_MAX => {
                    self.meters.waited_too_long(work.weight());
                    work.refuse(Unavailable::Overloaded);
                }
                work => works.push(Waiting { work, since }),
            }
        }
        Pending { works, oldest, taken: now }
    }

    /// Has the batch decided, however often it takes to learn what became of it. Tells also
    /// whether an attempt before may have been carried out.
    fn decide(&mut self, pending: &Pending) -> Result<(Decided, bool), Unavailable> {
        let commands = pending.commands();
        let mut again = false;
        loop {
            let fault = match self.session.call(|store| store.commit(&commands)) {
                Ok(decided) if decided.outcomes.len() == commands.len() => {
                    self.intake.resume();
                    return Ok((decided, again));
                }
                Ok(_) => {
                    tracing::error!("the store did not answer each command of a batch");
                    return Err(Unavailable::Unknown);
                }
                Err(fault) => fault,
            };
            again |= matches!(fault, StoreFault::Lost(_));
            let waited = pending.oldest.elapsed();
            if let Some(why) = outage::verdict(&self.session, &self.intake, &fault, waited, again) {
                return Err(why);
            }
            thread::sleep(self.session.wait());
        }
    }

    /// Expires what is due, also what other processes left behind. While the store is away this
    /// is what finds out that it is back.
    fn expire(&mut self) {
        match self.session.call(LedgerStore::expire_due) {
            Ok(decided) => {
                self.meters.holds_expired(decided.expired);
                self.learn(&decided);
                self.intake.resume();
            }
            Err(fault) => {
                tracing::debug!(%fault, "due holds were not looked for");
                outage::without_store(&self.session, &self.intake);
                self.expiry_look = Instant::now() + self.session.wait();
            }
        }
    }

    /// What has to be shown and remembered before any reply leaves.
    fn learn(&mut self, decided: &Decided) {
        self.shown.show(&decided.sales);
        let wait = decided.next_expiry.unwrap_or(EXPIRY_LOOK_EVERY).min(EXPIRY_LOOK_EVERY);
        self.expiry_look = Instant::now() + wait;
    }
}

/// A batch that its callers wait for. Dropped without having been answered, it tells them that
/// nothing is known: nobody waits for ever.
struct Pending {
    works: Vec<Waiting<Work>>,
    oldest: Instant,
    taken: Instant,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.works.drain(..).for_each(|one| one.work.refuse(Unavailable::Unknown));
    }
}

impl Pending {
    fn commands(&self) -> Vec<Command<'_>> {
        let mut commands = Vec::with_capacity(self.works.len());
        for Waiting { work, .. } in &self.works {
            match work {
                Work::Orders { orders, .. } => {
                    commands.extend(orders.iter().map(Command::PlaceOrder));
                }
                Work::Change { change, .. } => commands.push(change.command()),
                Work::Query(_) => {}
            }
        }
        commands
    }

    fn refuse(mut self, why: Unavailable) {
        self.works.drain(..).for_each(|one| one.work.refuse(why));
    }

    /// Gives each caller the outcomes of its commands; there is one for each.
    fn settle(mut self, outcomes: Vec<Outcome>, at: Time, again: bool) {
        let mut outcomes = outcomes.into_iter();
        let taken = self.taken;
        for Waiting { work, since } in self.works.drain(..) {
            match work {
                Work::Orders { mut orders, done } => {
                    orders.outcomes.clear();
                    let count = orders.len();
                    orders.outcomes.extend(outcomes.by_ref().take(count));
                    if again {
                        orders.own_up();
                    }
                    let is_traced = !orders.traced().is_empty();
                    let stages =
                        is_traced.then_some(Stages { queued: since, taken, decided: None });
                    done(Ok(Placed { orders, at, stages }));
                }
                Work::Change { reply, .. } => {
                    reply(outcomes.next().map(|outcome| (outcome, at)).ok_or(Unavailable::Unknown));
                }
                Work::Query(query) => query.refuse(Unavailable::Unknown),
            }
        }
    }
}

/// What the runner measures.
pub(super) struct Meters {
    batches: Counter,
    commit_seconds: Histogram,
    wait_seconds: Histogram,
    holds_expired: Counter,
    queue_expired: Counter,
}

impl Meters {
    pub(super) fn new() -> Meters {
        describe_histogram!(
            "kilat_store_commit_seconds",
            "Time until the store has decided a batch and made it durable"
        );
        describe_counter!("kilat_batches_total", "Batches committed, also those without facts");
        describe_histogram!("kilat_queue_wait_seconds", "Wait of a batch's oldest command");
        describe_counter!("kilat_holds_expired_total", "Holds that ran out");
        describe_counter!(
            "kilat_queue_expired_total",
            "Commands given up because they waited too long"
        );
        Meters {
            batches: counter!("kilat_batches_total"),
            commit_seconds: histogram!("kilat_store_commit_seconds"),
            wait_seconds: histogram!("kilat_queue_wait_seconds"),
            holds_expired: counter!("kilat_holds_expired_total"),
            queue_expired: counter!("kilat_queue_expired_total"),
        }
    }

    fn taken(&self, oldest: Instant) {
        self.wait_seconds.record(oldest.elapsed().as_secs_f64());
    }

    fn waited_too_long(&self, commands: usize) {
        self.queue_expired.increment(commands as u64);
    }

    fn holds_expired(&self, holds: usize) {
        self.holds_expired.increment(holds as u64);
    }

    fn committed(&self, took: Duration, decided: &Decided) {
        self.batches.increment(1);
        self.commit_seconds.record(took.as_secs_f64());
        self.holds_expired(decided.expired);
    }
}
