//! Recognises the two hot requests, byte for byte, and nothing else.
//!
//! What is not exactly one of them, is [`Seen::Other`]: the full lane reads it again and
//! says what is wrong, if anything is.

use crate::connection::RULES;
use crate::limits::ORDER_BODY_BYTES_MAX;
use crate::wire::strict::is_plain;
use kilat_api::order::OrderRequest;
use kilat_api::text;

/// Most headers of a hot request.
const HEADERS_MAX: usize = 32;
/// Largest head of a hot request, in bytes.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Most bytes that one request may keep in a connection's buffer.
pub(super) const REQUEST_BYTES_MAX: usize = HEAD_BYTES_MAX + ORDER_BODY_BYTES_MAX;

const PATH_START: &str = "/v1/sales/";
const PATH_END: &str = "/orders";
const PUBLISH_PATH: &str = "/publish";
/// How a request begins that may be hot.
const HOT_STARTS: [&[u8]; 2] = [b"POST /v1/sales/", b"POST /publish "];

/// What the bytes at the start of a buffer are.
pub(crate) enum Seen<'a> {
    /// The beginning of a request; more must come.
    Partial,
    /// A whole order.
    Order(HotOrder<'a>),
    /// What may be a whole event.
    Event(HotEvent<'a>),
    /// For the full lane.
    Other,
}

/// A whole, valid order.
pub(crate) struct HotOrder<'a> {
    pub(crate) sale: &'a str,
    pub(crate) key: &'a str,
    pub(crate) authorization: Option<&'a [u8]>,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) traceparent: Option<&'a [u8]>,
    pub(crate) request: OrderRequest<'a>,
    /// Bytes of the request, head and body.
    pub(crate) length: usize,
}

/// A whole request to publish one JSON object, which nobody has looked into yet.
pub(crate) struct HotEvent<'a> {
    pub(crate) authorization: Option<&'a [u8]>,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) traceparent: Option<&'a [u8]>,
    pub(crate) body: &'a [u8],
    /// Bytes of the request, head and body.
    pub(crate) length: usize,
}

/// Looks at the start of `buffer`.
pub(crate) fn look(buffer: &[u8]) -> Seen<'_> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(buffer) {
        Ok(httparse::Status::Complete(head)) if is_plain(&request, &buffer[..head], RULES) => {
            read_whole(&request, buffer, head)
        }
        // The full lane knows what to say.
        Ok(httparse::Status::Complete(_)) => Seen::Other,
        Ok(httparse::Status::Partial) if could_be_hot(buffer) => Seen::Partial,
        Ok(httparse::Status::Partial) | Err(_) => Seen::Other,
    }
}

/// Lets another request's beginning go at once, and bounds a hot one's.
fn could_be_hot(buffer: &[u8]) -> bool {
    let begins = |start: &&[u8]| {
        let seen = buffer.len().min(start.len());
        buffer[..seen] == start[..seen]
    };
    buffer.len() <= HEAD_BYTES_MAX && HOT_STARTS.iter().any(begins)
}

/// Looks at `buffer`, which begins with the `head` bytes of this request.
pub(crate) fn read_whole<'a>(
    request: &httparse::Request<'_, 'a>,
    buffer: &'a [u8],
    head: usize,
) -> Seen<'a> {
    let Some(known) = Known::collect(request) else {
        return Seen::Other;
    };
    let length = head + known.content_length;
    match buffer.get(head..length) {
        None => Seen::Partial,
        Some(body) => match known.target {
            Target::Order { sale, key } => read_order(&known, sale, key, body, length),
            Target::Event if body.first() == Some(&b'{') => Seen::Event(HotEvent {
                authorization: known.authorization,
                request_id: known.request_id,
                traceparent: known.traceparent,
                body,
                length,
            }),
            Target::Event => Seen::Other,
        },
    }
}

fn read_order<'a>(
    known: &Known<'a>,
    sale: &'a str,
    key: &'a str,
    body: &'a [u8],
    length: usize,
) -> Seen<'a> {
    match serde_json::from_slice::<OrderRequest<'_>>(body) {
        Ok(request) if kilat_api::body::check(&request).is_ok() => Seen::Order(HotOrder {
            sale,
            key,
            authorization: known.authorization,
            request_id: known.request_id,
            traceparent: known.traceparent,
            request,
            length,
        }),
        _ => Seen::Other,
    }
}

/// Which hot request it is.
enum Target<'a> {
    Order { sale: &'a str, key: &'a str },
    Event,
}

/// The headers of a hot request.
struct Known<'a> {
    target: Target<'a>,
    content_length: usize,
    authorization: Option<&'a [u8]>,
    request_id: Option<&'a str>,
    traceparent: Option<&'a [u8]>,
}

impl<'a> Known<'a> {
    /// `None` unless every header that matters is there once, in its plain form.
    fn collect(request: &httparse::Request<'_, 'a>) -> Option<Known<'a>> {
        if request.method != Some("POST") || request.version != Some(1) {
            return None;
        }
        let path = request.path?;
        let mut found = Found::default();
        request.headers.iter().try_for_each(|header| found.note(header))?;
        if !(found.host && found.json) {
            return None;
        }
        Some(Known {
            target: Target::of(path, found.key)?,
            content_length: found.content_length?,
            authorization: found.authorization,
            request_id: found.request_id,
            traceparent: found.traceparent,
        })
    }
}

impl<'a> Target<'a> {
    fn of(path: &'a str, key: Option<&'a str>) -> Option<Target<'a>> {
        if path == PUBLISH_PATH {
            return Some(Target::Event);
        }
        let sale = path.strip_prefix(PATH_START)?.strip_suffix(PATH_END)?;
        let key = key.filter(|key| text::is_idempotency_key(key))?;
        text::is_sale_id(sale).then_some(Target::Order { sale, key })
    }
}

#[derive(Default)]
struct Found<'a> {
    host: bool,
    json: bool,
    key: Option<&'a str>,
    content_length: Option<usize>,
    authorization: Option<&'a [u8]>,
    request_id: Option<&'a str>,
    traceparent: Option<&'a [u8]>,
}

impl<'a> Found<'a> {
    /// Notes a header; `None` when the full lane has to judge it.
    ///
    /// Sorted by length first, since most headers differ there already.
    fn note(&mut self, header: &httparse::Header<'a>) -> Option<()> {
        let (name, value) = (header.name, header.value);
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match name.len() {
            4 if is("host") => once(&mut self.host),
            6 if is("expect") || is("prefer") => None,
            7 if is("upgrade") => None,
            10 if is("connection") => value.eq_ignore_ascii_case(b"keep-alive").then_some(()),
            11 if is("traceparent") => set(&mut self.traceparent, value),
            12 if is("content-type") => {
                (value == b"application/json").then_some(())?;
                once(&mut self.json)
            }
            12 if is("x-request-id") => {
                let id = std::str::from_utf8(value)
                    .ok()
                    .filter(|id| crate::headers::is_request_id(id))?;
                set(&mut self.request_id, id)
            }
            13 if is("authorization") => set(&mut self.authorization, value),
            14 if is("content-length") => set(&mut self.content_length, content_length(value)?),
            15 if is("idempotency-key") => set(&mut self.key, std::str::from_utf8(value).ok()?),
            16 if is("content-encoding") => None,
            17 if is("transfer-encoding") => None,
            // The attributes of a CloudEvent.
            _ if name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("ce-")) => None,
            _ => Some(()),
        }
    }
}

fn once(seen: &mut bool) -> Option<()> {
    (!std::mem::replace(seen, true)).then_some(())
}

fn set<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// Digits only: no sign, no list, no blank, nothing over the limit.
fn content_length(value: &[u8]) -> Option<usize> {
    if value.is_empty() || value.len() > 6 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length = value.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    (length <= ORDER_BODY_BYTES_MAX).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"customer":"budi","quantity":1}"#;

    fn request(head: &str, body: &str) -> String {
        let length = body.len();
        format!(
            "POST {head}\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    }

    fn kind(bytes: &str) -> &'static str {
        match look(bytes.as_bytes()) {
            Seen::Partial => "partial",
            Seen::Order(order) => {
                assert_eq!(order.length, bytes.len());
                "order"
            }
            Seen::Event(event) => {
                assert_eq!(event.length, bytes.len());
                "event"
            }
            Seen::Other => "other",
        }
    }

    #[test]
    fn the_hot_request_is_known_however_it_is_cut() {
        let whole = request("/v1/sales/s/orders HTTP/1.1\r\nIdempotency-Key: k", BODY);
        assert_eq!(kind(&whole), "order");
        for cut in 0..whole.len() {
            assert_eq!(kind(&whole[..cut]), "partial", "cut at {cut}");
        }
    }

    #[test]
    fn lines_that_end_with_a_line_feed_alone_are_not_read_here() {
        let whole = request("/v1/sales/s/orders HTTP/1.1\r\nIdempotency-Key: k", BODY);
        for (at, _) in whole.match_indices('\r') {
            let bare = [&whole[..at], &whole[at + 1..]].concat();
            assert_eq!(kind(&bare), "other", "{bare:?}");
        }
    }

    #[test]
    fn one_event_is_known_however_it_is_cut() {
        let whole = request("/publish HTTP/1.1", "{}");
        assert_eq!(kind(&whole), "event");
        for cut in 0..whole.len() {
            assert_eq!(kind(&whole[..cut]), "partial", "cut at {cut}");
        }
        for (head, body) in [
            ("/publish HTTP/1.1", "[{}]"),
            ("/publish?on_invalid=skip HTTP/1.1", "{}"),
            ("/publish HTTP/1.1\r\nprefer: return=minimal", "{}"),
            ("/publish HTTP/1.1\r\nCe-Id: 1", "{}"),
            ("/publishes HTTP/1.1", "{}"),
        ] {
            assert_eq!(kind(&request(head, body)), "other", "{head} {body}");
        }
    }

    #[test]
    fn anything_else_is_for_the_full_lane() {
        let hot = "/v1/sales/s/orders HTTP/1.1\r\nidempotency-key: k";
        let cases = [
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), "another route"),
            (
                request("/v1/sales/s/orders:batch HTTP/1.1\r\nidempotency-key: k", BODY),
                "another call",
            ),
            (request("/v1/sales/s/orders?x=1 HTTP/1.1\r\nidempotency-key: k", BODY), "a query"),
            (request("/v1/sales/S/orders HTTP/1.1\r\nidempotency-key: k", BODY), "a bad id"),
            (request("/v1/sales/s/orders HTTP/1.0\r\nidempotency-key: k", BODY), "HTTP/1.0"),
            (request("/v1/sales/s/orders HTTP/1.1", BODY), "no key"),
            (request(&format!("{hot}\r\nidempotency-key: k2"), BODY), "two keys"),
            (request(&format!("{hot}\r\ncontent-length: 5"), BODY), "two lengths"),
            (request(&format!("{hot}\r\ntransfer-encoding: chunked"), BODY), "chunked"),
            (request(&format!("{hot}\r\nexpect: 100-continue"), BODY), "expect"),
            (request(&format!("{hot}\r\nconnection: close"), BODY), "close"),
            (request(&format!("{hot}\r\ncontent-encoding: gzip"), BODY), "encoded"),
            (request(hot, r#"{"customer":"budi"}"#), "a missing field"),
            (request(hot, r#"{"customer":"budi","quantity":0}"#), "a bad quantity"),
            (request(hot, r#"{"customer":"visitor:1","quantity":1}"#), "a visitor's name"),
            (request(hot, "{"), "broken JSON"),
            ("\u{16}\u{3}\u{1}".to_owned(), "not HTTP"),
        ];
        for (bytes, what) in cases {
            assert_eq!(kind(&bytes), "other", "{what}");
        }
    }

    #[test]
    fn a_length_is_plain_digits() {
        assert_eq!(content_length(b"12"), Some(12));
        for bad in ["", "+1", "-1", "1,1", " 1", "0x1", "9999999", "99999999999999999999"] {
            assert_eq!(content_length(bad.as_bytes()), None, "{bad}");
        }
    }
}
