//! What the buy page's buttons post: buy one unit, or hold it for a while.

use super::form::{BuyForm, comes_from_here};
use super::{ask_again, cookie_page, fault_page, is_busy, see};
use crate::limits::FORM_BODY_BYTES_MAX;
use crate::problem::Fault;
use crate::state::App;
use crate::{body, orders, problem};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use kilat_api::problem::Code;
use kilat_engine::OrderText;
use std::time::Instant;

/// What the buy page's buttons post
///
/// Answers with a redirect, so that a reload makes no second order; to the page's script, which
/// accepts JSON, with the same address in JSON. The customer is the visitor in the cookie; without
/// one it answers 401 and sets one.
#[utoipa::path(
    post,
    path = "/buy",
    tag = "Sale",
    operation_id = "buy",
    request_body(content = BuyForm, content_type = "application/x-www-form-urlencoded",
        example = json!({"sale": "iphone-17-pro-max", "key": "b7f0c2e4"})),
    responses(
        (status = 303, description = "To the receipt, or back to the sale with the refusal.",
            headers(("location" = String, description = "Where to look."))),
        (status = 200, description = "The same to a script.", body = super::Place),
    ),
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
    match orders::buy(app, &text, 1, form.hold).await {
        Ok((order, replayed)) => {
            let label = problem::order_label(order.status, replayed);
            let place = format!("/s/{}/orders/{}", form.sale, order.id);
            Ok((label, see(app, headers, &place, true)))
        }
        Err(fault) => refused(app, headers, uri, &form, fault),
    }
}

fn refused(
    app: &App,
    headers: &HeaderMap,
    uri: &Uri,
    form: &BuyForm,
    fault: Fault,
) -> Result<(&'static str, Response), Fault> {
    let code = fault.code();
    // The key of an earlier press of the other button: the page shows what became of that.
    if code.status() == 409 || code == Code::KeyReused {
        let place = format!("/s/{}?refused={}", form.sale, code.as_str());
        let has_orders = matches!(code, Code::LimitReached | Code::KeyReused);
        return Ok((code.as_str(), see(app, headers, &place, has_orders)));
    }
    if is_busy(code) {
        let hold = form.hold.then_some(("hold", "true"));
        let fields = [("sale", &*form.sale), ("key", &*form.key)];
        let fields: Vec<_> = fields.into_iter().chain(hold).collect();
        return Ok((code.as_str(), ask_again(app, headers, uri, code, &fields)));
    }
    Err(fault)
}
