//! One request and its reply over an HTTP/1 connection.
//!
//! A connection that waits has a socket and nothing else: no task, no buffer. With hyper's
//! client it costs 16 to 19 KiB, of which 8 KiB are a buffer for heads that it sends, so that
//! 9,000 lookups at once take more memory than a whole check may have.

use super::chunked::{ChunkFault, Chunks};
use super::dial::Stream;
use super::head::{self, EndOfHead, Framing, Head};
use super::room::{Limits, Room};
use super::setback::Setback;
use super::{HEAD_BYTES_MAX, Reply, Request, USER_AGENT};
use bytes::Bytes;
use hyper::header::{self as names, HeaderName};
use hyper::{Method, Uri};
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

/// How long a reply that could decide and has no body is watched: what stands between may send
/// a page behind a promise of none.
const EMPTY_WATCHED: Duration = Duration::from_millis(50);
/// What a server says to a connection on which it waited too long, before it closes it.
const TOO_LATE: &[u8] = b" 408 ";
/// Bytes read at once.
const READ_BYTES: usize = 8 << 10;

/// What came of one request.
pub(super) struct Answered {
    pub(super) reply: Reply,
    /// Whether the connection may carry another request.
    pub(super) keeps_alive: bool,
}

/// Why no reply came, and how far the request got.
pub(super) struct Fault {
    pub(super) setback: Setback,
    pub(super) heed: Heed,
}

/// How far a request got that brought no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heed {
    /// A reply began, or the server said why there is none.
    Heeded,
    /// The connection ended before the first byte, maybe long before, or the server took it not.
    Silent,
    /// Nobody looked at it, for no other reason than that its connection was at its end.
    Unheard,
}

impl Heed {
    pub(super) const fn silent_if(is_silent: bool) -> Heed {
        if is_silent { Heed::Silent } else { Heed::Heeded }
    }
}

impl From<Setback> for Fault {
    fn from(setback: Setback) -> Self {
        Fault { setback, heed: Heed::Heeded }
    }
}

/// Sends `request` to `uri` and reads the reply.
pub(super) async fn call(
    stream: &mut Stream,
    request: &Request,
    uri: &Uri,
    limits: &Limits,
) -> Result<Answered, Fault> {
    let silent = |_| Fault { setback: Setback::Closed, heed: Heed::Silent };
    write(stream, request, uri).await.map_err(silent)?;
    let mut reader = Reader { stream, bytes: Vec::new(), head_bytes: 0 };
    let head = reader.head(request).await?;
    let body_at = reader.head_bytes;
    let mut room = limits.room();
    let body = reader.body(body_at, head.framing, &mut room).await?;
    let mut keeps_alive = head.keeps_alive;
    if body.is_empty() && may_decide(head.status) {
        // Without a length, nothing tells a reply without a body from one that was cut off.
        if head.framing == Framing::UntilClosed {
            return Err(Setback::Closed.into());
        }
        keeps_alive &= stays_empty(stream).await?;
    }
    Ok(Answered { reply: Reply { status: head.status, headers: head.headers, body }, keeps_alive })
}

/// What a connection without a request holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing: it can carry a request.
    Quiet,
    /// Its end.
    Ended,
    /// Bytes that nobody asked for.
    Astray,
}

/// Looks at a connection that carries no request.
pub(super) fn line(stream: &mut Stream) -> Line {
    let mut bytes = Vec::new();
    match poll_more(stream, &mut bytes, &mut Context::from_waker(Waker::noop())) {
        Poll::Pending => Line::Quiet,
        Poll::Ready(Ok(1..)) => stray(&bytes),
        Poll::Ready(_) => Line::Ended,
    }
}

/// A farewell is no reply to anything.
fn stray(bytes: &[u8]) -> Line {
    let is_farewell = bytes.starts_with(b"HTTP/1.") && bytes.get(8..13) == Some(TOO_LATE);
    if is_farewell { Line::Ended } else { Line::Astray }
}

/// Whether such a status can mean found or not found. The others are asked again or followed.
fn may_decide(status: u16) -> bool {
    !matches!(status, 300..=399 | 408 | 425 | 429 | 500..)
}

/// Watches for what may follow a reply without a body. Whether the connection is still open.
///
/// # Errors
/// [`Setback::Astray`] when something follows.
async fn stays_empty(stream: &mut Stream) -> Result<bool, Setback> {
    let mut bytes = Vec::new();
    let more = poll_fn(|cx| poll_more(stream, &mut bytes, cx));
    match tokio::time::timeout(EMPTY_WATCHED, more).await {
        Err(_) => Ok(true),
        Ok(Ok(1..)) => Err(Setback::Astray),
        Ok(_) => Ok(false),
    }
}

async fn write(stream: &mut Stream, request: &Request, uri: &Uri) -> io::Result<()> {
    stream.write_all(&encode(request, uri)).await?;
    stream.flush().await
}

/// The request as bytes.
fn encode(request: &Request, uri: &Uri) -> Vec<u8> {
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let mut bytes = Vec::with_capacity(256 + target.len() + request.body.len());
    let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| bytes.extend_from_slice(part));
    let slash: &[u8] = if target.starts_with('/') { b"" } else { b"/" };
    put(&[request.method.as_str().as_bytes(), b" ", slash, target.as_bytes()]);
    put(&[b" HTTP/1.1\r\nhost: ", host(uri).as_bytes(), b"\r\n"]);
    if !request.headers.contains_key(names::USER_AGENT) {
        put(&[b"user-agent: ", USER_AGENT.as_bytes(), b"\r\n"]);
    }
    for (name, value) in &request.headers {
        if !is_ours(name) {
            put(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
        }
    }
    if !matches!(request.method, Method::GET | Method::HEAD) || !request.body.is_empty() {
        let mut digits = itoa::Buffer::new();
        put(&[b"content-length: ", digits.format(request.body.len()).as_bytes(), b"\r\n"]);
    }
    put(&[b"\r\n", &request.body]);
    bytes
}

/// Host and port, without a user's name.
pub(super) fn host(uri: &Uri) -> &str {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// Fields that belong to the connection and not to a profile.
pub(super) fn is_ours(name: &HeaderName) -> bool {
    [
        names::HOST,
        names::CONNECTION,
        names::CONTENT_LENGTH,
        names::TRANSFER_ENCODING,
        names::ACCEPT_ENCODING,
        names::UPGRADE,
        names::EXPECT,
        names::TE,
    ]
    .contains(name)
}

struct Reader<'a> {
    stream: &'a mut Stream,
    bytes: Vec<u8>,
    /// Length of the head in front of `bytes`.
    head_bytes: usize,
}

impl Reader<'_> {
    /// Reads what there is; `false` at the end of the connection.
    async fn more(&mut self) -> Result<bool, Setback> {
        match poll_fn(|cx| poll_more(self.stream, &mut self.bytes, cx)).await {
            Ok(count) => Ok(count > 0),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                Err(Setback::Garbled(e.to_string()))
            }
            Err(_) => Err(Setback::Closed),
        }
    }

    async fn head(&mut self, request: &Request) -> Result<Head, Fault> {
        let mut interim_bytes = 0;
        let mut end = EndOfHead::default();
        loop {
            let heed = Heed::silent_if(self.bytes.is_empty() && interim_bytes == 0);
            match self.more().await {
                Ok(true) => {}
                Ok(false) => return Err(Fault { setback: Setback::Closed, heed }),
                Err(setback) => return Err(Fault { setback, heed }),
            }
            while let Some(length) = end.find(&self.bytes)? {
                let head = head::parse(&self.bytes[..length], &request.method)?;
                if head.status >= 200 {
                    self.head_bytes = length;
                    return Ok(head);
                }
                self.bytes.drain(..length);
                interim_bytes += length;
                end = EndOfHead::default();
                if head.status == 101 {
                    return Err(Setback::Garbled("101".to_owned()).into());
                }
                if interim_bytes > HEAD_BYTES_MAX {
                    return Err(Setback::HeadTooLarge(HEAD_BYTES_MAX).into());
                }
            }
        }
    }

    async fn body(
        mut self,
        at: usize,
        framing: Framing,
        room: &mut Room<'_>,
    ) -> Result<Bytes, Setback> {
        match framing {
            Framing::Bare => self.rest(at),
            Framing::Length(length) => {
                room.take(length).await?;
                let end = at + usize::try_from(length).unwrap_or(usize::MAX);
                while self.bytes.len() < end {
                    if !self.more().await? {
                        return Err(Setback::Closed);
                    }
                }
                self.rest(end)?;
                Ok(Bytes::from(self.bytes).slice(at..))
            }
            Framing::UntilClosed => {
                while self.more().await? {
                    room.grow(self.bytes.len() - at).await?;
                }
                Ok(Bytes::from(self.bytes).slice(at..))
            }
            Framing::Chunked => self.chunks(at, room).await,
        }
    }

    async fn chunks(&mut self, at: usize, room: &mut Room<'_>) -> Result<Bytes, Setback> {
        self.bytes.drain(..at);
        let (mut chunks, mut body) = (Chunks::new(room.limits.body_bytes_max), Vec::new());
        loop {
            match chunks.take(&mut self.bytes, &mut body) {
                Ok(true) => {
                    self.rest(0)?;
                    return Ok(Bytes::from(body));
                }
                Ok(false) => {}
                Err(fault) => return Err(fault.setback(room.limits.body_bytes_max)),
            }
            room.grow(body.len()).await?;
            if !self.more().await? {
                return Err(Setback::Closed);
            }
        }
    }

    /// Nothing may follow the end of a reply: it could be taken for the next one.
    fn rest(&self, end: usize) -> Result<Bytes, Setback> {
        if self.bytes.len() > end {
            return Err(Setback::Astray);
        }
        Ok(Bytes::new())
    }
}

impl ChunkFault {
    fn setback(self, body_bytes_max: usize) -> Setback {
        match self {
            ChunkFault::Malformed => Setback::Garbled("malformed chunks".to_owned()),
            ChunkFault::TooLarge => Setback::TooLarge(body_bytes_max),
            ChunkFault::TrailersTooLarge => Setback::HeadTooLarge(HEAD_BYTES_MAX),
        }
    }
}

/// Appends what the socket has. The space lies on the stack, so that a connection that waits
/// owns none; a read that does not fill it tells tokio that the socket is drained.
fn poll_more(
    stream: &mut Stream,
    bytes: &mut Vec<u8>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut space = [MaybeUninit::uninit(); READ_BYTES];
    let mut piece = ReadBuf::uninit(&mut space);
    ready!(Pin::new(stream).poll_read(cx, &mut piece))?;
    bytes.extend_from_slice(piece.filled());
    Poll::Ready(Ok(piece.filled().len()))
}
