//! Recognises a lone order with a key, byte for byte, and nothing else; writes it as a replica is to
//! see it.
//!
//! What is not exactly one is [`Seen::Other`], and is read again by those who serve everything.
//! Nothing is copied that was not understood. Must never know replicas or sockets.

use super::super::forward::{self, Origin, write_header};
use super::super::limits::{LANE_HEADERS_MAX, LANE_REQUEST_BYTES_MAX, RULES};
use super::super::upload::Upload;
use crate::lane::request::{self, Seen as Hot};
use crate::trace::{Parent, TRACEPARENT};
use crate::wire::strict;
use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request};

/// How such a request begins.
const START: &[u8] = b"POST /v1/sales/";
/// The one port of call of `tracestate`: beside a `traceparent` that is well formed.
const TRACESTATE: &str = "tracestate";

/// What the bytes at the start of a buffer are.
#[expect(
    clippy::large_enum_variant,
    reason = "it lives on the stack, and is nearly always an order"
)]
pub(super) enum Seen<'a> {
    /// The beginning of an order; more must come.
    Partial,
    /// A whole order.
    Order(Order<'a>),
    /// For others to judge.
    Other,
}

/// A whole, valid order with a key, whose caller has not named himself.
pub(super) struct Order<'a> {
    headers: [httparse::Header<'a>; LANE_HEADERS_MAX],
    header_count: usize,
    pub(super) target: &'a str,
    host: &'a [u8],
    body: &'a [u8],
    pub(super) request_id: Option<&'a str>,
    /// Where it stands in a trace, if its word for it is well formed.
    pub(super) parent: Option<Parent>,
    /// Bytes of the request, head and body.
    pub(super) length: usize,
}

/// Looks at the start of `buffer`.
pub(super) fn look(buffer: &[u8]) -> Seen<'_> {
    if buffer.is_empty() {
        return Seen::Partial;
    }
    let mut headers = [httparse::EMPTY_HEADER; LANE_HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let seen = match request.parse(buffer) {
        Ok(httparse::Status::Complete(head)) => whole(&request, buffer, head),
        Ok(httparse::Status::Partial) if could_be_order(buffer) => Some(None),
        Ok(httparse::Status::Partial) | Err(_) => None,
    };
    let header_count = request.headers.len();
    match seen {
        Some(Some(found)) => Seen::Order(found.with(headers, header_count)),
        Some(None) if buffer.len() < LANE_REQUEST_BYTES_MAX => Seen::Partial,
        Some(None) | None => Seen::Other,
    }
}

/// Lets another request's beginning go at once.
fn could_be_order(buffer: &[u8]) -> bool {
    let seen = buffer.len().min(START.len());
    buffer[..seen] == START[..seen] && strict::check_lines(buffer).is_ok()
}

/// What is known of an order besides its headers.
struct Found<'a> {
    target: &'a str,
    host: &'a [u8],
    body: &'a [u8],
    request_id: Option<&'a str>,
    parent: Option<Parent>,
    length: usize,
}

/// `None` for another request, and nothing in it when more must come. A replica's own fast lane is
/// asked, too: it would hand a connection over to its full lane with all that wait on it.
fn whole<'a>(
    request: &httparse::Request<'_, 'a>,
    buffer: &'a [u8],
    head: usize,
) -> Option<Option<Found<'a>>> {
    if !strict::is_plain(request, &buffer[..head], RULES) {
        return None;
    }
    let order = match request::read_whole(request, buffer, head) {
        Hot::Partial => return Some(None),
        // Who names himself may be for the replica's full lane.
        Hot::Order(order) if order.authorization.is_none() => order,
        Hot::Order(_) | Hot::Event(_) | Hot::Other => return None,
    };
    let host = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("host"))?;
    let found = Found {
        target: request.path?,
        host: host.value,
        body: &buffer[head..order.length],
        request_id: order.request_id,
        parent: order.traceparent.and_then(Parent::read),
        length: order.length,
    };
    (found.length <= LANE_REQUEST_BYTES_MAX).then_some(Some(found))
}

impl<'a> Found<'a> {
    fn with(
        self,
        headers: [httparse::Header<'a>; LANE_HEADERS_MAX],
        header_count: usize,
    ) -> Order<'a> {
        let Found { target, host, body, request_id, parent, length } = self;
        Order { headers, header_count, target, host, body, request_id, parent, length }
    }
}

impl<'a> Order<'a> {
    /// Writes the request that a replica gets: with `id`, and where it stands in a trace as it
    /// came or as it is `told` now.
    pub(super) fn write(
        &self,
        out: &mut Vec<u8>,
        origin: &Origin,
        id: &str,
        told: Option<&HeaderValue>,
    ) {
        for part in ["POST ", self.target, " HTTP/1.1\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        for header in self.headers().filter(|header| self.goes_on(header.name)) {
            write_header(out, header.name, header.value);
        }
        origin.write(out, self.host);
        if let Some(told) = told {
            write_header(out, TRACEPARENT.as_str(), told.as_bytes());
        }
        let mut digits = itoa::Buffer::new();
        write_header(out, "content-length", digits.format(self.body.len()).as_bytes());
        write_header(out, kilat_api::REQUEST_ID, id.as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.body);
    }

    /// The same for those who serve everything, with the id that it has now.
    pub(super) fn to_request(
        &self,
        origin: &Origin,
        id: &str,
        told: Option<HeaderValue>,
    ) -> Option<Request<Upload>> {
        let body = Upload::Whole(Some(Bytes::copy_from_slice(self.body)));
        let mut request = Request::builder().method(Method::POST).uri(self.target);
        for header in self.headers() {
            request = request.header(header.name, header.value);
        }
        let (mut head, body) = request.body(body).ok()?.into_parts();
        let id = HeaderValue::from_str(id).ok()?;
        head.headers.insert(HeaderName::from_static(kilat_api::REQUEST_ID), id);
        forward::request(&mut head, origin);
        told.into_iter().for_each(|told| drop(head.headers.insert(TRACEPARENT, told)));
        Some(Request::from_parts(head, body))
    }

    fn headers(&self) -> impl Iterator<Item = &httparse::Header<'a>> {
        self.headers[..self.header_count].iter()
    }

    /// Whether a header goes on as it is.
    fn goes_on(&self, name: &str) -> bool {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let is_replaced = match name.len() {
            10 => is(TRACESTATE) && self.parent.is_none(),
            11 => is(TRACEPARENT.as_str()) && self.parent.is_none(),
            12 => is(kilat_api::REQUEST_ID),
            14 => is("content-length"),
            _ => false,
        };
        !is_replaced && !forward::is_not_for_replicas(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"customer":"budi","quantity":1}"#;

    fn order(headers: &str) -> String {
        let length = BODY.len();
        format!(
            "POST /v1/sales/s/orders HTTP/1.1\r\nHost: shop.example\r\nIdempotency-Key: k\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n{BODY}"
        )
    }

    fn kind(bytes: &str) -> &'static str {
        match look(bytes.as_bytes()) {
            Seen::Partial => "partial",
            Seen::Order(order) => {
                assert_eq!(order.length, bytes.len());
                "order"
            }
            Seen::Other => "other",
        }
    }

    #[test]
    fn an_order_is_known_however_it_is_cut() {
        let whole = order("");
        assert_eq!(kind(&whole), "order");
        for cut in 0..whole.len() {
            assert_eq!(kind(&whole[..cut]), "partial", "cut at {cut}");
        }
    }

    #[test]
    fn anything_else_is_for_others() {
        let long = format!("x: {}\r\n", "x".repeat(LANE_REQUEST_BYTES_MAX));
        let many = "x: y\r\n".repeat(LANE_HEADERS_MAX);
        for headers in [
            "Content-Length: 32\r\n",
            "Content_Length: 32\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Transfer_Encoding: chunked\r\n",
            "Transfer-Encoding : chunked\r\n",
            "Host: shop.example\r\n",
            "Idempotency-Key: k2\r\n",
            "Connection: close\r\n",
            "Connection: x-forwarded-for\r\n",
            "Upgrade: h2c\r\n",
            "Expect: 100-continue\r\n",
            "Authorization: Bearer x\r\n",
            "x-request-id: a b\r\n",
            "x: y\n",
            "x: y\r\n folded\r\n",
            "x\r\n",
            &long,
            &many,
        ] {
            assert_eq!(kind(&order(headers)), "other", "{headers:?}");
        }
        for (from, to) in [
            ("POST", "PUT"),
            ("POST", " POST"),
            ("/v1/", "http://shop.example/v1/"),
            ("/orders ", "/orders:batch "),
            ("/orders ", "/orders?x "),
            ("/orders ", "/orders#x "),
            ("/s/orders", "/../orders"),
            ("HTTP/1.1", "HTTP/1.0"),
            ("HTTP/1.1\r\n", "HTTP/1.1\n"),
            ("Host: shop.example\r\n", ""),
            ("shop.example", "shop.example, b"),
            ("Idempotency-Key: k\r\n", ""),
            ("Content-Length: 32", "Content-Length: +32"),
            ("Content-Length: 32", "Content-Length: 032"),
            ("Content-Length: 32", "Content-Length: 31"),
            ("Content-Length: 32", "Content-Length: 0"),
            ("Content-Length: 32\r\n", ""),
            ("\"quantity\":1", "\"quantity\":0"),
        ] {
            let text = order("").replacen(from, to, 1);
            assert_ne!(text, order(""), "{from:?} is not in it");
            assert_eq!(kind(&text), "other", "{to:?}");
        }
    }

    /// Headers of a request as lines, sorted.
    fn sorted(mut lines: Vec<String>) -> Vec<String> {
        lines.sort();
        lines
    }

    #[test]
    fn replicas_see_the_same_by_both_ways() {
        let good = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
        let told = HeaderValue::from_static("told");
        let origin = Origin::new("192.0.2.7:1".parse().unwrap(), false);
        for (headers, told) in [
            ("", None),
            ("Connection: Keep-Alive\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n", None),
            ("Forwarded: for=evil\r\nX-Real-IP: 6.6.6.6\r\nx-forwarded-port: 1\r\n", None),
            ("X-Forwarded-For: 6.6.6.6\r\nX-FORWARDED-HOST: evil\r\nx-own:  a b \r\n", None),
            ("Proxy-Authorization: Basic x\r\nProxy-Connection: close\r\nTrailer: x\r\n", None),
            ("X-Request-ID: abc\r\nCookie: a=1\r\nCookie: b=2\r\n", Some(told)),
            ("Traceparent: 00-x\r\nTracestate: a=1\r\n", None),
            (&format!("{good}Tracestate: a=1\r\n"), None),
        ] {
            let text = order(headers);
            let Seen::Order(order) = look(text.as_bytes()) else { panic!("{headers:?}") };
            let id = order.request_id.unwrap_or("made");
            let mut bytes = Vec::new();
            order.write(&mut bytes, &origin, id, told.as_ref());
            let written = String::from_utf8(bytes).unwrap();
            let (head, body) = written.split_once("\r\n\r\n").unwrap();
            assert_eq!(body, BODY);
            assert!(head.starts_with("POST /v1/sales/s/orders HTTP/1.1\r\n"), "{head}");
            let request = order.to_request(&origin, id, told).unwrap();
            let line = |(name, value): (&HeaderName, &HeaderValue)| {
                format!("{name}: {}", value.to_str().unwrap())
            };
            assert_eq!(
                sorted(head.lines().skip(1).map(str::to_owned).collect()),
                sorted(request.headers().iter().map(line).collect()),
                "{headers:?}"
            );
        }
    }
}
