//! Requests that another reader could take to be for another host, or to end elsewhere, although hyper
//! reads them: refused, and the connection is closed.
//!
//! The gateway looks more strictly, and sooner; this is what can still be seen of a request that hyper
//! has read. Must never know a route.

use crate::problem::Fault;
use axum::extract::Request;
use axum::http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use axum::http::{HeaderValue, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kilat_api::problem::{Code, Problem};

/// Runs around every route, the unknown ones too.
pub(crate) async fn expect_one_meaning(request: Request, next: Next) -> Response {
    let Err(what) = check(&request) else {
        return next.run(request).await;
    };
    let fault = Fault::from(Problem::new(Code::Malformed).with_detail(what.to_owned()));
    let mut response = fault.into_response();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// # Errors
/// What is wrong, for the reply.
fn check(request: &Request) -> Result<(), &'static str> {
    let headers = request.headers();
    let hosts = headers.get_all(HOST).iter().count();
    let least = usize::from(request.version() != Version::HTTP_10);
    if !(least..=1).contains(&hosts) {
        return Err("there must be one Host header");
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if codings.next().is_some_and(|coding| !is_chunked(coding)) || codings.next().is_some() {
        return Err("Transfer-Encoding can only be chunked");
    }
    Ok(())
}
