//! What changes in a head on its way through: headers that concern one hop go, headers that only a
//! gateway may set are its own, and the exchange has an id.
//!
//! Must never know which replica gets the request.

use super::refusal::X_REQUEST_ID;
use crate::ids::RequestId;
use crate::trace::{self, Parent, TRACEPARENT};
use hyper::header::{HOST, HeaderName, HeaderValue};
use hyper::http::request;
use hyper::{HeaderMap, Version};
use std::net::{IpAddr, SocketAddr};

const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Of a request in HTTP/1.0 that names none.
const NO_HOST: HeaderValue = HeaderValue::from_static("localhost");

/// What the gateway says about a client, the same for all its requests.
pub(super) struct Origin {
    address: HeaderValue,
    proto: HeaderValue,
    forwarded: HeaderValue,
}

impl Origin {
    /// Of a client at `peer`, who came over TLS or not.
    pub(super) fn new(peer: SocketAddr, is_tls: bool) -> Origin {
        let proto = if is_tls { "https" } else { "http" };
        // A client of IPv4 on a socket of IPv6 is one of IPv4.
        let address = peer.ip().to_canonical();
        // RFC 7239, section 6: an address of IPv6 is put in brackets and quotes.
        let forwarded = match address {
            IpAddr::V4(v4) => format!("for={v4};proto={proto}"),
            IpAddr::V6(v6) => format!("for=\"[{v6}]\";proto={proto}"),
        };
        let value =
            |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("-"));
        Origin {
            address: value(&address.to_string()),
            proto: HeaderValue::from_static(proto),
            forwarded: value(&forwarded),
        }
    }

    /// Writes the headers that the gateway adds to a request for `host`.
    pub(super) fn write(&self, out: &mut Vec<u8>, host: &[u8]) {
        for (name, value) in [
            (&X_FORWARDED_FOR, self.address.as_bytes()),
            (&X_FORWARDED_PROTO, self.proto.as_bytes()),
            (&FORWARDED, self.forwarded.as_bytes()),
            (&X_FORWARDED_HOST, host),
        ] {
            write_header(out, name.as_str(), value);
        }
    }
}

/// Writes one header as a line.
pub(super) fn write_header(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    let at = out.len();
    out.extend_from_slice(name.as_bytes());
    // As hyper writes it.
    out[at..].make_ascii_lowercase();
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Makes the head of a request one that a replica may see; tells the id of the exchange and where
/// the client's trace stands.
pub(super) fn request(head: &mut request::Parts, origin: &Origin) -> (HeaderValue, Option<Parent>) {
    head.version = Version::HTTP_11;
    head.extensions.clear();
    let headers = &mut head.headers;
    remove(headers, is_not_for_replicas);
    let parent = check_trace(headers);
    headers.insert(X_FORWARDED_FOR, origin.address.clone());
    headers.insert(X_FORWARDED_PROTO, origin.proto.clone());
    headers.insert(FORWARDED, origin.forwarded.clone());
    match headers.get(HOST).cloned() {
        Some(host) => headers.insert(X_FORWARDED_HOST, host),
        None => headers.insert(HOST, NO_HOST),
    };
    let id = request_id(headers);
    headers.insert(X_REQUEST_ID, id.clone());
    (id, parent)
}

/// Makes the headers of a reply those that a client may see.
pub(super) fn reply(headers: &mut HeaderMap, id: &HeaderValue) {
    remove(headers, is_of_one_hop);
    if !headers.contains_key(X_REQUEST_ID) {
        headers.insert(X_REQUEST_ID, id.clone());
    }
}

/// The client's own id if it is well formed, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let clients = headers.get(X_REQUEST_ID);
    let text = clients.and_then(|value| value.to_str().ok());
    match (clients, text) {
        (Some(value), Some(text)) if crate::headers::is_request_id(text) => value.clone(),
        // Every form of a request id is visible ASCII.
        _ => HeaderValue::from_str(RequestId::of(None).as_str())
            .unwrap_or(HeaderValue::from_static("-")),
    }
}

fn remove(headers: &mut HeaderMap, goes: fn(&str) -> bool) {
    // Most heads have nothing to remove, and looking costs no allocation.
    while let Some(name) = headers.keys().find(|name| goes(name.as_str())).cloned() {
        headers.remove(name);
    }
}

/// Headers between two neighbours (RFC 9110, section 7.6.1). Those that `Connection` names are
/// among them: a request that names others was refused.
pub(super) fn is_of_one_hop(name: &str) -> bool {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    match name.len() {
        2 => is("te"),
        7 => is("upgrade") || is("trailer"),
        10 => is("connection") || is("keep-alive"),
        14 => is("http2-settings"),
        16 => is("proxy-connection"),
        17 => is("transfer-encoding"),
        18 => is("proxy-authenticate"),
        19 => is("proxy-authorization"),
        _ => false,
    }
}

/// The same, and what only a gateway may say: nothing of it is believed from outside.
pub(super) fn is_not_for_replicas(name: &str) -> bool {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    let begins =
        |start: &str| name.get(..start.len()).is_some_and(|n| n.eq_ignore_ascii_case(start));
    is_of_one_hop(name)
        || match name.len() {
            6 => is("expect"),
            9 => is("forwarded") || is("x-real-ip"),
            length => length > 11 && begins("x-forwarded"),
        }
}

/// A trace context goes on as it is, or not at all (W3C Trace Context, section 4.3).
fn check_trace(headers: &mut HeaderMap) -> Option<Parent> {
    let parent = trace::parent(headers);
    if parent.is_none() && (headers.contains_key(TRACEPARENT) || headers.contains_key(TRACESTATE)) {
        headers.remove(TRACEPARENT);
        headers.remove(TRACESTATE);
    }
    parent
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn forwarded(peer: &str, is_tls: bool, headers: &[(&str, &str)]) -> HeaderMap {
        let mut request = Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        request_of(&mut head, peer, is_tls);
        head.headers
    }

    fn request_of(head: &mut request::Parts, peer: &str, is_tls: bool) {
        request(head, &Origin::new(peer.parse().unwrap(), is_tls));
    }

    #[test]
    fn what_only_a_gateway_may_say_is_its_own() {
        let headers = forwarded(
            "192.0.2.7:1234",
            true,
            &[
                ("host", "shop.example"),
                ("forwarded", "for=evil"),
                ("x-forwarded-for", "6.6.6.6"),
                ("x-forwarded-for", "7.7.7.7"),
                ("x-forwarded-proto", "gopher"),
                ("x-forwarded-host", "evil"),
                ("x-forwarded-port", "1"),
                ("x-real-ip", "6.6.6.6"),
                ("connection", "keep-alive, te"),
                ("keep-alive", "timeout=5"),
                ("te", "trailers"),
                ("upgrade", "h2c"),
                ("http2-settings", "AAA"),
                ("proxy-authorization", "Basic x"),
                ("transfer-encoding", "chunked"),
                ("expect", "100-continue"),
                ("authorization", "Bearer x"),
            ],
        );
        let mut found: Vec<String> = headers
            .iter()
            .filter(|(name, _)| *name != X_REQUEST_ID)
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        found.sort();
        assert_eq!(
            found,
            [
                "authorization: Bearer x",
                "forwarded: for=192.0.2.7;proto=https",
                "host: shop.example",
                "x-forwarded-for: 192.0.2.7",
                "x-forwarded-host: shop.example",
                "x-forwarded-proto: https",
            ]
        );
    }

    #[test]
    fn an_address_of_ipv6_is_written_as_the_headers_want_it() {
        for (peer, plain, forwarded_as) in [
            ("[2001:db8::7]:1", "2001:db8::7", "for=\"[2001:db8::7]\";proto=http"),
            ("[::ffff:192.0.2.7]:1", "192.0.2.7", "for=192.0.2.7;proto=http"),
        ] {
            let headers = forwarded(peer, false, &[]);
            assert_eq!(headers[X_FORWARDED_FOR], plain);
            assert_eq!(headers[FORWARDED], forwarded_as);
        }
    }

    #[test]
    fn a_request_id_is_kept_or_made() {
        assert_eq!(forwarded("1.1.1.1:1", false, &[("x-request-id", "a.b")])[X_REQUEST_ID], "a.b");
        for bad in ["", "a b", "a\"b"] {
            let headers = forwarded("1.1.1.1:1", false, &[("x-request-id", bad)]);
            let id = headers[X_REQUEST_ID].to_str().unwrap();
            assert!(crate::headers::is_request_id(id) && id != bad, "{id}");
        }
    }

    #[test]
    fn a_trace_goes_on_whole_or_not_at_all() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let keep = |parents: &[&str]| {
            let mut headers = vec![("tracestate", "a=1")];
            headers.extend(parents.iter().map(|parent| ("traceparent", *parent)));
            let headers = forwarded("1.1.1.1:1", false, &headers);
            assert_eq!(headers.contains_key(TRACEPARENT), headers.contains_key(TRACESTATE));
            headers.contains_key(TRACEPARENT)
        };
        assert!(keep(&[good]));
        assert!(keep(&[&format!("01{}-more", &good[2..])]));
        for bad in [
            &format!("{good}-more"),
            &format!("ff{}", &good[2..]),
            &good.to_uppercase(),
            &good[..54],
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "",
        ] {
            assert!(!keep(&[bad]), "{bad}");
        }
        assert!(!keep(&[good, good]));
        assert!(!keep(&[]));
    }
}
