//! Sales over HTTP: create, change, list, show, audit.
//!
//! Reads come from the board, never from the queue: they must stay cheap while
//! a sale storms.

use crate::body::{self, idempotency_key};
use crate::limits::SALE_BODY_BYTES_MAX;
use crate::path::Names;
use crate::problem::Fault;
use crate::state::App;
use crate::{reply, show};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use kilat_api::body::decode;
use kilat_api::problem::Code;
use kilat_api::sale::{SaleChange, SaleList, SaleRequest};
use kilat_engine::{Change, Outcome};

/// `POST /v1/sales`
pub(crate) async fn create(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Fault> {
    idempotency_key(&headers)?;
    let bytes = body::json(&app, &headers, body, SALE_BODY_BYTES_MAX).await?;
    let terms = show::terms(decode::<SaleRequest>(&bytes)?);
    let id = terms.id.clone();
    let status = match app.handle.change(Change::CreateSale { terms: Box::new(terms) }).await?.0 {
        Outcome::SaleCreated => StatusCode::CREATED,
        Outcome::SaleAlreadyCreated => StatusCode::OK,
        Outcome::Refused(refusal) => return Err(refusal.into()),
        _ => return Err(Code::Internal.into()),
    };
    let mut response = reply_sale(&app, &id, status)?;
    if let Ok(place) = HeaderValue::from_str(&format!("/v1/sales/{id}")) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(reply::mark_replayed(response, status == StatusCode::OK))
}

/// `PATCH /v1/sales/{sale}`
pub(crate) async fn change(
    State(app): State<App>,
    names: Names,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Fault> {
    let key = idempotency_key(&headers)?.to_owned();
    let sale = names.sale()?;
    let bytes = body::json(&app, &headers, body, SALE_BODY_BYTES_MAX).await?;
    let change = show::change(&decode::<SaleChange>(&bytes)?);
    match app.handle.change(Change::ChangeSale { sale: sale.to_owned(), key, change }).await?.0 {
        Outcome::SaleChanged { replayed } => {
            Ok(reply::mark_replayed(reply_sale(&app, sale, StatusCode::OK)?, replayed))
        }
        Outcome::Refused(refusal) => Err(refusal.into()),
        _ => Err(Code::Internal.into()),
    }
}

/// `GET /v1/sales`
pub(crate) async fn list(State(app): State<App>) -> Response {
    let now = app.now();
    let mut sales = app.handle.board().sales();
    sales.sort_by_key(|sale| sale.number);
    let sales = sales.iter().map(|sale| show::sale(sale, now)).collect();
    reply::json(StatusCode::OK, &SaleList { sales })
}

/// `GET /v1/sales/{sale}`
pub(crate) async fn get(State(app): State<App>, names: Names) -> Result<Response, Fault> {
    reply_sale(&app, names.sale()?, StatusCode::OK)
}

/// `GET /v1/sales/{sale}/audit`
pub(crate) async fn audit(State(app): State<App>, names: Names) -> Result<Response, Fault> {
    let sale = app.handle.board().sale(names.sale()?).ok_or(Code::SaleNotFound)?;
    Ok(reply::json(StatusCode::OK, &show::audit(&sale)))
}

fn reply_sale(app: &App, sale: &str, status: StatusCode) -> Result<Response, Fault> {
    let sale = app.handle.board().sale(sale).ok_or(Code::SaleNotFound)?;
    Ok(reply::json(status, &show::sale(&sale, app.now())))
}
