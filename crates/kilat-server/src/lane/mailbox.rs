//! What other threads leave for a lane, and the bell that wakes it.

use super::connection::Ticket;
use crate::seats::Seat;
use kilat_engine::{Placed, Unavailable, Verdict};
use mio::{Poll, Token, Waker};
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Token of the bell among the events.
pub(super) const BELL: Token = Token(usize::MAX);

/// A group whose outcomes are known.
pub(super) enum Finished {
    Orders { placed: Result<Placed, Unavailable>, tickets: Vec<Ticket> },
    Events { verdicts: Result<Vec<Verdict>, Unavailable>, tickets: Vec<Ticket> },
}

/// All that waits for a lane.
#[derive(Default)]
pub(super) struct Mail {
    pub(super) finished: Vec<Finished>,
    pub(super) incoming: Vec<(mio::net::TcpStream, Seat)>,
    pub(super) stop: bool,
    /// The bell was rung and the lane has not looked yet.
    rung: bool,
    /// The lane waits for mail alone and needs no bell.
    awaited: bool,
}

impl Mail {
    fn is_empty(&self) -> bool {
        self.finished.is_empty() && self.incoming.is_empty() && !self.stop
    }
}

/// A lane's mailbox. Holds at most a connection for each seat, and a group for each request in flight.
pub(super) struct Mailbox {
    mail: Mutex<Mail>,
    arrived: Condvar,
    bell: Waker,
}

impl Mailbox {
    pub(super) fn new(poll: &Poll) -> io::Result<Mailbox> {
        Ok(Mailbox {
            mail: Mutex::default(),
            arrived: Condvar::new(),
            bell: Waker::new(poll.registry(), BELL)?,
        })
    }

    pub(super) fn finish(&self, finished: Finished) {
        self.leave(|mail| mail.finished.push(finished));
    }

    pub(super) fn admit(&self, stream: mio::net::TcpStream, seat: Seat) {
        self.leave(|mail| mail.incoming.push((stream, seat)));
    }

    pub(super) fn stop(&self) {
        self.leave(|mail| mail.stop = true);
    }

    /// Waits for mail, but no longer than `patience`.
    pub(super) fn wait(&self, patience: Duration) {
        let mut mail = self.lock();
        if mail.is_empty() {
            mail.awaited = true;
            let waited = self.arrived.wait_timeout(mail, patience);
            mail = waited.unwrap_or_else(PoisonError::into_inner).0;
            mail.awaited = false;
        }
    }

    /// Takes everything into `into`, whose buffers the mailbox keeps in exchange.
    pub(super) fn take(&self, into: &mut Mail) {
        let mut mail = self.lock();
        into.stop = mail.stop;
        mail.rung = false;
        std::mem::swap(&mut mail.finished, &mut into.finished);
        std::mem::swap(&mut mail.incoming, &mut into.incoming);
    }

    /// Rings once for all that is left before the lane looks.
    fn leave(&self, put: impl FnOnce(&mut Mail)) {
        let mut mail = self.lock();
        put(&mut mail);
        if mail.awaited {
            drop(mail);
            return self.arrived.notify_one();
        }
        let ring = !std::mem::replace(&mut mail.rung, true);
        drop(mail);
        if ring && let Err(error) = self.bell.wake() {
            tracing::error!(%error, "a lane can't be woken");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
