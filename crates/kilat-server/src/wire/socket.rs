//! The socket of a client: lets hyper read only what [`Strict`] has understood, and has deadlines for
//! a peer that sends nothing, or only the beginning of a head, or takes nothing.
//!
//! hyper reads a superset of what is good, and reads it in the same way; so both agree about where
//! a request ends. A head that is not good, or not whole in time, is replaced by a request of the
//! method [`REFUSED_METHOD`]. So the refusal is written by the one who writes all replies, after
//! those to earlier requests. A body that is not good breaks off.
//!
//! Must never know a route, a replica, or what a request asks for.

use super::strict::{Progress, Reason, Rules, Strict, Then};
use super::talk::Talk;
use crate::limits::{HEAD_BYTES_MAX, LINGER_BYTES_MAX, LINGER_TIME_MAX};
use bytes::{Buf, BytesMut};
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// The method of the request that stands for one that is refused, once [`Talk::refused`] says why.
pub(crate) const REFUSED_METHOD: &str = "REFUSED";
/// Its target is no route, or the refusal would tell which methods that route has.
const REFUSED_REQUEST: &[u8] = b"REFUSED /refused HTTP/1.1\r\n\r\n";

/// Read at a time behind the beginning of a head: a slow one costs little memory.
const READ_ON_BYTES: usize = 2 * 1024;

/// How slow a peer may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// For a head from its first byte: then it is refused; and for silence: then the end.
    pub(crate) head: Duration,
    /// For taking something of a reply.
    pub(crate) write: Duration,
}

/// A socket as hyper sees it.
pub(crate) struct Wire<S> {
    stream: S,
    rules: Rules,
    deadlines: Deadlines,
    talk: Arc<Talk>,
    strict: Strict,
    /// Bytes that were read and not passed on; the first `good` of them may be.
    held: BytesMut,
    good: usize,
    /// What the peer keeps us waiting for, and since when.
    awaited: Option<(Awaited, Instant)>,
    /// Rings then, or earlier.
    alarm: Option<Pin<Box<Sleep>>>,
    /// The peer sends no more.
    has_ended: bool,
    /// Something was written that may not have left.
    is_unflushed: bool,
    /// Runs while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Runs while what the peer still sends is read and dropped.
    lingering: Option<Lingering>,
}

/// What a peer sends next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// The first byte of a request.
    Request,
    /// The rest of a head.
    Head,
}

struct Lingering {
    deadline: Pin<Box<Sleep>>,
    bytes: usize,
    /// Whether there is something to wait for.
    is_due: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Watches `stream`, of which some bytes were `read` already; why it is not read any further
    /// will stand in `talk`.
    pub(crate) fn new(
        stream: S,
        read: &[u8],
        rules: Rules,
        deadlines: Deadlines,
        talk: Arc<Talk>,
    ) -> Wire<S> {
        let mut wire = Wire {
            stream,
            rules,
            deadlines,
            talk,
            strict: Strict::new(rules),
            held: BytesMut::from(read),
            good: 0,
            awaited: None,
            alarm: None,
            has_ended: false,
            is_unflushed: false,
            stalled: None,
            lingering: None,
        };
        let Progress { good, then } = wire.strict.advance(&wire.held);
        wire.judge(then, good);
        wire
    }

    /// The socket itself, for who goes on without HTTP.
    pub(crate) fn into_stream(self) -> S {
        self.stream
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
            Then::BrokenHead(reason) => self.refuse_head(reason),
            Then::BrokenBody(reason) => {
                self.talk.refuse(reason);
                self.held.truncate(good);
            }
        }
    }

    /// Puts the request that stands for a refused one behind what is good.
    fn refuse_head(&mut self, reason: Reason) {
        self.talk.refuse(reason);
        self.held.truncate(self.good);
        self.held.extend_from_slice(REFUSED_REQUEST);
        self.good = self.held.len();
    }

    /// Ready when the peer is too late with what it is waited for. Who is being answered, or is
    /// in the middle of a body, has the deadlines of others.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let awaited = match self.held.is_empty() {
            false => Awaited::Head,
            true if self.talk.is_idle(cx) && !self.strict.is_inside() => Awaited::Request,
            true => {
                self.awaited = None;
                return Poll::Pending;
            }
        };
        let since = match self.awaited {
            Some((before, since)) if before == awaited => since,
            _ => Instant::now(),
        };
        self.awaited = Some((awaited, since));
        self.poll_alarm(cx, since + self.deadlines.head)
    }

    fn poll_alarm(&mut self, cx: &mut Context<'_>, until: Instant) -> Poll<()> {
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(until)));
        // One that rings too early is set again then, and not for each request.
        if alarm.deadline() > until || alarm.is_elapsed() {
            alarm.as_mut().reset(until);
        }
        while alarm.as_mut().poll(cx).is_ready() {
            if Instant::now() >= until {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(until);
        }
        Poll::Pending
    }

    /// Reads until there is something for hyper, or the end.
    fn poll_more(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            ready!(match self.held.is_empty() {
                true => self.read_through(cx, buf),
                false => self.read_on(cx, buf),
            })?;
            let is_end = self.held.is_empty() && self.good == 0;
            if buf.filled().len() > before || self.talk.refused().is_some() || is_end {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Whether the end of what the peer sends is kept from hyper, which would leave at once: the
    /// peer still listens for its reply.
    fn is_owed(&self, cx: &Context<'_>) -> bool {
        let is_answering = self.talk.is_answering(cx);
        self.rules.half_closed && !self.strict.is_inside() && (is_answering || self.is_unflushed)
    }

    /// Whether the peer may have sent what nobody has read: closing would reset the connection, and
    /// the peer might lose its last replies with it.
    fn has_unread(&self) -> bool {
        self.talk.refused().is_some()
            || self.strict.is_inside()
            || !self.held.is_empty()
            || self.strict.heads() > self.talk.taken()
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
        let timeout = self.deadlines.write;
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
            if wire.talk.refused().is_some() {
                // The body of a request can only break off; after a refused head nobody reads.
                return match wire.strict.is_inside() {
                    true => Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                    false => Poll::Pending,
                };
            }
            if wire.has_ended {
                return if wire.is_owed(cx) { Poll::Pending } else { Poll::Ready(Ok(())) };
            }
            match wire.poll_more(cx, buf) {
                Poll::Ready(read) => {
                    read?;
                    wire.awaited = None;
                }
                Poll::Pending => {
                    ready!(wire.poll_late(cx));
                    match wire.awaited.take() {
                        Some((Awaited::Head, _)) => wire.refuse_head(Reason::Slow),
                        Some((Awaited::Request, _)) | None => wire.has_ended = true,
                    }
                    continue;
                }
            }
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            wire.has_ended = wire.talk.refused().is_none();
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.is_unflushed = true;
        let written = self.stream().poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.is_unflushed = true;
        let written = self.stream().poll_write_vectored(cx, parts);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.stream().poll_flush(cx);
        ready!(self.watch(cx, flushed))?;
        if std::mem::take(&mut self.is_unflushed) && self.has_ended {
            // hyper is to hear of the end now.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    /// Ends writing, then reads on for a while if the peer may still be sending.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = &mut *self;
        if wire.lingering.is_none() {
            let ended = wire.stream().poll_shutdown(cx);
            ready!(wire.watch(cx, ended))?;
        }
        let is_due = wire.has_unread();
        let lingering = wire.lingering.get_or_insert_with(|| Lingering {
            deadline: Box::pin(sleep(LINGER_TIME_MAX)),
            bytes: 0,
            is_due,
        });
        let mut scratch = [0; 4096];
        while lingering.bytes < LINGER_BYTES_MAX {
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut wire.stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    lingering.bytes += buf.filled().len();
                    lingering.is_due = true;
                }
                Poll::Pending if lingering.is_due => {
                    ready!(lingering.deadline.as_mut().poll(cx));
                    break;
                }
                Poll::Ready(_) | Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
