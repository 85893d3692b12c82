//! Replies of the lookups: JSON as the seed's servers send it, and what goes wrong on purpose.
//!
//! Knows nothing of rows, delays or odds.

use super::profile::{Profile, Unknown};
use super::text::{self, Value};
use crate::wire::Reason;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use std::fmt;
use std::io::Write;
use std::net::TcpStream;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A reply of the lookups.
pub(super) type Reply = Response<ReplyBody>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
/// HEAD is GET without a body, as on the seed's servers.
const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD");
/// What a proxy in front of an interface says, under whatever status.
const PAGE: &str = "<!doctype html>\n<html lang=en>\n<title>Please wait</title>\n\
                    <h1>Please wait</h1>\n<p>This page stands where JSON should be.</p>\n";

/// JSON under a status.
pub(super) fn json(status: StatusCode, body: Bytes) -> Reply {
    let mut reply = Response::new(ReplyBody::Whole(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, JSON);
    reply
}

fn error(status: StatusCode, error: &str, message: &str) -> Reply {
    json(status, error_body(error, message))
}

fn error_body(error: &str, message: &str) -> Bytes {
    let [error, message] = [error, message].map(|text| Value::Text(text.to_owned()));
    Bytes::from(text::object(&[("error", &error), ("message", &message)]))
}

/// Why a request is no lookup.
pub(super) enum Refusal {
    /// 400, 408 or 431: it was not read as a request.
    NotRead(Reason),
    /// 404: no lookup has this path.
    PathUnknown,
    /// 405.
    MethodNotAllowed,
    /// 400: the parameter is missing or empty.
    ParameterMissing(Profile),
}

/// The reply to what is no lookup.
pub(super) fn refusal(why: &Refusal) -> Reply {
    match why {
        Refusal::NotRead(reason) => not_read(*reason),
        Refusal::PathUnknown => path_unknown(),
        Refusal::MethodNotAllowed => method_not_allowed(),
        Refusal::ParameterMissing(profile) => parameter_missing(*profile),
    }
}

fn not_read(reason: Reason) -> Reply {
    let code = reason.code();
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let what = if status == StatusCode::BAD_REQUEST { "bad_request" } else { code.as_str() };
    error(status, what, &format!("Not read: {}.", reason.detail()))
}

fn parameter_missing(profile: Profile) -> Reply {
    let message = format!("Parameter '{}' is required.", profile.parameter());
    error(StatusCode::BAD_REQUEST, "bad_request", &message)
}

/// What is said of an id that no row has: 404, or 200 for a domain that can be had.
pub(super) fn unknown(profile: Profile, id: &str) -> Reply {
    match &profile.terms().unknown {
        Unknown::NotFound { error: code, message: (before, after) } => {
            error(StatusCode::NOT_FOUND, code, &[before, id, after].concat())
        }
        Unknown::Available => available(profile, id),
    }
}

fn available(profile: Profile, id: &str) -> Reply {
    let message = format!("Domain '{id}' appears to be available for registration.");
    let [id, message, status] = [id.to_owned(), message, "Available".to_owned()].map(Value::Text);
    let fields = [(profile.parameter(), &id), ("message", &message), ("status", &status)];
    json(StatusCode::OK, Bytes::from(text::object(&fields)))
}

fn path_unknown() -> Reply {
    let known =
        Profile::ALL.map(|profile| format!("{}?{}=ID", profile.path(), profile.parameter()));
    let message = format!("Nothing is here. Ask {}.", known.join(", "));
    error(StatusCode::NOT_FOUND, "not_found", &message)
}

fn method_not_allowed() -> Reply {
    let mut reply =
        error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Only GET is allowed here.");
    reply.headers_mut().insert(ALLOW, ALLOWED);
    reply
}

/// 500, on purpose.
pub(super) fn failed() -> Reply {
    error(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "A failure that is rehearsed.")
}

/// 429 with the time after which to come again.
pub(super) fn busy(retry_after_seconds: u32) -> Reply {
    let message = format!("Too many requests; try again in {retry_after_seconds} s.");
    let mut reply = error(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", &message);
    reply.headers_mut().insert(RETRY_AFTER, retry_after_seconds.into());
    reply
}

/// The same status, with a page in place of JSON.
pub(super) fn as_page(mut reply: Reply) -> Reply {
    reply.headers_mut().insert(CONTENT_TYPE, HTML);
    *reply.body_mut() = ReplyBody::Whole(Bytes::from_static(PAGE.as_bytes()));
    reply
}

/// The same reply, whose connection closes in the middle of the body.
pub(super) fn broken(reply: Reply) -> Reply {
    reply.map(|body| match body {
        ReplyBody::Whole(whole) => {
            ReplyBody::Breaking { half: whole.slice(..whole.len() / 2), promised: whole.len() }
        }
        other => other,
    })
}

/// Tells a connection beyond the limit so, if it listens.
pub(super) fn turn_away(mut stream: TcpStream) {
    let body = error_body("overloaded", "Too many connections; try again in 1 s.");
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    // The peer may be gone; there is nothing left to tell it.
    let _ = stream.write(&[head.as_bytes(), &body].concat());
}

/// Body of a reply.
pub(super) enum ReplyBody {
    /// All of it.
    Whole(Bytes),
    /// Half of what was promised, then the end.
    Breaking {
        /// What is sent.
        half: Bytes,
        /// Length that the head promises.
        promised: usize,
    },
    /// The half is being sent.
    Flushing,
    /// The half was sent.
    Cut,
}

/// The connection ends here, on purpose.
#[derive(Debug)]
pub(super) struct CutOff;

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut off on purpose")
    }
}

impl std::error::Error for CutOff {}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        match &mut *self {
            ReplyBody::Whole(rest) if rest.is_empty() => Poll::Ready(None),
            ReplyBody::Whole(rest) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(rest))))),
            ReplyBody::Breaking { half, .. } => {
                let half = std::mem::take(half);
                *self = ReplyBody::Flushing;
                Poll::Ready(Some(Ok(Frame::data(half))))
            }
            ReplyBody::Flushing => {
                // An error discards what is not flushed; hyper flushes when a body has to wait.
                *self = ReplyBody::Cut;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            ReplyBody::Cut => Poll::Ready(Some(Err(CutOff))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, ReplyBody::Whole(rest) if rest.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ReplyBody::Whole(rest) => SizeHint::with_exact(rest.len() as u64),
            ReplyBody::Breaking { promised, .. } => SizeHint::with_exact(*promised as u64),
            ReplyBody::Flushing | ReplyBody::Cut => SizeHint::default(),
        }
    }
}
