//! Pages for people: the buy page, the receipt, and clear words when something is wrong.
//!
//! They work without JavaScript; scripts only make them live. What they show
//! of a sale comes from the board, never from the queue.

mod assets;
mod form;
mod html;
mod language;
mod price;
mod text;

pub(crate) use assets::{__path_asset, asset};

use crate::limits::FORM_BODY_BYTES_MAX;
use crate::orders;
use crate::path::Names;
use crate::problem::Fault;
use crate::state::App;
use crate::visitor::Visitor;
use crate::{body, ids};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use form::{BuyForm, comes_from_here};
use html::{BuyPage, Frame, MessagePage, ReceiptPage, SaleCard};
use kilat_api::problem::Code;
use kilat_api::text::REHEARSAL_PREFIX;
use kilat_engine::{OrderText, OwnedOrder, Sale, SaleState};
use language::Choice;
use std::time::Instant;

/// The buy page
///
/// The sale that a visitor most likely came for.
#[utoipa::path(
    get,
    path = "/",
    tag = "Sale",
    operation_id = "home",
    responses((status = 200, description = "A page.", body = String,
        content_type = "text/html; charset=utf-8")),
)]
pub(crate) async fn home(State(app): State<App>, headers: HeaderMap, uri: Uri) -> Response {
    let sales = offered(&app);
    match favourite(&app, &sales) {
        Some(sale) => buy_page(&app, sale, &sales, &headers, &uri),
        None => {
            message(&app, &headers, &uri, StatusCode::OK, |text| (text.no_sale_title, text.no_sale))
        }
    }
}

/// The sales that visitors are shown: all but the rehearsals of an attack.
fn offered(app: &App) -> Vec<Sale> {
    let mut sales = app.handle.board().sales();
    sales.retain(|sale| !sale.terms.id.starts_with(REHEARSAL_PREFIX));
    sales
}

/// An open sale before others, then what opens soon, then the newest.
fn favourite<'a>(app: &App, sales: &'a [Sale]) -> Option<&'a Sale> {
    let now = app.now();
    let rank = |sale: &Sale| match sale.state(now) {
        SaleState::Open => 3,
        SaleState::Scheduled | SaleState::Paused => 2,
        SaleState::SoldOut => 1,
        SaleState::Closed => 0,
    };
    sales.iter().max_by_key(|sale| (rank(sale), sale.number))
}

/// The buy page of a sale
#[utoipa::path(
    get,
    path = "/s/{sale}",
    tag = "Sale",
    operation_id = "salePage",
    responses((status = 200, description = "A page.", body = String,
        content_type = "text/html; charset=utf-8")),
)]
pub(crate) async fn sale(
    State(app): State<App>,
    names: Names,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    match names.sale().ok().and_then(|id| app.handle.board().sale(id)) {
        Some(sale) => buy_page(&app, &sale, &offered(&app), &headers, &uri),
        None => message(&app, &headers, &uri, StatusCode::NOT_FOUND, |text| {
            (text.not_found_title, text.no_such_sale)
        }),
    }
}

fn buy_page(app: &App, sale: &Sale, sales: &[Sale], headers: &HeaderMap, uri: &Uri) -> Response {
    let choice = Choice::of(headers, uri);
    let visitor = app.visitors.visitor(headers);
    let now = app.now();
    let page = BuyPage {
        frame: frame(app, &choice, uri),
        sale: SaleCard::new(sale, now, choice.language),
        others: sales
            .iter()
            .filter(|other| other.number != sale.number)
            .map(|other| &other.terms)
            .collect(),
        refused: form::refused(uri)
            .map(|code| choice.text().refusal(code))
            .or_else(|| (!app.handle.board().is_live()).then_some(choice.text().cut_off)),
        key: ids::hex(ids::random_bits()),
    };
    html::page(&page, StatusCode::OK, &choice, Some(visitor))
}

/// What the buy page's button posts
///
/// Answers with a redirect, so that a reload makes no second order. The customer is the visitor in
/// the cookie; without one it answers 401 and sets one.
#[utoipa::path(
    post,
    path = "/buy",
    tag = "Sale",
    operation_id = "buy",
    request_body(content = BuyForm, content_type = "application/x-www-form-urlencoded",
        example = json!({"sale": "iphone-17-pro-max", "key": "b7f0c2e4"})),
    responses((status = 303, description = "To the receipt, or back to the sale with the refusal.",
        headers(("location" = String, description = "Where to look.")))),
)]
pub(crate) async fn buy(
    State(app): State<App>,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Response {
    let since = Instant::now();
    let (label, response) = match place(&app, &headers, &uri, body).await {
        Ok(placed) => placed,
        Err(fault) => (fault.code().as_str(), fault_page(&app, &headers, &uri, &fault)),
    };
    let mut counts = crate::metrics::OrderCounts::default();
    counts.note(label, since);
    counts.flush();
    response
}

async fn place(
    app: &App,
    headers: &HeaderMap,
    uri: &Uri,
    body: Body,
) -> Result<(&'static str, Response), Fault> {
    if !comes_from_here(headers) {
        return Err(Code::Forbidden.into());
    }
    let bytes = body::form(app, headers, body, FORM_BODY_BYTES_MAX).await?;
    let form = BuyForm::read(&bytes)?;
    let visitor = app.visitors.visitor(headers);
    if visitor.new_cookie.is_some() {
        return Ok((Code::Unauthorized.as_str(), cookie_page(app, headers, uri, visitor)));
    }
    let text = OrderText { sale: &form.sale, customer: &visitor.id, key: &form.key };
    match orders::buy(app, &text, 1, false).await {
        Ok((order, replayed)) => {
            let label = crate::problem::order_label(order.status, replayed);
            Ok((label, see(&format!("/s/{}/orders/{}", form.sale, order.id))))
        }
        Err(fault) if fault.code().status() == 409 => {
            let code = fault.code().as_str();
            Ok((code, see(&format!("/s/{}?refused={code}", form.sale))))
        }
        Err(fault) => Err(fault),
    }
}

/// A receipt
///
/// For the visitor who bought, and nobody else.
#[utoipa::path(
    get,
    path = "/s/{sale}/orders/{order}",
    tag = "Sale",
    operation_id = "receiptPage",
    responses((status = 200, description = "A page.", body = String,
        content_type = "text/html; charset=utf-8")),
)]
pub(crate) async fn receipt(
    State(app): State<App>,
    names: Names,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    match find_receipt(&app, &names, &headers).await {
        Ok((sale, found)) => {
            let choice = Choice::of(&headers, &uri);
            let order = found.order.at(app.now());
            let page = ReceiptPage {
                frame: frame(&app, &choice, &uri),
                sale: SaleCard::new(&sale, app.now(), choice.language),
                number: order.id.to_string(),
                quantity: order.quantity,
                status: choice.text().status(order.status),
            };
            html::page(&page, StatusCode::OK, &choice, None)
        }
        Err(fault) => fault_page(&app, &headers, &uri, &fault),
    }
}

async fn find_receipt(
    app: &App,
    names: &Names,
    headers: &HeaderMap,
) -> Result<(Sale, OwnedOrder), Fault> {
    let (id, order) = (names.sale()?, names.order()?);
    let visitor = app.visitors.visitor(headers);
    let sale = app.handle.board().sale(id).ok_or(Code::SaleNotFound)?;
    let found = app.handle.order(id, order).await?;
    let own = found.filter(|found| found.customer == visitor.id).ok_or(Code::OrderNotFound)?;
    Ok((sale, own))
}

/// Unknown addresses: a page for people, a problem for programs.
pub(crate) async fn not_found(State(app): State<App>, headers: HeaderMap, uri: Uri) -> Response {
    let accepts =
        headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/html") && !uri.path().starts_with("/v1/") {
        message(&app, &headers, &uri, StatusCode::NOT_FOUND, |text| {
            (text.not_found_title, text.not_found)
        })
    } else {
        Fault::new(Code::NotFound).into_response()
    }
}

fn fault_page(app: &App, headers: &HeaderMap, uri: &Uri, fault: &Fault) -> Response {
    let status =
        StatusCode::from_u16(fault.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    message(app, headers, uri, status, |text| (text.failed_title, text.refusal(fault.code())))
}

/// The browser sent no cookie of ours: it gets one, and may try again.
fn cookie_page(app: &App, headers: &HeaderMap, uri: &Uri, visitor: Visitor) -> Response {
    let choice = Choice::of(headers, uri);
    let text = choice.text();
    let page = MessagePage {
        frame: frame(app, &choice, uri),
        title: text.failed_title,
        message: text.no_cookie,
    };
    html::page(&page, StatusCode::UNAUTHORIZED, &choice, Some(visitor))
}

fn message(
    app: &App,
    headers: &HeaderMap,
    uri: &Uri,
    status: StatusCode,
    words: impl FnOnce(&'static text::Text) -> (&'static str, &'static str),
) -> Response {
    let choice = Choice::of(headers, uri);
    let (title, message) = words(choice.text());
    let page = MessagePage { frame: frame(app, &choice, uri), title, message };
    html::page(&page, status, &choice, None)
}

fn frame<'a>(app: &'a App, choice: &Choice, uri: &'a Uri) -> Frame<'a> {
    // A form's own address answers to POST only, so the language switch leads home.
    let path = if uri.path() == "/buy" { "/" } else { uri.path() };
    Frame { node: &app.node, text: choice.text(), path }
}

/// A redirect that turns a POST into a GET.
fn see(place: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(place) = HeaderValue::from_str(place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    crate::headers::guard_page(response.headers_mut());
    response
}
