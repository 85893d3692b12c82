//! The gateway's own health and figures, on an address of their own: on the public one everything
//! is a replica's.

use super::worker::Shared;
use crate::accept;
use crate::connection::RULES;
use crate::connections::Connections;
use crate::lane;
use crate::limits::Limits;
use crate::metrics::{Metrics, Places};
use crate::problem::Fault;
use crate::reply;
use crate::seats::Seats;
use crate::unread;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use hyper_util::service::TowerToHyperService;
use kilat_api::problem::{Code, Problem};
use serde_json::json;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Most connections: probes and a Prometheus.
const CONNECTIONS_MAX: usize = 64;

/// What is shown.
#[derive(Clone)]
struct Shown {
    shared: Arc<Shared>,
    metrics: Metrics,
}

/// The running endpoints.
pub(super) struct Admin {
    address: SocketAddr,
    accepting: JoinHandle<()>,
    connections: Arc<Connections>,
}

impl Admin {
    /// Serves `listener` on the current tokio runtime until the gateway begins to stop.
    ///
    /// # Errors
    /// When the socket can't be used.
    pub(super) fn start(
        listener: TcpListener,
        node: Arc<str>,
        shared: Arc<Shared>,
        metrics: Metrics,
    ) -> io::Result<Admin> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let seats = Seats::new(CONNECTIONS_MAX);
        let connections = Arc::new(Connections::new(Limits::default(), RULES, seats.clone()));
        let stopping = shared.stopping.clone();
        let router = router(Shown { shared, metrics });
        let serving = Arc::clone(&connections);
        let take = move |stream, seat| {
            let service = TowerToHyperService::new(router.clone());
            serving.serve(stream, Bytes::new(), service, seat);
        };
        let turn_away = move |mut stream| lane::write_busy(&mut stream, &node);
        let accepting = tokio::spawn(accept::accept(listener, seats, stopping, take, turn_away));
        Ok(Admin { address, accepting, connections })
    }

    pub(super) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Ends once the gateway has begun to stop.
    pub(super) async fn stop(self, deadline: Duration) {
        // Only a panic would be an error, and tokio has reported it.
        let _ = self.accepting.await;
        if let Some(connections) = Arc::into_inner(self.connections) {
            connections.stop(deadline).await;
        }
    }
}

fn router(shown: Shown) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/healthz", get(ready))
        .route("/metrics", get(metrics))
        .fallback(|| async { Fault::new(Code::NotFound) })
        .layer(middleware::from_fn(unread::refuse))
        .with_state(shown)
}

async fn live() -> Response {
    reply::json(StatusCode::OK, &json!({ "status": "ok" }))
}

async fn ready(State(shown): State<Shown>) -> Result<Response, Fault> {
    if *shown.shared.stopping.borrow() {
        return Err(Code::ShuttingDown.into());
    }
    if !shown.shared.replicas.is_any_ready() {
        return Err(Problem::new(Code::NoReplica).into());
    }
    Ok(reply::json(StatusCode::OK, &json!({ "status": "ok" })))
}

async fn metrics(State(shown): State<Shown>) -> Response {
    let Shown { shared, metrics } = shown;
    metrics.upkeep();
    let places = Places {
        connections: &shared.connections,
        streams: &shared.streams,
        in_flight: &shared.in_flight,
    };
    let mut response = Response::new(metrics.render_gateway(&places).into());
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
