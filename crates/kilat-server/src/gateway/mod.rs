//! A gateway in front of several replicas: one address, requests in turn to whoever is ready.
//!
//! ```text
//! accept ─▶ one of the threads ─▶ lane (TLS, only orders) ─▶ pipe, with those of others ─▶ replica
//!                                    │ all else                └─ failed ─────┐
//!                                    ▼                                        ▼
//!                                  wire (only unambiguous requests) ─▶ exchange ─▶ pool ─▶ replica
//!                                    └─ refused: a reply, then closed     └─ failed: another replica
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `worker` | a thread: its clients, its connections to replicas |
//! | `lane` | orders, many of which share a connection to a replica |
//! | `exchange`, `repeat`, `tries` | whose turn it is, what may be sent twice, and how often |
//! | `forward`, `upload`, `reply` | heads and bodies on their way through |
//! | `trip` | what logs and traces know of a request |
//! | `replicas`, `probe`, `pool` | who is ready, and connections to them |
//! | `refusal`, `admin`, `figures` | the gateway's own replies, health and metrics |
//! | `tls`, [`limits`] | TLS for clients; every limit by name |
//!
//! Knows nothing about sales, and keeps no state: replies are those of the replicas.

mod admin;
mod exchange;
mod figures;
mod forward;
mod lane;
pub mod limits;
mod pool;
mod probe;
mod refusal;
mod repeat;
mod replicas;
mod reply;
mod tls;
mod tries;
mod trip;
mod upload;
mod worker;

pub use limits::Limits;
pub use replicas::{BadReplica, Replica};
pub use tls::{Tls, TlsError};

use crate::metrics::Metrics;
use crate::seats::{Seat, Seats};
use crate::state::{BadNode, is_node_name};
use crate::trace::Tracer;
use crate::{StartError, accept};
use admin::Admin;
use hyper::header::HeaderValue;
use replicas::Replicas;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use worker::{Arrival, Shared, Worker};

/// What a gateway is started with.
#[derive(Debug)]
pub struct Options {
    /// Name of the gateway in its own replies: 1–64 characters of `[A-Za-z0-9._-]`.
    pub node: String,
    /// Where requests go, at most [`limits::REPLICAS_MAX`].
    pub replicas: Vec<Replica>,
    /// Threads that serve; connections are dealt out in turn.
    pub threads: usize,
    /// TLS for clients; without it they speak plain HTTP.
    pub tls: Option<Tls>,
    /// Limits.
    pub limits: Limits,
    /// What is known of requests whose way is recorded goes there.
    pub tracer: Tracer,
}

/// A running gateway.
pub struct Gateway {
    address: SocketAddr,
    admin: Option<Admin>,
    stopping: watch::Sender<bool>,
    drain: watch::Sender<Duration>,
    accepting: JoinHandle<()>,
    probes: Vec<JoinHandle<()>>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Gateway {
    /// Serves `listener`, accepting and probing on the current tokio runtime, and its own health
    /// and figures on `admin`.
    ///
    /// # Errors
    /// [`StartError`]; nothing is served then.
    pub fn start(
        listener: TcpListener,
        admin: Option<TcpListener>,
        options: Options,
    ) -> Result<Gateway, StartError> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let metrics = Metrics::install().map_err(StartError::Metrics)?;
        let node: Arc<str> = options.node.as_str().into();
        let (stopping, stops) = watch::channel(false);
        let (drain, drains) = watch::channel(Duration::ZERO);
        let (threads, limits) = (options.threads.max(1), options.limits);
        let shared = Arc::new(share(options, stops.clone())?);
        let replicas = Arc::clone(&shared.replicas);
        let admin = admin
            .map(|listener| Admin::start(listener, Arc::clone(&node), Arc::clone(&shared), metrics))
            .transpose()?;
        let (desks, threads) = start_threads(threads, limits.connections_max, &shared, &drains)?;
        let is_plain = shared.tls.is_none();
        let turn_away = move |mut stream| {
            // Who speaks TLS would take it for noise.
            if is_plain {
                crate::lane::write_busy(&mut stream, &node);
            }
        };
        let seats = shared.connections.clone();
        let accepting =
            tokio::spawn(accept::accept(listener, seats, stops, deal(desks), turn_away));
        let probe = |index| tokio::spawn(probe::run(Arc::clone(&replicas), index));
        let probes = (0..replicas.members().len()).map(probe).collect();
        Ok(Gateway { address, admin, stopping, drain, accepting, probes, threads })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Where its own health and figures are.
    #[must_use]
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(Admin::local_addr)
    }

    /// Accepts no more, ends streams, passes on what is in flight, and cuts off after `deadline`
    /// who is still busy.
    pub async fn shutdown(self, deadline: Duration) {
        self.drain.send_replace(deadline);
        self.stopping.send_replace(true);
        // Only a panic would be an error, and tokio has reported it. Here too below.
        let _ = self.accepting.await;
        let threads = self.threads;
        let join = || threads.into_iter().for_each(|thread| drop(thread.join()));
        let _ = tokio::task::spawn_blocking(join).await;
        self.probes.iter().for_each(JoinHandle::abort);
        if let Some(admin) = self.admin {
            admin.stop(deadline).await;
        }
    }
}

fn share(options: Options, stopping: watch::Receiver<bool>) -> Result<Shared, StartError> {
    let node = HeaderValue::from_str(&options.node).ok().filter(|_| is_node_name(&options.node));
    let node = node.ok_or(StartError::Node(BadNode(options.node)))?;
    let limits = options.limits;
    let replicas = Arc::new(Replicas::new(options.replicas));
    Ok(Shared {
        replicas,
        node,
        store: Arc::new(upload::Store::new(limits.uploads_max, limits.body_timeout)),
        connections: Seats::new(limits.connections_max),
        in_flight: Seats::new(limits.in_flight_max),
        streams: Seats::new(limits.streams_max),
        waiting: Seats::new(limits::WAITING_MAX),
        figures: figures::Figures::new(),
        tls: options.tls,
        tracer: options.tracer,
        limits,
        stopping,
    })
}

type Threads = Vec<std::thread::JoinHandle<()>>;

/// Starts the threads; connections go to their desks.
fn start_threads(
    count: usize,
    connections_max: usize,
    shared: &Arc<Shared>,
    drain: &worker::Drain,
) -> Result<(Vec<mpsc::Sender<Arrival>>, Threads), StartError> {
    let (mut desks, mut threads) = (Vec::new(), Vec::new());
    for index in 0..count {
        // All that may be open can wait at one desk.
        let (desk, arrivals) = mpsc::channel(connections_max.max(1));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (worker, drain) = (Worker::new(Arc::clone(shared), count), drain.clone());
        let thread = std::thread::Builder::new()
            .name(format!("gateway-{index}"))
            .spawn(move || worker.run(&runtime, arrivals, drain))?;
        desks.push(desk);
        threads.push(thread);
    }
    Ok((desks, threads))
}

/// In turn, and not by who accepts first: with few long connections the share of each thread
/// would be a matter of luck.
fn deal(desks: Vec<mpsc::Sender<Arrival>>) -> impl Fn(TcpStream, Seat) {
    let next = AtomicUsize::new(0);
    move |stream, seat| {
        let turn = next.fetch_add(1, Ordering::Relaxed);
        let desk = &desks[turn % desks.len()];
        let sent = stream.into_std().map(|stream| desk.try_send(Arrival { stream, seat }));
        if !matches!(sent, Ok(Ok(()))) {
            tracing::warn!("a connection can't be taken and is closed");
        }
    }
}
