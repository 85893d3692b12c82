//! The thread that reads the store: queries, and for the board what other processes changed.
//!
//! It has a connection of its own, so that no sale waits for a page of orders.

use super::fault::StoreFault;
use super::ledger_store::LedgerStore;
use super::session::Session;
use super::shown::Shown;
use super::{CHANGES_LOOK_EVERY, SEND_WAIT_MAX};
use crate::Unavailable;
use crate::intake::{Intake, IntakeLimits, Queued, Waited, Waiting};
use crate::query::{Query, Reply};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

/// Most reads that wait.
const QUEUE_READS_MAX: usize = 4_096;
/// Reads that are answered between two looks for changes.
const READS_AT_ONCE: usize = 64;

pub(super) const LIMITS: IntakeLimits = IntakeLimits {
    queue_weight_max: QUEUE_READS_MAX,
    queue_bytes_max: usize::MAX,
    batch_weight_max: READS_AT_ONCE,
    batch_bytes_max: usize::MAX,
};

impl Queued for Query {
    fn weight(&self) -> usize {
        1
    }

    fn frame_bytes_max(&self) -> usize {
        0
    }

    fn refuse(self, why: Unavailable) {
        Query::refuse(self, why);
    }
}

/// See the module.
pub(super) struct Reads<S: LedgerStore> {
    pub(super) session: Session<S>,
    pub(super) queries: Arc<Intake<Query>>,
    pub(super) shown: Arc<Shown>,
}

impl<S: LedgerStore> Reads<S> {
    /// Runs until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let mut taken = Vec::new();
        let mut look = Instant::now();
        loop {
            match self.queries.wait(Some(look)) {
                Waited::Closed => break,
                Waited::Deadline => {}
                Waited::Work { .. } => self.queries.take(&mut taken),
            }
            for Waiting { work, since } in taken.drain(..) {
                self.answer(work, since);
            }
            if Instant::now() >= look {
                self.look();
                look = Instant::now() + CHANGES_LOOK_EVERY;
            }
        }
    }

    /// Shows what has changed.
    fn look(&mut self) {
        let asked = Instant::now();
        match self.session.call(LedgerStore::changed) {
            Ok(sales) => {
                self.shown.show(&sales);
                self.shown.seen(asked);
            }
            Err(fault) => {
                tracing::debug!(%fault, "changes were not read");
                self.shown.set_live(self.session.is_connected());
            }
        }
    }

    fn answer(&mut self, query: Query, since: Instant) {
        let session = &mut self.session;
        match query {
            Query::Sale { sale, reply } => read(session, reply, since, |store| store.sale(&sale)),
            Query::Sales { reply } => read(session, reply, since, LedgerStore::sales),
            Query::Order { sale, order, reply } => {
                read(session, reply, since, |store| store.order(&sale, order));
            }
            Query::Orders { page, reply } => {
                read(session, reply, since, |store| store.orders(&page));
            }
        }
    }
}

/// Reads, again if need be: nothing is changed by it.
pub(super) fn read<S: LedgerStore, T>(
    session: &mut Session<S>,
    reply: Reply<T>,
    since: Instant,
    read: impl Fn(&mut S) -> Result<T, StoreFault>,
) {
    loop {
        match session.call(&read) {
            Ok(value) => return reply(Ok(value)),
            Err(fault) if since.elapsed() >= SEND_WAIT_MAX => {
                tracing::debug!(%fault, "a read was given up");
                return reply(Err(Unavailable::Away));
            }
            Err(_) => thread::sleep(session.wait()),
        }
    }
}
