//! The HTTP side of a sale and of the event log: API, buy page, live stock, metrics and health.
//!
//! ```text
//! lane (epoll, the one request that storms) ─▶ engine's Handle
//!   └─ everything else ─▶ connection (hyper, deadlines) ─▶ router: who may (auth) ─▶ orders, sales, stream, pages ─▶ engine's Handle
//!                                              └─ one table of routes; the tests are made from it too
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `lane` | the fast lane: accepts, serves the storming call, hands everything else over |
//! | `accept`, `seats`, `guests`, `full_lane`, `connections`, `connection` | sockets, and every way in which a peer can be slow |
//! | `wire`, `unread` | what may be read as a request, for whoever reads one; the reply to what was not |
//! | `crowding` | how many are let in while callers leave before they are answered |
//! | `router`, `auth` | which calls there are, and who may make them |
//! | `orders`, `sales`, `stream`, `health` | the calls of the contract |
//! | `exit`, `broadcast` | replies that go on outside HTTP: the live stock, to thousands |
//! | `events` | publishing events, reading and following them |
//! | `pages`, `visitor` | the buy page and its visitors |
//! | [`ops`] | the operator's pages: figures, sales, rehearsals and checks |
//! | [`gateway`] | one address for several servers like this one |
//! | [`lookup`] | the five reference lookup APIs, on a port of their own |
//! | `docs` | the description of the interface, for programs and for people |
//! | [`supervisor`] | keeps the processes of a whole system running |
//! | `trace` | where a request stands in a trace, and who hears of it |
//! | `problem`, `reply`, `render`, `show` | outcomes of the engine in the contract's words |
//! | [`limits`] | every limit by name |
//!
//! Knows nothing about the journal, the environment or the command line.

mod accept;
mod auth;
mod body;
mod broadcast;
mod connection;
mod connections;
mod crowding;
mod docs;
mod events;
mod exit;
mod full_lane;
pub mod gateway;
mod groups;
mod guests;
mod headers;
mod health;
mod ids;
mod lane;
pub mod limits;
pub mod lookup;
mod metrics;
pub mod ops;
mod orders;
mod pages;
mod path;
mod problem;
mod render;
mod reply;
mod router;
mod sales;
mod seats;
mod show;
mod state;
mod stream;
pub mod supervisor;
mod token;
mod trace;
mod unread;
mod visitor;
mod wire;

pub use auth::{Access, Rule};
pub use lane::LaneOptions;
pub use limits::Limits;
pub use metrics::Metrics;
pub use router::{ROUTES, Route, Takes};
pub use state::{BadNode, Options, is_node_name};
pub use trace::{Sampler, Tracer};

use broadcast::Broadcast;
use bytes::Bytes;
use full_lane::FullLane;
use kilat_engine::{Events, Handle};
use lane::{Handover, Lanes};
use state::App;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A running server.
pub struct Server {
    address: SocketAddr,
    app: App,
    fast_lane: Option<Lanes>,
    full_lane: Arc<FullLane>,
    accepting: JoinHandle<()>,
    upkeep: JoinHandle<()>,
}

impl Server {
    /// Serves `listener` on the current tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]; nothing is served then.
    pub fn start(
        listener: std::net::TcpListener,
        options: Options,
        handle: Handle,
        events: Events,
    ) -> Result<Server, StartError> {
        let address = listener.local_addr()?;
        let lanes = options.lanes;
        let metrics = Metrics::install().map_err(StartError::Metrics)?;
        let (broadcast, running) = Broadcast::start(handle.clone(), &options.limits)?;
        let app = App::new(options, handle, events, metrics.clone(), broadcast)
            .map_err(StartError::Node)?;
        let full_lane = Arc::new(FullLane::new(app.clone(), running));
        let (fast_lane, accepting) = if lanes.threads == 0 {
            (None, accept_alone(listener, &full_lane, &app)?)
        } else {
            let (lanes, handovers) = Lanes::start(listener, lanes, &app)?;
            (Some(lanes), tokio::spawn(take_over(handovers, Arc::clone(&full_lane))))
        };
        let upkeep = tokio::spawn(keep_up(metrics));
        ops::begin(&app);
        Ok(Server { address, app, fast_lane, full_lane, accepting, upkeep })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Says 503 to readiness probes from now on and serves as before, so that a
    /// load balancer sends new work elsewhere before [`Server::shutdown`].
    pub fn leave(&self) {
        self.app.leaving.store(true, Ordering::Relaxed);
    }

    /// Accepts no more, is not ready any more, ends streams, answers what is in
    /// flight, and cuts off after `deadline` who is still busy.
    pub async fn shutdown(self, deadline: Duration) {
        self.app.stopping.send_replace(true);
        if let Some(lanes) = self.fast_lane {
            // Joining threads would block the runtime. Only a panic would be an error, and tokio
            // has reported it.
            let _ = tokio::task::spawn_blocking(|| lanes.stop()).await;
        }
        // Here too.
        let _ = self.accepting.await;
        if let Some(full_lane) = Arc::into_inner(self.full_lane) {
            full_lane.stop(deadline).await;
        }
        self.upkeep.abort();
    }
}

/// Without a fast lane the full lane accepts for itself.
fn accept_alone(
    listener: std::net::TcpListener,
    full_lane: &Arc<FullLane>,
    app: &App,
) -> io::Result<JoinHandle<()>> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (full_lane, node) = (Arc::clone(full_lane), Arc::clone(&app.node));
    Ok(tokio::spawn(accept::accept(
        listener,
        app.seats.clone(),
        app.stopping.subscribe(),
        move |stream, seat| full_lane.take(stream, Bytes::new(), seat),
        move |mut stream| lane::write_busy(&mut stream, &node),
    )))
}

/// Serves what the fast lane hands over, until the fast lane ends.
async fn take_over(mut handovers: mpsc::Receiver<Handover>, full_lane: Arc<FullLane>) {
    while let Some(Handover { stream, already_read, seat }) = handovers.recv().await {
        match tokio::net::TcpStream::from_std(stream) {
            Ok(stream) => full_lane.take(stream, already_read.into(), seat),
            Err(error) => tracing::warn!(%error, "a connection can't be taken over and is closed"),
        }
    }
}

async fn keep_up(metrics: Metrics) {
    let mut ticks = tokio::time::interval(metrics::UPKEEP_EVERY);
    loop {
        ticks.tick().await;
        metrics.upkeep();
    }
}

/// Why a server could not start.
#[derive(Debug)]
pub enum StartError {
    /// The socket can't be used.
    Socket(io::Error),
    /// The metrics recorder can't be installed: another library has installed one.
    Metrics(metrics_exporter_prometheus::BuildError),
    /// The node's name can't stand in a header.
    Node(BadNode),
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        StartError::Socket(error)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Socket(error) => write!(f, "the listening socket can't be used: {error}"),
            StartError::Metrics(error) => {
                write!(f, "the metrics recorder can't be installed: {error}")
            }
            StartError::Node(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}
