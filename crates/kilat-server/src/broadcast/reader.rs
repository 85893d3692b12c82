//! One reader's socket, and what of an event it did not take yet.

use super::channel::Channel;
use super::frame::{self, Frame};
use crate::limits::STREAM_UNSENT_BYTES;
use crate::seats::Seat;
use bytes::{Buf as _, Bytes};
use mio::net::TcpStream;
use socket2::SockRef;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;

/// A reader of one channel.
pub(super) struct Reader {
    pub(super) stream: TcpStream,
    pub(super) channel: usize,
    /// Version of the last event that it was sent.
    seen: u64,
    is_chunked: bool,
    is_leaving: bool,
    /// There is one while the socket is full. Rare, so that it does not stand in every reader.
    stalled: Option<Box<Stalled>>,
    _seat: Seat,
    _place: OwnedSemaphorePermit,
}

struct Stalled {
    /// What is left of a frame that was begun; may be empty.
    rest: Bytes,
    since: Instant,
}

impl Reader {
    /// A reader of `channel` with its places among the connections and the streams.
    pub(super) fn new(
        stream: std::net::TcpStream,
        is_chunked: bool,
        (seat, place): (Seat, OwnedSemaphorePermit),
        channel: usize,
    ) -> Reader {
        // A larger buffer would only hold older news.
        let _ = SockRef::from(&stream).set_send_buffer_size(STREAM_UNSENT_BYTES);
        Reader {
            stream: TcpStream::from_std(stream),
            channel,
            seen: 0,
            is_chunked,
            is_leaving: false,
            stalled: None,
            _seat: seat,
            _place: place,
        }
    }

    /// Whether it was told nothing yet.
    pub(super) fn is_new(&self) -> bool {
        self.seen == 0
    }

    /// Sends the newest event of its channel, if it has not seen it and the socket has room;
    /// `false` when the peer is gone.
    pub(super) fn tell(&mut self, channel: &Channel, now: Instant) -> bool {
        let Some(newest) = channel.newest().filter(|_| self.seen != channel.version) else {
            return true;
        };
        match self.send(newest, now) {
            Ok(true) => self.seen = channel.version,
            Ok(false) => {}
            Err(_) => return false,
        }
        true
    }

    /// Sends a frame, if the socket has room for the beginning of it; tells whether it had.
    ///
    /// # Errors
    /// When the peer is gone.
    pub(super) fn send(&mut self, frame: &Frame, now: Instant) -> io::Result<bool> {
        if self.stalled.is_some() || self.is_leaving {
            return Ok(false);
        }
        let mut bytes = frame.bytes(self.is_chunked);
        let length = bytes.len();
        write_some(&mut self.stream, &mut bytes)?;
        if bytes.is_empty() {
            return Ok(true);
        }
        let has_begun = bytes.len() < length;
        let rest = if has_begun { bytes } else { Bytes::new() };
        self.stalled = Some(Box::new(Stalled { rest, since: now }));
        Ok(has_begun)
    }

    /// Goes on when there is room again; `false` when there is nobody to go on for.
    pub(super) fn go_on(&mut self, now: Instant) -> bool {
        self.flush(now).is_ok() && !(self.is_leaving && self.stalled.is_none())
    }

    /// Sends what was left over.
    fn flush(&mut self, now: Instant) -> io::Result<()> {
        let Some(stalled) = &mut self.stalled else { return Ok(()) };
        let length = stalled.rest.len();
        write_some(&mut self.stream, &mut stalled.rest)?;
        if stalled.rest.is_empty() {
            self.stalled = None;
        } else if stalled.rest.len() < length {
            stalled.since = now;
        }
        Ok(())
    }

    /// Sends the end of the body, after what is left over; `false` when nothing is left.
    pub(super) fn finish(&mut self, now: Instant) -> bool {
        if !self.is_leaving {
            self.is_leaving = true;
            let begun = self.stalled.take().map(|stalled| stalled.rest).unwrap_or_default();
            let rest = [begun, frame::last(self.is_chunked)].concat().into();
            self.stalled = Some(Box::new(Stalled { rest, since: now }));
        }
        self.go_on(now)
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.is_some()
    }

    /// Whether it has taken nothing for `timeout` though there was something for it.
    pub(super) fn is_stuck(&self, timeout: Duration, now: Instant) -> bool {
        let stalled = self.stalled.as_ref();
        stalled.is_some_and(|stalled| now.saturating_duration_since(stalled.since) >= timeout)
    }

    /// Reads what it should not have sent; tells whether it is still there.
    pub(super) fn is_here(&mut self, scratch: &mut [u8]) -> bool {
        match self.stream.read(scratch) {
            Ok(count) => count > 0,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }
}

/// Writes until everything is sent or the socket takes no more.
fn write_some(stream: &mut TcpStream, bytes: &mut Bytes) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes.advance(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seats::Seats;
    use std::net::TcpListener;
    use std::sync::Arc;
    use tokio::sync::Semaphore;

    /// A reader, and the far end of its socket.
    fn connected() -> (Reader, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let far = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let seat = Seats::new(1).take().unwrap();
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        (Reader::new(stream, true, (seat, place), 0), far)
    }

    #[test]
    fn a_full_socket_gets_whole_frames_and_nothing_is_kept_for_it() {
        let (mut reader, mut far) = connected();
        let (now, frame) = (Instant::now(), Frame::new(&"x".repeat(64 << 10)));
        let mut sent = 0;
        while reader.send(&frame, now).unwrap() {
            sent += 1;
            assert!(sent < 10_000, "the socket is never full");
        }
        let stalled = reader.stalled.as_ref().unwrap();
        assert!(stalled.rest.len() < frame.bytes(true).len(), "no more than the rest of a frame");
        assert!(!reader.send(&frame, now).unwrap(), "nothing is put behind it");
        assert!(reader.is_stuck(Duration::ZERO, now) && !reader.is_stuck(Duration::MAX, now));
        let received = std::thread::spawn(move || {
            let mut all = Vec::new();
            far.read_to_end(&mut all).unwrap();
            all
        });
        while reader.is_stalled() {
            assert!(reader.go_on(now));
        }
        let mut is_here = reader.finish(now);
        while is_here {
            is_here = reader.go_on(now);
        }
        drop(reader);
        let mut expected = frame.bytes(true).repeat(sent);
        expected.extend_from_slice(b"0\r\n\r\n");
        assert!(received.join().unwrap() == expected);
    }
}
