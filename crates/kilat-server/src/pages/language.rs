//! Which language a page is in: the switch, then the browser's wish, then Indonesian.

use super::text::{ENGLISH, INDONESIAN, Text};
use crate::visitor::cookies;
use axum::http::{HeaderMap, HeaderValue, Uri, header};

const COOKIE: &str = "kilat_lang";
/// How long the switch is remembered, in seconds: one year.
const COOKIE_SECONDS: u32 = 365 * 24 * 3600;

/// A language that pages are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Indonesian,
    English,
}

/// The language of one reply.
pub(crate) struct Choice {
    pub(crate) language: Language,
    /// The visitor has just used the switch: remember it.
    switched: bool,
}

impl Choice {
    pub(crate) fn of(headers: &HeaderMap, uri: &Uri) -> Choice {
        if let Some(language) = uri.query().and_then(switch) {
            return Choice { language, switched: true };
        }
        let remembered = cookies(headers, COOKIE).find_map(Language::named);
        let wished =
            || headers.get(header::ACCEPT_LANGUAGE).and_then(|value| wish(value.to_str().ok()?));
        let language = remembered.or_else(wished).unwrap_or(Language::Indonesian);
        Choice { language, switched: false }
    }

    pub(super) fn text(&self) -> &'static Text {
        match self.language {
            Language::Indonesian => &INDONESIAN,
            Language::English => &ENGLISH,
        }
    }

    /// The cookie that remembers the switch.
    pub(crate) fn cookie(&self) -> Option<HeaderValue> {
        let tag = self.text().tag;
        let cookie = format!("{COOKIE}={tag}; Path=/; Max-Age={COOKIE_SECONDS}; SameSite=Lax");
        self.switched.then(|| HeaderValue::from_str(&cookie).ok()).flatten()
    }
}

impl Language {
    /// By the first part of a language tag; `in` is the old code of Indonesian.
    fn named(tag: &str) -> Option<Language> {
        match tag.split('-').next()?.trim().to_ascii_lowercase().as_str() {
            "id" | "in" => Some(Language::Indonesian),
            "en" => Some(Language::English),
            _ => None,
        }
    }
}

fn switch(query: &str) -> Option<Language> {
    query.split('&').find_map(|pair| Language::named(pair.strip_prefix("lang=")?))
}

/// The best of `Accept-Language` (RFC 9110, section 12.5.4); among equals, the first.
fn wish(header: &str) -> Option<Language> {
    let weighed = header.split(',').filter_map(|part| {
        let (tag, weight) = part.split_once(";q=").unwrap_or((part, "1"));
        let weight: f32 = weight.trim().parse().ok().filter(|weight| *weight > 0.0)?;
        Some((Language::named(tag)?, weight))
    });
    weighed
        .fold(None, |best: Option<(Language, f32)>, next| {
            best.filter(|best| best.1 >= next.1).or(Some(next))
        })
        .map(|best| best.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_comes_first_then_the_cookie_then_the_browser_then_indonesian() {
        let cases = [
            ("/", "", "", Language::Indonesian),
            ("/", "", "en-US,en;q=0.9,id;q=0.8", Language::English),
            ("/", "", "en;q=0.1, id;q=0.8", Language::Indonesian),
            ("/", "", "fr, de;q=0.5", Language::Indonesian),
            ("/", "", "fr, en;q=0.5", Language::English),
            ("/", "", "en;q=0", Language::Indonesian),
            ("/", "kilat_lang=en", "id", Language::English),
            ("/?lang=id", "kilat_lang=en", "en", Language::Indonesian),
            ("/?lang=xx", "", "en", Language::English),
        ];
        for (uri, cookie, accept, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, cookie.parse().unwrap());
            headers.insert(header::ACCEPT_LANGUAGE, accept.parse().unwrap());
            let choice = Choice::of(&headers, &uri.parse().unwrap());
            assert_eq!(choice.language, expected, "{uri} {cookie} {accept}");
        }
    }
}
