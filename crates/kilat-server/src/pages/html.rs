//! The templates, what they show, and the reply around a page.

use super::assets;
use super::language::Choice;
use super::text::Text;
use super::{price, when};
use crate::headers::guard_page;
use crate::render::timestamp;
use crate::visitor::Visitor;
use askama::Template;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use kilat_engine::{Order, OrderStatus, Sale, SaleState, SaleTerms, Time};
use std::borrow::Cow;

/// What every page has around it.
pub(super) struct Frame<'a> {
    pub(super) node: &'a str,
    pub(super) text: &'static Text,
    /// Where the language switch leads.
    pub(super) path: Cow<'a, str>,
}

impl Frame<'_> {
    /// The address of a file, which changes with its content.
    fn asset(&self, name: &str) -> String {
        assets::address(name)
    }

    /// The stylesheet, which stands in the page so that its first paint waits for no other file.
    fn style(&self) -> &'static str {
        assets::STYLE
    }
}

/// A sale as pages show it.
pub(super) struct SaleCard {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) price: String,
    pub(super) supply: u64,
    pub(super) available: u64,
    pub(super) supply_text: String,
    pub(super) available_text: String,
    pub(super) per_customer: Option<String>,
    pub(super) hold: String,
    pub(super) state: &'static str,
    /// What of the page belongs to it.
    shown: &'static str,
    /// Milliseconds since the Unix epoch, for the countdown.
    pub(super) opens_millis: i64,
    pub(super) opens_at: String,
    pub(super) opens_text: String,
    pub(super) now_millis: i64,
}

impl SaleCard {
    pub(super) fn new(sale: &Sale, now: Time, choice: &Choice) -> SaleCard {
        let language = choice.language;
        let units = |count: u64| price::count(count, language);
        SaleCard {
            id: sale.terms.id.clone(),
            title: sale.terms.title.clone(),
            price: price::format(&sale.terms.price_amount, &sale.terms.price_currency, language),
            supply: sale.counters.supply,
            available: sale.counters.available,
            supply_text: units(sale.counters.supply),
            available_text: units(sale.counters.available),
            per_customer: sale.terms.per_customer.map(|most| units(most.into())),
            hold: when::duration(sale.terms.hold_seconds, language),
            state: state(sale.state(now)),
            shown: if all_held(sale, now) { "all_held" } else { state(sale.state(now)) },
            opens_millis: sale.opens_at.map_or(0, Time::as_millis),
            opens_at: sale.opens_at.map(|time| timestamp(time).to_string()).unwrap_or_default(),
            opens_text: sale.opens_at.map(|time| when::moment(time, language)).unwrap_or_default(),
            now_millis: now.as_millis(),
        }
    }

    /// How a title is set that would fill the screen in the size of a short one.
    fn title_size(&self) -> Option<&'static str> {
        let longest = self.title.split_whitespace().map(|word| word.chars().count()).max();
        match (self.title.chars().count(), longest.unwrap_or(0)) {
            (61.., _) | (_, 25..) => Some("longest"),
            (29.., _) | (_, 15..) => Some("long"),
            _ => None,
        }
    }

    /// Attribute that hides what belongs to something else than `part`.
    fn hidden_unless(&self, part: &str) -> &'static str {
        if self.shown == part { "" } else { "hidden" }
    }
}

/// An order as its buyer sees it.
pub(super) struct OrderCard {
    pub(super) number: String,
    /// The address of its receipt.
    pub(super) path: String,
    pub(super) quantity: String,
    /// In words.
    pub(super) status: &'static str,
    pub(super) is_held: bool,
    pub(super) is_confirmed: bool,
    /// Milliseconds since the Unix epoch, for the time left.
    pub(super) expires_millis: i64,
    pub(super) expires_at: String,
    pub(super) expires_text: String,
}

impl OrderCard {
    pub(super) fn new(order: &Order, sale: &str, choice: &Choice) -> OrderCard {
        let expires = order.expires_at;
        OrderCard {
            number: order.id.to_string(),
            path: format!("/s/{sale}/orders/{}", order.id),
            quantity: price::count(order.quantity.into(), choice.language),
            status: choice.text().status(order.status),
            is_held: order.status == OrderStatus::Held,
            is_confirmed: order.status == OrderStatus::Confirmed,
            expires_millis: expires.map_or(0, Time::as_millis),
            expires_at: expires.map(|time| timestamp(time).to_string()).unwrap_or_default(),
            expires_text: expires.map(|at| when::moment(at, choice.language)).unwrap_or_default(),
        }
    }
}

/// Whether nothing is left but holds, of which some may come back.
pub(super) fn all_held(sale: &Sale, now: Time) -> bool {
    sale.state(now) == SaleState::SoldOut && sale.counters.held > 0
}

const fn state(state: SaleState) -> &'static str {
    match state {
        SaleState::Scheduled => "scheduled",
        SaleState::Open => "open",
        SaleState::Paused => "paused",
        SaleState::SoldOut => "sold_out",
        SaleState::Closed => "closed",
    }
}

/// The page of a sale.
#[derive(Template)]
#[template(path = "buy.html")]
pub(super) struct BuyPage<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) sale: SaleCard,
    pub(super) others: Vec<&'a SaleTerms>,
    /// What the visitor holds, the latest.
    pub(super) held: Option<OrderCard>,
    /// What the visitor bought, the latest.
    pub(super) bought: Option<OrderCard>,
    pub(super) at_limit: bool,
    /// `refused` has said so already.
    pub(super) told_limit: bool,
    pub(super) refused: Option<&'static str>,
    /// Idempotency key of the order that this page can make.
    pub(super) key: String,
}

/// What a buyer keeps.
#[derive(Template)]
#[template(path = "receipt.html")]
pub(super) struct ReceiptPage<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) sale: SaleCard,
    pub(super) order: OrderCard,
    pub(super) title: &'static str,
    pub(super) message: &'static str,
    pub(super) refused: Option<&'static str>,
}

/// A visitor's orders of a sale.
#[derive(Template)]
#[template(path = "orders.html")]
pub(super) struct OrdersPage<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) sale: SaleCard,
    pub(super) orders: Vec<OrderCard>,
    /// The sequence after which the next page begins.
    pub(super) next: Option<u64>,
}

/// A form to send again.
#[derive(Template)]
#[template(path = "again.html")]
pub(super) struct AgainPage<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) title: &'static str,
    pub(super) message: &'static str,
    pub(super) method: &'static str,
    pub(super) action: &'a str,
    pub(super) fields: &'a [(&'a str, &'a str)],
    pub(super) wait_seconds: u32,
}

/// A few words.
#[derive(Template)]
#[template(path = "message.html")]
pub(super) struct MessagePage<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) title: &'static str,
    pub(super) message: &'static str,
    /// Whether there is a page to go back to.
    pub(super) leads_back: bool,
}

/// A page as a reply, with its headers and cookies.
pub(super) fn page(
    page: &impl Template,
    status: StatusCode,
    choice: &Choice,
    visitor: Option<Visitor>,
) -> Response {
    rendered(page, status, choice, visitor).map(Body::from)
}

/// The same as text.
pub(super) fn rendered(
    page: &impl Template,
    status: StatusCode,
    choice: &Choice,
    visitor: Option<Visitor>,
) -> Response<String> {
    // Writing to a string can't fail.
    let mut response = Response::new(page.render().unwrap_or_default());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    guard_page(headers);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(choice.text().tag));
    headers.insert(header::VARY, HeaderValue::from_static("accept-language, cookie"));
    for cookie in
        [choice.cookie(), visitor.and_then(|visitor| visitor.new_cookie)].into_iter().flatten()
    {
        headers.append(header::SET_COOKIE, cookie);
    }
    response
}
