//! The page at `/docs` with everything it loads, built into the binary.
//!
//! Nothing is fetched from elsewhere, and nothing runs but these files.

use super::document::DOCUMENT;
use crate::headers::guard_page;
use crate::problem::Fault;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;
use kilat_api::problem::Code;
use std::borrow::Cow;
use std::io::Read;
use std::sync::{Arc, LazyLock};
use utoipa_swagger_ui::{Config, SwaggerFile};

/// As on other pages; Swagger UI's styles hold their pictures as `data:`.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; \
    frame-ancestors 'none'";
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Something that stays the same while the process runs.
struct File {
    kind: &'static str,
    content: Bytes,
    /// `content` is compressed with gzip.
    packed: bool,
    etag: HeaderValue,
}

static DESCRIPTION: LazyLock<File> =
    LazyLock::new(|| File::new("application/json", DOCUMENT.as_slice()));
static PAGE: LazyLock<File> =
    LazyLock::new(|| File::new(HTML, include_bytes!("../../../../web/docs/index.html")));
static FILES: LazyLock<[(&str, File); 4]> = LazyLock::new(|| {
    [
        ("docs.css", File::new(STYLE, include_bytes!("../../../../web/docs/docs.css"))),
        ("docs.js", File::new(SCRIPT, include_bytes!("../../../../web/docs/docs.js"))),
        ("swagger-ui.css", File::vendored(STYLE, "swagger-ui.css")),
        ("swagger-ui-bundle.js", File::vendored(SCRIPT, "swagger-ui-bundle.js")),
    ]
});

impl File {
    fn new(kind: &'static str, content: &'static [u8]) -> File {
        File::of(kind, Cow::Borrowed(content), false)
    }

    /// A file of Swagger UI.
    fn vendored(kind: &'static str, name: &str) -> File {
        let found = utoipa_swagger_ui::serve(name, Arc::new(Config::default()));
        match found.ok().flatten() {
            Some(SwaggerFile { bytes, gzpipped, .. }) => File::of(kind, bytes, gzpipped),
            None => File::new(kind, b""),
        }
    }

    fn of(kind: &'static str, content: Cow<'_, [u8]>, packed: bool) -> File {
        let etag = format!("\"{}\"", &blake3::hash(&content).to_hex()[..16]);
        // Quotes and hexadecimal digits are visible ASCII.
        let etag = HeaderValue::from_str(&etag).unwrap_or(HeaderValue::from_static("\"0\""));
        File { kind, content: content.into_owned().into(), packed, etag }
    }

    fn reply(&self, asked: &HeaderMap) -> Response {
        let known = asked.get(header::IF_NONE_MATCH) == Some(&self.etag);
        let as_it_is = !self.packed || takes_gzip(asked);
        let mut response = Response::new(match (known, as_it_is) {
            (true, _) => Body::empty(),
            (false, true) => Body::from(self.content.clone()),
            (false, false) => Body::from(unpack(&self.content)),
        });
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let set = response.headers_mut();
        guard_page(set);
        let policy = HeaderValue::from_static(CONTENT_SECURITY_POLICY);
        set.insert(header::CONTENT_SECURITY_POLICY, policy);
        set.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        set.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, no-cache"));
        set.insert(header::ETAG, self.etag.clone());
        if self.packed {
            set.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
            if as_it_is && !known {
                set.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
        }
        response
    }
}

/// For the rare caller that can't read gzip.
fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    // The build has packed it, and reading memory can't fail.
    let _ = GzDecoder::new(packed).read_to_end(&mut plain);
    plain
}

/// Whether gzip is among the accepted encodings (RFC 9110, section 12.5.3).
fn takes_gzip(asked: &HeaderMap) -> bool {
    let lines = asked.get_all(header::ACCEPT_ENCODING).iter();
    let mut encodings = lines.filter_map(|line| line.to_str().ok()).flat_map(|l| l.split(','));
    encodings.any(|encoding| {
        let (name, weight) = encoding.split_once(';').unwrap_or((encoding, "q=1"));
        let refused = weight.trim().strip_prefix("q=").and_then(|q| q.parse().ok()) == Some(0.0);
        matches!(name.trim(), "gzip" | "*") && !refused
    })
}

/// This description
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "Operations",
    operation_id = "openapi",
    responses(
        (status = 200, description = "OpenAPI 3.1.", body = Object, content_type = "application/json",
            headers(("etag" = String))),
        (status = 304, description = "The caller has it already.", headers(("etag" = String))),
    ),
)]
pub(crate) async fn openapi(asked: HeaderMap) -> Response {
    DESCRIPTION.reply(&asked)
}

/// This description, to read and to try
///
/// Needs nothing from elsewhere.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "Operations",
    operation_id = "docs",
    responses(
        (status = 200, description = "A page.", body = String, content_type = "text/html; charset=utf-8",
            headers(("etag" = String))),
        (status = 304, description = "The caller has it already.", headers(("etag" = String))),
    ),
)]
pub(crate) async fn page(asked: HeaderMap) -> Response {
    PAGE.reply(&asked)
}

/// A style or script of this page
#[utoipa::path(
    get,
    path = "/docs/{file}",
    tag = "Operations",
    operation_id = "docsFile",
    params(("file" = String, Path, example = json!("docs.js"))),
    responses(
        (status = 200, description = "The file.", headers(("etag" = String)), content(
            (String = "text/css; charset=utf-8"), (String = "text/javascript; charset=utf-8"),
        )),
        (status = 304, description = "The caller has it already.", headers(("etag" = String))),
    ),
)]
pub(crate) async fn file(uri: Uri, asked: HeaderMap) -> Response {
    let name = uri.path().trim_start_matches("/docs/");
    match FILES.iter().find(|(known, _)| *known == name) {
        Some((_, file)) => file.reply(&asked),
        None => Fault::new(Code::NotFound).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(accept: &str, expected: bool) {
        let mut asked = HeaderMap::new();
        asked.insert(header::ACCEPT_ENCODING, HeaderValue::from_str(accept).unwrap());
        assert_eq!(takes_gzip(&asked), expected, "{accept}");
    }

    #[test]
    fn gzip_is_sent_to_who_takes_it() {
        check("gzip, deflate, br, zstd", true);
        check("br;q=1.0, gzip;q=0.8", true);
        check("*", true);
        check("br", false);
        check("gzip;q=0", false);
        check("identity", false);
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
