//! The door of the fast lane: accepts every connection and deals it to a lane.

use super::mailbox::Mailbox;
use super::reply;
use crate::accept::is_passing;
use crate::seats::Seats;
use mio::net::TcpListener;
use mio::{Interest, Poll, Token};
use std::io::{self, ErrorKind};
use std::sync::Arc;

/// Token of the door among the events.
pub(super) const DOOR: Token = Token(usize::MAX - 1);

/// The listening socket and whom to deal connections to.
pub(super) struct Door {
    listener: TcpListener,
    lanes: Vec<Arc<Mailbox>>,
    next: usize,
    seats: Seats,
    node: Arc<str>,
    /// Out of file descriptors: it opens again at the next sweep.
    rests: bool,
}

impl Door {
    pub(super) fn open(
        poll: &Poll,
        listener: std::net::TcpListener,
        lanes: Vec<Arc<Mailbox>>,
        seats: Seats,
        node: Arc<str>,
    ) -> io::Result<Door> {
        listener.set_nonblocking(true)?;
        let mut listener = TcpListener::from_std(listener);
        poll.registry().register(&mut listener, DOOR, Interest::READABLE)?;
        Ok(Door { listener, lanes, next: 0, seats, node, rests: false })
    }

    /// Accepts all that wait and deals them out in turn; who gets no seat is told so.
    pub(super) fn accept(&mut self) {
        loop {
            match self.listener.accept() {
                Ok((mut stream, _)) => match self.seats.take() {
                    Some(seat) => {
                        // Without it a reply may wait for the acknowledgement of the last one.
                        let _ = stream.set_nodelay(true);
                        self.lanes[self.next % self.lanes.len()].admit(stream, seat);
                        self.next += 1;
                    }
                    None => reply::write_busy(&mut stream, &self.node),
                },
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted for a moment");
                    self.rests = true;
                    return;
                }
            }
        }
    }

    /// Whether it has to be opened again.
    pub(super) fn rests(&self) -> bool {
        self.rests
    }

    /// Accepts again after a rest.
    pub(super) fn reopen(&mut self) {
        if std::mem::take(&mut self.rests) {
            self.accept();
        }
    }
}
