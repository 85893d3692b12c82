//! Reads a replica's reply to an order, strictly; and what a client gets of it.
//!
//! A reply is bytes with a plain length, or it is none that this reads. Must never know sockets.

use super::super::forward::{self, write_header};
use super::super::limits::{HEAD_BYTES_MAX, KEPT_REPLY_BYTES_MAX, REPLY_TIMEOUT};
use super::super::reply::{self, ReplyBody};
use crate::wire::strict::{check_lines, number};
use http_body_util::{BodyExt, Limited};
use hyper::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderValue};
use hyper::{Response, StatusCode};
use std::time::SystemTime;
use tokio::time::timeout;

/// Most headers of a reply.
const HEADERS_MAX: usize = 32;
/// Largest reply of those who serve everything that is passed on.
const OTHERS_BYTES_MAX: usize = 1024 * 1024;

const CLOSE: &[u8] = b"connection: close\r\n";

/// A whole reply, as its client gets it.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// The connection ends with it, as it says.
    pub(super) closes: bool,
    bytes: Vec<u8>,
    /// Where the lines of headers end.
    headers_end: usize,
}

/// A reply at the start of a buffer.
pub(super) struct Seen<'a> {
    headers: [httparse::Header<'a>; HEADERS_MAX],
    header_count: usize,
    pub(super) status: StatusCode,
    pub(super) body: &'a [u8],
    /// Whether the connection ends with it.
    pub(super) is_last: bool,
    /// Bytes of the reply, head and body.
    pub(super) length: usize,
}

/// Why a reply can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is no reply.
    Broken,
    /// It may be a good one, of another form than those to orders.
    Unusual,
}

/// Looks at the start of `buffer`; `None` when more must come.
pub(super) fn look(buffer: &[u8]) -> Result<Option<Seen<'_>>, Unread> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(buffer).map_err(|_| Unread::Broken)?;
    let httparse::Status::Complete(head) = parsed else {
        let is_short = buffer.len() < HEAD_BYTES_MAX && check_lines(buffer).is_ok();
        return if is_short { Ok(None) } else { Err(Unread::Broken) };
    };
    check_lines(&buffer[..head]).map_err(|_| Unread::Broken)?;
    let status = status(response.code, response.version)?;
    let framing = Framing::of(response.headers)?;
    let length = head + framing.length.ok_or(Unread::Unusual)?;
    let header_count = response.headers.len();
    let Some(body) = buffer.get(head..length) else {
        return Ok(None);
    };
    Ok(Some(Seen { headers, header_count, status, body, is_last: framing.closes, length }))
}

/// A status that says nothing about the framing.
fn status(code: Option<u16>, version: Option<u8>) -> Result<StatusCode, Unread> {
    let status = code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Unread::Broken)?;
    let is_usual =
        version == Some(1) && matches!(status.as_u16(), 200..=203 | 206..=303 | 305..=599);
    if is_usual { Ok(status) } else { Err(Unread::Unusual) }
}

/// What the headers say about where the reply ends.
#[derive(Default)]
struct Framing {
    length: Option<usize>,
    closes: bool,
}

impl Framing {
    fn of(headers: &[httparse::Header<'_>]) -> Result<Framing, Unread> {
        let mut framing = Framing::default();
        headers.iter().try_for_each(|header| framing.note(header))?;
        Ok(framing)
    }

    fn note(&mut self, header: &httparse::Header<'_>) -> Result<(), Unread> {
        let (name, value) = (header.name, header.value);
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match name.len() {
            7 if is("upgrade") || is("trailer") => Err(Unread::Unusual),
            10 if is("connection") => {
                self.closes = value.eq_ignore_ascii_case(b"close");
                let is_known = self.closes || value.eq_ignore_ascii_case(b"keep-alive");
                if is_known { Ok(()) } else { Err(Unread::Unusual) }
            }
            14 if is("content-length") => {
                let length = number(value).and_then(|length| usize::try_from(length).ok());
                let length = length.filter(|_| self.length.is_none()).ok_or(Unread::Broken)?;
                self.length = Some(length);
                if length <= KEPT_REPLY_BYTES_MAX { Ok(()) } else { Err(Unread::Unusual) }
            }
            17 if is("transfer-encoding") => Err(Unread::Unusual),
            _ => Ok(()),
        }
    }
}

impl Seen<'_> {
    /// Whether it is the reply to the request with this id, as far as it says.
    pub(super) fn is_to(&self, id: &str) -> bool {
        self.header(kilat_api::REQUEST_ID).is_none_or(|said| said == id.as_bytes())
    }

    /// Whether it says that the replica is stopping.
    pub(super) fn is_leaving(&self) -> bool {
        reply::is_leaving(self.status, self.body)
    }

    /// As the client gets it who asked with this `id`.
    pub(super) fn to_reply(&self, id: &str) -> Reply {
        let mut writer = Writer::new(self.status, self.length);
        for header in self.headers() {
            let is_length = header.name.eq_ignore_ascii_case("content-length");
            if !is_length && !forward::is_of_one_hop(header.name) {
                write_header(&mut writer.bytes, header.name, header.value);
            }
        }
        if self.header(kilat_api::REQUEST_ID).is_none() {
            write_header(&mut writer.bytes, kilat_api::REQUEST_ID, id.as_bytes());
        }
        writer.end(self.header("date").is_some(), self.body, false)
    }

    fn headers(&self) -> impl Iterator<Item = &httparse::Header<'_>> {
        self.headers[..self.header_count].iter()
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        let mut headers = self.headers();
        headers.find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    }
}

impl Reply {
    /// Of one that others made; `None` when it does not end well.
    pub(super) async fn of(reply: Response<ReplyBody>) -> Option<Reply> {
        let (head, body) = reply.into_parts();
        let gathering = Limited::new(body, OTHERS_BYTES_MAX).collect();
        let body = timeout(REPLY_TIMEOUT, gathering).await.ok()?.ok()?.to_bytes();
        let mut writer = Writer::new(head.status, body.len());
        let mut closes = false;
        for (name, value) in &head.headers {
            closes |= name == CONNECTION;
            if name != CONTENT_LENGTH && name != CONNECTION {
                write_header(&mut writer.bytes, name.as_str(), value.as_bytes());
            }
        }
        Some(writer.end(head.headers.contains_key(DATE), &body, closes))
    }

    /// Lets the connection end with it.
    pub(super) fn close(&mut self) {
        if !std::mem::replace(&mut self.closes, true) {
            self.bytes.splice(self.headers_end..self.headers_end, CLOSE.iter().copied());
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A reply in the making.
struct Writer {
    status: StatusCode,
    bytes: Vec<u8>,
}

impl Writer {
    fn new(status: StatusCode, about: usize) -> Writer {
        // For what may be added.
        let mut bytes = Vec::with_capacity(about + 256);
        for part in ["HTTP/1.1 ", status.as_str(), " ", status.canonical_reason().unwrap_or("")] {
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        Writer { status, bytes }
    }

    fn end(mut self, has_date: bool, body: &[u8], closes: bool) -> Reply {
        let mut digits = itoa::Buffer::new();
        let length = digits.format(body.len());
        write_header(&mut self.bytes, "content-length", length.as_bytes());
        if !has_date {
            let date = httpdate::fmt_http_date(SystemTime::now());
            write_header(&mut self.bytes, "date", date.as_bytes());
        }
        let headers_end = self.bytes.len();
        self.bytes.extend_from_slice(b"\r\n");
        self.bytes.extend_from_slice(body);
        let mut reply =
            Reply { status: self.status, closes: false, bytes: self.bytes, headers_end };
        if closes {
            reply.close();
        }
        reply
    }
}

/// An id as a header.
pub(super) fn id_value(id: &str) -> HeaderValue {
    // Every form of a request id is visible ASCII.
    HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "HTTP/1.1 201 Created\r\nX-Kilat-Node: a\r\nContent-Length: 2\r\nDate: d\r\n\r\n{}";

    #[test]
    fn a_good_reply_is_read_however_it_is_cut() {
        for cut in 0..GOOD.len() {
            assert!(look(&GOOD.as_bytes()[..cut]).unwrap().is_none(), "cut at {cut}");
        }
        let more = format!("{GOOD}HTTP");
        let seen = look(more.as_bytes()).unwrap().unwrap();
        assert_eq!((seen.status.as_u16(), seen.body, seen.length), (201, &b"{}"[..], GOOD.len()));
        let mut reply = seen.to_reply("abc");
        let head = "HTTP/1.1 201 Created\r\nx-kilat-node: a\r\ndate: d\r\nx-request-id: abc\r\ncontent-length: 2\r\n";
        assert_eq!(reply.bytes(), format!("{head}\r\n{{}}").as_bytes());
        reply.close();
        reply.close();
        assert_eq!(reply.bytes(), format!("{head}connection: close\r\n\r\n{{}}").as_bytes());
    }

    #[test]
    fn any_other_is_not() {
        for (from, to, why) in [
            ("HTTP/1.1", "HTTP/1.0", Unread::Unusual),
            ("HTTP/1.1", "HTTP/2", Unread::Broken),
            ("HTTP", "{}HTTP", Unread::Broken),
            ("201 Created", "100 Continue", Unread::Unusual),
            ("201 Created", "204 No Content", Unread::Unusual),
            ("201 Created", "304 Not Modified", Unread::Unusual),
            ("201", "2011", Unread::Broken),
            ("201", "700", Unread::Unusual),
            ("Content-Length: 2\r\n", "", Unread::Unusual),
            ("Length: 2", "Length: 65537", Unread::Unusual),
            ("Length: 2", "Length: 02", Unread::Broken),
            ("Length: 2", "Length: -2", Unread::Broken),
            ("Length: 2", "Length: 2\r\nContent-Length: 2", Unread::Broken),
            ("Date: d", "Transfer-Encoding: chunked", Unread::Unusual),
            ("Date: d", "Connection: upgrade", Unread::Unusual),
            ("Date: d", "Date : d", Unread::Broken),
            ("Date: d\r\n", "Date: d\n", Unread::Broken),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD, "{from:?} is not in it");
            assert_eq!(look(text.as_bytes()).err(), Some(why), "{to:?}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(HEAD_BYTES_MAX));
        assert_eq!(look(endless.as_bytes()).err(), Some(Unread::Broken));
    }

    #[test]
    fn a_reply_tells_whose_it_is() {
        for (header, expected) in
            [("x: y", true), ("X-Request-ID: a", true), ("x-request-id: b", false)]
        {
            let text = GOOD.replace("Date: d", header);
            assert_eq!(look(text.as_bytes()).unwrap().unwrap().is_to("a"), expected, "{header}");
        }
    }
}
