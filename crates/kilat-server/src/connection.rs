//! One connection of the full lane: hyper, with a deadline for every way to be slow.
//!
//! Must never know a route, or how the connection came here.

use crate::exit::Exit;
use crate::guests::Guest;
use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX, Limits};
use bytes::{Buf, Bytes};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::error::Error;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// Serves `stream` until it ends, or leaves HTTP by `exit`: then the socket is returned.
/// `already_read` comes before what the socket has.
///
/// A connection whose peer leaves or breaks the protocol just ends: there is
/// nobody left to tell.
pub(crate) async fn serve<S, B>(
    stream: TcpStream,
    already_read: Bytes,
    service: S,
    limits: &Limits,
    guest: &Arc<Guest>,
    exit: &Exit,
) -> Option<std::net::TcpStream>
where
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    let (guest, write_timeout) = (Arc::clone(guest), limits.write_timeout);
    let wire = Wire {
        already_read,
        stream,
        guest: Arc::clone(&guest),
        write_timeout,
        stalled: None,
        exit: exit.clone(),
    };
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .keep_alive(true)
        .half_close(false)
        .serve_connection(TokioIo::new(wire), service);
    let served = UntilExit { connection: &mut connection, exit };
    let served =
        guest.accompany(served, |mut served| Pin::new(&mut *served.connection).graceful_shutdown());
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection ended early");
        return None;
    }
    if !exit.is_open() {
        return None;
    }
    // What the peer has sent after its request is dropped: there will be no other reply.
    connection.into_parts().io.into_inner().stream.into_std().ok()
}

/// A connection until it ends or leaves HTTP.
struct UntilExit<'a, C> {
    connection: &'a mut C,
    exit: &'a Exit,
}

impl<C: Future<Output = hyper::Result<()>> + Unpin> Future for UntilExit<'_, C> {
    type Output = hyper::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        match Pin::new(&mut *self.connection).poll(cx) {
            Poll::Pending if self.exit.is_open() => Poll::Ready(Ok(())),
            polled => polled,
        }
    }
}

/// A socket with bytes that were read from it before, and with a deadline for
/// a peer that takes nothing.
struct Wire {
    already_read: Bytes,
    stream: TcpStream,
    guest: Arc<Guest>,
    write_timeout: Duration,
    /// Runs while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    exit: Exit,
}

impl Wire {
    fn stream(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(&mut self.stream)
    }

    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.guest.stir();
            self.stalled = None;
            return written;
        }
        let timeout = self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.already_read.is_empty() {
            return self.stream().poll_read(cx, buf);
        }
        let count = self.already_read.len().min(buf.remaining());
        buf.put_slice(&self.already_read[..count]);
        self.already_read.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
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
        ready!(self.stream().poll_flush(cx))?;
        self.exit.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}
