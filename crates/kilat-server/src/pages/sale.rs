//! The page of a sale, as the visitor who asks finds it.
//!
//! What it shows of the sale comes from the board. The ledger is asked only for the orders of a
//! visitor who may have some; if it doesn't answer soon, the page does without them.

use super::html::{self, BuyPage, OrderCard, SaleCard};
use super::language::Choice;
use super::{form, frame, message};
use crate::ids;
use crate::limits::{OWN_ORDERS_PATIENCE, PAGE_OWN_ORDERS_MAX};
use crate::path::Names;
use crate::state::App;
use crate::visitor::Visitor;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use kilat_api::problem::Code;
use kilat_api::text::REHEARSAL_PREFIX;
use kilat_engine::{Order, OrderStatus, Page, Sale, SaleState};
use tokio::time::timeout;

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
    let is_live = app.handle.board().is_live();
    let sales = offered(&app);
    match favourite(&app, &sales) {
        Some(sale) => buy_page(&app, (sale, is_live), &sales, &headers, &uri).await,
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
    let board = app.handle.board();
    let is_live = board.is_live();
    match names.sale().ok().and_then(|id| board.sale(id)) {
        Some(sale) => buy_page(&app, (&sale, is_live), &offered(&app), &headers, &uri).await,
        None => message(&app, &headers, &uri, StatusCode::NOT_FOUND, |text| {
            (text.not_found_title, text.no_such_sale)
        }),
    }
}

/// The page of a sale, whose state was read after the board was, or was not, live.
async fn buy_page(
    app: &App,
    (sale, is_live): (&Sale, bool),
    sales: &[Sale],
    headers: &HeaderMap,
    uri: &Uri,
) -> Response {
    let choice = Choice::of(headers, uri);
    let visitor = app.visitors.visitor(headers);
    let now = app.now();
    let own = own_orders(app, sale, &visitor).await;
    let refused = form::refused(uri);
    let why = |code| match code {
        Code::SoldOut if html::all_held(sale, now) => choice.text().all_held,
        code => choice.text().refusal(code),
    };
    let latest = |status| own.iter().rev().find(|order| order.status == status);
    let card = |order: &Order| OrderCard::new(order, &sale.terms.id, &choice);
    let page = BuyPage {
        frame: frame(app, &choice, uri),
        sale: SaleCard::new(sale, now, &choice),
        others: sales
            .iter()
            .filter(|other| other.number != sale.number && other.state(now) != SaleState::Closed)
            .map(|other| &other.terms)
            .collect(),
        held: latest(OrderStatus::Held).map(card),
        bought: latest(OrderStatus::Confirmed).map(card),
        at_limit: at_limit(sale, &own),
        told_limit: refused == Some(Code::LimitReached),
        refused: refused.map(why).or_else(|| (!is_live).then_some(choice.text().cut_off)),
        key: ids::hex(ids::random_bits()),
    };
    html::page(&page, StatusCode::OK, &choice, Some(visitor))
}

/// The visitor's orders as they stand now; none when the ledger keeps them waiting.
async fn own_orders(app: &App, sale: &Sale, visitor: &Visitor) -> Vec<Order> {
    if !visitor.has_orders {
        return Vec::new();
    }
    let page = Page {
        sale: sale.terms.id.clone(),
        customer: Some(visitor.id.clone()),
        after: 0,
        limit: PAGE_OWN_ORDERS_MAX,
    };
    let found = timeout(OWN_ORDERS_PATIENCE, app.handle.orders(page)).await;
    let found = found.ok().and_then(Result::ok).flatten().unwrap_or_default();
    let now = app.now();
    found.into_iter().map(|own| own.order.at(now)).collect()
}

/// Whether one more unit would be over the visitor's limit.
fn at_limit(sale: &Sale, own: &[Order]) -> bool {
    let counts =
        |order: &&Order| matches!(order.status, OrderStatus::Held | OrderStatus::Confirmed);
    let units: u64 = own.iter().filter(counts).map(|order| u64::from(order.quantity)).sum();
    sale.terms.per_customer.is_some_and(|most| units >= u64::from(most))
}
