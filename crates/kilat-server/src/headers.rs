//! What every reply carries: the exchange's id and the node that answered.
//!
//! Also the one place where an exchange is logged: never its body, never a token.

use crate::ids::RequestId;
use crate::limits::REQUEST_ID_BYTES_MAX;
use crate::metrics::{self, HTTP_REPLIES};
use crate::state::App;
use ::metrics::counter;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use std::time::Instant;

const X_REQUEST_ID: HeaderName = HeaderName::from_static(kilat_api::REQUEST_ID);
const X_NODE: HeaderName = HeaderName::from_static(kilat_api::NODE);

/// Nothing may run or load but what this server sends as a file of its own.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Whether `id` may be taken over from the caller: 1–64 of `[A-Za-z0-9._-]`.
#[must_use]
pub(crate) fn is_request_id(id: &str) -> bool {
    (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Runs around every route, the unknown ones too.
pub(crate) async fn stamp(State(app): State<App>, request: Request, next: Next) -> Response {
    let since = Instant::now();
    let id = request_id(request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    let status = response.status();
    counter!(HTTP_REPLIES, "class" => metrics::class(status)).increment(1);
    let (ms, status) = (since.elapsed().as_secs_f64() * 1e3, status.as_u16());
    if status >= 500 {
        tracing::warn!(%method, path, status, ms, request = ?id, "a request failed");
    } else {
        tracing::debug!(%method, path, status, ms, request = ?id, "a request was answered");
    }
    response.headers_mut().insert(X_REQUEST_ID, id);
    response.headers_mut().insert(X_NODE, app.node_header.clone());
    response
}

fn request_id(headers: &HeaderMap) -> HeaderValue {
    let callers = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
    // Every form of a request id is visible ASCII.
    HeaderValue::from_str(RequestId::of(callers).as_str()).unwrap_or(HeaderValue::from_static("-"))
}

/// What every page carries besides.
pub(crate) fn guard_page(headers: &mut HeaderMap) {
    headers
        .insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
