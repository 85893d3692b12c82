//! Whether the process lives, and whether it can take an order now; and its figures.

use crate::limits::PROBE_TIMEOUT;
use crate::problem::Fault;
use crate::reply;
use crate::state::App;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use kilat_api::problem::{Code, Problem};
use kilat_engine::{Change, OrderId, OrderRef, Unavailable};

/// A name that no sale can have.
const NO_SALE: &str = "-";

/// `GET /livez`: the process runs and answers.
pub(crate) async fn live() -> Response {
    reply::raw(StatusCode::OK, "{\"status\":\"ok\"}")
}

/// `GET /readyz` and `GET /healthz`: it can decide and record.
pub(crate) async fn ready(State(app): State<App>) -> Result<Response, Fault> {
    if app.is_leaving() {
        return Err(Code::ShuttingDown.into());
    }
    let health = serde_json::json!({"status": "ok", "node": &*app.node, "version": env!("CARGO_PKG_VERSION")});
    match tokio::time::timeout(PROBE_TIMEOUT, probe(&app)).await {
        // A busy node is not a broken one: taking it out would only make the others busier.
        Ok(Ok(()) | Err(Unavailable::Overloaded)) => Ok(reply::json(StatusCode::OK, &health)),
        Ok(Err(why)) => Err(why.into()),
        Err(_) => {
            Err(Problem::new(Code::Overloaded).with_detail("the engine does not answer").into())
        }
    }
}

/// Sends a command that changes nothing through the whole engine, the reservation of space included.
async fn probe(app: &App) -> Result<(), Unavailable> {
    let nothing = OrderRef { sale: NO_SALE.to_owned(), order: OrderId::from_bits(0), by: None };
    app.handle.change(Change::CancelOrder(nothing)).await.map(drop)
}

/// `GET /metrics`
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    let mut response = Response::new(app.metrics.render().into());
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
