//! One connection of the fast lane.

use super::pipeline::Pipeline;
use super::trip::Trip;
use crate::seats::Seat;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Instant;

/// Which request a reply belongs to.
#[derive(Debug)]
pub(super) struct Ticket {
    /// Slot of the connection.
    pub(super) slot: usize,
    /// Tells a connection from a later one in the same slot.
    pub(super) serial: u64,
    /// Its place among the connection's requests.
    pub(super) number: u64,
    /// The caller's own request id, echoed in the reply.
    pub(super) request_id: Option<Box<str>>,
    /// When the request was whole.
    pub(super) since: Instant,
    /// If the request's way is recorded.
    pub(super) trip: Option<Box<Trip>>,
}

/// What a read brought.
pub(super) enum Arrived {
    /// Bytes, so many; `true` when the socket is now empty.
    Bytes(usize, bool),
    /// Nothing for now.
    Nothing,
    /// The peer is gone.
    End,
}

/// A connection and what of it is unfinished.
pub(super) struct Connection {
    pub(super) stream: mio::net::TcpStream,
    pub(super) seat: Seat,
    pub(super) serial: u64,
    /// Bytes of a request that is not whole, or of requests that wait behind those in flight.
    pub(super) unread: Vec<u8>,
    /// Reply bytes that the socket did not take yet.
    pub(super) unsent: Vec<u8>,
    /// The socket may have bytes that were not read.
    pub(super) readable: bool,
    /// The peer sends no more than what was not read yet.
    pub(super) half_closed: bool,
    /// That it left was counted, or says nothing.
    pub(super) left_counted: bool,
    pub(super) pipeline: Pipeline,
    /// When the connection last did something whole.
    pub(super) since: Instant,
}

impl Connection {
    pub(super) fn new(
        stream: mio::net::TcpStream,
        seat: Seat,
        serial: u64,
        now: Instant,
    ) -> Connection {
        Connection {
            stream,
            seat,
            serial,
            unread: Vec::new(),
            unsent: Vec::new(),
            readable: true,
            half_closed: false,
            left_counted: false,
            pipeline: Pipeline::default(),
            since: now,
        }
    }

    /// Reads once into `buffer`. A read that does not fill it has emptied the
    /// socket (epoll(7), question 9), which spares a second read to hear so.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Arrived {
        loop {
            return match self.stream.read(buffer) {
                Ok(0) => Arrived::End,
                Ok(count) => Arrived::Bytes(count, count < buffer.len()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => Arrived::Nothing,
                Err(_) => Arrived::End,
            };
        }
    }

    /// Keeps the beginning of a request until the rest comes; its deadline starts now.
    pub(super) fn keep(&mut self, bytes: &[u8], now: Instant) {
        if !bytes.is_empty() && self.unread.is_empty() && self.pipeline.is_empty() {
            self.since = now;
        }
        self.unread.extend_from_slice(bytes);
    }

    /// Sends `reply`, keeping what the socket does not take.
    ///
    /// # Errors
    /// When the peer is gone.
    pub(super) fn send(&mut self, reply: &[u8]) -> io::Result<()> {
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(reply);
            return Ok(());
        }
        let sent = write_some(&mut self.stream, reply)?;
        self.unsent.extend_from_slice(&reply[sent..]);
        Ok(())
    }

    /// Sends what was left over; `true` when nothing is.
    ///
    /// # Errors
    /// When the peer is gone.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        let sent = write_some(&mut self.stream, &self.unsent)?;
        self.unsent.drain(..sent);
        Ok(self.unsent.is_empty())
    }

    /// Whether it can be closed without anybody missing something.
    pub(super) fn is_idle(&self) -> bool {
        self.owes_nothing() && self.unread.is_empty()
    }

    /// Whether every request that was taken is answered, and every reply sent.
    pub(super) fn owes_nothing(&self) -> bool {
        self.pipeline.is_empty() && self.unsent.is_empty()
    }

    /// Whether everything that the peer will ever send was read.
    pub(super) fn has_ended(&self) -> bool {
        self.half_closed && !self.readable
    }

    /// Tells the peer that this is the end.
    pub(super) fn close(self) {
        // It may be gone already, which is no fault.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Writes until everything is sent or the socket takes no more.
fn write_some(stream: &mut mio::net::TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}
