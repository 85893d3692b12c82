//! One connection of the stampede: its socket, what it waits for, what it works on.

use super::reply::REPLY_BYTES_MAX;
use super::witness::Job;
use mio::net::TcpStream;
use std::io::{self, Read, Write};

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No socket and nothing to do.
    Closed,
    /// Waiting for the handshake.
    Connecting,
    /// A socket and nothing to do.
    Idle,
    /// Sending a request, or waiting for its reply.
    Asking,
    /// Waiting before the next attempt, with or without a socket.
    BackingOff,
}

/// What came off the wire.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// Nothing more for now.
    Drained,
    /// This many bytes at the front of the buffer; whether more may be waiting.
    Bytes { count: usize, more: bool },
    /// The other side is gone.
    Closed,
}

/// A connection and the order it works on.
pub(crate) struct Connection {
    pub phase: Phase,
    pub stream: Option<TcpStream>,
    pub job: Option<Job>,
    /// Bytes of the request that are on the wire.
    pub sent: usize,
    /// The socket did not take the whole request yet.
    pub is_blocked: bool,
    /// The other side sends nothing more.
    pub is_half_closed: bool,
    /// The beginning of a reply that did not arrive in one piece.
    pub partial: Vec<u8>,
}

impl Connection {
    pub(crate) fn new() -> Self {
        Connection {
            phase: Phase::Closed,
            stream: None,
            job: None,
            sent: 0,
            is_blocked: false,
            is_half_closed: false,
            partial: Vec::new(),
        }
    }

    /// Sends what is left of `request`, as far as the socket takes it now.
    pub(crate) fn write(&mut self, request: &[u8]) -> io::Result<()> {
        let Some(stream) = &mut self.stream else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        self.is_blocked = false;
        while self.sent < request.len() {
            match stream.write(&request[self.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.sent += count,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.is_blocked = true;
                    break;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Reads once. A read that does not fill the buffer has drained the
    /// socket, so that one read a reply is enough with edge-triggered events.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Received {
        let Some(stream) = &mut self.stream else {
            return Received::Closed;
        };
        loop {
            return match stream.read(buffer) {
                Ok(0) => Received::Closed,
                Ok(count) => Received::Bytes { count, more: count == buffer.len() },
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => Received::Drained,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => Received::Closed,
            };
        }
    }

    /// Keeps `bytes` until the rest of the reply is here; `false` when it is too long.
    pub(crate) fn keep(&mut self, bytes: &[u8]) -> bool {
        self.partial.extend_from_slice(bytes);
        self.partial.len() <= REPLY_BYTES_MAX
    }

    /// Drops the socket and everything half done on it.
    pub(crate) fn close(&mut self) {
        self.stream = None;
        self.sent = 0;
        self.is_blocked = false;
        self.is_half_closed = false;
        self.partial = Vec::new();
    }
}
