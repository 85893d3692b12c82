//! Opening the event log, and starting and ending its threads.

use super::Events;
use super::grouper::{Grouper, Release};
use super::projector::{DurableEnd, Meters, Projector, ProjectorState};
use super::work;
use crate::alarm::Alarm;
use crate::intake::Intake;
use crate::{Clock, StartError};
use kilat_eventlog::{Opened, Options, Recovery};
use kilat_journal::{Committer, DataDirectory, Directory, JournalFailure, LogReader};
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
}

/// The running threads of the event log.
pub(crate) struct EventThreads {
    events: Events,
    recovery: EventRecovery,
    ledger_end: Arc<DurableEnd>,
    grouper: Option<JoinHandle<()>>,
    projector: Option<JoinHandle<()>>,
}

impl EventThreads {
    /// Starts them on an open log.
    pub(crate) fn start(
        opened: Opened<Directory>,
        outbox: Outbox,
        alarm: &Alarm,
    ) -> Result<EventThreads, StartError> {
        let Opened { journal, writer, reader, recovery } = opened;
        let failed = alarm.clone();
        let on_failure = Box::new(move |failure: JournalFailure| failed.raise(failure.to_string()));
        let committer = Committer::spawn(journal, on_failure).map_err(StartError::Threads)?;
        let intake = Arc::new(Intake::new(work::LIMITS));
        let (ends_tx, ends) = watch::channel(reader.end());
        let state = Arc::new(ProjectorState::starting_after(reader.ledger_cursor()));
        let ledger_end = Arc::clone(&outbox.end);
        let events = Events {
            intake: Arc::clone(&intake),
            at_start: reader.counters(),
            reader: reader.clone(),
            ends,
            projector: Arc::clone(&state),
            started: Instant::now(),
        };
        let grouper = Grouper {
            clock: Clock::start(Time::from_millis(writer.last_received_ms())),
            writer,
            intake: Arc::clone(&intake),
            committer,
            release: Arc::new(Release::new(ends_tx)),
        };
        let projector = Projector {
            facts: outbox.facts,
            ledger_end: outbox.end,
            sales: outbox.sales,
            events: reader,
            intake: Arc::clone(&intake),
            state,
            meters: Meters::new(),
        };
        let grouper = spawn("events", alarm, move || grouper.run(), move || intake.fail())?;
        let mut threads =
            EventThreads { events, recovery, ledger_end, grouper: Some(grouper), projector: None };
        let projecting = Builder::new().name("projector".to_owned()).spawn(move || projector.run());
        threads.projector = Some(projecting.map_err(StartError::Threads)?);
        Ok(threads)
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
        join(self.projector.take(), "the projector");
        self.events.intake.close();
        join(self.grouper.take(), "the grouping thread");
    }
}

impl Drop for EventThreads {
    fn drop(&mut self) {
        self.end();
    }
}

/// A panic of the grouping thread is as final as a failed fsync: what it decided is not known to
/// be right, and nobody is left waiting.
fn spawn(
    name: &str,
    alarm: &Alarm,
    work: impl FnOnce() + Send + 'static,
    on_panic: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    let alarm = alarm.clone();
    let guarded = move || {
        let why = "the event log found itself inconsistent and stopped";
        if alarm.guard(why, work).is_err() {
            on_panic();
        }
    };
    Builder::new().name(name.to_owned()).spawn(guarded).map_err(StartError::Threads)
}

fn join(thread: Option<JoinHandle<()>>, who: &str) {
    if let Some(thread) = thread
        && thread.join().is_err()
    {
        tracing::error!(who, "could not end in good order; what was acknowledged is on disk");
    }
}
