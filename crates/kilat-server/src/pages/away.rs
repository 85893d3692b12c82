//! What a gateway shows a person when no server of its could answer: the same form once more.
//!
//! Each form carries a key of its own, so sending it again has one effect. Must never know a server.

use super::form::comes_from_here;
use super::html::{self, AgainPage, Frame};
use super::language::Choice;
use super::{RETRY_AFTER_SECONDS, near};
use crate::limits::FORM_BODY_BYTES_MAX;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::Response;
use std::borrow::Cow;

/// A request that reached nobody.
pub(crate) struct Lost<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    /// The body, if all of it is there.
    pub(crate) body: &'a [u8],
}

/// Whether a person asks, who would not know what to do with a problem document.
pub(crate) fn is_person(headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepts.is_some_and(|kinds| kinds.contains("text/html"))
}

/// The page, in the name of `node`.
pub(crate) fn page(lost: &Lost<'_>, node: &str, status: StatusCode) -> Response<String> {
    let choice = Choice::of(lost.headers, lost.uri);
    let (text, path) = (choice.text(), lost.uri.path());
    let fields = lost.fields();
    let (message, method, action) = match &fields {
        Some(_) => (text.away_form, "post", path),
        None => (text.away, "get", near(path)),
    };
    let fields: Vec<(&str, &str)> =
        fields.iter().flatten().map(|(name, value)| (&**name, &**value)).collect();
    let page = AgainPage {
        frame: Frame { node, text, path: Cow::Borrowed(near(path)) },
        title: text.away_title,
        message,
        method,
        action,
        fields: &fields,
        wait_seconds: RETRY_AFTER_SECONDS,
    };
    html::rendered(&page, status, &choice, None)
}

impl Lost<'_> {
    /// The fields of a form that may be sent again. One from another site is not: pressing our
    /// button would make it one of ours. Nor is one with a token in it, which is typed again.
    fn fields(&self) -> Option<Vec<(Cow<'_, str>, Cow<'_, str>)>> {
        let kind = self.headers.get(header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
        let is_form = kind.starts_with(b"application/x-www-form-urlencoded");
        let is_ours = *self.method == Method::POST && comes_from_here(self.headers);
        let is_small = self.body.len() <= FORM_BODY_BYTES_MAX;
        let is_known = matches!(self.uri.path().as_bytes(), [b'/', b'a'..=b'z', ..]);
        if !is_form || !is_ours || !is_small || !is_known || self.uri.path() == "/ops/sign-in" {
            return None;
        }
        serde_urlencoded::from_bytes(self.body).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(method: &Method, path: &str, headers: &[(&str, &str)], body: &str) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = header::HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.insert(name, value.parse().unwrap());
        }
        let uri = path.parse().unwrap();
        let lost = Lost { method, uri: &uri, headers: &map, body: body.as_bytes() };
        page(&lost, "gateway-1", StatusCode::SERVICE_UNAVAILABLE).into_body()
    }

    #[test]
    fn a_form_can_be_sent_again_and_only_one_of_ours() {
        let form = ("content-type", "application/x-www-form-urlencoded");
        let here = ("sec-fetch-site", "same-origin");
        let there = ("sec-fetch-site", "cross-site");
        let body = "sale=s&key=k%22%3E&hold=true";
        let again = "action=\"/buy\"";
        let table = [
            ("/buy", &[form, here][..], body, true),
            ("/buy", &[form, there], body, false),
            ("/buy", &[here], body, false),
            ("/ops/sign-in", &[form, here], "token=t", false),
            ("//evil.example/buy", &[form, here], body, false),
            ("/buy", &[form, here], &"x".repeat(FORM_BODY_BYTES_MAX + 1), false),
        ];
        for (path, headers, body, is_sent_again) in table {
            let page = shown(&Method::POST, path, headers, body);
            assert_eq!(page.contains(again), is_sent_again, "{path} {headers:?}");
            assert_eq!(page.contains("method=\"post\""), is_sent_again, "{path} {headers:?}");
            assert!(!page.contains("name=\"token\""), "{path}");
        }
        let page = shown(&Method::POST, "/buy", &[form, here], body);
        assert!(page.contains("name=\"sale\" value=\"s\""), "{page}");
        assert!(page.contains("name=\"key\" value=\"k&#34;&#62;\""), "{page}");
        assert!(page.contains("name=\"hold\" value=\"true\""), "{page}");
    }

    #[test]
    fn a_page_is_asked_for_again_in_the_language_of_its_reader() {
        let english = shown(&Method::GET, "/s/x", &[("accept-language", "en")], "");
        assert!(english.contains("Back in a moment") && english.contains("action=\"/s/x\""));
        let indonesian = shown(&Method::GET, "/s/x", &[], "");
        assert!(indonesian.contains("lang=\"id\"") && indonesian.contains("Sebentar lagi kembali"));
    }
}
