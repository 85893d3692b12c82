//! What every handler of both lanes shares.

use crate::auth::Access;
use crate::broadcast::Broadcast;
use crate::events::publish::SpareBuffers;
use crate::groups::Groups;
use crate::lane::LaneOptions;
use crate::limits::{FILE_READS_MAX, Limits};
use crate::metrics::Metrics;
use crate::ops::{Operations, Ops};
use crate::seats::Seats;
use crate::trace::Tracer;
use crate::visitor::VisitorKey;
use axum::http::HeaderValue;
use kilat_engine::{Change, Events, Handle, Outcome, Time, Unavailable};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, watch};

/// What a server is started with.
pub struct Options {
    /// Name of this node, in every reply: 1–64 characters of `[A-Za-z0-9._-]`.
    pub node: String,
    /// Who may do what.
    pub access: Access,
    /// From which the key of visitors' cookies is derived; the same on all replicas.
    pub secret: Vec<u8>,
    /// The site is served over TLS (here or by a proxy in front): cookies are `Secure`.
    pub behind_tls: bool,
    /// Limits.
    pub limits: Limits,
    /// The fast lane; with no threads the full lane serves everything.
    pub lanes: LaneOptions,
    /// What is known of requests whose way is recorded goes there.
    pub tracer: Tracer,
    /// What the operator's pages need.
    pub operations: Operations,
}

/// What the handlers share; clones share the same.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// See [`App`].
pub(crate) struct Shared {
    /// The way to the engine.
    pub handle: Handle,
    /// The way to the event log.
    pub events: Events,
    /// Name of this node.
    pub node: Arc<str>,
    /// Who may do what.
    pub access: Access,
    /// Limits.
    pub limits: Limits,
    /// What `/metrics` shows.
    pub metrics: Metrics,
    /// Who sends the live stock.
    pub(crate) broadcast: Broadcast,
    pub(crate) tracer: Tracer,
    pub(crate) node_header: HeaderValue,
    pub(crate) visitors: VisitorKey,
    pub(crate) ops: Ops,
    /// Places for connections.
    pub(crate) seats: Seats,
    pub(crate) groups: Groups,
    pub(crate) buffers: SpareBuffers,
    /// Free places for work that reads files or large bodies of events.
    pub(crate) file_reads: Arc<Semaphore>,
    /// Free places for event streams.
    pub(crate) streams: Arc<Semaphore>,
    /// Set once, when no new work should be sent here; what comes is still served.
    pub(crate) leaving: AtomicBool,
    /// Turns `true` once, when the server begins to stop.
    pub(crate) stopping: watch::Sender<bool>,
}

impl App {
    pub(crate) fn new(
        options: Options,
        handle: Handle,
        events: Events,
        metrics: Metrics,
        broadcast: Broadcast,
    ) -> Result<App, BadNode> {
        if !is_node_name(&options.node) {
            return Err(BadNode(options.node));
        }
        let node_header =
            HeaderValue::from_str(&options.node).map_err(|_| BadNode(options.node.clone()))?;
        Ok(App(Arc::new(Shared {
            handle,
            events,
            node: options.node.into(),
            ops: Ops::new(options.operations, &options.secret, &options.access, options.behind_tls),
            access: options.access,
            groups: Groups::default(),
            buffers: SpareBuffers::default(),
            file_reads: Arc::new(Semaphore::new(FILE_READS_MAX)),
            visitors: VisitorKey::derive(&options.secret, options.behind_tls),
            streams: Arc::new(Semaphore::new(options.limits.streams_max)),
            seats: Seats::new(options.limits.connections_max),
            limits: options.limits,
            metrics,
            broadcast,
            tracer: options.tracer,
            node_header,
            leaving: AtomicBool::new(false),
            stopping: watch::Sender::new(false),
        })))
    }
}

impl Shared {
    /// Whether work should be sent elsewhere: the server stops, or is about to.
    #[must_use]
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed) || *self.stopping.borrow()
    }

    /// Has the engine carry out a change, as a stage of the request that this task serves; also
    /// tells the instant at which it was decided.
    ///
    /// # Errors
    /// [`Unavailable`]; refusals by the rules are outcomes.
    pub(crate) async fn change(&self, change: Change) -> Result<(Outcome, Time), Unavailable> {
        self.tracer.stage(label(&change), self.handle.change(change)).await
    }

    /// The wall clock, for what readers see; the engine decides by its own.
    #[must_use]
    pub(crate) fn now(&self) -> Time {
        wall_clock()
    }
}

fn label(change: &Change) -> &'static str {
    match change {
        Change::CreateSale { .. } => "create sale",
        Change::ChangeSale { .. } => "change sale",
        Change::ConfirmOrder(_) => "confirm order",
        Change::CancelOrder(_) => "cancel order",
    }
}

/// The wall clock, for what readers see.
pub(crate) fn wall_clock() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Whether a node may be called so: 1–64 of `[A-Za-z0-9._-]`, the alphabet of request ids.
#[must_use]
pub fn is_node_name(name: &str) -> bool {
    crate::headers::is_request_id(name)
}

/// The name of the node can't stand in a header.
#[derive(Debug)]
pub struct BadNode(pub(crate) String);

impl std::fmt::Display for BadNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the node's name {:?} must be 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'",
            self.0
        )
    }
}

impl std::error::Error for BadNode {}
