//! Which bytes may be read as requests: a subset of HTTP/1.1 (RFC 9112) in which two readers can't
//! disagree about where a request ends.
//!
//! What RFC 9112 lets a recipient repair (bare line feeds, several equal lengths, a length beside a
//! transfer coding, folded lines, chunk extensions) is refused here: another hop may have
//! repaired it differently. Looks at bytes only; must never know sockets, routes or replicas.

use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX};
use kilat_api::problem::Code;
use std::mem::MaybeUninit;

/// What [`Rules`] know of methods.
const METHODS: [&str; 7] = ["GET", "POST", "HEAD", "PATCH", "PUT", "DELETE", "OPTIONS"];

/// What may differ between those who read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Most headers of a request; no more than [`HEADERS_MAX`].
    pub(crate) headers_max: usize,
    /// Whether any method is read, for who can say which ones a target has; else [`METHODS`] only.
    pub(crate) any_method: bool,
    /// Whether a target may have any text, and any method a body. Neither leaves in doubt where a request
    /// ends, but some who read are not sure what to do with it.
    pub(crate) any_shape: bool,
    /// Whether who ends sending behind a request is answered as any other. It may be gone, and what
    /// it asked for is done in vain then.
    pub(crate) half_closed: bool,
}
/// Most hexadecimal digits of a chunk's size; larger bodies are refused long before.
const CHUNK_DIGITS_MAX: u8 = 8;
/// Longest `Host`: a name of 255 bytes (RFC 1035) and a port.
const HOST_BYTES_MAX: usize = 261;

/// Why bytes are not read as a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Not HTTP/1.1 as its grammar has it.
    Syntax,
    /// A line that does not end with CR LF.
    BareLineFeed,
    /// The head is too large or has too many headers.
    HeadTooLarge,
    /// A method that is none of [`METHODS`].
    Method,
    /// A target that is not a path.
    Target,
    /// No `Host`, more than one, or one that is no host.
    Host,
    /// A `Content-Length` that is not one plain number.
    Length,
    /// A `Transfer-Encoding` that is not one `chunked`.
    Coding,
    /// Both of them.
    LengthAndCoding,
    /// A body that its method gives no meaning.
    UnwantedBody,
    /// A `Connection` that names a header of the request.
    Connection,
    /// An `Expect` other than `100-continue`.
    Expectation,
    /// A chunk that is not a size, CR LF, so many bytes, CR LF.
    Chunk,
    /// Something after the last chunk.
    Trailer,
    /// A head that has begun and is not whole in time.
    Slow,
}

impl Reason {
    /// The code of the reply.
    pub(crate) fn code(self) -> Code {
        match self {
            Reason::HeadTooLarge => Code::HeadersTooLarge,
            Reason::Method => Code::MethodNotAllowed,
            Reason::Slow => Code::RequestTimeout,
            _ => Code::Malformed,
        }
    }

    /// What is wrong, for the reply.
    pub(crate) fn detail(self) -> &'static str {
        match self {
            Reason::Syntax => "the request is not HTTP/1.1",
            Reason::BareLineFeed => "each line must end with CR LF",
            Reason::HeadTooLarge => "the head has too many bytes or headers",
            Reason::Method => {
                "the method is not one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
            }
            Reason::Target => "the target must be a path in plain ASCII",
            Reason::Host => "there must be one Host header with a host",
            Reason::Length => "Content-Length must be one plain number",
            Reason::Coding => "Transfer-Encoding can only be chunked",
            Reason::LengthAndCoding => "Content-Length and Transfer-Encoding exclude each other",
            Reason::UnwantedBody => "this method takes no body",
            Reason::Connection => "Connection can only be close, keep-alive, TE or Upgrade",
            Reason::Expectation => "Expect can only be 100-continue",
            Reason::Chunk => "a chunk of the body is broken",
            Reason::Trailer => "trailers are not taken",
            Reason::Slow => "the head did not arrive in time",
        }
    }
}

/// How far bytes were understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// So many from the start are part of good requests.
    pub(super) good: usize,
    pub(super) then: Then,
}

/// What follows the good bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing.
    Nothing,
    /// The beginning of a head; look again with more bytes after it.
    PartOfHead,
    /// Nothing may be read from here on: a head that is none.
    BrokenHead(Reason),
    /// The same, inside a body.
    BrokenBody(Reason),
}

/// Follows the requests of one connection.
#[derive(Debug)]
pub(super) struct Strict {
    rules: Rules,
    place: Place,
    heads: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before a request.
    Head,
    /// Before so many bytes of a body.
    Body(u64),
    Chunk(ChunkPlace),
}

/// Within a chunked body (RFC 9112, section 7.1), without extensions and trailers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChunkPlace {
    /// After so many digits of this size.
    Size {
        digits: u8,
        size: u64,
    },
    /// Before the LF after this size.
    SizeEnd {
        size: u64,
    },
    /// Before so many bytes.
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// Before the CR LF that ends the body.
    LastCr,
    LastLf,
}

const CHUNK_START: Place = Place::Chunk(ChunkPlace::Size { digits: 0, size: 0 });

impl Strict {
    /// For who reads by these rules.
    pub(super) fn new(rules: Rules) -> Strict {
        Strict { rules, place: Place::Head, heads: 0 }
    }

    /// Heads that were good so far.
    pub(super) fn heads(&self) -> usize {
        self.heads
    }

    /// Whether a request has begun whose last byte has not been seen.
    pub(super) fn is_inside(&self) -> bool {
        self.place != Place::Head
    }

    /// Reads `bytes`, which follow the good ones of the last call.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Progress {
        let mut good = 0;
        while good < bytes.len() {
            let rest = &bytes[good..];
            let (taken, then) = match self.place {
                Place::Head => self.read_head(rest),
                Place::Body(left) => (self.pass_body(left, rest), Then::Nothing),
                Place::Chunk(place) => match self.read_chunk(place, rest) {
                    Ok(taken) => (taken, Then::Nothing),
                    Err(reason) => (0, Then::BrokenBody(reason)),
                },
            };
            good += taken;
            if then != Then::Nothing {
                return Progress { good, then };
            }
        }
        Progress { good, then: Then::Nothing }
    }

    fn read_head(&mut self, bytes: &[u8]) -> (usize, Then) {
        match head(bytes, self.rules) {
            Ok(Some((length, place))) => {
                self.place = place;
                self.heads += 1;
                (length, Then::Nothing)
            }
            Ok(None) if bytes.len() < HEAD_BYTES_MAX => (0, Then::PartOfHead),
            Ok(None) => (0, Then::BrokenHead(Reason::HeadTooLarge)),
            Err(reason) => (0, Then::BrokenHead(reason)),
        }
    }

    fn pass_body(&mut self, left: u64, bytes: &[u8]) -> usize {
        let (taken, left) = pass(left, bytes);
        self.place = if left == 0 { Place::Head } else { Place::Body(left) };
        taken
    }

    fn read_chunk(&mut self, place: ChunkPlace, bytes: &[u8]) -> Result<usize, Reason> {
        let (taken, next) = match (place, bytes[0]) {
            (ChunkPlace::Size { digits, size }, byte) => (1, read_size(digits, size, byte)?),
            (ChunkPlace::SizeEnd { size: 0 }, b'\n') => (1, ChunkPlace::LastCr),
            (ChunkPlace::SizeEnd { size }, b'\n') => (1, ChunkPlace::Data { left: size }),
            (ChunkPlace::Data { left }, _) => {
                let (taken, left) = pass(left, bytes);
                let next = if left == 0 { ChunkPlace::DataCr } else { ChunkPlace::Data { left } };
                (taken, next)
            }
            (ChunkPlace::DataCr, b'\r') => (1, ChunkPlace::DataLf),
            (ChunkPlace::DataLf, b'\n') => {
                self.place = CHUNK_START;
                return Ok(1);
            }
            (ChunkPlace::LastCr, b'\r') => (1, ChunkPlace::LastLf),
            (ChunkPlace::LastLf, b'\n') => {
                self.place = Place::Head;
                return Ok(1);
            }
            (ChunkPlace::LastCr, _) => return Err(Reason::Trailer),
            _ => return Err(Reason::Chunk),
        };
        self.place = Place::Chunk(next);
        Ok(taken)
    }
}

/// Passes at most `left` of `bytes`; tells how many, and how many are left then.
fn pass(left: u64, bytes: &[u8]) -> (usize, u64) {
    let taken = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
    (taken, left - taken as u64)
}

fn read_size(digits: u8, size: u64, byte: u8) -> Result<ChunkPlace, Reason> {
    let digit = match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        b'A'..=b'F' => byte - b'A' + 10,
        b'\r' if digits > 0 => return Ok(ChunkPlace::SizeEnd { size }),
        _ => return Err(Reason::Chunk),
    };
    if digits == CHUNK_DIGITS_MAX {
        return Err(Reason::Chunk);
    }
    Ok(ChunkPlace::Size { digits: digits + 1, size: size * 16 + u64::from(digit) })
}

/// The length of the head at the start of `bytes` and what follows it; `None` when it is not whole.
fn head(bytes: &[u8], rules: Rules) -> Result<Option<(usize, Place)>, Reason> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let headers = &mut headers[..rules.headers_max.min(HEADERS_MAX)];
    let mut request = httparse::Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(bytes, headers);
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => {
            check_lines(bytes)?;
            return Ok(None);
        }
        Err(httparse::Error::TooManyHeaders) => return Err(Reason::HeadTooLarge),
        Err(_) => return Err(Reason::Syntax),
    };
    if length > HEAD_BYTES_MAX {
        return Err(Reason::HeadTooLarge);
    }
    check_lines(&bytes[..length])?;
    Ok(Some((length, Framing::of(&request)?.place(&request, rules)?)))
}

/// Whether a request whose head, parsed and in bytes, is whole has a body of a plain length.
pub(crate) fn is_plain(request: &httparse::Request<'_, '_>, head: &[u8], rules: Rules) -> bool {
    let place = || Framing::of(request)?.place(request, rules);
    check_lines(head).is_ok() && matches!(place(), Ok(Place::Body(_)))
}

/// Whether all lines, also one that is not whole, end as they must.
pub(crate) fn check_lines(bytes: &[u8]) -> Result<(), Reason> {
    let is_whole = |at: usize| at > 0 && bytes[at - 1] == b'\r';
    if memchr::memchr_iter(b'\n', bytes).all(is_whole) { Ok(()) } else { Err(Reason::BareLineFeed) }
}

/// What the headers say about where the request ends.
#[derive(Default)]
struct Framing {
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
}

impl Framing {
    fn of(request: &httparse::Request<'_, '_>) -> Result<Framing, Reason> {
        let mut framing = Framing::default();
        for header in request.headers.iter() {
            framing.note(header)?;
        }
        Ok(framing)
    }

    fn note(&mut self, header: &httparse::Header<'_>) -> Result<(), Reason> {
        let (name, value) = (header.name, header.value);
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        // Some servers read `_` as `-`.
        let is_like = |other: &str| name.replace('_', "-").eq_ignore_ascii_case(other);
        match name.len() {
            4 if is("host") => {
                self.hosts += 1;
                check(self.hosts == 1 && is_host(value), Reason::Host)
            }
            6 if is("expect") => {
                check(value.eq_ignore_ascii_case(b"100-continue"), Reason::Expectation)
            }
            10 if is("connection") => check(is_connection(value), Reason::Connection),
            14 if is("content-length") => {
                check(self.length.is_none(), Reason::Length)?;
                self.length = Some(number(value).ok_or(Reason::Length)?);
                Ok(())
            }
            17 if is("transfer-encoding") => {
                check(!self.chunked && value.eq_ignore_ascii_case(b"chunked"), Reason::Coding)?;
                self.chunked = true;
                Ok(())
            }
            14 => check(!is_like("content-length"), Reason::Length),
            17 => check(!is_like("transfer-encoding"), Reason::Coding),
            _ => Ok(()),
        }
    }

    fn place(&self, request: &httparse::Request<'_, '_>, rules: Rules) -> Result<Place, Reason> {
        let (method, path) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
        let is_1_0 = request.version == Some(0);
        check(rules.any_method || METHODS.contains(&method), Reason::Method)?;
        let is_plain = path.starts_with('/') && path.bytes().all(is_target_byte);
        check(rules.any_shape || is_plain, Reason::Target)?;
        check(self.hosts == 1 || is_1_0, Reason::Host)?;
        check(!(self.chunked && self.length.is_some()), Reason::LengthAndCoding)?;
        check(!(self.chunked && is_1_0), Reason::Coding)?;
        let has_body = self.chunked || self.length.unwrap_or(0) > 0;
        let takes_body = match method {
            "POST" | "PATCH" | "PUT" | "DELETE" => true,
            "GET" | "HEAD" | "CONNECT" => false,
            // Whoever has the routes says 405, whatever the body.
            _ => rules.any_method,
        };
        check(rules.any_shape || takes_body || !has_body, Reason::UnwantedBody)?;
        Ok(match self.length {
            _ if self.chunked => CHUNK_START,
            Some(length) if length > 0 => Place::Body(length),
            _ => Place::Head,
        })
    }
}

fn check(holds: bool, reason: Reason) -> Result<(), Reason> {
    if holds { Ok(()) } else { Err(reason) }
}

/// What a path and a query may have unescaped, widened by what browsers send: RFC 3986 has no `{`.
/// Without `#` and `\`, which others may read as the end of a path or as `/`.
fn is_target_byte(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) && !matches!(byte, b'"' | b'#' | b'<' | b'>' | b'\\' | b'`')
}

/// Digits only: no sign, no list, no blank, no zero in front, which others may read as octal.
pub(crate) fn number(value: &[u8]) -> Option<u64> {
    let is_short = (1..20).contains(&value.len()) && (value[0] != b'0' || value.len() == 1);
    let is_plain = is_short && value.iter().all(u8::is_ascii_digit);
    let add = |sum: u64, digit: &u8| sum * 10 + u64::from(digit - b'0');
    is_plain.then(|| value.iter().fold(0, add))
}

/// A name, an address or one in brackets, and a port (RFC 3986, section 3.2.2, without escapes).
fn is_host(value: &[u8]) -> bool {
    let is_byte =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    (1..=HOST_BYTES_MAX).contains(&value.len()) && value.iter().all(is_byte)
}

/// Options that concern the connection only; one that names a header would have it removed.
fn is_connection(value: &[u8]) -> bool {
    const KNOWN: [&str; 5] = ["close", "keep-alive", "te", "upgrade", "http2-settings"];
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).all(|option| {
        option.is_empty() || KNOWN.iter().any(|known| option.eq_ignore_ascii_case(known.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules =
        Rules { headers_max: 56, any_method: false, any_shape: false, half_closed: false };

    fn strict() -> Strict {
        Strict::new(RULES)
    }

    /// What becomes of `text`, the same however it is cut.
    fn check(text: &str, expected: &Then) {
        let bytes = text.as_bytes();
        let whole = strict().advance(bytes);
        assert_eq!(whole.then, *expected, "{text:?}");
        for cut in (0..bytes.len()).step_by(1 + bytes.len() / 500) {
            let mut strict = strict();
            let first = strict.advance(&bytes[..cut]);
            if matches!(first.then, Then::BrokenHead(_) | Then::BrokenBody(_)) {
                assert_eq!(first.then, *expected, "{text:?} cut at {cut}");
                continue;
            }
            let second = strict.advance(&bytes[first.good..]);
            assert_eq!(second.then, *expected, "{text:?} cut at {cut}");
            assert_eq!(first.good + second.good, whole.good, "{text:?} cut at {cut}");
        }
    }

    #[test]
    fn good_requests_pass_whole() {
        for text in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a?b=%20{|}&c HTTP/1.1\r\nHost: [::1]:80\r\nConnection: Keep-Alive, TE\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nabDELETE / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        ] {
            check(text, &Then::Nothing);
        }
    }

    #[test]
    fn heads_that_could_be_read_in_two_ways_are_refused() {
        let length = "Content-Length: 1";
        let chunked = "Transfer-Encoding: chunked";
        for (headers, reason) in [
            (format!("{length}\r\n{length}"), Reason::Length),
            (format!("{length}\r\n{chunked}"), Reason::LengthAndCoding),
            (format!("{chunked}\r\n{length}"), Reason::LengthAndCoding),
            (format!("{chunked}\r\n{chunked}"), Reason::Coding),
            (format!("{length}\n"), Reason::BareLineFeed),
            ("Transfer-Encoding: gzip, chunked".into(), Reason::Coding),
            ("Transfer-Encoding: xchunked".into(), Reason::Coding),
            ("Transfer_Encoding: chunked".into(), Reason::Coding),
            ("Content_Length: 1".into(), Reason::Length),
            ("Content-Length: +1".into(), Reason::Length),
            ("Content-Length: 01".into(), Reason::Length),
            ("Content-Length: 1, 1".into(), Reason::Length),
            ("Content-Length: 99999999999999999999".into(), Reason::Length),
            ("Content-Length : 1".into(), Reason::Syntax),
            ("Content-Length: 1\r\n folded".into(), Reason::Syntax),
            ("Host: b".into(), Reason::Host),
            ("Connection: x-request-id".into(), Reason::Connection),
            ("Expect: 200".into(), Reason::Expectation),
        ] {
            let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n");
            let found = strict().advance(text.as_bytes());
            assert_eq!(found, Progress { good: 0, then: Then::BrokenHead(reason) }, "{text:?}");
        }
    }

    #[test]
    fn broken_chunks_are_refused_where_they_break() {
        for (body, reason) in [
            ("\r\n", Reason::Chunk),
            ("x\r\n", Reason::Chunk),
            ("0x1\r\n", Reason::Chunk),
            ("1 \r\n", Reason::Chunk),
            ("1;a=b\r\n", Reason::Chunk),
            ("1\n", Reason::Chunk),
            ("1\r\nab", Reason::Chunk),
            ("123456789\r\n", Reason::Chunk),
            ("0\r\na: b\r\n\r\n", Reason::Trailer),
        ] {
            let text =
                format!("POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n{body}");
            check(&text, &Then::BrokenBody(reason));
        }
    }

    #[test]
    fn a_target_that_passes_is_one_for_the_library_too() {
        for byte in 0..=0x7f_u8 {
            for target in [format!("/a{}b", char::from(byte)), format!("/?a{}b", char::from(byte))]
            {
                let passes = target.bytes().all(is_target_byte);
                let known = target.parse::<hyper::Uri>();
                assert!(!passes || known.is_ok_and(|uri| uri.to_string() == target), "{target:?}");
            }
        }
    }

    #[test]
    fn a_head_has_a_limit() {
        let endless = format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}", "x".repeat(HEAD_BYTES_MAX));
        check(&endless, &Then::BrokenHead(Reason::HeadTooLarge));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(RULES.headers_max + 1));
        check(&many, &Then::BrokenHead(Reason::HeadTooLarge));
    }
}
