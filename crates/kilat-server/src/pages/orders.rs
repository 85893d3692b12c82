//! A visitor's own orders: the receipt, the list, and buying or giving back what is held.

use super::form::{self, NoFields, comes_from_here};
use super::html::{self, OrderCard, OrdersPage, ReceiptPage, SaleCard};
use super::language::Choice;
use super::{ask_again, cookie_page, fault_page, frame, is_busy, see};
use crate::body;
use crate::limits::{FORM_BODY_BYTES_MAX, PAGE_OWN_ORDERS_MAX};
use crate::path::Names;
use crate::problem::Fault;
use crate::state::App;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use kilat_api::problem::Code;
use kilat_engine::{Change, OrderRef, Outcome, OwnedOrder, Page, Sale};

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
            let text = choice.text();
            let page = ReceiptPage {
                frame: frame(&app, &choice, &uri),
                sale: SaleCard::new(&sale, app.now(), &choice),
                order: OrderCard::new(&order, &sale.terms.id, &choice),
                title: text.receipt_title(order.status),
                message: text.receipt_message(order.status),
                refused: form::refused(&uri).map(|code| text.refusal(code)),
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

/// The visitor's own orders of a sale
#[utoipa::path(
    get,
    path = "/s/{sale}/orders",
    tag = "Sale",
    operation_id = "ownOrdersPage",
    responses((status = 200, description = "A page.", body = String,
        content_type = "text/html; charset=utf-8")),
)]
pub(crate) async fn own_orders(
    State(app): State<App>,
    names: Names,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    match find_own(&app, &names, &headers, &uri).await {
        Ok((sale, mut found)) => {
            let choice = Choice::of(&headers, &uri);
            let more = found.len() > PAGE_OWN_ORDERS_MAX;
            found.truncate(PAGE_OWN_ORDERS_MAX);
            let last = found.last().map(|own| own.order.sequence);
            let card = |own: &OwnedOrder| {
                OrderCard::new(&own.order.at(app.now()), &sale.terms.id, &choice)
            };
            let page = OrdersPage {
                frame: frame(&app, &choice, &uri),
                sale: SaleCard::new(&sale, app.now(), &choice),
                orders: found.iter().map(card).collect(),
                next: last.filter(|_| more),
            };
            html::page(&page, StatusCode::OK, &choice, None)
        }
        Err(fault) => fault_page(&app, &headers, &uri, &fault),
    }
}

/// One order more than a page shows tells whether there is a next page.
async fn find_own(
    app: &App,
    names: &Names,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<(Sale, Vec<OwnedOrder>), Fault> {
    let id = names.sale()?;
    let sale = app.handle.board().sale(id).ok_or(Code::SaleNotFound)?;
    let visitor = app.visitors.visitor(headers);
    if visitor.new_cookie.is_some() {
        return Ok((sale, Vec::new()));
    }
    let (customer, limit) = (Some(visitor.id), PAGE_OWN_ORDERS_MAX + 1);
    let page = Page { sale: id.to_owned(), customer, after: form::after(uri), limit };
    let found = app.handle.orders(page).await?.ok_or(Code::SaleNotFound)?;
    Ok((sale, found))
}

/// Buy what the visitor holds
///
/// Answers with a redirect to the receipt, which says why if it could not be done.
#[utoipa::path(
    post,
    path = "/s/{sale}/orders/{order}/confirm",
    tag = "Sale",
    operation_id = "confirmOwnOrder",
    request_body(content = NoFields, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "To the receipt.",
            headers(("location" = String, description = "Where to look."))),
        (status = 200, description = "The same to a script.", body = super::Place),
    ),
)]
pub(crate) async fn confirm(
    State(app): State<App>,
    names: Names,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Response {
    let settled = settle(&app, &names, &headers, &uri, body, Change::ConfirmOrder).await;
    settled.unwrap_or_else(|fault| fault_page(&app, &headers, &uri, &fault))
}

/// Give back what the visitor holds
///
/// Answers with a redirect to the receipt, which says why if it could not be done.
#[utoipa::path(
    post,
    path = "/s/{sale}/orders/{order}/cancel",
    tag = "Sale",
    operation_id = "cancelOwnOrder",
    request_body(content = NoFields, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "To the receipt.",
            headers(("location" = String, description = "Where to look."))),
        (status = 200, description = "The same to a script.", body = super::Place),
    ),
)]
pub(crate) async fn cancel(
    State(app): State<App>,
    names: Names,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Response {
    let settled = settle(&app, &names, &headers, &uri, body, Change::CancelOrder).await;
    settled.unwrap_or_else(|fault| fault_page(&app, &headers, &uri, &fault))
}

async fn settle(
    app: &App,
    names: &Names,
    headers: &HeaderMap,
    uri: &Uri,
    body: Body,
    change: fn(OrderRef) -> Change,
) -> Result<Response, Fault> {
    if !comes_from_here(headers) {
        return Err(Code::Forbidden.into());
    }
    let bytes = body::form(app, headers, body, FORM_BODY_BYTES_MAX).await?;
    NoFields::read(&bytes)?;
    let visitor = app.visitors.visitor(headers);
    if visitor.new_cookie.is_some() {
        return Ok(cookie_page(app, headers, uri, visitor));
    }
    let (sale, order) = (names.sale()?, names.order()?);
    let reference = OrderRef { sale: sale.to_owned(), order, by: Some(visitor.id) };
    let receipt = format!("/s/{sale}/orders/{order}");
    let fault = match app.change(change(reference)).await {
        Ok((Outcome::Order { .. }, _)) => return Ok(see(app, headers, &receipt, true)),
        Ok((Outcome::Refused(refusal), _)) => Fault::from(refusal),
        Ok(_) => Code::Internal.into(),
        Err(unavailable) => unavailable.into(),
    };
    match fault.code() {
        code if code.status() == 409 => {
            Ok(see(app, headers, &format!("{receipt}?refused={}", code.as_str()), true))
        }
        code if is_busy(code) => Ok(ask_again(app, headers, uri, code, &[])),
        _ => Err(fault),
    }
}
