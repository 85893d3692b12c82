//! Connecting to the store of an event log, and starting its threads.

use super::EventStore;
use super::publisher::Publisher;
use super::reads::LogReads;
use super::told::Told;
use crate::Events;
use crate::events::{LIMITS, Log, ProjectorState, RemoteLog, Work};
use crate::intake::{Intake, IntakeLimits};
use crate::remote::READ_LIMITS;
use crate::store::fault::StoreError;
use crate::store::postgres::{Postgres, PostgresOptions};
use crate::store::session::Session;
use crate::store::start::{StoreOptions, first};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, Builder};
use std::time::Instant;

const PUBLISHER: &str = "store-events";
const READS: &str = "store-event-reads";

/// Most events of one batch: as many as one request may have, so that a batch is decided well
/// before its time is over.
const BATCH_EVENTS_MAX: usize = 10_000;

/// Connects to the log at `url`. Drivers block, which the caller's thread may not allow.
pub(super) fn start(url: &str, options: &StoreOptions) -> Result<EventStore, StoreError> {
    let store = Arc::new(PostgresOptions {
        url: url.to_owned(),
        name: options.name.clone(),
        may_lose: options.may_lose,
    });
    let starting = || start_here(&store, options);
    thread::scope(|scope| {
        let started = Builder::new().name(PUBLISHER.to_owned()).spawn_scoped(scope, starting);
        let started = started.map_err(StoreError::Threads)?.join();
        started.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn start_here(
    store: &Arc<PostgresOptions>,
    options: &StoreOptions,
) -> Result<EventStore, StoreError> {
    let deadline = Instant::now() + options.patience;
    let connect = || first::<Postgres>(store, &options.address, deadline);
    let (mut publisher, reader) = (connect()?, connect()?);
    let refused = |fault| StoreError::of(options.address.clone(), &fault);
    let history = publisher.enter_log().map_err(refused)?;
    let figures = publisher.figures().map_err(refused)?;
    let limits = IntakeLimits { batch_weight_max: BATCH_EVENTS_MAX, ..LIMITS };
    let intake = Arc::new(Intake::new(limits));
    let reads = Arc::new(Intake::new(READ_LIMITS));
    let log = Arc::new(RemoteLog::new(Arc::clone(&reads)));
    let (told, ends) = Told::new(Arc::clone(&log), figures);
    let told = Arc::new(told);
    let projector = Arc::new(ProjectorState::starting_after(0));
    let log = Log::Remote(log);
    let events = Events { intake: Arc::clone(&intake), log, ends, projector, history };
    let mut started = EventStore { events, reads: Arc::clone(&reads), threads: Vec::new() };
    let session = |connection, thread| Session::new(Arc::clone(store), connection, thread);
    let running =
        Publisher::new(session(publisher, PUBLISHER), Arc::clone(&intake), Arc::clone(&told));
    run(&mut started, PUBLISHER, move || run_until_closed(running, &intake))?;
    let reading = LogReads { session: session(reader, READS), reads, told };
    run(&mut started, READS, move || reading.run())?;
    Ok(started)
}

fn run(
    started: &mut EventStore,
    name: &'static str,
    body: impl FnOnce() + Send + 'static,
) -> Result<(), StoreError> {
    let thread = Builder::new().name(name.to_owned()).spawn(body);
    started.threads.push((name, thread.map_err(StoreError::Threads)?));
    Ok(())
}

/// A panic is a fault of this program, never of the store: nobody is left waiting.
fn run_until_closed(publisher: Publisher, intake: &Intake<Work>) {
    if catch_unwind(AssertUnwindSafe(|| publisher.run())).is_err() {
        tracing::error!("the thread that publishes to the store failed; restart this process");
        intake.fail();
    }
}
