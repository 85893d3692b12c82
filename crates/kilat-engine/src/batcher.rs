//! The deciding thread: takes what waits, decides it as one batch, hands it to the committer.
//!
//! It collects as late as it can, so that under load each batch is as large as
//! one fdatasync allows. Only a long queue is decided ahead of it.

use crate::intake::{Intake, Queued as _, Waited, Waiting};
use crate::release::{Outgoing, Release, Settled};
use crate::sale::Sale;
use crate::snapshots::Snapshots;
use crate::traced::Stages;
use crate::work::Work;
use crate::{BATCH_BYTES_MAX, Clock, Orders, Placed, QUEUE_WAIT_MS_MAX, Unavailable};
use kilat_journal::{Committer, Frame, PAYLOAD_BYTES_MAX};
use kilat_ledger::{BATCH_HEADER_BYTES, Batch, Command, Ledger, STATUS_FACT_BYTES_MAX, Time};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// From this many waiting commands on, the next batch is decided while the
/// last one is being committed. Fewer are decided in less time than the commit
/// of a batch of their own would cost, so they wait and let others join.
const DECIDE_AHEAD_COMMANDS: usize = 1_024;
/// Most holds that one batch expires; further due ones wait for the next batch.
const EXPIRIES_PER_BATCH_MAX: usize = 8_192;
/// Orders whose index lines are fetched ahead of deciding them.
const WARM_ORDERS: usize = 64;
const _: () = assert!(
    BATCH_HEADER_BYTES + BATCH_BYTES_MAX + EXPIRIES_PER_BATCH_MAX * STATUS_FACT_BYTES_MAX
        <= PAYLOAD_BYTES_MAX,
    "the largest batch must fit into one frame"
);

/// Longest sleep without looking at the clock, so that a leaning clock can't oversleep a hold.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// Longest wait for a due hold's expiry to be tried again when there is no space to record it.
const EXPIRY_RETRY: Duration = Duration::from_millis(100);

/// The deciding thread's state.
pub(crate) struct Batcher {
    pub(crate) ledger: Ledger,
    pub(crate) clock: Clock,
    pub(crate) intake: Arc<Intake<Work>>,
    pub(crate) committer: Committer,
    pub(crate) release: Arc<Release>,
    pub(crate) snapshots: Snapshots,
    /// Facts of each sale that readers were shown, by the sale's number.
    pub(crate) shown: Vec<u64>,
    /// The queue is long: decide the next batch while this one is being committed.
    pub(crate) ahead: bool,
    /// There was no space for the last batch's facts.
    pub(crate) full: bool,
}

impl Batcher {
    /// Runs until the intake is closed and empty; then everything taken is durable and answered.
    pub(crate) fn run(mut self) {
        let mut waiting = Vec::new();
        loop {
            let deadline = self.deadline();
            self.ahead = match self.intake.wait(deadline) {
                Waited::Closed => break,
                Waited::Deadline => false,
                Waited::Work { weight, .. } => weight >= DECIDE_AHEAD_COMMANDS,
            };
            if self.ahead {
                self.committer.wait_ready();
            } else {
                self.committer.wait_idle();
            }
            self.intake.take(&mut waiting);
            self.batch(&mut waiting);
        }
        let position = self.committer.close().map(|journal| journal.position());
        self.snapshots.finish(&self.ledger, position);
    }

    /// When to wake up though nobody asks: the next hold is due.
    fn deadline(&mut self) -> Option<Instant> {
        let due = self.ledger.next_expiry()?;
        let wait = due.as_millis().saturating_sub(self.clock.now().as_millis()).max(0);
        let soonest = if self.full { EXPIRY_RETRY } else { Duration::ZERO };
        let wait = Duration::from_millis(wait.unsigned_abs()).clamp(soonest, SLEEP_MAX);
        Some(Instant::now() + wait)
    }

    /// Decides what waits as one batch and hands it over.
    fn batch(&mut self, waiting: &mut Vec<Waiting<Work>>) {
        let since = Instant::now();
        self.release.meters.taken(waiting.first().map(|oldest| oldest.since));
        let now = self.ledger.clamp(self.clock.now());
        let refused = self.no_room(self.frame_bytes_max(now, waiting));
        self.full = refused.is_some();
        let mut facts = Batch::reusing(self.release.spare.take());
        let mut outgoing = Outgoing::default();
        if let Some(why) = refused {
            self.read_only(waiting, &mut outgoing, why);
        } else {
            let expired = self.ledger.expire_due(now, EXPIRIES_PER_BATCH_MAX, &mut facts);
            self.release.meters.holds_expired(expired);
            self.settle(waiting, (now, since), &mut facts, &mut outgoing);
        }
        self.release.meters.decided_in(since.elapsed());
        self.hand_over(facts, outgoing);
    }

    /// Space is reserved before anything is decided, so that what is decided can be recorded.
    fn frame_bytes_max(&self, now: Time, waiting: &[Waiting<Work>]) -> usize {
        let due = self.ledger.next_expiry().is_some_and(|end| now >= end);
        let expiries = if due { EXPIRIES_PER_BATCH_MAX.min(self.ledger.holds_len()) } else { 0 };
        let work: usize = waiting.iter().map(|one| one.work.frame_bytes_max()).sum();
        BATCH_HEADER_BYTES + expiries * STATUS_FACT_BYTES_MAX + work
    }

    /// Why facts of so many bytes can't be recorded, if they can't.
    fn no_room(&self, bytes: usize) -> Option<Unavailable> {
        self.committer.reserve(bytes).err().map(Unavailable::from)
    }

    /// Without space nothing may be decided; reads still may.
    fn read_only(
        &self,
        waiting: &mut Vec<Waiting<Work>>,
        outgoing: &mut Outgoing,
        why: Unavailable,
    ) {
        for Waiting { work, .. } in waiting.drain(..) {
            match work {
                Work::Query(query) => outgoing.settled.push(Settled::Read(query.run(&self.ledger))),
                other => other.refuse(why),
            }
        }
    }

    fn settle(
        &mut self,
        waiting: &mut Vec<Waiting<Work>>,
        (now, taken): (Time, Instant),
        facts: &mut Batch,
        outgoing: &mut Outgoing,
    ) {
        let settled = &mut outgoing.settled;
        settled.reserve(waiting.len());
        for Waiting { work, since } in waiting.drain(..) {
            if since.elapsed() > Duration::from_millis(QUEUE_WAIT_MS_MAX) {
                self.release.meters.waited_too_long(work.weight());
                work.refuse(Unavailable::Overloaded);
                continue;
            }
            settled.push(match work {
                Work::Orders { orders, done } => {
                    let mut placed = self.place(orders, now, facts);
                    if !placed.orders.traced().is_empty() {
                        let (queued, decided) = (since, Some(Instant::now()));
                        placed.stages = Some(Stages { queued, taken, decided });
                    }
                    Settled::Orders(placed, done)
                }
                Work::Change { change, reply } => Settled::Change(
                    (self.ledger.execute(now, &change.command(), facts), now),
                    reply,
                ),
                Work::Query(query) => Settled::Read(query.run(&self.ledger)),
            });
        }
    }

    /// Decides a group, a stretch at a time: first the index lines that a
    /// stretch will need, all at once, so that their cache misses overlap.
    fn place(&mut self, mut orders: Orders, now: Time, facts: &mut Batch) -> Placed {
        let mut outcomes = std::mem::take(&mut orders.outcomes);
        outcomes.clear();
        outcomes.reserve(orders.len());
        let mut stretch = Vec::with_capacity(WARM_ORDERS);
        let mut asked = orders.iter();
        loop {
            stretch.clear();
            stretch.extend(asked.by_ref().take(WARM_ORDERS));
            if stretch.is_empty() {
                break;
            }
            if stretch.len() > 1 {
                self.ledger.warm(stretch.iter());
            }
            for order in &stretch {
                outcomes.push(self.ledger.execute(now, &Command::PlaceOrder(*order), facts));
            }
        }
        drop((asked, stretch));
        orders.outcomes = outcomes;
        Placed { orders, at: now, stages: None }
    }

    fn hand_over(&mut self, facts: Batch, mut outgoing: Outgoing) {
        if !facts.is_empty() {
            self.release.meters.decided(facts.facts());
            outgoing.changed = self.changed_sales();
            outgoing.snapshot = self.snapshots.when_due(facts.bytes().len(), &self.ledger);
        } else if outgoing.settled.is_empty() {
            return;
        }
        let payload = if facts.is_empty() { Vec::new() } else { facts.into_bytes() };
        let release = Arc::clone(&self.release);
        let done = Box::new(move |committed| release.run(committed, outgoing));
        let frame = Frame { payload, head_bytes: None, begins_segment: false, done };
        let taken =
            if self.ahead { self.committer.submit(frame) } else { self.committer.commit(frame) };
        if let Err(error) = taken {
            // The callers were answered when `outgoing` was dropped; the journal has said why.
            tracing::error!(%error, "a batch was not taken");
        }
    }

    /// Sales that have facts which readers were not shown.
    fn changed_sales(&mut self) -> Vec<Sale> {
        let mut changed = Vec::new();
        for (index, view) in self.ledger.sales().enumerate() {
            if self.shown.len() <= index {
                self.shown.push(0);
            }
            if self.shown[index] != view.sequence {
                self.shown[index] = view.sequence;
                changed.push(Sale::from(view));
            }
        }
        changed
    }
}
