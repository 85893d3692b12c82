//! Open connections: each on a task of its own, all ended together.
//!
//! Knows no route; what a connection serves is given with it.

use crate::connection;
use crate::exit::Exit;
use crate::guests::Guests;
use crate::limits::Limits;
use crate::seats::{Seat, Seats};
use crate::wire::Rules;
use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper::{Request, Response};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Serves connections and knows when they have ended.
pub(crate) struct Connections {
    limits: Limits,
    rules: Rules,
    guests: Arc<Guests>,
    /// Ends with this.
    _makes_room: JoinSet<()>,
    /// Turns `true` when connections that are still busy have to end.
    cut: watch::Sender<bool>,
}

impl Connections {
    /// Connections for which `seats` are given out, here and elsewhere, read by `rules`.
    pub(crate) fn new(limits: Limits, rules: Rules, seats: Seats) -> Connections {
        let guests = Arc::new(Guests::default());
        let mut makes_room = JoinSet::new();
        let all = Arc::clone(&guests);
        makes_room.spawn(async move { all.make_room(&seats, limits.silence_when_full).await });
        let cut = watch::Sender::new(false);
        Connections { limits, rules, guests, _makes_room: makes_room, cut }
    }

    /// Serves a connection on a task of its own; its seat is free when it ends.
    pub(crate) fn serve<S, B>(&self, stream: TcpStream, already_read: Bytes, service: S, seat: Seat)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Future: Send> + Send + Sync + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin + Send + 'static,
    {
        self.serve_until_exit(stream, already_read, service, seat, Exit::default());
    }

    /// The same for a service that knows `exit`, a way for its connection to leave HTTP.
    pub(crate) fn serve_until_exit<S, B>(
        &self,
        stream: TcpStream,
        already_read: Bytes,
        service: S,
        seat: Seat,
        exit: Exit,
    ) where
        S: Service<Request<Incoming>, Response = Response<B>, Future: Send> + Send + Sync + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin + Send + 'static,
    {
        let (limits, rules, stay) = (self.limits, self.rules, self.guests.enter());
        let mut cut = self.cut.subscribe();
        tokio::spawn(async move {
            let guest = &stay.guest;
            let how = (&limits, rules);
            let left = tokio::select! {
                left = connection::serve(stream, already_read, service, how, guest, &exit) => left,
                _ = cut.wait_for(|cut| *cut) => None,
            };
            if let (Some(stream), Some(takeover)) = (left, exit.leave()) {
                takeover(stream, seat);
            }
            drop(stay);
        });
    }

    /// Finishes what is in flight, closes idle connections, and cuts the rest off after `deadline`.
    pub(crate) async fn stop(self, deadline: Duration) {
        if tokio::time::timeout(deadline, self.guests.see_off()).await.is_err() {
            tracing::warn!("connections were still busy at the deadline and are cut off");
        }
        self.cut.send_replace(true);
    }
}
