//! The head of an HTTP/1 reply: where it ends, what it says, how long the body is (RFC 9112).
//!
//! When two readings are possible it is no reply: a client that guesses can be led astray.

use super::HEAD_BYTES_MAX;
use super::setback::Setback;
use hyper::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method};

/// Most header fields of a reply.
const FIELDS_MAX: usize = 128;
/// What every reply begins with.
const BEGINNING: &[u8] = b"HTTP/1.";

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    Bare,
    /// After this many bytes.
    Length(u64),
    /// By a last chunk of length 0.
    Chunked,
    /// By the end of the connection.
    UntilClosed,
}

#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) framing: Framing,
    /// Whether the connection may carry another request.
    pub(super) keeps_alive: bool,
}

/// Looks for the empty line that ends a head. Remembers how far it looked, so that a head in
/// single bytes costs no more than one at once.
#[derive(Default)]
pub(super) struct EndOfHead {
    looked: usize,
}

impl EndOfHead {
    /// The length of the head, once it is whole.
    ///
    /// # Errors
    /// When this is no HTTP or the head is too long.
    pub(super) fn find(&mut self, bytes: &[u8]) -> Result<Option<usize>, Setback> {
        let common = bytes.len().min(BEGINNING.len());
        if bytes[..common] != BEGINNING[..common] {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
            return Err(Setback::Garbled(shown));
        }
        while let Some(at) = memchr::memchr(b'\n', &bytes[self.looked..]) {
            let line_end = self.looked + at;
            let length = match bytes[line_end + 1..] {
                [b'\n', ..] => line_end + 2,
                [b'\r', b'\n', ..] => line_end + 3,
                // Too early to tell: this line end is looked at again.
                [] | [b'\r'] => break,
                _ => {
                    self.looked = line_end + 1;
                    continue;
                }
            };
            return within(length).map(|()| Some(length));
        }
        within(bytes.len()).map(|()| None)
    }
}

fn within(length: usize) -> Result<(), Setback> {
    if length > HEAD_BYTES_MAX { Err(Setback::HeadTooLarge(HEAD_BYTES_MAX)) } else { Ok(()) }
}

/// Reads a whole head, the answer to a request with `method`.
///
/// # Errors
/// [`Setback::Garbled`] when it breaks the rules or can be read in two ways.
pub(super) fn parse(bytes: &[u8], method: &Method) -> Result<Head, Setback> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let whole = response.parse(bytes).map_err(|e| garbled(&e.to_string()))?;
    let (httparse::Status::Complete(_), Some(status), Some(minor)) =
        (whole, response.code, response.version)
    else {
        return Err(garbled("a head that ends too early"));
    };
    if status < 100 {
        return Err(garbled("a status below 100"));
    }
    let mut headers = HeaderMap::with_capacity(response.headers.len());
    for field in response.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_bytes(field.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(garbled("a header field with forbidden characters"));
        };
        headers.append(name, value);
    }
    let framing = framing(status, &headers, method)?;
    // Whoever passes HTTP/1.0 on may not have understood a coding (RFC 9112, 6.1).
    let is_certain = minor > 0 || !headers.contains_key(TRANSFER_ENCODING);
    let keeps_alive = is_certain && framing != Framing::UntilClosed && keeps_alive(minor, &headers);
    Ok(Head { status, headers, framing, keeps_alive })
}

fn garbled(why: &str) -> Setback {
    Setback::Garbled(why.to_owned())
}

/// RFC 9112, 6.3.
fn framing(status: u16, headers: &HeaderMap, method: &Method) -> Result<Framing, Setback> {
    if *method == Method::HEAD || matches!(status, 100..=199 | 204 | 304) {
        return Ok(Framing::Bare);
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        return if codings.next().is_some() || headers.contains_key(CONTENT_LENGTH) {
            Err(garbled("two headers that say differently where the body ends"))
        } else if coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            Ok(Framing::Chunked)
        } else {
            Err(Setback::Encoded(String::from_utf8_lossy(coding.as_bytes()).into()))
        };
    }
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        let this =
            digits(value.as_bytes()).ok_or_else(|| garbled("Content-Length is no number"))?;
        if length.is_some_and(|other| other != this) {
            return Err(garbled("two headers that say differently where the body ends"));
        }
        length = Some(this);
    }
    Ok(length.map_or(Framing::UntilClosed, Framing::Length))
}

/// Digits and nothing else: no sign, no space, no list.
fn digits(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

fn keeps_alive(minor: u8, headers: &HeaderMap) -> bool {
    let says =
        |word: &str| {
            headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok()).any(
                |value| value.split(',').any(|option| option.trim().eq_ignore_ascii_case(word)),
            )
        };
    !says("close") && (minor >= 1 || says("keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing_of(method: &Method, status: u16, fields: &str) -> Result<(Framing, bool), Setback> {
        let text = format!("HTTP/1.1 {status} OK\r\n{fields}\r\n");
        parse(text.as_bytes(), method).map(|head| (head.framing, head.keeps_alive))
    }

    #[test]
    fn the_end_of_a_body_is_known_from_the_head() {
        for (status, fields, framing, keeps_alive) in [
            (200, "Content-Length: 7\r\n", Framing::Length(7), true),
            (200, "Content-Length: 7\r\ncontent-length: 7\r\n", Framing::Length(7), true),
            (200, "Transfer-Encoding: Chunked\r\n", Framing::Chunked, true),
            (200, "X: y\r\n", Framing::UntilClosed, false),
            (204, "Content-Length: 7\r\n", Framing::Bare, true),
            (304, "Transfer-Encoding: chunked\r\n", Framing::Bare, true),
            (404, "Content-Length: 0\r\nConnection: x, Close\r\n", Framing::Length(0), false),
        ] {
            let found = framing_of(&Method::GET, status, fields);
            assert_eq!(found, Ok((framing, keeps_alive)), "{status} {fields}");
        }
        let head = framing_of(&Method::HEAD, 200, "Content-Length: 7\r\n");
        assert_eq!(head, Ok((Framing::Bare, true)));
        let old = parse(b"HTTP/1.0 200 OK\nContent-Length: 1\n\n", &Method::GET).unwrap();
        assert!(!old.keeps_alive);
        for (field, keeps_alive) in
            [("Content-Length: 1", true), ("Transfer-Encoding: chunked", false)]
        {
            let text = format!("HTTP/1.0 200 OK\nConnection: keep-alive\n{field}\n\n");
            let old = parse(text.as_bytes(), &Method::GET).unwrap();
            assert_eq!(old.keeps_alive, keeps_alive, "{field}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_no_reply() {
        for fields in [
            "Content-Length: 7\r\nContent-Length: 8\r\n",
            "Content-Length: 7, 7\r\n",
            "Content-Length: +7\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 0x7\r\n",
            "Content-Length:\r\n",
            "Content-Length: 18446744073709551616\r\n",
            "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "X: y\r\n folded: z\r\n",
            "X : y\r\n",
            "no colon\r\n",
            "X: a\0b\r\n",
        ] {
            let found = framing_of(&Method::GET, 200, fields);
            assert!(matches!(found, Err(Setback::Garbled(_))), "{fields:?}: {found:?}");
        }
        for coding in ["gzip", "gzip, chunked", "chunked, chunked", "xchunked"] {
            let found = framing_of(&Method::GET, 200, &format!("Transfer-Encoding: {coding}\r\n"));
            assert_eq!(found, Err(Setback::Encoded(coding.to_owned())));
        }
        for head in [
            "HTTP/1.1 2000 OK\r\n\r\n",
            // Not to be passed over as an interim reply.
            "HTTP/1.1 099 OK\r\n\r\n",
            "HTTP/1.1 000 OK\r\n\r\n",
            "HTTP/1.9 200 OK\r\n\r\n",
            "HTTP/1.1\r\n\r\n",
        ] {
            assert!(parse(head.as_bytes(), &Method::GET).is_err(), "{head:?}");
        }
        let many = "X: y\r\n".repeat(FIELDS_MAX + 1);
        assert!(framing_of(&Method::GET, 200, &many).is_err());
    }

    #[test]
    fn the_end_of_a_head_is_found_however_it_is_cut() {
        for (text, length) in [
            ("HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody", 25),
            ("HTTP/1.1 200 OK\nA: b\n\nbody", 22),
            ("HTTP/1.1 200 OK\r\n\r\n\r\n", 19),
        ] {
            let mut end = EndOfHead::default();
            for cut in 0..length {
                assert_eq!(end.find(&text.as_bytes()[..cut]), Ok(None), "{text:?} {cut}");
            }
            assert_eq!(end.find(text.as_bytes()), Ok(Some(length)), "{text:?}");
        }
        for garbage in ["SSH-2.0", "HTTP/2", "\x15\x03\x01", "\r\nHTTP/1.1"] {
            assert!(EndOfHead::default().find(garbage.as_bytes()).is_err(), "{garbage:?}");
        }
        let long = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(HEAD_BYTES_MAX));
        let found = EndOfHead::default().find(long.as_bytes());
        assert_eq!(found, Err(Setback::HeadTooLarge(HEAD_BYTES_MAX)));
    }
}
