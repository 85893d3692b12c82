//! The one place where replies leave: after the facts behind them are durable.

use crate::Unavailable;
use crate::board::Board;
use crate::events::DurableEnd;
use crate::meters::Meters;
use crate::orders::{Placed, PlacedCallback};
use crate::query::{Answer, Reply};
use crate::sale::Sale;
use crate::snapshots::Due;
use crate::spare::SpareBuffers;
use kilat_journal::Committed;
use kilat_ledger::{Outcome, Time};
use std::sync::Arc;

/// Something decided that waits for its facts.
pub(crate) enum Settled {
    Orders(Placed, PlacedCallback),
    Change((Outcome, Time), Reply<(Outcome, Time)>),
    Read(Answer),
}

/// What a batch will let out. Dropped without having been released, it tells
/// every caller that the outcome is not known: nobody waits for ever.
#[derive(Default)]
pub(crate) struct Outgoing {
    pub(crate) changed: Vec<Sale>,
    pub(crate) settled: Vec<Settled>,
    pub(crate) snapshot: Option<Due>,
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.settled.drain(..).for_each(|one| one.send(Err(Unavailable::Failed)));
    }
}

/// What follows a commit, on the thread that committed: it only passes results on.
pub(crate) struct Release {
    pub(crate) board: Arc<Board>,
    pub(crate) ledger_end: Arc<DurableEnd>,
    pub(crate) spare: SpareBuffers,
    pub(crate) meters: Meters,
}

impl Release {
    /// Shows what is durable and lets the replies go, in this order, so that
    /// nobody holds a reply that a reader can't see yet.
    pub(crate) fn run(&self, committed: Committed, mut outgoing: Outgoing) {
        self.meters.committed(&committed);
        if let Some(due) = outgoing.snapshot.take() {
            due.start(committed.position);
        }
        outgoing.changed.drain(..).for_each(|sale| self.board.publish(&sale));
        outgoing.settled.drain(..).for_each(|one| one.send(Ok(())));
        self.ledger_end.advance(committed.position.frame);
        self.spare.keep(committed.payload);
    }
}

impl Settled {
    fn send(self, durable: Result<(), Unavailable>) {
        match self {
            Settled::Orders(placed, done) => done(durable.map(|()| placed)),
            Settled::Change(outcome, reply) => reply(durable.map(|()| outcome)),
            Settled::Read(answer) => answer.send(durable),
        }
    }
}
