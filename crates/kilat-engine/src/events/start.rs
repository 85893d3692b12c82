//! Opening the event log, and starting and ending its threads.

use super::Events;
use super::grouper::{Grouper, Release};
use super::log::{LocalLog, Log};
use super::projector::{DurableEnd, Meters, Projector, ProjectorState};
use super::reclaimer::{self, Bell};
use super::work;
use crate::alarm::Alarm;
use crate::intake::Intake;
use crate::watchers::Watchers;
use crate::{Clock, StartError};
use kilat_eventlog::{Opened, Options, Recovery};
use kilat_journal::{Committer, DataDirectory, Directory, LogReader};
use kilat_ledger::Time;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Instant;
use tokio::sync::watch;

/// The part of the data directory that holds the journal of the event log.
pub(crate) const EVENTS: &str = "events";
/// The part that holds its index.
pub(crate) const EVENTS_INDEX: &str = "events-index";

/// What opening the event log found and did.
pub type EventRecovery = Recovery;

/// Opens the event log in `directory`.
pub(crate) fn open(directory: &DataDirectory) -> Result<Opened<Directory>, StartError> {
    let identity = directory.identity();
    let options = Options::new(
        directory.directory(EVENTS)?,
        directory.directory(EVENTS_INDEX)?,
        kilat_journal::Options::new(identity.journal_id(EVENTS)),
        identity.fingerprint_key,
    );
    kilat_eventlog::open(options).map_err(|error| StartError::Events(error.to_string()))
}

/// The ledger's journal, to be copied from.
pub(crate) struct Outbox {
    pub(crate) facts: LogReader<Directory>,
    pub(crate) end: Arc<DurableEnd>,
    /// The sales' ids by number.
    pub(crate) sales: Vec<String>,
    /// Names the history that it is of.
    pub(crate) history: [u8; 16],
}

/// The running threads of the event log.
pub(crate) struct EventThreads {
    events: Events,
    recovery: EventRecovery,
    ledger_end: Arc<DurableEnd>,
    bell: Arc<Bell>,
    /// By name.
    running: Vec<(&'static str, JoinHandle<()>)>,
}

const GROUPER: &str = "events";
const PROJECTOR: &str = "projector";
const RECLAIMER: &str = "reclaimer";

impl EventThreads {
    /// Starts them on an open log.
    pub(crate) fn start(
        opened: Opened<Directory>,
        outbox: Outbox,
        alarm: &Alarm,
    ) -> Result<EventThreads, StartError> {
        let Opened { journal, writer, reader, recovery } = opened;
        let committer =
            Committer::spawn(journal, alarm.for_committer()).map_err(StartError::Threads)?;
        let intake = Arc::new(Intake::new(work::LIMITS));
        let (ends_tx, ends) = watch::channel(reader.end());
        let state = Arc::new(ProjectorState::starting_after(reader.ledger_cursor()));
        let bell = Arc::new(Bell::default());
        let watchers = Arc::new(Watchers::default());
        let grouper = Grouper {
            clock: Clock::start(Time::from_millis(writer.last_received_ms())),
            writer,
            intake: Arc::clone(&intake),
            committer,
            release: Arc::new(Release::new(ends_tx, Arc::clone(&watchers), Arc::clone(&bell))),
        };
        let projector = Projector {
            facts: outbox.facts,
            ledger_end: Arc::clone(&outbox.end),
            sales: outbox.sales,
            events: reader.clone(),
            intake: Arc::clone(&intake),
            state: Arc::clone(&state),
            meters: Meters::starting_after(reader.ledger_cursor()),
        };
        let (forgetting, rung) = (reader.clone(), Arc::clone(&bell));
        let failing = Arc::clone(&intake);
        let log =
            LocalLog { at_start: reader.counters(), reader, started: Instant::now(), watchers };
        let history = outbox.history;
        let events = Events { intake, log: Log::Local(log), ends, projector: state, history };
        let ledger_end = outbox.end;
        let mut threads = EventThreads { events, recovery, ledger_end, bell, running: Vec::new() };
        threads.guarded(alarm, move || grouper.run(), move || failing.fail())?;
        threads.run(PROJECTOR, move || projector.run())?;
        threads.run(RECLAIMER, move || reclaimer::reclaim(&forgetting, &rung))?;
        Ok(threads)
    }

    fn run(
        &mut self,
        name: &'static str,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), StartError> {
        let thread =
            Builder::new().name(name.to_owned()).spawn(work).map_err(StartError::Threads)?;
        self.running.push((name, thread));
        Ok(())
    }

    /// A panic of the grouping thread is as final as a failed fsync: what it decided is not known
    /// to be right, and nobody is left waiting.
    fn guarded(
        &mut self,
        alarm: &Alarm,
        work: impl FnOnce() + Send + 'static,
        on_panic: impl FnOnce() + Send + 'static,
    ) -> Result<(), StartError> {
        let alarm = alarm.clone();
        self.run(GROUPER, move || {
            let why = "the event log found itself inconsistent and stopped";
            if alarm.guard(why, work).is_err() {
                on_panic();
            }
        })
    }

    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    pub(crate) fn recovery(&self) -> &EventRecovery {
        &self.recovery
    }

    /// Copies what the ledger has left, takes nothing more, finishes what was taken.
    pub(crate) fn end(&mut self) {
        self.ledger_end.close();
        // The projector publishes through the grouping thread, so it ends first.
        self.join(|name| name == PROJECTOR);
        self.events.intake.close();
        self.bell.close();
        self.join(|_| true);
    }

    fn join(&mut self, which: impl Fn(&str) -> bool) {
        for (name, thread) in self.running.extract_if(.., |(name, _)| which(name)) {
            if thread.join().is_err() {
                tracing::error!(
                    name,
                    "a thread could not end in good order; what was acknowledged is on disk"
                );
            }
        }
    }
}

impl Drop for EventThreads {
    fn drop(&mut self) {
        self.end();
    }
}
