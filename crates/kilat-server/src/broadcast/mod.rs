//! The live stock of all sales: one thread that writes the same bytes to everybody who follows one.
//!
//! ```text
//! stream (hyper) ─ head of the reply ─▶ exit ─▶ mailbox ─▶ rounds: Board ─▶ one event a sale ─▶ each reader's socket
//! ```
//!
//! A reader costs a socket and a few dozen bytes. An update is composed once and costs a syscall a
//! reader; a reader whose socket is full gets the newest when there is room again, and nothing is
//! kept for it but the rest of what it was sent in part.
//!
//! Must never know HTTP beyond the frames of a body, or who a reader is.

mod channel;
mod frame;
mod reader;
mod rounds;

use crate::limits::Limits;
use crate::seats::Seat;
use kilat_engine::{Handle, Sale};
use mio::{Poll, Token, Waker};
use rounds::Rounds;
use std::io;
use std::mem;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Token of the bell among the events.
const BELL: Token = Token(usize::MAX);

/// Somebody who begins to follow a sale.
pub(crate) struct Newcomer {
    /// Does not block; the head of the reply has been written.
    pub(crate) stream: TcpStream,
    pub(crate) sale: watch::Receiver<Sale>,
    /// Whether the body is chunked; it is plain for HTTP/1.0.
    pub(crate) is_chunked: bool,
    /// Its place among the connections.
    pub(crate) seat: Seat,
    /// Its place among the streams.
    pub(crate) place: OwnedSemaphorePermit,
}

/// The way to the thread; clones lead to the same.
#[derive(Clone)]
pub(crate) struct Broadcast(Arc<Mailbox>);

/// The thread.
pub(crate) struct Running {
    broadcast: Broadcast,
    thread: JoinHandle<()>,
}

struct Mailbox {
    mail: Mutex<Mail>,
    bell: Waker,
}

/// What the thread was told. Newcomers are at most as many as there are places for streams.
#[derive(Default)]
struct Mail {
    newcomers: Vec<Newcomer>,
    end: End,
}

/// How far the end has come.
#[derive(Clone, Copy, Default, PartialEq, PartialOrd)]
enum End {
    #[default]
    NotYet,
    /// Streams end, those that begin too.
    Streams,
    /// No new ones come: the thread ends with the last.
    NoNewcomers,
    /// The thread ends now.
    Now,
}

impl Broadcast {
    /// Starts the thread; to be called in a tokio runtime.
    ///
    /// # Errors
    /// When the system has no more threads or file descriptors.
    pub(crate) fn start(engine: Handle, limits: &Limits) -> io::Result<(Broadcast, Running)> {
        let poll = Poll::new()?;
        let bell = Waker::new(poll.registry(), BELL)?;
        let broadcast = Broadcast(Arc::new(Mailbox { mail: Mutex::default(), bell }));
        let runtime = tokio::runtime::Handle::current();
        let rounds = Rounds::new(poll, broadcast.clone(), engine, runtime, limits.write_timeout);
        let thread =
            std::thread::Builder::new().name("broadcast".into()).spawn(move || rounds.run())?;
        Ok((broadcast.clone(), Running { broadcast, thread }))
    }

    /// Sends the live stock of a sale from now on.
    pub(crate) fn admit(&self, newcomer: Newcomer) {
        self.mail().newcomers.push(newcomer);
        self.ring();
    }

    /// Has the thread look whether there is something new.
    fn ring(&self) {
        if let Err(error) = self.0.bell.wake() {
            tracing::error!(%error, "the broadcast can't be woken");
        }
    }

    fn end(&self, end: End) {
        self.mail().end = end;
        self.ring();
    }

    fn take(&self) -> Mail {
        let mut mail = self.mail();
        Mail { newcomers: mem::take(&mut mail.newcomers), end: mail.end }
    }

    /// No code panics while it holds the lock.
    fn mail(&self) -> MutexGuard<'_, Mail> {
        self.0.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// Ends all streams, and those that begin from now on.
    pub(crate) fn end_streams(&self) {
        self.broadcast.end(End::Streams);
    }

    /// Waits until the last stream has ended, or cuts it off after `deadline`. No new ones may
    /// begin any more.
    pub(crate) async fn stop(self, deadline: Duration) {
        self.broadcast.end(End::NoNewcomers);
        let mut ended = tokio::task::spawn_blocking(|| self.thread.join());
        if tokio::time::timeout(deadline, &mut ended).await.is_err() {
            self.broadcast.end(End::Now);
            let _ = ended.await;
        }
    }
}
