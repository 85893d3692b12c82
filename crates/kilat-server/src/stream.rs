//! Live stock of a sale as server-sent events.
//!
//! Each event is the whole latest state, so a slow reader or one that comes
//! back misses nothing that still matters. The head of the reply is made here;
//! what follows it is sent by `broadcast`.

use crate::broadcast::Newcomer;
use crate::exit::{BodyElsewhere, Exit};
use crate::path::Names;
use crate::problem::Fault;
use crate::state::App;
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Version, header};
use axum::response::Response;
use kilat_api::problem::{Code, Problem};
use std::sync::Arc;
use utoipa::ToSchema;

/// Follow the stock of a sale
///
/// Server-sent events named `stock`, each with the whole latest state; under load some states are
/// left out. The stream has no end.
#[utoipa::path(
    get,
    path = "/v1/sales/{sale}/stream",
    tag = "Sale",
    operation_id = "followSale",
    responses((status = 200, description = "Events; the schema is of each.", body = StockEvent,
        content_type = "text/event-stream")),
)]
pub(crate) async fn stock(
    State(app): State<App>,
    Extension(exit): Extension<Exit>,
    version: Version,
    names: Names,
) -> Result<Response, Fault> {
    let sale = app.handle.board().follow(names.sale()?).ok_or(Code::SaleNotFound)?;
    let Ok(place) = Arc::clone(&app.streams).try_acquire_owned() else {
        return Err(Problem::new(Code::Overloaded)
            .with_detail("no more streams can be followed, ask again")
            .into());
    };
    let broadcast = app.broadcast.clone();
    // hyper sends a body of unknown length in chunks, but to those who know none.
    let is_chunked = version >= Version::HTTP_11;
    let takeover = Box::new(move |stream, seat| {
        broadcast.admit(Newcomer { stream, sale, is_chunked, seat, place });
    });
    let mut response = Response::new(Body::new(BodyElsewhere::new(exit, takeover)));
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
        // nginx would collect events before it passes them on.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// An event as it is described.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the description is all that is made of it")]
pub(crate) struct StockEvent {
    /// `stock`.
    event: String,
    /// A `Stock` in JSON.
    #[schema(content_media_type = "application/json")]
    data: String,
}
