//! Connections of one thread to the replicas: kept alive, and used again newest first, so that as
//! few as possible are open.
//!
//! Must never know what is sent over them.

use super::limits::{
    BUSY_WAIT, CONNECT_TIMEOUT, REPLY_BUFFER_BYTES_MAX, SPARE_CONNECTIONS_MAX, SPARE_TIME_MAX,
};
use super::replicas::Replica;
use super::upload::Upload;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Silence after which the system asks whether the other side is still there, and between two such
/// questions: a replica whose machine vanished closes nothing.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The unused connections, by replica. The thread is their only user, so no lock is ever waited for.
pub(super) struct Pool {
    spare: Vec<Mutex<Vec<Spare>>>,
    /// Places with each replica. No other thread gives them back, so a request that waits for one
    /// is never woken across threads.
    places: Vec<Arc<Semaphore>>,
}

struct Spare {
    sender: SendRequest<Upload>,
    since: Instant,
}

/// A connection in use: goes back when a reply was read to its end, and is closed otherwise.
pub(super) struct Lease {
    pool: Arc<Pool>,
    index: usize,
    sender: SendRequest<Upload>,
    place: Option<OwnedSemaphorePermit>,
}

/// Why there is no reply.
pub(super) enum Failed {
    /// Nothing was sent; here it is again.
    Unsent(Box<Request<Upload>>, io::Error),
    /// Nothing was sent: the replica was busy with others for too long.
    Busy,
    /// The replica may have carried it out.
    Lost(hyper::Error),
}

impl Pool {
    /// For so many replicas, with so many places with each.
    pub(super) fn new(replicas: usize, places: usize) -> Pool {
        let spare = (0..replicas).map(|_| Mutex::default()).collect();
        let places = (0..replicas).map(|_| Arc::new(Semaphore::new(places))).collect();
        Pool { spare, places }
    }

    /// Sends a request to a replica and waits for the head of its reply.
    ///
    /// # Errors
    /// [`Failed`]. A connection that the replica had closed meanwhile is none: another is used.
    pub(super) async fn send(
        self: &Arc<Self>,
        index: usize,
        replica: &Replica,
        mut request: Request<Upload>,
    ) -> Result<(Response<Incoming>, Lease), Failed> {
        let mut place = Some(self.place(index).await?);
        loop {
            let (sender, is_new) = match self.take(index) {
                Some(sender) => (sender, false),
                None => match connect(replica).await {
                    Ok(sender) => (sender, true),
                    Err(error) => return Err(Failed::Unsent(Box::new(request), error)),
                },
            };
            let mut lease = Lease { pool: Arc::clone(self), index, sender, place: place.take() };
            if lease.sender.ready().await.is_err() && !is_new {
                place = lease.place.take();
                continue;
            }
            match lease.sender.try_send_request(request).await {
                Ok(reply) => return Ok((reply, lease)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) if is_new => {
                        let why = io::Error::other(error.into_error());
                        return Err(Failed::Unsent(Box::new(unsent), why));
                    }
                    Some(unsent) => {
                        place = lease.place.take();
                        request = unsent;
                    }
                    None => return Err(Failed::Lost(error.into_error())),
                },
            }
        }
    }

    /// A place with a replica, in the order of asking.
    pub(super) async fn place(&self, index: usize) -> Result<OwnedSemaphorePermit, Failed> {
        let places = Arc::clone(&self.places[index]);
        if let Ok(free) = Arc::clone(&places).try_acquire_owned() {
            return Ok(free);
        }
        // No semaphore here is ever closed.
        let given = timeout(BUSY_WAIT, places.acquire_owned()).await;
        given.ok().and_then(Result::ok).ok_or(Failed::Busy)
    }

    /// Closes what has not been used for long.
    pub(super) fn sweep(&self) {
        for index in 0..self.spare.len() {
            self.lock(index).retain(Spare::is_fresh);
        }
    }

    fn take(&self, index: usize) -> Option<SendRequest<Upload>> {
        let mut spare = self.lock(index);
        while let Some(newest) = spare.pop() {
            if newest.is_fresh() {
                return Some(newest.sender);
            }
        }
        None
    }

    fn lock(&self, index: usize) -> MutexGuard<'_, Vec<Spare>> {
        self.spare[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spare {
    fn is_fresh(&self) -> bool {
        !self.sender.is_closed() && self.since.elapsed() < SPARE_TIME_MAX
    }
}

impl Lease {
    /// The reply has begun and may take as long as its reader does: that keeps the replica from
    /// nothing else.
    pub(super) fn leave_place(&mut self) {
        self.place = None;
    }

    /// The reply was read to its end: another request may use the connection.
    pub(super) fn give_back(self) {
        let mut spare = self.pool.lock(self.index);
        if spare.len() < SPARE_CONNECTIONS_MAX && !self.sender.is_closed() {
            spare.push(Spare { sender: self.sender, since: Instant::now() });
        }
    }
}

async fn connect(replica: &Replica) -> io::Result<SendRequest<Upload>> {
    let stream = open(replica).await?;
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(REPLY_BUFFER_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to a replica ended early");
        }
    });
    Ok(sender)
}

/// Opens a connection to a replica.
///
/// # Errors
/// When nobody accepts, or not in time.
pub(super) async fn open(replica: &Replica) -> io::Result<TcpStream> {
    let late = || io::Error::from(io::ErrorKind::TimedOut);
    let connected = timeout(CONNECT_TIMEOUT, replica.connect());
    let stream = connected.await.map_err(|_| late())??;
    stream.set_nodelay(true)?;
    let keep_alive = TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE);
    SockRef::from(&stream).set_tcp_keepalive(&keep_alive)?;
    Ok(stream)
}
