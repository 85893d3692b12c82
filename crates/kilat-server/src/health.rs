//! Whether the process lives, and whether it can take an order now; and its figures.

use crate::limits::PROBE_TIMEOUT;
use crate::problem::{self, Fault};
use crate::reply;
use crate::state::App;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use kilat_api::problem::{Code, Problem};
use kilat_engine::{Change, OrderId, OrderRef, Unavailable};
use serde::Serialize;
use utoipa::ToSchema;

/// Reply of a process that runs.
#[derive(Serialize, ToSchema)]
struct Live {
    /// `ok`.
    status: &'static str,
}

/// Reply of a process that can decide and record.
#[derive(Serialize, ToSchema)]
struct Health<'a> {
    /// `ok`.
    status: &'static str,
    /// Who answers.
    node: &'a str,
    /// Version of the program.
    version: &'static str,
}

/// A name that no sale can have.
const NO_SALE: &str = "-";

/// Whether the process runs
#[utoipa::path(
    get,
    path = "/livez",
    tag = "Operations",
    operation_id = "live",
    responses((status = 200, description = "It runs and answers.", body = Live)),
)]
pub(crate) async fn live() -> Response {
    reply::json(StatusCode::OK, &Live { status: "ok" })
}

/// Whether work may be sent here
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "Operations",
    operation_id = "ready",
    responses((status = 200, description = "It can decide and record.", body = Health<'_>)),
)]
pub(crate) async fn ready(State(app): State<App>) -> Result<Response, Fault> {
    if app.is_leaving() {
        return Err(Code::ShuttingDown.into());
    }
    if let Some(why) = app.events.refusal() {
        let why = Problem::new(problem::unavailable(why));
        return Err(why.with_detail("the event log can't be reached").into());
    }
    let health = Health { status: "ok", node: &app.node, version: env!("CARGO_PKG_VERSION") };
    match tokio::time::timeout(PROBE_TIMEOUT, probe(&app)).await {
        // A busy node is not a broken one: taking it out would only make the others busier.
        Ok(Ok(()) | Err(Unavailable::Overloaded)) => Ok(reply::json(StatusCode::OK, &health)),
        Ok(Err(why)) => Err(why.into()),
        Err(_) => {
            Err(Problem::new(Code::Overloaded).with_detail("the engine does not answer").into())
        }
    }
}

/// Whether work may be sent here, under the name that container platforms ask
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "Operations",
    operation_id = "health",
    responses((status = 200, description = "It can decide and record.", body = Health<'_>)),
)]
pub(crate) async fn health(state: State<App>) -> Result<Response, Fault> {
    ready(state).await
}

/// Sends a command that changes nothing through the whole engine, the reservation of space included.
async fn probe(app: &App) -> Result<(), Unavailable> {
    let nothing = OrderRef { sale: NO_SALE.to_owned(), order: OrderId::from_bits(0), by: None };
    app.handle.change(Change::CancelOrder(nothing)).await.map(drop)
}

/// Figures for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "Operations",
    operation_id = "metrics",
    responses((status = 200, description = "Prometheus text format.",
        body = String, content_type = "text/plain; version=0.0.4; charset=utf-8")),
)]
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    let mut response = Response::new(app.metrics.render(&app).into());
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
