//! The full lane: takes connections from wherever they come and serves every route.

use crate::connection;
use crate::router::router;
use crate::seats::Seat;
use crate::state::App;
use axum::Router;
use bytes::Bytes;
use hyper_util::server::graceful::GracefulShutdown;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Serves connections and knows when they have ended.
pub(crate) struct FullLane {
    app: App,
    router: Router,
    graceful: GracefulShutdown,
    /// Turns `true` when connections that are still busy have to end.
    cut: watch::Sender<bool>,
}

impl FullLane {
    pub(crate) fn new(app: App) -> Self {
        let router = router(&app);
        FullLane { app, router, graceful: GracefulShutdown::new(), cut: watch::Sender::new(false) }
    }

    /// Serves a connection on a task of its own; its seat is free when it ends.
    pub(crate) fn take(&self, stream: TcpStream, already_read: Bytes, seat: Seat) {
        let (router, limits, watcher) =
            (self.router.clone(), self.app.limits, self.graceful.watcher());
        let mut cut = self.cut.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                () = connection::serve(stream, already_read, router, &limits, watcher) => {}
                _ = cut.wait_for(|cut| *cut) => {}
            }
            drop(seat);
        });
    }

    /// Finishes what is in flight, closes idle connections, and cuts the rest off after `deadline`.
    pub(crate) async fn stop(self, deadline: Duration) {
        self.app.stopping.send_replace(true);
        if tokio::time::timeout(deadline, self.graceful.shutdown()).await.is_err() {
            tracing::warn!("connections were still busy at the deadline and are cut off");
        }
        self.cut.send_replace(true);
    }
}
