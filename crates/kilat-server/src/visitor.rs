//! Visitors of the buy page, known by a signed cookie.
//!
//! A visitor's id has a prefix that API callers can't claim, so nobody can act
//! for a visitor without the cookie, and the cookie can't be made without the key.

use crate::ids;
use axum::http::{HeaderMap, HeaderValue, header};
use kilat_api::text::VISITOR_PREFIX;

const COOKIE: &str = "kilat_visitor";
/// Set with a visitor's first order. It proves nothing: without it a page doesn't ask the ledger
/// for orders, so that a crowd of those who have none never gets there.
const ORDERS_COOKIE: &str = "kilat_orders";
/// How long a browser keeps the cookie, in seconds: one year.
const COOKIE_SECONDS: u32 = 365 * 24 * 3600;
const KEY_CONTEXT: &str = "kilat 2026-11-21 visitor cookie";
const ID_DIGITS: usize = 32;

/// Signs visitors' cookies and reads them back.
pub(crate) struct VisitorKey {
    key: [u8; blake3::KEY_LEN],
    secure: bool,
}

/// Somebody who looks at the page.
pub(crate) struct Visitor {
    /// The customer id: `visitor:` and 32 hexadecimal digits.
    pub(crate) id: String,
    /// The cookie to set, when the browser brought none that is genuine.
    pub(crate) new_cookie: Option<HeaderValue>,
    /// Whether the visitor may have orders.
    pub(crate) has_orders: bool,
}

impl VisitorKey {
    pub(crate) fn derive(secret: &[u8], secure: bool) -> Self {
        VisitorKey { key: blake3::derive_key(KEY_CONTEXT, secret), secure }
    }

    /// The visitor whom the cookie names, or a new one.
    pub(crate) fn visitor(&self, headers: &HeaderMap) -> Visitor {
        let known = cookies(headers, COOKIE).find_map(|value| self.read(value));
        match known {
            Some(id) => Visitor {
                id: id.to_owned(),
                new_cookie: None,
                has_orders: cookies(headers, ORDERS_COOKIE).next().is_some(),
            },
            None => self.welcome(),
        }
    }

    /// The cookie which says that its visitor may have orders.
    pub(crate) fn orders_cookie(&self) -> Option<HeaderValue> {
        self.cookie(ORDERS_COOKIE, "1")
    }

    fn welcome(&self) -> Visitor {
        let id = format!("{VISITOR_PREFIX}{}", ids::hex(ids::random_bits()));
        let mac = self.mac(&id).to_hex();
        let new_cookie = self.cookie(COOKIE, &format!("{id}.{mac}"));
        Visitor { new_cookie, id, has_orders: false }
    }

    fn cookie(&self, name: &str, value: &str) -> Option<HeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let cookie = format!(
            "{name}={value}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Lax{secure}"
        );
        HeaderValue::from_str(&cookie).ok()
    }

    fn read<'a>(&self, value: &'a str) -> Option<&'a str> {
        let (id, mac) = value.split_once('.')?;
        let digits = id.strip_prefix(VISITOR_PREFIX)?;
        let mac = blake3::Hash::from_hex(mac).ok()?;
        // `blake3::Hash` compares in constant time.
        (digits.len() == ID_DIGITS && mac == self.mac(id)).then_some(id)
    }

    fn mac(&self, id: &str) -> blake3::Hash {
        blake3::keyed_hash(&self.key, id.as_bytes())
    }
}

/// The values of every cookie called `name`.
pub(crate) fn cookies<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(move |pair| {
            pair.trim().split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_cookie(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::COOKIE,
            HeaderValue::from_str(&format!("a=b; {COOKIE}={value}; c=d")).unwrap(),
        );
        headers
    }

    #[test]
    fn only_a_genuine_cookie_names_a_visitor() {
        let key = VisitorKey::derive(b"secret", false);
        let visitor = key.visitor(&HeaderMap::new());
        let value = format!("{}.{}", visitor.id, key.mac(&visitor.id).to_hex());
        assert_eq!(key.visitor(&with_cookie(&value)).id, visitor.id);
        let other = VisitorKey::derive(b"another", false);
        assert_ne!(other.visitor(&with_cookie(&value)).id, visitor.id);
        let swapped = format!("visitor:{}.{}", "0".repeat(32), key.mac(&visitor.id).to_hex());
        for forged in ["", "x", &visitor.id, &format!("{value}0"), &swapped] {
            let replaced = key.visitor(&with_cookie(forged));
            assert!(replaced.new_cookie.is_some() && replaced.id != visitor.id, "{forged}");
        }
    }

    #[test]
    fn the_cookie_is_out_of_reach_for_scripts_and_other_sites() {
        let cookie = |secure| {
            let visitor = VisitorKey::derive(b"s", secure).visitor(&HeaderMap::new());
            visitor.new_cookie.unwrap().to_str().unwrap().to_owned()
        };
        assert!(cookie(false).contains("; HttpOnly; SameSite=Lax"));
        assert!(!cookie(false).contains("Secure"));
        assert!(cookie(true).ends_with("; Secure"));
    }
}
