//! The reply to a request that was not read, because others could read it in another way or because
//! it came too slowly.
//!
//! Must never know a route.

use crate::problem::Fault;
use crate::wire::Reason;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kilat_api::problem::Problem;

/// Runs around every route, the unknown ones too.
pub(crate) async fn refuse(request: Request, next: Next) -> Response {
    match request.extensions().get::<Reason>() {
        None => next.run(request).await,
        Some(reason) => {
            let problem = Problem::new(reason.code()).with_detail(reason.detail().to_owned());
            Fault::from(problem).into_response()
        }
    }
}
