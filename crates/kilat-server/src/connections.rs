//! Open connections: each on a task of its own, all ended together.
//!
//! Knows no route; what a connection serves is given with it.

use crate::connection;
use crate::limits::Limits;
use crate::seats::Seat;
use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::service::HttpService;
use hyper_util::server::graceful::GracefulShutdown;
use std::error::Error;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Serves connections and knows when they have ended.
pub(crate) struct Connections {
    limits: Limits,
    graceful: GracefulShutdown,
    /// Turns `true` when connections that are still busy have to end.
    cut: watch::Sender<bool>,
}

impl Connections {
    pub(crate) fn new(limits: Limits) -> Connections {
        Connections { limits, graceful: GracefulShutdown::new(), cut: watch::Sender::new(false) }
    }

    /// Serves a connection on a task of its own; its seat is free when it ends.
    pub(crate) fn serve<S, B>(&self, stream: TcpStream, already_read: Bytes, service: S, seat: Seat)
    where
        S: HttpService<Incoming, ResBody = B, Future: Send> + Send + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let (limits, watcher) = (self.limits, self.graceful.watcher());
        let mut cut = self.cut.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                () = connection::serve(stream, already_read, service, &limits, watcher) => {}
                _ = cut.wait_for(|cut| *cut) => {}
            }
            drop(seat);
        });
    }

    /// Finishes what is in flight, closes idle connections, and cuts the rest off after `deadline`.
    pub(crate) async fn stop(self, deadline: Duration) {
        if tokio::time::timeout(deadline, self.graceful.shutdown()).await.is_err() {
            tracing::warn!("connections were still busy at the deadline and are cut off");
        }
        self.cut.send_replace(true);
    }
}
