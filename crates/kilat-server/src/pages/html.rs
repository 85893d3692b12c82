//! The templates, what they show, and the reply around a page.

use super::assets;
use super::language::{Choice, Language};
use super::price::{self, grouped};
use super::text::Text;
use crate::headers::guard_page;
use crate::render::timestamp;
use crate::visitor::Visitor;
use askama::Template;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use kilat_engine::{Sale, SaleState, SaleTerms, Time};

/// What every page has around it.
pub(super) struct Frame<'a> {
    pub(super) node: &'a str,
    pub(super) text: &'static Text,
    /// Where the language switch leads.
    pub(super) path: &'a str,
}

impl Frame<'_> {
    /// The address of a file, which changes with its content.
    fn asset(&self, name: &str) -> String {
        assets::address(name)
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
    pub(super) per_customer: Option<u32>,
    pub(super) state: &'static str,
    /// Milliseconds since the Unix epoch, for the countdown.
    pub(super) opens_millis: i64,
    pub(super) opens_text: String,
    pub(super) now_millis: i64,
}

impl SaleCard {
    pub(super) fn new(sale: &Sale, now: Time, language: Language) -> SaleCard {
        let separator = if language == Language::Indonesian { '.' } else { ',' };
        let units = |count: u64| grouped(&count.to_string(), separator);
        SaleCard {
            id: sale.terms.id.clone(),
            title: sale.terms.title.clone(),
            price: price::format(&sale.terms.price_amount, &sale.terms.price_currency, language),
            supply: sale.counters.supply,
            available: sale.counters.available,
            supply_text: units(sale.counters.supply),
            available_text: units(sale.counters.available),
            per_customer: sale.terms.per_customer,
            state: state(sale.state(now)),
            opens_millis: sale.opens_at.map_or(0, Time::as_millis),
            opens_text: sale.opens_at.map(|time| timestamp(time).to_string()).unwrap_or_default(),
            now_millis: now.as_millis(),
        }
    }

    /// Attribute that hides what belongs to another state.
    fn hidden_unless(&self, state: &str) -> &'static str {
        if self.state == state { "" } else { "hidden" }
    }
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
    pub(super) number: String,
    pub(super) quantity: u32,
    pub(super) status: &'static str,
}

/// A few words.
#[derive(Template)]
#[template(path = "message.html")]
pub(super) struct MessagePage<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) title: &'static str,
    pub(super) message: &'static str,
}

/// A page as a reply, with its headers and cookies.
pub(super) fn page(
    page: &impl Template,
    status: StatusCode,
    choice: &Choice,
    visitor: Option<Visitor>,
) -> Response {
    // Writing to a string can't fail.
    let mut response = Response::new(Body::from(page.render().unwrap_or_default()));
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
