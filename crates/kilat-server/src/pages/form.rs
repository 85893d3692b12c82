//! The buy form: its fields, and whether it was posted from our own page.

use crate::body::malformed;
use crate::problem::Fault;
use axum::http::{HeaderMap, Uri, header};
use kilat_api::problem::Code;
use kilat_api::schema;
use kilat_api::text::{is_idempotency_key, is_sale_id};
use serde::Deserialize;
use utoipa::ToSchema;

/// What the button posts. The customer is the visitor; quantity and price are the sale's.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BuyForm {
    /// The sale's id.
    #[schema(value_type = schema::SaleId)]
    pub(super) sale: String,
    /// One key an intent, made with the page.
    #[schema(value_type = schema::IdempotencyKey)]
    pub(super) key: String,
    /// Hold the unit for the sale's `hold_seconds` instead of buying it at once.
    #[serde(default)]
    pub(super) hold: bool,
}

impl BuyForm {
    /// Reads the form; a missing, unknown or unreadable field is refused.
    pub(super) fn read(bytes: &[u8]) -> Result<BuyForm, Fault> {
        let form: BuyForm =
            serde_urlencoded::from_bytes(bytes).map_err(|error| malformed(error.to_string()))?;
        if !is_sale_id(&form.sale) {
            return Err(Code::SaleNotFound.into());
        }
        if !is_idempotency_key(&form.key) {
            return Err(malformed(
                "the key must be 1 to 255 printable ASCII characters".to_owned(),
            ));
        }
        Ok(form)
    }
}

/// The form of a button that says all by its address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoFields {}

impl NoFields {
    /// Any field at all is refused.
    pub(super) fn read(bytes: &[u8]) -> Result<NoFields, Fault> {
        serde_urlencoded::from_bytes(bytes).map_err(|error| malformed(error.to_string()))
    }
}

/// Whether a POST comes from a page of this site.
///
/// Browsers say so in `Sec-Fetch-Site`; older ones send an `Origin` that must
/// be our own host. Programs send neither, and no cookie of a victim either.
pub(crate) fn comes_from_here(headers: &HeaderMap) -> bool {
    let value =
        |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    if let Some(site) = headers.get("sec-fetch-site") {
        return matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    if !headers.contains_key(header::ORIGIN) {
        return true;
    }
    let origin =
        value(header::ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    origin.is_some() && origin == value(header::HOST)
}

/// The refusal that a redirect brought along, if it is one.
pub(super) fn refused(uri: &Uri) -> Option<Code> {
    let code = parameter(uri, "refused").and_then(Code::from_code)?;
    (code.status() == 409 || code == Code::KeyReused).then_some(code)
}

/// The sequence after which a list goes on; what can't be one is none.
pub(super) fn after(uri: &Uri) -> u64 {
    parameter(uri, "after").and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn parameter<'a>(uri: &'a Uri, wanted: &str) -> Option<&'a str> {
    let mut pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
}
