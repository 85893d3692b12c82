//! Which requests can be sent a second time without doing anything twice.
//!
//! Knows the contract's keys and paths, and nothing about replicas.

use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};

/// Whether the effect of a request is the same however often it arrives.
///
/// Reads are; changes are when a key makes them so: in a header, in each of their parts, or as the
/// state that they ask for.
#[must_use]
pub(super) fn is_repeatable(head: &Parts) -> bool {
    match head.method {
        Method::GET | Method::HEAD | Method::OPTIONS => true,
        _ if is_keyed(&head.headers) => true,
        Method::POST => has_keys_inside(head.uri.path()),
        _ => false,
    }
}

fn is_keyed(headers: &HeaderMap) -> bool {
    headers.get(kilat_api::IDEMPOTENCY_KEY).is_some_and(|key| !key.is_empty())
}

/// The calls whose bodies or paths say which effect is meant.
fn has_keys_inside(path: &str) -> bool {
    if matches!(path, "/publish" | "/buy") {
        return true;
    }
    let Some(rest) = path.strip_prefix("/v1/sales/").or_else(|| path.strip_prefix("/s/")) else {
        return false;
    };
    let parts: [Option<&str>; 5] = {
        let mut parts = rest.split('/');
        std::array::from_fn(|_| parts.next())
    };
    matches!(
        parts,
        [Some(_), Some("orders:batch"), None, ..]
            | [Some(_), Some("orders"), Some(_), Some("confirm" | "cancel"), None]
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    #[test]
    fn only_what_has_one_effect_is_repeated() {
        for (method, path, key, expected) in [
            ("GET", "/", None, true),
            ("HEAD", "/x", None, true),
            ("POST", "/v1/sales/s/orders", None, false),
            ("POST", "/v1/sales/s/orders", Some(""), false),
            ("POST", "/v1/sales/s/orders", Some("k"), true),
            ("POST", "/v1/sales/s/orders:batch?x=1", None, true),
            ("POST", "/v1/sales/s/orders/o/confirm", None, true),
            ("POST", "/v1/sales/s/orders/o/cancel", None, true),
            ("POST", "/v1/sales/s/orders/o/refund", None, false),
            ("POST", "/v1/sales/s/orders/o/confirm/x", None, false),
            ("POST", "/s/s/orders/o/confirm", None, true),
            ("POST", "/s/s/orders/o/refund", None, false),
            ("POST", "/publish", None, true),
            ("POST", "/publish/x", None, false),
            ("POST", "/buy", None, true),
            ("PATCH", "/v1/sales/s", None, false),
            ("PATCH", "/v1/sales/s", Some("k"), true),
            ("DELETE", "/publish", None, false),
            ("PUT", "/publish", None, false),
        ] {
            let mut request = Request::builder().method(method).uri(path);
            if let Some(key) = key {
                request = request.header("idempotency-key", key);
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(is_repeatable(&head), expected, "{method} {path} {key:?}");
        }
    }
}
