//! The thread that reads the log: pages, how far other processes have brought it, and in between
//! it drops bodies that are forgotten.
//!
//! It looks instead of being notified: PostgreSQL puts the commits of all who notify into one line.

use super::told::Told;
use crate::Unavailable;
use crate::intake::{Intake, Waited, Waiting};
use crate::remote::ReadWork;
use crate::store::postgres::Postgres;
use crate::store::reads::read;
use crate::store::session::Session;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often what other processes published is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often forgotten bodies are looked for.
const RECLAIM_EVERY: Duration = Duration::from_millis(1_000);

/// See the module.
pub(super) struct LogReads {
    pub(super) session: Session<Postgres>,
    pub(super) reads: Arc<Intake<ReadWork>>,
    pub(super) told: Arc<Told>,
}

impl LogReads {
    /// Runs until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let mut taken = Vec::new();
        let (mut look, mut reclaim) = (Instant::now(), Instant::now());
        loop {
            match self.reads.wait(Some(look)) {
                Waited::Closed => break,
                Waited::Deadline => {}
                Waited::Work { .. } => self.reads.take(&mut taken),
            }
            for Waiting { work, since } in taken.drain(..) {
                self.answer(work, since);
            }
            if Instant::now() >= look {
                self.look();
                look = Instant::now() + LOOK_EVERY;
            }
            if Instant::now() >= reclaim {
                reclaim = Instant::now() + self.reclaim();
            }
        }
    }

    fn look(&mut self) {
        match self.session.call(Postgres::figures) {
            Ok(figures) => self.told.tell(figures),
            Err(fault) => tracing::debug!(%fault, "the log was not looked at"),
        }
    }

    /// Says how long to rest after it.
    fn reclaim(&mut self) -> Duration {
        match self.session.call(Postgres::reclaim) {
            Ok(true) => LOOK_EVERY,
            Ok(false) => RECLAIM_EVERY,
            Err(fault) => {
                tracing::debug!(%fault, "forgotten bodies were not dropped");
                RECLAIM_EVERY
            }
        }
    }

    fn answer(&mut self, work: ReadWork, since: Instant) {
        let session = &mut self.session;
        match work {
            ReadWork::Events { span, reply } => read(session, reply, since, |log| log.page(&span)),
            ReadWork::Topics { known, reply } => {
                read(session, reply, since, |log| Ok((true, log.topics(known)?)));
            }
            // There is no process around a store.
            ReadWork::Ask { reply, .. } => reply(Err(Unavailable::Failed)),
        }
    }
}
