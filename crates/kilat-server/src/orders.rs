//! Orders over HTTP: place one or a batch, show, list, confirm, cancel.
//!
//! Must never know how an order is decided; it passes outcomes on.

use crate::auth::Caller;
use crate::body::{self, idempotency_key};
use crate::ids;
use crate::limits::{BATCH_BODY_BYTES_MAX, ORDER_BODY_BYTES_MAX};
use crate::metrics::OrderCounts;
use crate::path::Names;
use crate::problem::{self, Fault};
use crate::state::App;
use crate::trace;
use crate::{render, reply};
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use kilat_api::body::{check, explain};
use kilat_api::order::{
    BatchOrder, BatchReply, BatchRequest, OrderPage, OrderReply, OrderRequest, PAGE_ORDERS_MAX,
};
use kilat_api::problem::{Code, FieldFault, Problem};
use kilat_api::schema;
use kilat_api::text::{CUSTOMER_CHARS_MAX, is_printable};
use kilat_engine::{
    Change, Order, OrderRef, OrderText, Orders, Outcome, OwnedOrder, Page, Placed, Unavailable,
};
use serde::Deserialize;
use std::time::Instant;

/// Orders of a page when the caller does not say.
const PAGE_ORDERS_DEFAULT: usize = 100;
/// Bytes of one rendered order beside its names, rounded up.
const ORDER_JSON_BYTES: usize = 224;

/// Place an order
///
/// It is on stable storage before the reply leaves. A repetition under the same key answers with
/// the same order in its current state and sells nothing. A refusal is not remembered: the same
/// key may succeed after a restock.
#[utoipa::path(
    post,
    path = "/v1/sales/{sale}/orders",
    tag = "Orders",
    operation_id = "placeOrder",
    request_body(content = OrderRequest<'_>, examples(
        ("buy" = (summary = "Buy at once", value = json!({"customer": "budi", "quantity": 1}))),
        ("hold" = (summary = "Hold first",
            value = json!({"customer": "siti", "quantity": 1, "hold": true}))),
    )),
    responses((status = 201, description = "The order, new or repeated.", body = OrderReply<'_>,
        headers(("idempotency-replayed" = String,
            description = "`true` when this repeats an earlier order; absent otherwise.")),
        links(
            ("show" = (operation_id = "showOrder",
                parameters(("sale" = "$response.body#/sale"), ("order" = "$response.body#/order")))),
            ("confirm" = (operation_id = "confirmOrder",
                parameters(("sale" = "$response.body#/sale"), ("order" = "$response.body#/order")))),
            ("cancel" = (operation_id = "cancelOrder",
                parameters(("sale" = "$response.body#/sale"), ("order" = "$response.body#/order")))),
        ))),
)]
pub(crate) async fn place(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    names: Names,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let since = Instant::now();
    let placed = place_one(&app, &caller, &names, &headers, body).await;
    let (label, response) =
        placed.unwrap_or_else(|fault| (fault.code().as_str(), fault.into_response()));
    let mut counts = OrderCounts::default();
    counts.note(label, since);
    counts.flush();
    response
}

async fn place_one(
    app: &App,
    caller: &Caller,
    names: &Names,
    headers: &HeaderMap,
    body: Body,
) -> Result<(&'static str, Response), Fault> {
    let key = idempotency_key(headers)?;
    let sale = names.sale()?;
    let bytes = body::json(app, headers, body, ORDER_BODY_BYTES_MAX).await?;
    let request: OrderRequest<'_> =
        serde_json::from_slice(&bytes).map_err(|_| explain::<OrderRequest<'_>>(&bytes))?;
    check(&request)?;
    if !caller.may_act_for(&request.customer) {
        return Err(for_another());
    }
    let text = OrderText { sale, customer: &request.customer, key };
    let (order, replayed) = buy(app, &text, request.quantity, request.hold).await?;
    let label = problem::order_label(order.status, replayed);
    let response =
        reply::raw(StatusCode::CREATED, order_body(app, &order, sale, &request.customer));
    Ok((label, reply::mark_replayed(response, replayed)))
}

/// Places one order; also tells whether it had been placed before.
///
/// # Errors
/// The refusal of the rules, or of an engine that could not decide.
pub(crate) async fn buy(
    app: &App,
    text: &OrderText<'_>,
    quantity: u32,
    hold: bool,
) -> Result<(Order, bool), Fault> {
    let mut orders = Orders::default();
    orders.push(app.handle.hasher(), ids::order_id(), text, quantity, hold);
    let placed = place_traced(app, orders).await?;
    match placed.outcomes().first() {
        Some(Outcome::Order { order, replayed }) => Ok((order.at(placed.at), *replayed)),
        Some(Outcome::Refused(refusal)) => Err((*refusal).into()),
        // The engine answers an order with an order or a refusal.
        _ => Err(Code::Internal.into()),
    }
}

/// Places a group; if its request is traced, then so is the group.
async fn place_traced(app: &App, mut orders: Orders) -> Result<Placed, Unavailable> {
    let Some(context) = trace::current() else {
        return app.handle.place_all(orders).await;
    };
    orders.trace_last(context);
    let placed = app.handle.place_all(orders).await?;
    app.tracer.stages(context, &placed);
    Ok(placed)
}

/// Place many orders
///
/// Each is decided by itself and answered in the order asked: with an order, or with the code of
/// its refusal. A batch with an order that is not valid is refused whole, before any is decided.
#[utoipa::path(
    post,
    path = "/v1/sales/{sale}/orders:batch",
    tag = "Orders",
    operation_id = "placeOrders",
    request_body(content = BatchRequest<'_>, example = json!({"orders": [
        {"key": "b1", "customer": "agus", "quantity": 1},
        {"key": "b2", "customer": "dewi", "quantity": 1, "hold": true},
    ]})),
    responses((status = 200, description = "What became of each order.", body = BatchReply<'_>)),
)]
pub(crate) async fn place_batch(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    names: Names,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let since = Instant::now();
    let mut counts = OrderCounts::default();
    let response = place_all(&app, &caller, &names, &headers, body, &mut counts)
        .await
        .unwrap_or_else(|fault| {
            counts.note(fault.code().as_str(), since);
            fault.into_response()
        });
    counts.flush();
    response
}

async fn place_all(
    app: &App,
    caller: &Caller,
    names: &Names,
    headers: &HeaderMap,
    body: Body,
    counts: &mut OrderCounts,
) -> Result<Response, Fault> {
    let sale = names.sale()?;
    let bytes = body::json(app, headers, body, BATCH_BODY_BYTES_MAX).await?;
    let group = read_batch(app, caller, sale, &bytes)?;
    drop(bytes);
    let placed = place_traced(app, group).await?;
    let reply = batch_body(app, &placed, counts);
    app.groups.give_back(placed.orders);
    Ok(reply::raw(StatusCode::OK, reply))
}

/// Decodes, checks and hashes a batch into one group.
fn read_batch(app: &App, caller: &Caller, sale: &str, bytes: &[u8]) -> Result<Orders, Fault> {
    let request: BatchRequest<'_> =
        serde_json::from_slice(bytes).map_err(|_| explain::<BatchRequest<'_>>(bytes))?;
    check(&request)?;
    if !request.orders.iter().all(|order| caller.may_act_for(&order.customer)) {
        return Err(for_another());
    }
    let prints = app.handle.hasher();
    let mut group = app.groups.take();
    for BatchOrder { key, customer, quantity, hold } in &request.orders {
        group.push(prints, ids::order_id(), &OrderText { sale, customer, key }, *quantity, *hold);
    }
    Ok(group)
}

/// Renders the outcomes of a batch in the order asked.
fn batch_body(app: &App, placed: &Placed, counts: &mut OrderCounts) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + placed.outcomes().len() * ORDER_JSON_BYTES);
    out.extend_from_slice(b"{\"outcomes\":[");
    for (asked, outcome) in placed.orders.iter().zip(placed.outcomes()) {
        let label = match outcome {
            Outcome::Order { order, replayed } => {
                let order = order.at(placed.at);
                render::order_json(
                    &mut out,
                    &order,
                    asked.sale,
                    asked.customer,
                    &app.node,
                    *replayed,
                );
                problem::order_label(order.status, *replayed)
            }
            Outcome::Refused(refusal) => refuse(&mut out, problem::code(*refusal)),
            _ => refuse(&mut out, Code::Internal),
        };
        counts.count(label);
        out.push(b',');
    }
    out.pop_if(|last| *last == b',');
    out.extend_from_slice(b"]}");
    out
}

fn refuse(out: &mut Vec<u8>, code: Code) -> &'static str {
    render::refusal_json(out, code);
    code.as_str()
}

/// Show an order
#[utoipa::path(
    get,
    path = "/v1/sales/{sale}/orders/{order}",
    tag = "Orders",
    operation_id = "showOrder",
    responses((status = 200, description = "The order as it stands.", body = OrderReply<'_>)),
)]
pub(crate) async fn show(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    names: Names,
) -> Result<Response, Fault> {
    let sale = names.sale()?;
    let found = app.handle.order(sale, names.order()?).await?;
    match found.filter(|found| caller.may_act_for(&found.customer)) {
        Some(OwnedOrder { order, customer }) => {
            Ok(reply::raw(StatusCode::OK, order_body(&app, &order.at(app.now()), sale, &customer)))
        }
        None => Err(missing(&app, sale)),
    }
}

/// Buy what is held
#[utoipa::path(
    post,
    path = "/v1/sales/{sale}/orders/{order}/confirm",
    tag = "Orders",
    operation_id = "confirmOrder",
    responses((status = 200, description = "The confirmed order.", body = OrderReply<'_>,
        headers(("idempotency-replayed" = String,
            description = "`true` when it had been confirmed before; absent otherwise.")))),
)]
pub(crate) async fn confirm(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    names: Names,
) -> Result<Response, Fault> {
    settle(&app, &caller, &names, Change::ConfirmOrder).await
}

/// Give back what is held
#[utoipa::path(
    post,
    path = "/v1/sales/{sale}/orders/{order}/cancel",
    tag = "Orders",
    operation_id = "cancelOrder",
    responses((status = 200, description = "The cancelled order.", body = OrderReply<'_>,
        headers(("idempotency-replayed" = String,
            description = "`true` when it had been cancelled before; absent otherwise.")))),
)]
pub(crate) async fn cancel(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    names: Names,
) -> Result<Response, Fault> {
    settle(&app, &caller, &names, Change::CancelOrder).await
}

async fn settle(
    app: &App,
    caller: &Caller,
    names: &Names,
    change: fn(OrderRef) -> Change,
) -> Result<Response, Fault> {
    let (sale, id) = (names.sale()?, names.order()?);
    let reference =
        OrderRef { sale: sale.to_owned(), order: id, by: caller.own().map(str::to_owned) };
    let (outcome, at) = app.change(change(reference)).await?;
    let (order, replayed) = match outcome {
        Outcome::Order { order, replayed } => (order.at(at), replayed),
        Outcome::Refused(refusal) => return Err(refusal.into()),
        _ => return Err(Code::Internal.into()),
    };
    // The outcome does not say whose order it is; orders are never removed.
    let owned = app.handle.order(sale, id).await;
    // What was asked is done, which a refusal would deny: asked again, it is said.
    let owned = owned.map_err(|_| Unavailable::Unknown)?.ok_or(Code::Internal)?;
    let response = reply::raw(StatusCode::OK, order_body(app, &order, sale, &owned.customer));
    Ok(reply::mark_replayed(response, replayed))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Whose orders.
    #[param(value_type = schema::ListedCustomer, inline, required = false)]
    customer: Option<String>,
    /// The `next` of the page before.
    #[serde(default)]
    #[param(value_type = schema::Sequence, inline, required = false)]
    after: u64,
    /// Most orders on the page; 100 when absent.
    #[param(value_type = schema::PageOrders, inline, required = false)]
    limit: Option<usize>,
}

/// List the orders of a sale
///
/// The operator sees all, the shop those of a customer it names, a customer its own.
#[utoipa::path(
    get,
    path = "/v1/sales/{sale}/orders",
    tag = "Orders",
    operation_id = "listOrders",
    params(ListQuery),
    responses((status = 200, description = "One page, in sequence.", body = OrderPage<'_>)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    names: Names,
    uri: Uri,
) -> Result<Response, Fault> {
    let sale = names.sale()?;
    let query = read_query(&uri)?;
    let limit = query.limit.unwrap_or(PAGE_ORDERS_DEFAULT);
    let customer = whose(&caller, query.customer)?;
    // One more than asked tells whether there is a next page.
    let page = Page { sale: sale.to_owned(), customer, after: query.after, limit: limit + 1 };
    let mut orders = app.handle.orders(page).await?.ok_or(Code::SaleNotFound)?;
    let more = orders.len() > limit;
    orders.truncate(limit);
    Ok(reply::raw(StatusCode::OK, page_body(&app, sale, &orders, more)))
}

fn read_query(uri: &Uri) -> Result<ListQuery, Fault> {
    let invalid = |field: &str, message: String| {
        Fault::from(Problem::invalid(vec![FieldFault::new(field, message)]))
    };
    let text = uri.query().unwrap_or_default();
    let query: ListQuery =
        serde_urlencoded::from_str(text).map_err(|error| invalid("", error.to_string()))?;
    if query.limit.is_some_and(|limit| !(1..=PAGE_ORDERS_MAX).contains(&limit)) {
        return Err(invalid("limit", format!("must be from 1 to {PAGE_ORDERS_MAX}")));
    }
    if query.customer.as_ref().is_some_and(|name| !is_printable(name, CUSTOMER_CHARS_MAX)) {
        return Err(invalid(
            "customer",
            format!("must be 1 to {CUSTOMER_CHARS_MAX} printable characters"),
        ));
    }
    Ok(query)
}

/// Whose orders a caller gets to see: the operator anybody's, the shop those of
/// a customer it names, a customer its own.
fn whose(caller: &Caller, asked: Option<String>) -> Result<Option<String>, Fault> {
    match (caller, asked) {
        (Caller::Admin, asked) => Ok(asked),
        (Caller::Shop, Some(customer)) => Ok(Some(customer)),
        (Caller::Customer(own), None) => Ok(Some(own.clone())),
        (Caller::Customer(own), Some(customer)) if *own == customer => Ok(Some(customer)),
        (Caller::Shop, None) => {
            Err(Problem::new(Code::Forbidden).with_detail("name a customer").into())
        }
        _ => Err(for_another()),
    }
}

fn page_body(app: &App, sale: &str, orders: &[OwnedOrder], more: bool) -> Vec<u8> {
    let now = app.now();
    let mut out = Vec::with_capacity(64 + orders.len() * ORDER_JSON_BYTES);
    out.extend_from_slice(b"{\"orders\":[");
    for OwnedOrder { order, customer } in orders {
        render::order_json(&mut out, &order.at(now), sale, customer, &app.node, false);
        out.push(b',');
    }
    out.pop_if(|last| *last == b',');
    out.extend_from_slice(b"],\"next\":");
    match orders.last().filter(|_| more) {
        Some(last) => {
            out.extend_from_slice(itoa::Buffer::new().format(last.order.sequence).as_bytes());
        }
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
    out
}

fn order_body(app: &App, order: &Order, sale: &str, customer: &str) -> Vec<u8> {
    let mut out =
        Vec::with_capacity(ORDER_JSON_BYTES + sale.len() + customer.len() + app.node.len());
    render::order_json(&mut out, order, sale, customer, &app.node, false);
    out
}

fn missing(app: &App, sale: &str) -> Fault {
    match app.handle.board().sale(sale) {
        Some(_) => Code::OrderNotFound.into(),
        None => Code::SaleNotFound.into(),
    }
}

fn for_another() -> Fault {
    Problem::new(Code::Forbidden).with_detail("this token speaks for another customer").into()
}
