//! Connecting to a store, and starting and ending its threads.

use super::RETRY_PAUSE_MAX;
use super::address::StoreAddress;
use super::fault::{StoreError, StoreFault};
use super::ledger_store::LedgerStore;
#[cfg(feature = "postgres")]
use super::postgres::{Postgres, PostgresOptions};
use super::reads::{self, Reads};
#[cfg(feature = "postgres")]
use super::reason::StoreReason;
#[cfg(feature = "redis")]
use super::redis::{Redis, RedisOptions};
use super::relay::{self, Relay};
use super::runner::{self, Runner};
use super::session::Session;
use super::shown::Shown;
use crate::board::Board;
use crate::intake::Intake;
use crate::query::Query;
use crate::work::{self, Work};
use crate::{Events, Handle, OrderHasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, Builder, JoinHandle};
use std::time::{Duration, Instant};

/// How to reach a store, and what is expected of it.
pub struct StoreOptions {
    /// Where it is.
    pub address: StoreAddress,
    /// What this process is called in the store's lists of clients.
    pub name: String,
    /// Longest wait for the store to be there at the start.
    pub patience: Duration,
    /// Work also with a store that can lose what was acknowledged when it crashes. Otherwise such
    /// a store is refused.
    pub may_lose: bool,
}

/// A ledger that another engine keeps. Dropping it ends the connections as [`Store::stop`] does.
pub struct Store {
    handle: Handle,
    reads: Arc<Intake<Query>>,
    /// Dropped to end the relay.
    relay: Option<SyncSender<()>>,
    runner: Option<JoinHandle<()>>,
    /// By name.
    others: Vec<(&'static str, JoinHandle<()>)>,
}

const RUNNER: &str = "store-ledger";
const READS: &str = "store-reads";
const RELAY: &str = "store-relay";

impl Store {
    /// Connects, brings the store's schema up to date, and keeps the connections from then on.
    /// The sales' facts go to `events`. The stock of a new sale is split into as many `stripes`, 1 to
    /// [`STRIPES_MAX`](crate::STRIPES_MAX); only Redis has more than 1.
    ///
    /// # Errors
    /// [`StoreError`], each with what to do.
    pub fn connect(
        options: StoreOptions,
        stripes: u16,
        events: &Events,
    ) -> Result<Store, StoreError> {
        match &options.address {
            #[cfg(feature = "postgres")]
            StoreAddress::Postgres(_) if stripes != 1 => {
                Err(StoreError::Refused { store: options.address, why: StoreReason::NoStripes })
            }
            #[cfg(feature = "postgres")]
            StoreAddress::Postgres(url) => {
                let store = PostgresOptions {
                    url: url.clone(),
                    name: options.name.clone(),
                    may_lose: options.may_lose,
                };
                Store::start::<Postgres>(store, &options, events.clone())
            }
            #[cfg(feature = "redis")]
            StoreAddress::Redis(url) => {
                let store = RedisOptions::new(url, &options.name, options.may_lose)
                    .and_then(|store| store.with_stripes(stripes))
                    .map_err(|fault| StoreError::of(options.address.clone(), &fault))?;
                Store::start::<Redis>(store, &options, events.clone())
            }
            #[cfg(not(all(feature = "postgres", feature = "redis")))]
            _ => Err(StoreError::NotBuilt(options.address)),
        }
    }

    /// Connects to a store of one kind. Drivers block, which the caller's thread may not allow.
    fn start<S: LedgerStore>(
        store: S::Options,
        options: &StoreOptions,
        events: Events,
    ) -> Result<Store, StoreError> {
        let store = Arc::new(store);
        let starting = || Store::start_here::<S>(&store, options, events);
        thread::scope(|scope| {
            let started = Builder::new().name(RUNNER.to_owned()).spawn_scoped(scope, starting);
            let started = started.map_err(StoreError::Threads)?.join();
            started.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn start_here<S: LedgerStore>(
        store: &Arc<S::Options>,
        options: &StoreOptions,
        events: Events,
    ) -> Result<Store, StoreError> {
        let deadline = Instant::now() + options.patience;
        let connect = || first::<S>(store, &options.address, deadline);
        let (ledger, mut reads, relay) = (connect()?, connect()?, connect()?);
        let board = Arc::new(Board::copy());
        let shown = Arc::new(Shown::on(Arc::clone(&board)));
        // Whoever gets the handle finds all sales on the board.
        let asked = Instant::now();
        let sales = reads.changed();
        shown.show(&sales.map_err(|fault| StoreError::of(options.address.clone(), &fault))?);
        shown.seen(asked);
        let session = |store_now, thread| Session::new(Arc::clone(store), store_now, thread);
        let mut started = Store::on(board);
        started.run_ledger(session(ledger, RUNNER), &shown)?;
        let queries = Arc::clone(&started.reads);
        let reads = Reads { session: session(reads, READS), queries, shown };
        started.run(READS, move || reads.run())?;
        let (stop_tx, stop) = sync_channel(1);
        started.relay = Some(stop_tx);
        let meters = relay::Meters::new();
        let relay = Relay { session: session(relay, RELAY), events, stop, meters };
        started.run(RELAY, move || relay.run())?;
        Ok(started)
    }

    fn on(board: Arc<Board>) -> Store {
        let intake = Arc::new(Intake::new(work::LIMITS));
        Store {
            handle: Handle { intake, board, hasher: OrderHasher::elsewhere() },
            reads: Arc::new(Intake::new(reads::LIMITS)),
            relay: None,
            runner: None,
            others: Vec::new(),
        }
    }

    /// A way in. Give clones to whoever sends commands.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Takes no more commands, waits for the answers to those taken, and leaves.
    pub fn stop(mut self) {
        self.end();
    }

    fn run_ledger<S: LedgerStore>(
        &mut self,
        session: Session<S>,
        shown: &Arc<Shown>,
    ) -> Result<(), StoreError> {
        let intake = Arc::clone(&self.handle.intake);
        let runner = Runner {
            session,
            intake: Arc::clone(&intake),
            reads: Arc::clone(&self.reads),
            shown: Arc::clone(shown),
            meters: runner::Meters::new(),
            expiry_look: Instant::now(),
        };
        let running = move || run_until_closed(runner, &intake);
        let thread = Builder::new().name(RUNNER.to_owned()).spawn(running);
        self.runner = Some(thread.map_err(StoreError::Threads)?);
        Ok(())
    }

    fn run(
        &mut self,
        name: &'static str,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<(), StoreError> {
        let thread = Builder::new().name(name.to_owned()).spawn(body);
        self.others.push((name, thread.map_err(StoreError::Threads)?));
        Ok(())
    }

    fn end(&mut self) {
        self.handle.intake.close();
        if let Some(runner) = self.runner.take()
            && runner.join().is_err()
        {
            tracing::error!(thread = RUNNER, "could not end in good order");
        }
        // Only now: what the runner still took may have asked for reads.
        self.reads.close();
        self.relay = None;
        for (thread, running) in self.others.drain(..) {
            if running.join().is_err() {
                tracing::error!(thread, "could not end in good order");
            }
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.end();
    }
}

/// A panic is a fault of this program, never of the store: nobody is left waiting.
fn run_until_closed<S: LedgerStore>(runner: Runner<S>, intake: &Intake<Work>) {
    if catch_unwind(AssertUnwindSafe(|| runner.run())).is_err() {
        tracing::error!("the thread that works with the store failed; restart this process");
        intake.fail();
    }
}

/// A first connection: waits for a store that is not there yet.
pub(super) fn first<S: LedgerStore>(
    options: &S::Options,
    address: &StoreAddress,
    deadline: Instant,
) -> Result<S, StoreError> {
    let mut told = false;
    loop {
        let fault = match S::open(options, None) {
            Ok(store) => return Ok(store),
            Err(fault) => fault,
        };
        let may_pass = !matches!(fault, StoreFault::Refused(_) | StoreFault::Full(_));
        if !may_pass || Instant::now() >= deadline {
            return Err(StoreError::of(address.clone(), &fault));
        }
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(%fault, "waiting for the store");
        }
        thread::sleep(RETRY_PAUSE_MAX);
    }
}
