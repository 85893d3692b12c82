//! What every page of the operator has around it, and the reply that carries it.

use super::assets;
use super::session::Session;
use super::text::{self, Text};
use crate::headers::guard_page;
use crate::ids;
use crate::pages::language::{Choice, Language};
use crate::pages::price;
use crate::problem::Fault;
use crate::state::App;
use askama::Template;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use kilat_api::sale::Price;
use std::borrow::Borrow;

/// One reply: its language, its frame.
pub(super) struct Page {
    pub(super) text: &'static Text,
    pub(super) language: Language,
    /// The way to the other language.
    pub(super) path: String,
    pub(super) node: String,
    /// Of the session; empty for strangers.
    pub(super) form_token: String,
    choice: Choice,
}

impl Page {
    pub(super) fn new(
        app: &App,
        headers: &HeaderMap,
        uri: &Uri,
        session: Option<&Session>,
    ) -> Page {
        let choice = Choice::of(headers, uri);
        Page {
            text: text::of(choice.language),
            language: choice.language,
            path: uri.path().to_owned(),
            node: app.node.to_string(),
            form_token: session.map(|session| session.form_token.clone()).unwrap_or_default(),
            choice,
        }
    }

    /// The address of a file, which changes with its content.
    pub(super) fn asset(&self, name: &str) -> String {
        assets::address(name)
    }

    /// A new idempotency key for a form.
    pub(super) fn key(&self) -> String {
        ids::hex(ids::random_bits())
    }

    pub(super) fn is_signed_in(&self) -> bool {
        !self.form_token.is_empty()
    }

    /// A whole number as people write it.
    pub(super) fn number(&self, number: impl Borrow<u64>) -> String {
        price::count(*number.borrow(), self.language)
    }

    /// A price as people write it.
    pub(super) fn price(&self, price: &Price) -> String {
        price::format(&price.amount, &price.currency, self.language)
    }

    /// `template` as a reply.
    pub(super) fn reply(&self, template: &impl Template, status: StatusCode) -> Response {
        // Writing to a string can't fail.
        let mut response = Response::new(Body::from(template.render().unwrap_or_default()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        guard_page(headers);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(self.text.tag));
        headers.insert(header::VARY, HeaderValue::from_static("accept-language, cookie"));
        if let Some(cookie) = self.choice.cookie() {
            headers.append(header::SET_COOKIE, cookie);
        }
        response
    }

    /// Why something was not done.
    pub(super) fn refuse(&self, fault: &Fault) -> Response {
        let code = fault.code();
        let status =
            StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let title = if status == StatusCode::NOT_FOUND {
            self.text.not_found_title
        } else {
            self.text.refused_title
        };
        let message = self.text.refusal(code);
        self.reply(&MessagePage { page: self, title, message, code: code.as_str() }, status)
    }
}

/// A few words.
#[derive(Template)]
#[template(path = "ops_message.html")]
struct MessagePage<'a> {
    page: &'a Page,
    title: &'static str,
    message: &'static str,
    code: &'static str,
}

/// A redirect that turns a POST into a GET.
pub(super) fn see(place: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(place) = HeaderValue::from_str(place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    guard_page(response.headers_mut());
    response
}
