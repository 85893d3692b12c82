//! Styles, scripts and artwork, built into the binary.
//!
//! A file's address carries a hash of its content, so browsers may keep it for good.

use crate::problem::Fault;
use axum::body::Body;
use axum::extract::RawQuery;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use kilat_api::problem::Code;
use sha2::{Digest as _, Sha256};
use std::sync::LazyLock;

struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
    version: String,
    etag: HeaderValue,
}

const HASH_DIGITS: usize = 16;

/// What every page looks like. It stands in the pages themselves.
pub(super) const STYLE: &str = include_str!("../../../../web/assets/kilat.css");

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        load("kilat.css", "text/css; charset=utf-8", STYLE),
        load(
            "sale.js",
            "text/javascript; charset=utf-8",
            include_str!("../../../../web/assets/sale.js"),
        ),
        load("icon.svg", "image/svg+xml", include_str!("../../../../web/assets/icon.svg")),
    ]
});

fn load(name: &'static str, kind: &'static str, content: &'static str) -> Asset {
    let version = blake3::hash(content.as_bytes()).to_hex()[..HASH_DIGITS].to_owned();
    // Quotes and hexadecimal digits are visible ASCII.
    let etag = HeaderValue::from_str(&format!("\"{version}\""))
        .unwrap_or(HeaderValue::from_static("\"0\""));
    Asset { name, kind, content, version, etag }
}

/// By what a policy knows [`STYLE`] (Content Security Policy Level 3, section 2.3.1).
pub(crate) fn style_hash() -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(STYLE)))
}

/// The address of a file.
pub(super) fn address(name: &str) -> String {
    let version = ASSETS.iter().find(|asset| asset.name == name).map_or("", |asset| &asset.version);
    format!("/assets/{name}?v={version}")
}

/// A style, script or picture of the pages
///
/// Under its address with the version it may be kept for good.
#[utoipa::path(
    get,
    path = "/assets/{file}",
    tag = "Operations",
    operation_id = "asset",
    params(("file" = String, Path, example = json!("kilat.css"))),
    responses(
        (status = 200, description = "The file.", headers(("etag" = String)), content(
            (String = "text/css; charset=utf-8"), (String = "text/javascript; charset=utf-8"),
            (String = "image/svg+xml"),
        )),
        (status = 304, description = "The caller has it already.", headers(("etag" = String))),
    ),
)]
pub(crate) async fn asset(uri: Uri, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let name = uri.path().trim_start_matches("/assets/");
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return Fault::new(Code::NotFound).into_response();
    };
    let known = headers.get(header::IF_NONE_MATCH) == Some(&asset.etag);
    let mut response = Response::new(if known { Body::empty() } else { Body::from(asset.content) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let exact = query.as_deref().and_then(|query| query.strip_prefix("v=")) == Some(&asset.version);
    let keep = if exact { "public, max-age=31536000, immutable" } else { "public, no-cache" };
    let set = response.headers_mut();
    set.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    set.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    set.insert(header::ETAG, asset.etag.clone());
    set.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
