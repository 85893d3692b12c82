//! The socket of a client: lets hyper read only what [`Strict`] has understood, and has a deadline
//! for a peer that takes nothing.
//!
//! hyper reads a superset of what is good, and reads it in the same way; so both agree about where
//! a request ends. A head that is not good is replaced by a request of the method
//! [`REFUSED_METHOD`], which no client can send. So the refusal is written by the one who writes
//! all replies, after those to earlier requests. A body that is not good breaks off.
//!
//! Must never know a route, a replica, or what a request asks for.

use super::limits::{HEAD_BYTES_MAX, LINGER_BYTES_MAX, LINGER_TIME_MAX};
use super::strict::{Progress, Reason, Strict, Then};
use bytes::{Buf, BytesMut};
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// The method of the request that stands for one that is refused.
pub(super) const REFUSED_METHOD: &str = "REFUSED";
const REFUSED_REQUEST: &[u8] = b"REFUSED / HTTP/1.1\r\n\r\n";

/// Read at a time behind the beginning of a head: a slow one costs little memory.
const READ_ON_BYTES: usize = 2 * 1024;

/// Why a connection is not read any further, once it is not.
pub(super) type Refused = Arc<OnceLock<Reason>>;

/// A socket as hyper sees it.
pub(super) struct Wire<S> {
    stream: S,
    strict: Strict,
    /// Bytes that were read and not passed on; the first `good` of them may be.
    held: BytesMut,
    good: usize,
    refused: Refused,
    write_timeout: Duration,
    /// Runs while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Runs while what a refused peer still sends is read and dropped.
    lingering: Option<Lingering>,
}

struct Lingering {
    deadline: Pin<Box<Sleep>>,
    bytes: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Watches `stream`, of which some bytes were `read` already; why it is not read any further
    /// will stand in `refused`.
    pub(super) fn new(
        stream: S,
        read: &[u8],
        refused: Refused,
        write_timeout: Duration,
    ) -> Wire<S> {
        let mut wire = Wire {
            stream,
            strict: Strict::default(),
            held: BytesMut::from(read),
            good: 0,
            refused,
            write_timeout,
            stalled: None,
            lingering: None,
        };
        let Progress { good, then } = wire.strict.advance(&wire.held);
        wire.judge(then, good);
        wire
    }

    fn stream(&mut self) -> Pin<&mut S> {
        Pin::new(&mut self.stream)
    }

    /// Gives what is held and good.
    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let count = self.good.min(buf.remaining());
        buf.put_slice(&self.held[..count]);
        self.held.advance(count);
        self.good -= count;
    }

    /// Reads into `buf`, where nothing was held before; what is not good is taken back.
    fn read_through(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.stream().poll_read(cx, buf))?;
        let Progress { good, then } = self.strict.advance(&buf.filled()[before..]);
        if then != Then::Nothing {
            self.held.extend_from_slice(&buf.filled()[before + good..]);
            buf.set_filled(before + good);
        }
        self.judge(then, 0);
        self.give(buf);
        Poll::Ready(Ok(()))
    }

    /// Reads behind what is held, the beginning of a head, and looks again.
    fn read_on(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let held = self.held.len();
        self.held.resize((held + READ_ON_BYTES).min(HEAD_BYTES_MAX), 0);
        let mut more = ReadBuf::new(&mut self.held[held..]);
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut more);
        let count = more.filled().len();
        self.held.truncate(held + count);
        ready!(read)?;
        if count == 0 {
            self.held.clear();
            return Poll::Ready(Ok(()));
        }
        let Progress { good, then } = self.strict.advance(&self.held);
        self.judge(then, good);
        self.give(buf);
        Poll::Ready(Ok(()))
    }

    /// Notes what of the bytes that are held may be passed on.
    fn judge(&mut self, then: Then, good: usize) {
        self.good = good;
        match then {
            Then::Nothing | Then::PartOfHead => {}
            Then::BrokenHead(reason) => {
                let _ = self.refused.set(reason);
                self.held.truncate(good);
                self.held.extend_from_slice(REFUSED_REQUEST);
                self.good = self.held.len();
            }
            Then::BrokenBody(reason) => {
                let _ = self.refused.set(reason);
                self.held.truncate(good);
            }
        }
    }

    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let timeout = self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let before = buf.filled().len();
        loop {
            if wire.good > 0 {
                wire.give(buf);
                return Poll::Ready(Ok(()));
            }
            if wire.refused.get().is_some() {
                // The body of a request can only break off; after a refused head nobody reads.
                return match wire.strict.is_inside() {
                    true => Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                    false => Poll::Pending,
                };
            }
            let was_held = wire.held.len();
            if was_held == 0 {
                ready!(wire.read_through(cx, buf))?;
            } else {
                ready!(wire.read_on(cx, buf))?;
            }
            let is_end = wire.held.is_empty() && wire.good == 0;
            if buf.filled().len() > before || (is_end && wire.refused.get().is_none()) {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream().poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream().poll_write_vectored(cx, parts);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.stream().poll_flush(cx);
        self.watch(cx, flushed)
    }

    /// Ends writing, then reads on for a while if the peer may still be sending.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = &mut *self;
        if wire.lingering.is_none() {
            let ended = wire.stream().poll_shutdown(cx);
            ready!(wire.watch(cx, ended))?;
            if wire.refused.get().is_none() && !wire.strict.is_inside() {
                return Poll::Ready(Ok(()));
            }
        }
        let lingering = wire.lingering.get_or_insert_with(|| Lingering {
            deadline: Box::pin(sleep(LINGER_TIME_MAX)),
            bytes: 0,
        });
        let mut scratch = [0; 4096];
        while lingering.bytes < LINGER_BYTES_MAX
            && lingering.deadline.as_mut().poll(cx).is_pending()
        {
            let mut buf = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut wire.stream).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => lingering.bytes += buf.filled().len(),
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
