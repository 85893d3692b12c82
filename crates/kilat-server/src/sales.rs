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
use kilat_api::audit::Audit;
use kilat_api::body::decode;
use kilat_api::problem::Code;
use kilat_api::sale::{SaleChange, SaleList, SaleReply, SaleRequest};
use kilat_engine::{Change, Outcome};

/// Make a sale
///
/// The same again answers 200 and changes nothing; other content under the same id is refused.
#[utoipa::path(
    post,
    path = "/v1/sales",
    tag = "Sale",
    operation_id = "createSale",
    request_body(content = SaleRequest, example = json!({
        "id": "iphone-17-pro-max", "title": "iPhone 17 Pro Max", "sku": "IPHONE-17-PRO-MAX",
        "price": {"amount": "24999000", "currency": "IDR"}, "supply": 100, "per_customer": 1,
        "opens_at": null, "closes_at": null, "hold_seconds": 600,
    })),
    responses(
        (status = 201, description = "The sale is made.", body = SaleReply,
            headers(("location" = String, description = "Address of the sale."))),
        (status = 200, description = "It had been made before, with the same content.",
            body = SaleReply, headers(
                ("location" = String, description = "Address of the sale."),
                ("idempotency-replayed" = String, description = "`true`."),
            )),
    ),
)]
pub(crate) async fn create(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Fault> {
    idempotency_key(&headers)?;
    let bytes = body::json(&app, &headers, body, SALE_BODY_BYTES_MAX).await?;
    let terms = show::terms(decode::<SaleRequest>(&bytes)?);
    let id = terms.id.clone();
    let status = match app.change(Change::CreateSale { terms: Box::new(terms) }).await?.0 {
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

/// Restock, pause, open, close or reschedule a sale
///
/// A closed sale can't be opened again.
#[utoipa::path(
    patch,
    path = "/v1/sales/{sale}",
    tag = "Sale",
    operation_id = "changeSale",
    request_body(content = SaleChange, example = json!({"add_supply": 50})),
    responses((status = 200, description = "The sale after the change.", body = SaleReply, headers(
        ("idempotency-replayed" = String,
            description = "`true` when this repeats an earlier change; absent otherwise."),
    ))),
)]
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
    match app.change(Change::ChangeSale { sale: sale.to_owned(), key, change }).await?.0 {
        Outcome::SaleChanged { replayed } => {
            Ok(reply::mark_replayed(reply_sale(&app, sale, StatusCode::OK)?, replayed))
        }
        Outcome::Refused(refusal) => Err(refusal.into()),
        _ => Err(Code::Internal.into()),
    }
}

/// List all sales
#[utoipa::path(
    get,
    path = "/v1/sales",
    tag = "Sale",
    operation_id = "listSales",
    responses((status = 200, description = "In the order of creation.", body = SaleList)),
)]
pub(crate) async fn list(State(app): State<App>) -> Result<Response, Fault> {
    let now = app.now();
    let board = app.handle.board();
    // Stock of a while ago must not pass for today's.
    let mut sales = if board.is_live() { board.sales() } else { app.handle.sales().await? };
    sales.sort_by_key(|sale| sale.number);
    let sales = sales.iter().map(|sale| show::sale(sale, now)).collect();
    Ok(reply::json(StatusCode::OK, &SaleList { sales }))
}

/// Show a sale
#[utoipa::path(
    get,
    path = "/v1/sales/{sale}",
    tag = "Sale",
    operation_id = "showSale",
    responses((status = 200, description = "The sale and its stock.", body = SaleReply)),
)]
pub(crate) async fn get(State(app): State<App>, names: Names) -> Result<Response, Fault> {
    let sale = app.handle.current(names.sale()?).await?.ok_or(Code::SaleNotFound)?;
    Ok(reply::json(StatusCode::OK, &show::sale(&sale, app.now())))
}

/// Audit a sale
///
/// All figures are units, read at one instant.
#[utoipa::path(
    get,
    path = "/v1/sales/{sale}/audit",
    tag = "Sale",
    operation_id = "auditSale",
    responses((status = 200, description = "The figures, and whether they balance.", body = Audit)),
)]
pub(crate) async fn audit(State(app): State<App>, names: Names) -> Result<Response, Fault> {
    let sale = app.handle.current(names.sale()?).await?.ok_or(Code::SaleNotFound)?;
    Ok(reply::json(StatusCode::OK, &show::audit(&sale)))
}

/// The sale after a change: what this replica was told before the change was acknowledged.
fn reply_sale(app: &App, sale: &str, status: StatusCode) -> Result<Response, Fault> {
    let sale = app.handle.board().sale(sale).ok_or(Code::SaleNotFound)?;
    Ok(reply::json(status, &show::sale(&sale, app.now())))
}
