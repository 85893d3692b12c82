//! Reading a request: its media type, its body in one piece, its idempotency key.
//!
//! The deadline is for the whole body, so that a byte every few seconds does
//! not keep a connection busy. Must never know what a body means.

use crate::problem::Fault;
use crate::state::App;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use kilat_api::IDEMPOTENCY_KEY;
use kilat_api::problem::{Code, Problem};
use kilat_api::text::{KEY_BYTES_MAX, is_idempotency_key};

/// Reads a JSON body of at most `bytes_max`.
///
/// # Errors
/// 415 for another media type, 413 over the limit, 408 over the deadline.
pub(crate) async fn json(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Bytes, Fault> {
    require_type(headers, "application/json")?;
    collect(app, headers, body, bytes_max).await
}

/// Reads a form of at most `bytes_max`.
///
/// # Errors
/// As [`json`].
pub(crate) async fn form(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Bytes, Fault> {
    require_type(headers, "application/x-www-form-urlencoded")?;
    collect(app, headers, body, bytes_max).await
}

/// The media type of a body in lower case, without parameters; empty when there is none.
///
/// # Errors
/// 415 when the body is compressed, which could be a bomb.
pub(crate) fn media_type(headers: &HeaderMap) -> Result<String, Fault> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(unsupported("the body must not be compressed".to_owned()));
    }
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = value.unwrap_or_default().split(';').next().unwrap_or_default();
    Ok(kind.trim().to_ascii_lowercase())
}

/// A body of a media type that the call does not take, and which it would.
pub(crate) fn unsupported(detail: String) -> Fault {
    Problem::new(Code::UnsupportedMediaType).with_detail(detail).into()
}

/// The idempotency key of a call that needs one.
///
/// # Errors
/// 400 without one, or with one that is not 1–255 printable ASCII characters.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<&str, Fault> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let key = match keys.next() {
        Some(key) if !key.is_empty() => key,
        _ => return Err(Code::KeyMissing.into()),
    };
    let text = std::str::from_utf8(key.as_bytes()).ok().filter(|key| is_idempotency_key(key));
    match (text, keys.next()) {
        (Some(key), None) => Ok(key),
        _ => Err(malformed(format!(
            "Idempotency-Key must be one header of 1 to {KEY_BYTES_MAX} printable ASCII characters"
        ))),
    }
}

/// A request that can't be read, and why.
pub(crate) fn malformed(detail: String) -> Fault {
    Problem::new(Code::Malformed).with_detail(detail).into()
}

/// The media type, alone or with `charset=utf-8`; nothing compressed, which could be a bomb.
pub(crate) fn require_type(headers: &HeaderMap, expected: &str) -> Result<(), Fault> {
    let value =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (kind, parameter) = value.split_once(';').unwrap_or((value, "charset=utf-8"));
    let charset = parameter.trim().replace('"', "");
    let plain =
        kind.trim().eq_ignore_ascii_case(expected) && charset.eq_ignore_ascii_case("charset=utf-8");
    if plain && !headers.contains_key(header::CONTENT_ENCODING) {
        return Ok(());
    }
    Err(unsupported(format!("the body must be {expected}, in UTF-8 and not compressed")))
}

/// Reads a body of at most `bytes_max`, whatever its type.
///
/// # Errors
/// 413 over the limit, 408 over the deadline.
pub(crate) async fn collect(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Bytes, Fault> {
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > bytes_max) {
        return Err(too_large(bytes_max));
    }
    let whole = gather(body, length.unwrap_or(0), bytes_max);
    match tokio::time::timeout(app.limits.body_timeout, whole).await {
        Ok(result) => result,
        Err(_) => Err(Code::RequestTimeout.into()),
    }
}

/// One frame is passed on as it is; more are put together.
async fn gather(mut body: Body, length: usize, bytes_max: usize) -> Result<Bytes, Fault> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| malformed(format!("the body broke off: {error}")))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if first.len().max(all.len()) + data.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.reserve(length.max(first.len() + data.len()));
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn too_large(bytes_max: usize) -> Fault {
    Problem::new(Code::TooLarge)
        .with_detail(format!("this call takes at most {bytes_max} bytes"))
        .into()
}
