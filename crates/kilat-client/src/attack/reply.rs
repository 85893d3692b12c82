//! Reads a reply off the wire, and the order in its body without a full parse.
//!
//! Knows framing and the shape of an order; never what an answer means.

use kilat_api::order::OrderStatus;
use kilat_api::problem::Code;
use kilat_api::{IDEMPOTENCY_REPLAYED, NODE};
use memchr::memmem;
use std::borrow::Cow;
use std::mem::MaybeUninit;

/// Longest reply that is read, in bytes.
pub(crate) const REPLY_BYTES_MAX: usize = 1 << 20;
/// Most headers of a reply.
const HEADERS_MAX: usize = 48;

/// What the bytes read so far are.
#[derive(Debug)]
pub(crate) enum Framed<'a> {
    /// A reply that has not arrived in full.
    Partial,
    /// A reply, and how many bytes it took.
    Whole { reply: Reply<'a>, used: usize },
    /// Not HTTP, or not framed as the contract says.
    Garbage,
}

/// The parts of a reply that an attack looks at.
#[derive(Debug, Default)]
pub(crate) struct Reply<'a> {
    pub status: u16,
    /// `idempotency-replayed: true`.
    pub replayed: bool,
    /// Who answered; empty when not said.
    pub node: &'a [u8],
    /// `retry-after`, in seconds.
    pub retry_after_s: Option<u32>,
    /// The server closes the connection after this reply.
    pub close: bool,
    pub body: Cow<'a, [u8]>,
}

/// How long the body is.
#[derive(Clone, Copy, Debug)]
enum Length {
    Unknown,
    Bytes(usize),
    Chunked,
}

/// Reads one reply from the front of `bytes`.
pub(crate) fn frame(bytes: &[u8]) -> Framed<'_> {
    let mut space = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let head = match config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut space) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Framed::Partial,
        Err(_) => return Framed::Garbage,
    };
    let mut reply = Reply {
        status: parsed.code.unwrap_or_default(),
        close: parsed.version == Some(0),
        ..Reply::default()
    };
    let Some(length) = read_headers(parsed.headers, &mut reply) else {
        return Framed::Garbage;
    };
    read_body(&bytes[head..], head, length, reply)
}

fn read_headers<'a>(headers: &[httparse::Header<'a>], reply: &mut Reply<'a>) -> Option<Length> {
    let mut length = Length::Unknown;
    for header in headers {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        match header.name.len() {
            14 if is("content-length") => {
                let bytes = std::str::from_utf8(header.value).ok()?.parse().ok()?;
                match length {
                    Length::Unknown => length = Length::Bytes(bytes),
                    Length::Bytes(before) if before == bytes => {}
                    _ => return None,
                }
            }
            17 if is("transfer-encoding") => match length {
                Length::Unknown if header.value.eq_ignore_ascii_case(b"chunked") => {
                    length = Length::Chunked;
                }
                _ => return None,
            },
            20 if is(IDEMPOTENCY_REPLAYED) => reply.replayed = header.value == b"true",
            12 if is(NODE) => reply.node = header.value,
            11 if is("retry-after") => {
                reply.retry_after_s =
                    std::str::from_utf8(header.value).ok().and_then(|v| v.parse().ok());
            }
            10 if is("connection") => reply.close |= header.value.eq_ignore_ascii_case(b"close"),
            _ => {}
        }
    }
    Some(length)
}

fn read_body<'a>(rest: &'a [u8], head: usize, length: Length, mut reply: Reply<'a>) -> Framed<'a> {
    match length {
        Length::Bytes(n) if n > REPLY_BYTES_MAX => Framed::Garbage,
        Length::Bytes(n) if n > rest.len() => Framed::Partial,
        Length::Bytes(n) => {
            reply.body = Cow::Borrowed(&rest[..n]);
            Framed::Whole { reply, used: head + n }
        }
        Length::Unknown if matches!(reply.status, 204 | 304) => Framed::Whole { reply, used: head },
        Length::Unknown => Framed::Garbage,
        Length::Chunked => match read_chunks(rest) {
            Ok(Some((body, used))) => {
                reply.body = Cow::Owned(body);
                Framed::Whole { reply, used: head + used }
            }
            Ok(None) => Framed::Partial,
            Err(NotHttp) => Framed::Garbage,
        },
    }
}

/// Bytes that follow no framing.
struct NotHttp;

/// The body in chunks and the bytes it took; `None` when more must arrive.
fn read_chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, NotHttp> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let (start, size) = match httparse::parse_chunk_size(&bytes[at..]) {
            Ok(httparse::Status::Complete((start, size))) => (at + start, size),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(NotHttp),
        };
        let size = usize::try_from(size).map_err(|_| NotHttp)?;
        if size > REPLY_BYTES_MAX {
            return Err(NotHttp);
        }
        let Some(chunk) = bytes.get(start..start + size + 2) else {
            return Ok(None);
        };
        let Some(chunk) = chunk.strip_suffix(b"\r\n") else {
            return Err(NotHttp);
        };
        body.extend_from_slice(chunk);
        at = start + size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

/// The order in a reply, as far as an attack remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub id: u128,
    pub sequence: u64,
    pub status: OrderStatus,
}

/// Picks the order out of `body` by its field names alone.
///
/// A quoted text in JSON can't contain these names: its quotes would be
/// escaped. `None` when the body is not as expected; then parse it in full.
pub(crate) fn pick_order(body: &[u8]) -> Option<Placed> {
    let id = hex(after(body, b"\"order\":\"")?.get(..32)?)?;
    let digits = after(body, b"\"sequence\":")?;
    let status = match after(body, b"\"status\":\"")? {
        rest if rest.starts_with(b"confirmed\"") => OrderStatus::Confirmed,
        rest if rest.starts_with(b"held\"") => OrderStatus::Held,
        _ => return None,
    };
    Some(Placed { id, sequence: number(digits)?, status })
}

/// Picks the code out of a problem document.
pub(crate) fn pick_code(body: &[u8]) -> Option<Code> {
    let rest = after(body, b"\"code\":\"")?;
    let end = memchr::memchr(b'"', rest)?;
    Code::from_code(std::str::from_utf8(&rest[..end]).ok()?)
}

/// An order's id from its 32 hexadecimal digits.
pub(crate) fn parse_order_id(text: &str) -> Option<u128> {
    hex(text.as_bytes()).filter(|_| text.len() == 32)
}

fn after<'a>(body: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    memmem::find(body, name).map(|at| &body[at + name.len()..])
}

fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0u128, |id, &digit| {
        let nibble = char::from(digit).to_digit(16)?;
        Some(id << 4 | u128::from(nibble))
    })
}

/// The number in front of a comma, a brace or a space.
fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let ends = text.get(digits).is_some_and(|b| matches!(b, b',' | b'}' | b' ' | b'\n'));
    let text = std::str::from_utf8(&text[..digits]).ok()?;
    ends.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"order":"0123456789abcdef0123456789abcdef","sale":"s","customer":"c","quantity":1,"status":"confirmed","expires_at":null,"sequence":42,"node":"n"}"#;

    fn whole(text: &str) -> (Reply<'_>, usize) {
        match frame(text.as_bytes()) {
            Framed::Whole { reply, used } => (reply, used),
            other => panic!("{other:?} for {text}"),
        }
    }

    #[test]
    fn the_headers_that_matter_are_read() {
        let text = "HTTP/1.1 503 X\r\nContent-Length: 2\r\nRetry-After: 7\r\nX-Kilat-Node: web-1\r\nidempotency-replayed: true\r\nConnection: close\r\n\r\nhi+more";
        let (reply, used) = whole(text);
        assert_eq!(
            (reply.status, reply.retry_after_s, reply.replayed, reply.close),
            (503, Some(7), true, true)
        );
        assert_eq!(
            (reply.node, reply.body.as_ref(), &text[used..]),
            (&b"web-1"[..], &b"hi"[..], "+more")
        );
    }

    #[test]
    fn every_prefix_of_a_reply_is_partial() {
        for text in [
            format!("HTTP/1.1 201 Created\r\ncontent-length: {}\r\n\r\n{BODY}", BODY.len()),
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_owned(),
        ] {
            for end in 0..text.len() {
                assert!(
                    matches!(frame(&text.as_bytes()[..end]), Framed::Partial),
                    "{end} of {text}"
                );
            }
            assert_eq!(whole(&text).1, text.len());
        }
        let (reply, _) = whole(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
        );
        assert_eq!(reply.body.as_ref(), b"abc");
    }

    #[test]
    fn what_is_not_a_reply_is_garbage() {
        for text in [
            "hello\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\na",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc",
        ] {
            assert!(matches!(frame(text.as_bytes()), Framed::Garbage), "{text}");
        }
    }

    #[test]
    fn an_order_is_picked_out() {
        let placed = pick_order(BODY.as_bytes()).unwrap();
        assert_eq!(placed.id, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        assert_eq!((placed.sequence, placed.status), (42, OrderStatus::Confirmed));
    }

    #[test]
    fn anything_unusual_is_left_to_the_full_parse() {
        for (from, to) in [
            ("0123456789abcdef0", "xyz"),
            ("\"order\":", "\"order\": "),
            (":42,", ":42.5,"),
            (":42,", ":,"),
            ("confirmed", "confirmed!"),
            (":42,", ":99999999999999999999,"),
        ] {
            assert_eq!(pick_order(BODY.replace(from, to).as_bytes()), None, "{to}");
        }
        assert_eq!(pick_order(b"{\"order\":\"01"), None);
    }

    #[test]
    fn a_code_is_picked_out() {
        assert_eq!(pick_code(br#"{"code":"sold_out"}"#), Some(Code::SoldOut));
        assert_eq!(pick_code(br#"{"code":"what"}"#), None);
        assert_eq!(pick_code(b"{}"), None);
    }
}
