//! The core: one engine behind a socket, for replicas that hold no state.
//!
//! ```text
//! replica ─▶ reader thread: decode, hash ─▶ the engine's own queue ─▶ … ─▶ Outbox ─▶ writer thread ─▶ replica
//!                                              Board, event log: new states ─┘
//! ```
//!
//! The engine does not know that it has replicas: their requests wait in its
//! queue like any others. A reply leaves after the states that it goes with, so
//! that a replica's readers are never behind the replies of that replica.

mod connection;
mod greeting;
mod outbox;

use crate::protocol::hello::Prover;
use crate::socket::{CoreAddress, CoreListener, Stream};
use crate::{Engine, Events, Handle, TracedCallback};
use connection::Connection;
pub(crate) use greeting::{BUILD, nonce};
use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Most connections at a time; a replica has three.
pub(crate) const CONNECTIONS_MAX: usize = 192;
/// See [`CoreOptions::request_age_ms_max`]; longer than a replica waits for an answer.
const REQUEST_AGE_MS_MAX: u64 = 5_000;
/// Pause after an accept that failed, for example without free file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a core is started with.
pub struct CoreOptions {
    /// Replicas over TCP prove that they know it.
    pub secret: Vec<u8>,
    /// Given to replicas on this machine that run as the same user, and to no others: at most
    /// 16 KiB of text that only the process around knows to read.
    pub handover: String,
    /// A request that was made longer ago, in milliseconds, is not carried out: whoever asked has
    /// been told that nothing is known of it, and a replica that was stopped for a while sells
    /// nothing late.
    pub request_age_ms_max: u64,
    /// Told of every group with traced orders that was decided.
    pub on_traced: Option<TracedCallback>,
    /// Answers what a replica's process asks by [`Asker`](crate::Asker). Bytes both ways, which
    /// only the processes around core and replica know to read. Runs on the thread that reads
    /// from the replica, so it must not wait for long.
    pub on_ask: Option<AskCallback>,
}

/// Answers a question of a replica's process; see [`CoreOptions::on_ask`].
pub type AskCallback = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

impl CoreOptions {
    /// The usual settings with these secrets.
    #[must_use]
    pub fn new(secret: Vec<u8>, handover: String) -> CoreOptions {
        CoreOptions {
            secret,
            handover,
            request_age_ms_max: REQUEST_AGE_MS_MAX,
            on_traced: None,
            on_ask: None,
        }
    }
}

/// A running core. Dropping it stops it as [`Core::stop`] does.
pub struct Core {
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

/// What all connections share.
pub(crate) struct Shared {
    listener: CoreListener,
    handle: Handle,
    events: Events,
    data: [u8; 16],
    prover: Prover,
    handover: String,
    request_age_ms_max: u64,
    on_traced: Option<TracedCallback>,
    on_ask: Option<AskCallback>,
    /// Begin of the clock by which the age of requests is told.
    started: Instant,
    open: Mutex<Open>,
    one_ended: Condvar,
    meters: Meters,
}

#[derive(Default)]
struct Open {
    connections: HashMap<u64, Arc<Connection>>,
    stopping: bool,
}

struct Meters {
    connections: Gauge,
    refused: Counter,
    stale: Counter,
}

impl Core {
    /// Serves `engine` to the replicas that come to `listener`.
    ///
    /// # Errors
    /// When the system has no more threads.
    pub fn start(
        engine: &Engine,
        listener: CoreListener,
        options: CoreOptions,
    ) -> io::Result<Core> {
        describe();
        let shared = Arc::new(Shared {
            listener,
            handle: engine.handle().clone(),
            events: engine.events().clone(),
            data: engine.history(),
            prover: Prover::new(&options.secret),
            handover: options.handover,
            request_age_ms_max: options.request_age_ms_max,
            on_traced: options.on_traced,
            on_ask: options.on_ask,
            started: Instant::now(),
            open: Mutex::default(),
            one_ended: Condvar::new(),
            meters: Meters {
                connections: gauge!("kilat_core_connections"),
                refused: counter!("kilat_core_refused_total"),
                stale: counter!("kilat_core_stale_total"),
            },
        });
        let accepting = Arc::clone(&shared);
        let accepting =
            Builder::new().name("core-accept".to_owned()).spawn(move || accept(&accepting))?;
        Ok(Core { shared, accepting: Some(accepting) })
    }

    /// Where it listens, for replicas.
    #[must_use]
    pub fn address(&self) -> &CoreAddress {
        self.shared.listener.address()
    }

    /// Reads nothing more from replicas, answers what it has read, and cuts off after `deadline`
    /// who takes no answer. Replicas send again what was not answered, once there is a core.
    pub fn stop(mut self, deadline: Duration) {
        self.end(deadline);
    }

    fn end(&mut self, deadline: Duration) {
        let Some(accepting) = self.accepting.take() else { return };
        let mut open = self.shared.open();
        open.stopping = true;
        open.connections.values().for_each(|connection| connection.finish());
        drop(open);
        self.shared.listener.close();
        // Only a panic is an error here, and it was reported.
        let _ = accepting.join();
        let some_open = |open: &mut Open| !open.connections.is_empty();
        let left =
            self.shared.one_ended.wait_timeout_while(self.shared.open(), deadline, some_open);
        let (left, _) = left.unwrap_or_else(PoisonError::into_inner);
        left.connections.values().for_each(|connection| connection.cut());
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

impl Shared {
    /// Milliseconds since this core started.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// No code panics while it holds the lock.
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn describe() {
    describe_gauge!("kilat_core_connections", "Connections of replicas; each replica has three");
    describe_counter!("kilat_core_refused_total", "Connections that were not taken");
    describe_counter!(
        "kilat_core_stale_total",
        "Requests of replicas not carried out because they were made too long ago"
    );
}

/// Takes connections until the listener is closed; each gets a thread.
fn accept(shared: &Arc<Shared>) {
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    loop {
        let accepted = shared.listener.accept();
        if shared.open().stopping {
            return;
        }
        match accepted {
            Ok(stream) => serve(shared, stream, NUMBERS.fetch_add(1, Ordering::Relaxed)),
            Err(error) => {
                tracing::warn!(%error, "a replica can't be accepted");
                thread::sleep(ACCEPT_PAUSE);
            }
        }
    }
}

/// Serves a connection on a thread of its own, if there is room for one more.
fn serve(shared: &Arc<Shared>, stream: Stream, number: u64) {
    let connection = match Connection::new(&stream) {
        Ok(connection) => Arc::new(connection),
        Err(error) => return tracing::warn!(%error, "a replica can't be served"),
    };
    let mut open = shared.open();
    if open.stopping || open.connections.len() >= CONNECTIONS_MAX {
        drop(open);
        shared.meters.refused.increment(1);
        return greeting::refuse_busy(stream);
    }
    open.connections.insert(number, Arc::clone(&connection));
    shared.meters.connections.set(open.connections.len() as f64);
    drop(open);
    let serving = Arc::clone(shared);
    let serve = move || {
        // Also after a panic the connection must not count any more.
        let _leaving = Leaving { shared: Arc::clone(&serving), number };
        connection.serve(&serving, stream);
    };
    if let Err(error) = Builder::new().name("core-reader".to_owned()).spawn(serve) {
        tracing::warn!(%error, "a replica can't be served");
        leave(shared, number);
    }
}

struct Leaving {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        leave(&self.shared, self.number);
    }
}

fn leave(shared: &Shared, number: u64) {
    let mut open = shared.open();
    if let Some(connection) = open.connections.remove(&number) {
        connection.cut();
    }
    shared.meters.connections.set(open.connections.len() as f64);
    drop(open);
    shared.one_ended.notify_all();
}
