//! Styles and scripts of the operator's pages, built into the binary.
//!
//! An address carries a hash of its content, so browsers may keep a file for good.

use crate::problem::Fault;
use axum::extract::{Path, RawQuery};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use kilat_api::problem::Code;
use std::sync::LazyLock;

struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
    version: String,
}

const HASH_DIGITS: usize = 16;
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! assets {
    ($($name:literal $kind:expr;)*) => {
        static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| vec![
            $(load($name, $kind, include_str!(concat!("../../../../web/assets/", $name))),)*
        ]);
    };
}

assets! {
    "ops.css" STYLE;
    "ops.js" SCRIPT;
    "ops-charts.js" SCRIPT;
    "ops-icon.svg" "image/svg+xml";
    "uplot/uPlot.iife.min.js" SCRIPT;
    "uplot/uPlot.min.css" STYLE;
}

fn load(name: &'static str, kind: &'static str, content: &'static str) -> Asset {
    let version = blake3::hash(content.as_bytes()).to_hex()[..HASH_DIGITS].to_owned();
    Asset { name, kind, content, version }
}

/// The address of a file.
pub(super) fn address(name: &str) -> String {
    let version = ASSETS.iter().find(|asset| asset.name == name).map_or("", |asset| &asset.version);
    format!("/ops/assets/{name}?v={version}")
}

/// A file of these pages; nothing in them is secret.
pub(super) async fn asset(Path(name): Path<String>, RawQuery(query): RawQuery) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return Fault::new(Code::NotFound).into_response();
    };
    let exact = query.as_deref().and_then(|query| query.strip_prefix("v=")) == Some(&asset.version);
    let keep = if exact { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = Response::new(asset.content.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
