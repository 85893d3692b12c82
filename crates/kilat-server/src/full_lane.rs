//! The full lane: takes connections from wherever they come and serves every route.

use crate::broadcast::Running;
use crate::connection::RULES;
use crate::connections::Connections;
use crate::exit::Exit;
use crate::router::router;
use crate::seats::Seat;
use crate::state::App;
use axum::Router;
use bytes::Bytes;
use hyper_util::service::TowerToHyperService;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tower_http::add_extension::AddExtension;

/// Who is at the other end of a connection; `None` when it has left already.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) Option<IpAddr>);

/// Serves every route.
pub(crate) struct FullLane {
    app: App,
    router: Router,
    connections: Connections,
    broadcast: Running,
}

impl FullLane {
    pub(crate) fn new(app: App, broadcast: Running) -> Self {
        let router = router(&app);
        let connections = Connections::new(app.limits, RULES, app.seats.clone());
        FullLane { app, router, connections, broadcast }
    }

    /// Serves a connection on a task of its own; its seat is free when it ends.
    pub(crate) fn take(&self, stream: TcpStream, already_read: Bytes, seat: Seat) {
        let peer = Peer(stream.peer_addr().ok().map(|address| address.ip()));
        let exit = Exit::default();
        let service = AddExtension::new(AddExtension::new(self.router.clone(), peer), exit.clone());
        let service = TowerToHyperService::new(service);
        self.connections.serve_until_exit(stream, already_read, service, seat, exit);
    }

    /// Finishes what is in flight, closes idle connections, and cuts the rest off after `deadline`.
    pub(crate) async fn stop(self, deadline: Duration) {
        let since = Instant::now();
        self.app.stopping.send_replace(true);
        self.broadcast.end_streams();
        self.connections.stop(deadline).await;
        self.broadcast.stop(deadline.saturating_sub(since.elapsed())).await;
    }
}
