//! Successful JSON replies.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

const REPLAYED: HeaderName = HeaderName::from_static(kilat_api::IDEMPOTENCY_REPLAYED);

/// A JSON reply that is rendered already.
pub(crate) fn raw(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A JSON reply.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    // The contract's types have string keys only, so rendering them can't fail.
    raw(status, serde_json::to_vec(value).unwrap_or_default())
}

/// Marks a reply as the repetition of an earlier effect.
pub(crate) fn mark_replayed(mut response: Response, replayed: bool) -> Response {
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}
