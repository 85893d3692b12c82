//! One connection of the full lane: hyper, and what stands before it.
//!
//! Must never know a route, or how the connection came here.

use crate::exit::Exit;
use crate::guests::Guest;
use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX, Limits};
use crate::wire::{Answering, Deadlines, REFUSED_METHOD, Rules, Talk, Wire};
use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How requests are read by who can say which methods a target has.
pub(crate) const RULES: Rules =
    Rules { headers_max: HEADERS_MAX, any_method: true, any_shape: false, half_closed: true };

/// Serves `stream` by `rules` until it ends, or leaves HTTP by `exit`: then the socket is returned.
/// `already_read` comes before what the socket has. A request that is refused comes to the
/// service, too, with the [`Reason`](crate::wire::Reason) among its extensions; the connection closes
/// behind the reply.
///
/// A connection whose peer leaves or breaks the protocol just ends: there is
/// nobody left to tell.
pub(crate) async fn serve<S, B>(
    stream: TcpStream,
    already_read: Bytes,
    service: S,
    (limits, rules): (&Limits, Rules),
    guest: &Arc<Guest>,
    exit: &Exit,
) -> Option<std::net::TcpStream>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + Unpin + 'static,
{
    let deadlines = Deadlines { head: limits.header_timeout, write: limits.write_timeout };
    let talk = Arc::<Talk>::default();
    let socket = Socket { stream, guest: Arc::clone(guest), exit: exit.clone() };
    let wire = Wire::new(socket, &already_read, rules, deadlines, Arc::clone(&talk));
    drop(already_read);
    let mut connection = http1::Builder::new()
        // The wire has the deadlines.
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .keep_alive(true)
        .half_close(false)
        .serve_connection(
            TokioIo::new(wire),
            service_fn(|request| answer(&talk, &service, request)),
        );
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
    connection.into_parts().io.into_inner().into_stream().stream.into_std().ok()
}

/// Has the service answer, which hears why if there is no more than a refusal to be said.
fn answer<S, B>(
    talk: &Arc<Talk>,
    service: &S,
    mut request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Answering<B>>, S::Error>> + use<S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    B: Body,
{
    let answer = talk.answer();
    let refused = talk.refused().filter(|_| request.method().as_str() == REFUSED_METHOD);
    if let Some(reason) = refused {
        request.extensions_mut().insert(reason);
    }
    let replying = service.call(request);
    async move {
        let mut reply = replying.await?;
        if refused.is_some() {
            reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(answer.with(reply))
    }
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

/// A socket that tells of signs of life, and when all that was written is with the system.
struct Socket {
    stream: TcpStream,
    guest: Arc<Guest>,
    exit: Exit,
}

impl Socket {
    fn stream(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(&mut self.stream)
    }

    fn stir<T>(&self, written: Poll<T>) -> Poll<T> {
        if written.is_ready() {
            self.guest.stir();
        }
        written
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream().poll_write(cx, bytes);
        self.stir(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream().poll_write_vectored(cx, parts);
        self.stir(written)
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
