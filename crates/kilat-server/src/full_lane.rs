//! The full lane: takes connections from wherever they come and serves every route.

use crate::connections::Connections;
use crate::router::router;
use crate::seats::Seat;
use crate::state::App;
use axum::Router;
use bytes::Bytes;
use hyper_util::service::TowerToHyperService;
use std::net::IpAddr;
use std::time::Duration;
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
}

impl FullLane {
    pub(crate) fn new(app: App) -> Self {
        let router = router(&app);
        let connections = Connections::new(app.limits, app.seats.clone());
        FullLane { app, router, connections }
    }

    /// Serves a connection on a task of its own; its seat is free when it ends.
    pub(crate) fn take(&self, stream: TcpStream, already_read: Bytes, seat: Seat) {
        let peer = Peer(stream.peer_addr().ok().map(|address| address.ip()));
        let service = TowerToHyperService::new(AddExtension::new(self.router.clone(), peer));
        self.connections.serve(stream, already_read, service, seat);
    }

    /// Finishes what is in flight, closes idle connections, and cuts the rest off after `deadline`.
    pub(crate) async fn stop(self, deadline: Duration) {
        self.app.stopping.send_replace(true);
        self.connections.stop(deadline).await;
    }
}
