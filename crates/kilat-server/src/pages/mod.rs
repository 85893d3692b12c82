//! Pages for people: the buy page, the receipt, and clear words when something is wrong.
//!
//! They work without JavaScript; scripts only make them live. What they show
//! of a sale comes from the board; the ledger is asked for a visitor's own orders only.

mod assets;
pub(crate) mod away;
mod buy;
pub(crate) mod form;
mod html;
pub(crate) mod language;
mod orders;
pub(crate) mod price;
mod sale;
mod text;
mod when;

pub(crate) use assets::{__path_asset, asset, style_hash};
pub(crate) use buy::{__path_buy, buy};
pub(crate) use orders::{
    __path_cancel, __path_confirm, __path_own_orders, __path_receipt, cancel, confirm, own_orders,
    receipt,
};
pub(crate) use sale::{__path_home, __path_sale, home, sale};

use crate::problem::Fault;
use crate::state::App;
use crate::visitor::Visitor;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use html::{AgainPage, Frame, MessagePage};
use kilat_api::problem::Code;
use language::Choice;
use serde::Serialize;
use std::borrow::Cow;
use utoipa::ToSchema;

/// Seconds after which a page that found no answer asks again.
const RETRY_AFTER_SECONDS: u32 = 1;

/// Unknown addresses: a page for people, a problem for programs.
pub(crate) async fn not_found(State(app): State<App>, headers: HeaderMap, uri: Uri) -> Response {
    if away::is_person(&headers) && !uri.path().starts_with("/v1/") {
        message(&app, &headers, &uri, StatusCode::NOT_FOUND, |text| {
            (text.not_found_title, text.not_found)
        })
    } else {
        Fault::new(Code::NotFound).into_response()
    }
}

/// A form's address, looked at: the page that the form stands on.
pub(crate) async fn wrong_method(method: Method, headers: HeaderMap, uri: Uri) -> Response {
    let page = near(uri.path());
    if page != uri.path() && method == Method::GET && away::is_person(&headers) {
        return (StatusCode::SEE_OTHER, [(header::LOCATION, page)]).into_response();
    }
    Fault::new(Code::MethodNotAllowed).into_response()
}

fn fault_page(app: &App, headers: &HeaderMap, uri: &Uri, fault: &Fault) -> Response {
    if is_busy(fault.code()) {
        return ask_again(app, headers, uri, fault.code(), &[]);
    }
    message(app, headers, uri, status(fault.code()), |text| {
        (text.refusal_title(fault.code()), text.refusal(fault.code()))
    })
}

fn status(code: Code) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Whether the same request may succeed in a moment.
const fn is_busy(code: Code) -> bool {
    matches!(code.status(), 429 | 503 | 504)
}

/// Nobody could answer: the page sends the same form again by itself, or at the press of a button.
fn ask_again(
    app: &App,
    headers: &HeaderMap,
    uri: &Uri,
    code: Code,
    fields: &[(&str, &str)],
) -> Response {
    let choice = Choice::of(headers, uri);
    let posts =
        uri.path() == "/buy" || uri.path().ends_with("/confirm") || uri.path().ends_with("/cancel");
    let page = AgainPage {
        frame: frame(app, &choice, uri),
        title: choice.text().busy_title,
        message: choice.text().refusal(code),
        method: if posts { "post" } else { "get" },
        action: uri.path(),
        fields,
        wait_seconds: RETRY_AFTER_SECONDS,
    };
    let mut response = html::page(&page, status(code), &choice, None);
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
    response
}

/// The browser sent no cookie of ours: it gets one, and may try again.
fn cookie_page(app: &App, headers: &HeaderMap, uri: &Uri, visitor: Visitor) -> Response {
    let choice = Choice::of(headers, uri);
    let text = choice.text();
    let page = MessagePage {
        frame: frame(app, &choice, uri),
        title: text.failed_title,
        message: text.no_cookie,
        leads_back: true,
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
    // What was asked for is no refusal: the home page of a shop without a sale.
    let leads_back = status != StatusCode::OK;
    let page = MessagePage { frame: frame(app, &choice, uri), title, message, leads_back };
    html::page(&page, status, &choice, None)
}

fn frame<'a>(app: &'a App, choice: &Choice, uri: &'a Uri) -> Frame<'a> {
    Frame { node: &app.node, text: choice.text(), path: Cow::Borrowed(near(uri.path())) }
}

/// A form's own address answers to POST only: the page near it. An address that would lead to
/// another site when it stands in a link is none of ours.
fn near(path: &str) -> &str {
    if path.starts_with("//") || path.starts_with("/\\") {
        return "/";
    }
    let cut = ["/confirm", "/cancel"].into_iter().find_map(|end| path.strip_suffix(end));
    match path {
        "/buy" => "/",
        "/ops/rehearsals" | "/ops/cancel" | "/ops/sign-out" => "/ops",
        path => cut.unwrap_or(path),
    }
}

/// Where a script looks next.
#[derive(Serialize, ToSchema)]
struct Place<'a> {
    /// An address on this site.
    location: Cow<'a, str>,
}

/// A redirect that turns a POST into a GET; to a script, its address.
fn see(app: &App, headers: &HeaderMap, place: &str, has_orders: bool) -> Response {
    let accepts = headers.get(header::ACCEPT).map_or(&b""[..], HeaderValue::as_bytes);
    let mut response = if accepts == b"application/json" {
        Json(Place { location: place.into() }).into_response()
    } else {
        let mut redirect = StatusCode::SEE_OTHER.into_response();
        if let Ok(place) = HeaderValue::from_str(place) {
            redirect.headers_mut().insert(header::LOCATION, place);
        }
        redirect
    };
    crate::headers::guard_page(response.headers_mut());
    if let Some(cookie) = app.visitors.orders_cookie().filter(|_| has_orders) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
