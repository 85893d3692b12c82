//! One thread of the gateway: its share of the clients and its own connections to the replicas, so
//! that threads meet only where they count.

use super::exchange::{self, Client};
use super::figures::Figures;
use super::forward::Origin;
use super::lane::{self, Admission, Left, Pipes};
use super::limits::{HEAD_BYTES_MAX, HEADERS_MAX, Limits, RULES, SWEEP_EVERY};
use super::pool::Pool;
use super::replicas::Replicas;
use super::tls::Tls;
use super::upload::Store;
use crate::guests::{Guest, Guests, Stay};
use crate::seats::{Seat, Seats};
use crate::trace::Tracer;
use crate::wire::{Deadlines, Talk, Wire};
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

/// What all threads share.
pub(super) struct Shared {
    pub(super) replicas: Arc<Replicas>,
    pub(super) limits: Limits,
    /// Name of the gateway, for its own replies.
    pub(super) node: HeaderValue,
    pub(super) store: Arc<Store>,
    pub(super) connections: Seats,
    pub(super) in_flight: Seats,
    pub(super) streams: Seats,
    pub(super) waiting: Seats,
    pub(super) figures: Figures,
    pub(super) tls: Option<Tls>,
    pub(super) tracer: Tracer,
    /// Turns `true` once, when the gateway begins to stop.
    pub(super) stopping: watch::Receiver<bool>,
}

/// What the tasks of one thread share.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) pool: Arc<Pool>,
    pub(super) pipes: Pipes,
    pub(super) admission: Admission,
}

/// A client that was accepted.
pub(super) struct Arrival {
    pub(super) stream: std::net::TcpStream,
    pub(super) seat: Seat,
}

impl Worker {
    /// One of so many threads.
    pub(super) fn new(shared: Arc<Shared>, threads: usize) -> Worker {
        let places = shared.limits.replica_busy_max.div_ceil(threads);
        let pool = Arc::new(Pool::new(shared.replicas.members().len(), places));
        let pipes = Pipes::new(Arc::clone(&shared.replicas));
        let admission = Admission::new(shared.limits.crowding_memory);
        Worker { shared, pool, pipes, admission }
    }

    /// Serves who arrives on this thread until nobody can arrive any more, then ends: what is in
    /// flight within `drain`, the rest cut off.
    pub(super) fn run(self, runtime: &Runtime, arrivals: mpsc::Receiver<Arrival>, drain: Drain) {
        runtime.block_on(self.serve_all(arrivals, drain));
    }

    async fn serve_all(self, mut arrivals: mpsc::Receiver<Arrival>, drain: Drain) {
        let worker = Arc::new(self);
        let guests = Arc::new(Guests::default());
        let mut sweeps = tokio::time::interval(SWEEP_EVERY);
        let (shared, silence) = (&worker.shared, worker.shared.limits.silence_when_full);
        let mut make_room = pin!(guests.make_room(&shared.connections, silence));
        loop {
            tokio::select! {
                arrival = arrivals.recv() => match arrival {
                    Some(arrival) => admit(&worker, arrival, guests.enter()),
                    None => break,
                },
                _ = sweeps.tick() => worker.pool.sweep(),
                () = make_room.as_mut() => {}
            }
        }
        let deadline = *drain.borrow();
        if tokio::time::timeout(deadline, guests.see_off()).await.is_err() {
            tracing::warn!("connections were still busy at the deadline and are cut off");
        }
    }
}

/// Longest time for what is in flight to end, known when the gateway begins to stop.
pub(super) type Drain = watch::Receiver<Duration>;

fn admit(worker: &Arc<Worker>, arrival: Arrival, stay: Stay) {
    let Arrival { stream, seat } = arrival;
    let worker = Arc::clone(worker);
    tokio::spawn(async move {
        if let Err(error) = welcome(worker, stream, &stay.guest).await {
            tracing::debug!(%error, "a connection ended early");
        }
        drop((seat, stay));
    });
}

fn late(_: tokio::time::error::Elapsed) -> io::Error {
    io::ErrorKind::TimedOut.into()
}

/// A connection whose peer leaves or breaks the protocol just ends: there is nobody left to tell.
async fn welcome(
    worker: Arc<Worker>,
    stream: std::net::TcpStream,
    guest: &Arc<Guest>,
) -> io::Result<()> {
    let peer = stream.peer_addr()?;
    let stream = TcpStream::from_std(stream)?;
    let timeout = worker.shared.limits.header_timeout;
    // Who says nothing gets no buffers.
    tokio::select! {
        readable = tokio::time::timeout(timeout, stream.readable()) => readable.map_err(late)??,
        () = guest.asked() => return Ok(()),
    }
    match &worker.shared.tls {
        None => serve(&worker, peer, stream, |stream| stream, guest).await,
        Some(tls) => {
            let stream =
                tokio::time::timeout(timeout, tls.accept(stream)).await.map_err(late)??;
            serve(&worker, peer, stream, |stream| stream.get_ref().0, guest).await
        }
    }
}

async fn serve<S>(
    worker: &Arc<Worker>,
    peer: SocketAddr,
    mut stream: S,
    socket: fn(&S) -> &TcpStream,
    guest: &Arc<Guest>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let origin = Origin::new(peer, worker.shared.tls.is_some());
    let client = lane::Client { worker, origin: &origin, guest, socket };
    let left = client.serve(&mut stream).await?;
    let Left::Else(read) = left else {
        return Ok(());
    };
    let limits = &worker.shared.limits;
    let deadlines = Deadlines { head: limits.header_timeout, write: limits.write_timeout };
    let talk = Arc::<Talk>::default();
    let wire = Wire::new(stream, &read, RULES, deadlines, Arc::clone(&talk));
    drop(read);
    let client = Arc::new(Client { origin, talk });
    let service = service_fn(|request| {
        guest.stir();
        let answer = exchange::answer(Arc::clone(worker), Arc::clone(&client), request);
        let guest = Arc::clone(guest);
        async move {
            let reply = answer.await;
            guest.stir();
            Ok::<_, Infallible>(reply)
        }
    });
    let connection = http1::Builder::new()
        // The wire has the deadlines.
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .half_close(false)
        .serve_connection(TokioIo::new(wire), service);
    let served = guest.accompany(connection, |connection| connection.graceful_shutdown());
    served.await.map_err(io::Error::other)
}
