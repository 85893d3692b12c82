//! What every reply carries: the exchange's id and the node that answered.
//!
//! Also the one place where an exchange is logged: never its body, never a token.

use crate::ids::RequestId;
use crate::limits::REQUEST_ID_BYTES_MAX;
use crate::metrics::{self, HTTP_REPLIES};
use crate::state::App;
use crate::trace::{self, Entered};
use ::metrics::counter;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::LazyLock;
use std::time::Instant;
use tracing::{Instrument as _, Span};

const X_REQUEST_ID: HeaderName = HeaderName::from_static(kilat_api::REQUEST_ID);
const X_NODE: HeaderName = HeaderName::from_static(kilat_api::NODE);

/// Nothing may run or load but what this server sends as a file of its own. The one stylesheet
/// that stands in the pages themselves, so that the first paint waits for nothing else, is known by
/// its hash: no other text is taken for styles.
static CONTENT_SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' '{}'; img-src 'self'; \
        connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        crate::pages::style_hash()
    );
    // A hash in base64 is visible ASCII, as the rest is.
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// Whether `id` may be taken over from the caller: 1–64 of `[A-Za-z0-9._-]`.
#[must_use]
pub(crate) fn is_request_id(id: &str) -> bool {
    (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Runs around every route, the unknown ones too.
pub(crate) async fn stamp(State(app): State<App>, request: Request, next: Next) -> Response {
    let asked = Asked::of(&app, &request);
    let span = asked.log_span();
    let answer = trace::within(asked.entered.span.as_ref(), next.run(request));
    let mut response = answer.instrument(span.clone()).await;
    counter!(HTTP_REPLIES, "class" => metrics::class(response.status())).increment(1);
    span.in_scope(|| asked.log(response.status()));
    asked.end(&app, response.status());
    response.headers_mut().insert(X_REQUEST_ID, asked.id);
    response.headers_mut().insert(X_NODE, app.node_header.clone());
    response
}

/// What a request was, once there is a reply to it.
struct Asked {
    since: Instant,
    id: HeaderValue,
    method: Method,
    path: String,
    /// As the table of routes has it.
    route: Option<MatchedPath>,
    entered: Entered,
}

impl Asked {
    fn of(app: &App, request: &Request) -> Asked {
        let parent = trace::parent(request.headers());
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let (since, id) = (Instant::now(), request_id(request.headers()));
        let route = request.extensions().get::<MatchedPath>().cloned();
        Asked { since, id, method, path, route, entered: app.tracer.enter(parent) }
    }

    /// In each record that is written while the request is served are its ids.
    fn log_span(&self) -> Span {
        // Every form of a request id is visible ASCII.
        let id = self.id.to_str().unwrap_or_default();
        match &self.entered.context {
            None => tracing::error_span!("request", request_id = id),
            Some(at) => {
                let (trace_id, span_id) = (at.trace(), at.span());
                tracing::error_span!("request", request_id = id, trace_id, span_id)
            }
        }
    }

    fn log(&self, status: StatusCode) {
        let (method, path, status) = (&self.method, &self.path, status.as_u16());
        let ms = self.since.elapsed().as_secs_f64() * 1e3;
        if status >= 500 {
            tracing::warn!(%method, path, status, ms, "a request failed");
        } else {
            tracing::debug!(%method, path, status, ms, "a request was answered");
        }
    }

    fn end(&self, app: &App, status: StatusCode) {
        let Some(span) = &self.entered.span else {
            return;
        };
        let id = self.id.to_str().unwrap_or_default();
        let route = self.route.as_ref().map(MatchedPath::as_str);
        app.tracer.end_request(span, &self.method, self.path.clone(), route, id, status.as_u16());
    }
}

fn request_id(headers: &HeaderMap) -> HeaderValue {
    let callers = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
    // Every form of a request id is visible ASCII.
    HeaderValue::from_str(RequestId::of(callers).as_str()).unwrap_or(HeaderValue::from_static("-"))
}

/// What every page carries besides.
pub(crate) fn guard_page(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.clone());
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
