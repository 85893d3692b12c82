//! The remote backend: ledger and event log behind a core, as a [`Handle`] and [`Events`] like
//! those of an engine in this process.
//!
//! ```text
//! Handle ─▶ Intake (bounded) ─▶ Link: sends what waits as one ─▶ core ─▶ newest states, replies ─▶ Board, callbacks
//! ```
//!
//! A replica holds no state of its own. What it has sent and was not answered it
//! keeps, and sends again after the connection broke: orders carry their ids and
//! keys, so nothing happens twice. What can't be repeated without a trace (a
//! publication counts, a rule to forget goes up to the newest event) is answered
//! with [`Unavailable::Unknown`](crate::Unavailable::Unknown) instead.

mod events;
mod greeting;
mod in_flight;
mod ledger;
mod link;
mod presence;
mod reads;

use crate::board::Board;
use crate::events::{LIMITS as EVENT_LIMITS, Log, ProjectorState, RemoteLog};
use crate::intake::{Intake, IntakeLimits};
use crate::protocol::hello::Role;
use crate::socket::CoreAddress;
use crate::{Events, Handle, OrderHasher, work};
use events::EventTraffic;
pub use greeting::ConnectError;
use greeting::{Greeter, Session};
use ledger::LedgerTraffic;
use link::{Link, Traffic};
pub use reads::Asker;
#[cfg(feature = "postgres")]
pub(crate) use reads::LIMITS as READ_LIMITS;
use reads::ReadTraffic;
pub(crate) use reads::ReadWork;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, Builder, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Pause between two attempts to reach the core at the start.
const START_RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Longest wait for the first states after the core has taken us.
const FIRST_STATES_MAX: Duration = Duration::from_secs(10);

/// How to reach a core.
pub struct RemoteOptions {
    /// Where it is.
    pub core: CoreAddress,
    /// The core's secret, for TCP. A socket on this machine needs none.
    pub secret: Option<Vec<u8>>,
    /// What this replica is called in the core's log.
    pub name: String,
    /// Longest wait for the core to be there at the start.
    pub patience: Duration,
}

/// The connections of a replica to its core. Dropping it ends them as [`Remote::stop`] does.
pub struct Remote {
    handle: Handle,
    events: Events,
    reads: Arc<Intake<ReadWork>>,
    handover: String,
    links: Vec<JoinHandle<()>>,
}

impl Remote {
    /// Connects, learns the states of all sales, and keeps the connections from then on.
    ///
    /// # Errors
    /// [`ConnectError`], each with what to do.
    pub fn connect(options: RemoteOptions) -> Result<Remote, ConnectError> {
        let deadline = Instant::now() + options.patience;
        let greeter = Arc::new(Greeter::new(options.core, options.secret, options.name));
        let ledger = first(&greeter, Role::Ledger, deadline)?;
        let events = first(&greeter, Role::Events, deadline)?;
        let reads = first(&greeter, Role::Reads, deadline)?;
        let handover = ledger.handover().to_owned();
        let parts = Parts::new();
        let signals = [Arc::clone(&parts.ledger.known), Arc::clone(&parts.events.known)];
        let (mut remote, [to_ledger, to_events, to_reads]) = parts.assemble(&greeter, handover);
        remote.run("core-ledger", move || to_ledger(ledger))?;
        remote.run("core-events", move || to_events(events))?;
        remote.run("core-reads", move || to_reads(reads))?;
        let deadline = Instant::now() + FIRST_STATES_MAX;
        if signals.iter().all(|signal| signal.wait_until(deadline)) {
            Ok(remote)
        } else {
            Err(ConnectError::Silent(greeter.address().clone()))
        }
    }

    /// A way in. Give clones to whoever sends commands.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The way to the event log.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The way to the process around the core.
    #[must_use]
    pub fn asker(&self) -> Asker {
        Asker(Arc::clone(&self.reads))
    }

    /// What the core's owner gave to this replica; empty unless both are on one machine.
    #[must_use]
    pub fn handover(&self) -> &str {
        &self.handover
    }

    /// Takes no more commands, waits for the answers to those taken, and leaves.
    pub fn stop(mut self) {
        self.end();
    }

    fn run(
        &mut self,
        name: &str,
        link: impl FnOnce() + Send + 'static,
    ) -> Result<(), ConnectError> {
        let thread = Builder::new().name(name.to_owned()).spawn(link);
        self.links.push(thread.map_err(ConnectError::Threads)?);
        Ok(())
    }

    fn end(&mut self) {
        self.handle.intake.close();
        self.events.intake.close();
        self.reads.close();
        for link in self.links.drain(..) {
            if link.join().is_err() {
                tracing::error!("a connection to the core could not end in good order");
            }
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.end();
    }
}

/// The first session of a role: waits for a core that is not there yet.
fn first(greeter: &Greeter, role: Role, deadline: Instant) -> Result<Session, ConnectError> {
    let mut told = false;
    loop {
        match greeter.greet(role) {
            Err(why) if why.may_pass() && Instant::now() < deadline => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%why, "waiting for the core");
                }
                thread::sleep(START_RETRY_PAUSE);
            }
            result => return result,
        }
    }
}

/// What runs a link from its first session on.
type Runner = Box<dyn FnOnce(Session) + Send>;

/// What the three links carry.
struct Parts {
    board: Arc<Board>,
    reads: Arc<Intake<ReadWork>>,
    log: Arc<RemoteLog>,
    ends: watch::Receiver<u64>,
    projector: Arc<ProjectorState>,
    ledger: LedgerTraffic,
    events: EventTraffic,
}

impl Parts {
    fn new() -> Parts {
        let board = Arc::new(Board::copy());
        let reads = Arc::new(Intake::new(reads::LIMITS));
        let log = Arc::new(RemoteLog::new(Arc::clone(&reads)));
        let (ends_tx, ends) = watch::channel(0);
        let projector = Arc::new(ProjectorState::starting_after(0));
        Parts {
            ledger: LedgerTraffic { board: Arc::clone(&board), known: Arc::default() },
            events: EventTraffic {
                log: Arc::clone(&log),
                ends: ends_tx,
                projector: Arc::clone(&projector),
                known: Arc::default(),
            },
            board,
            reads,
            log,
            ends,
            projector,
        }
    }

    fn assemble(self, greeter: &Arc<Greeter>, handover: String) -> (Remote, [Runner; 3]) {
        let (intake, ledger) = link(self.ledger, greeter, work::LIMITS);
        let (event_intake, events) = link(self.events, greeter, EVENT_LIMITS);
        let reads = runner(Link::new(ReadTraffic, Arc::clone(&self.reads), Arc::clone(greeter)));
        let remote = Remote {
            handle: Handle { intake, board: self.board, hasher: OrderHasher::elsewhere() },
            events: Events {
                intake: event_intake,
                log: Log::Remote(self.log),
                ends: self.ends,
                projector: self.projector,
                history: greeter.history(),
            },
            reads: self.reads,
            handover,
            links: Vec::new(),
        };
        (remote, [ledger, events, reads])
    }
}

/// A queue, and what takes from it.
fn link<T: Traffic>(
    traffic: T,
    greeter: &Arc<Greeter>,
    limits: IntakeLimits,
) -> (Arc<Intake<T::Work>>, Runner) {
    let intake = Arc::new(Intake::new(limits));
    let link = Link::new(traffic, Arc::clone(&intake), Arc::clone(greeter));
    (intake, runner(link))
}

fn runner<T: Traffic>(link: Link<T>) -> Runner {
    Box::new(move |session| link.run(session))
}

/// Set once, when the first states are known.
#[derive(Default)]
struct Known {
    is_known: Mutex<bool>,
    told: Condvar,
}

impl Known {
    fn set(&self) {
        *self.is_known.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.told.notify_all();
    }

    fn wait_until(&self, deadline: Instant) -> bool {
        let is_known = self.is_known.lock().unwrap_or_else(PoisonError::into_inner);
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self.told.wait_timeout_while(is_known, left, |known| !*known);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
