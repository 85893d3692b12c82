//! A new connection: the host's address, the guard, TCP, TLS.

use super::names::Names;
use super::setback::Setback;
use super::{ExchangeOptions, Http2, guard, tls};
use crate::{ClientError, Lang};
use hyper::Uri;
use rustls::pki_types::ServerName;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Most connections that are being opened at once. A listener's queue is finite (4,096 on
/// Linux, often less), and a burst beyond it waits for seconds.
const DIALS_MAX: usize = 256;
/// How long one of several addresses may take before the next is tried.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(1);

/// Whom a connection reaches. Connections of one origin can stand in for each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) is_secure: bool,
    /// Name or literal address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_guarded: bool,
}

impl Origin {
    pub(super) fn of(uri: &Uri, is_guarded: bool) -> Result<Origin, Setback> {
        let unsendable = || Setback::Unsendable(uri.to_string());
        let (is_secure, port) = match uri.scheme_str() {
            Some("http") => (false, 80),
            Some("https") => (true, 443),
            _ => return Err(unsendable()),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(unsendable)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = uri.port_u16().unwrap_or(port);
        Ok(Origin { is_secure, host: host.to_ascii_lowercase(), port, is_guarded })
    }
}

/// Opens connections.
pub(super) struct Dialer {
    names: Names,
    dials: Semaphore,
    tls: TlsConnector,
    pub(super) http2: Http2,
    allow_private: bool,
}

impl Dialer {
    pub(super) fn new(options: &ExchangeOptions, lang: Lang) -> Result<Dialer, ClientError> {
        Ok(Dialer {
            names: Names::new(),
            dials: Semaphore::new(DIALS_MAX),
            tls: TlsConnector::from(Arc::new(tls::config(options, lang)?)),
            http2: options.http2,
            allow_private: options.allow_private,
        })
    }

    pub(super) async fn dial(&self, origin: &Origin) -> Result<Stream, Setback> {
        // Never closed, so there is always a permit in the end.
        let _permit = self.dials.acquire().await;
        let stream = self.connect(origin).await?;
        // Requests are small and complete: waiting to merge them only delays.
        let _ = stream.set_nodelay(true);
        if !origin.is_secure {
            return Ok(Stream::Plain(stream));
        }
        let name = ServerName::try_from(origin.host.clone())
            .map_err(|e| Setback::Unsendable(format!("{}: {e}", origin.host)))?;
        let stream = self.tls.connect(name, stream).await.map_err(|e| tls::setback(&e))?;
        Ok(Stream::Secure(Box::new(stream)))
    }

    async fn connect(&self, origin: &Origin) -> Result<TcpStream, Setback> {
        let addresses: Arc<[IpAddr]> = match origin.host.parse() {
            Ok(literal) => Arc::new([literal]),
            Err(_) => self.names.resolve(&origin.host).await.map_err(Setback::Unreachable)?,
        };
        let is_open = |address: &IpAddr| {
            !origin.is_guarded || self.allow_private || !guard::is_private(*address)
        };
        let allowed: Vec<IpAddr> = addresses.iter().copied().filter(is_open).collect();
        let mut last =
            Setback::Refused(addresses.first().map_or_else(String::new, IpAddr::to_string));
        for (at, &ip) in allowed.iter().enumerate() {
            let address = SocketAddr::new(ip, origin.port);
            let is_last = at + 1 == allowed.len();
            let patience = if is_last { Duration::MAX } else { ADDRESS_TIMEOUT };
            let connecting = tokio::time::timeout(patience, TcpStream::connect(address)).await;
            match connecting.unwrap_or(Err(io::ErrorKind::TimedOut.into())) {
                Ok(stream) => {
                    self.names.prefer(&origin.host, ip);
                    return Ok(stream);
                }
                Err(e) => last = Setback::Unreachable(format!("{address}: {e}")),
            }
        }
        Err(last)
    }
}

/// Counts an open connection for as long as it lives.
pub(super) struct Slot(Arc<AtomicUsize>);

impl Slot {
    /// One more of those that are `open`.
    pub(super) fn take(open: &Arc<AtomicUsize>) -> Slot {
        open.fetch_add(1, Relaxed);
        Slot(Arc::clone(open))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// A connection with or without TLS.
pub(super) enum Stream {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Whether the server chose HTTP/2 in the handshake.
    pub(super) fn chose_http2(&self) -> bool {
        match self {
            Stream::Plain(_) => false,
            Stream::Secure(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Secure(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Secure(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Secure(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Secure(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
