//! Who is signed in: a cookie that only holders of the shared secret can make.
//!
//! Its key comes from the secret *and* the admin token, so a new token ends every session. Nothing
//! is kept in memory: any replica knows any replica's sessions. Must never know a route.

use crate::ids;
use crate::visitor::cookies;
use axum::http::{HeaderMap, HeaderValue};
use std::time::Duration;

const COOKIE: &str = "kilat_ops";
const KEY_CONTEXT: &str = "kilat 2026-11-21 operator session";
/// How long one signs in for: a long shift.
pub(super) const SESSION: Duration = Duration::from_secs(8 * 3600);

/// Makes and reads sessions.
pub(crate) struct SessionKey {
    key: [u8; blake3::KEY_LEN],
    secure: bool,
    /// How long a session lasts.
    seconds: u64,
}

/// Somebody who showed the admin token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// What forms carry to show that they were made for this session.
    pub(crate) form_token: String,
    /// When it ends, in seconds since 1970.
    pub(super) until: u64,
}

impl SessionKey {
    /// `admin` is the hash of the admin token.
    pub(crate) fn derive(
        secret: &[u8],
        admin: &blake3::Hash,
        secure: bool,
        lasts: Duration,
    ) -> SessionKey {
        let material = [secret, admin.as_bytes()].concat();
        let key = blake3::derive_key(KEY_CONTEXT, &material);
        SessionKey { key, secure, seconds: lasts.as_secs() }
    }

    /// The cookie of a new session that begins `now`, in seconds since 1970.
    pub(super) fn begin(&self, now: u64) -> HeaderValue {
        let said = format!("{}.{}", now + self.seconds, ids::hex(ids::random_bits()));
        let value = format!("{said}.{}", self.mac("session", &said).to_hex());
        self.cookie(&value, self.seconds)
    }

    /// The cookie that ends a session.
    pub(super) fn end(&self) -> HeaderValue {
        self.cookie("", 0)
    }

    fn cookie(&self, value: &str, seconds: u64) -> HeaderValue {
        let secure = if self.secure { "; Secure" } else { "" };
        let cookie = format!(
            "{COOKIE}={value}; Path=/ops; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
        );
        // Digits, dots and the words above are visible ASCII.
        HeaderValue::from_str(&cookie).unwrap_or(HeaderValue::from_static("kilat_ops="))
    }

    /// The session that the request's cookie names, if it is genuine and not over.
    pub(super) fn session(&self, headers: &HeaderMap, now: u64) -> Option<Session> {
        cookies(headers, COOKIE).find_map(|value| self.read(value, now))
    }

    fn read(&self, value: &str, now: u64) -> Option<Session> {
        let (said, mac) = value.rsplit_once('.')?;
        let mac = blake3::Hash::from_hex(mac).ok()?;
        // `blake3::Hash` compares in constant time.
        if mac != self.mac("session", said) {
            return None;
        }
        let until: u64 = said.split_once('.')?.0.parse().ok()?;
        let form_token = self.mac("form", said).to_hex().to_string();
        (now < until).then_some(Session { form_token, until })
    }

    fn mac(&self, purpose: &str, said: &str) -> blake3::Hash {
        blake3::keyed_hash(&self.key, format!("{purpose}.{said}").as_bytes())
    }
}

impl Session {
    /// Whether a form was made for this session; in constant time.
    pub(super) fn made(&self, form_token: &str) -> bool {
        let hash = |text: &str| blake3::hash(text.as_bytes());
        hash(form_token) == hash(&self.form_token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header;

    fn key(secret: &[u8], token: &str) -> SessionKey {
        SessionKey::derive(secret, &blake3::hash(token.as_bytes()), false, SESSION)
    }

    fn value(cookie: &HeaderValue) -> String {
        cookie.to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    fn with(cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_str(cookie).unwrap());
        headers
    }

    #[test]
    fn a_session_is_known_wherever_secret_and_token_are_and_ends_in_time() {
        let cookie = value(&key(b"s", "token").begin(100));
        let table = [
            (key(b"s", "token"), 100, true),
            (key(b"s", "token"), 100 + SESSION.as_secs() - 1, true),
            (key(b"s", "token"), 100 + SESSION.as_secs(), false),
            (key(b"t", "token"), 100, false),
            (key(b"s", "new token"), 100, false),
        ];
        for (number, (key, now, known)) in table.into_iter().enumerate() {
            assert_eq!(key.session(&with(&cookie), now).is_some(), known, "{number}");
        }
    }

    #[test]
    fn no_byte_of_a_session_can_be_changed() {
        let key = key(b"s", "token");
        let cookie = value(&key.begin(100));
        for place in "kilat_ops=".len()..cookie.len() {
            let mut forged = cookie.clone().into_bytes();
            forged[place] = if forged[place] == b'1' { b'2' } else { b'1' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(key.session(&with(&forged), 100), None, "{forged}");
        }
        for forged in ["kilat_ops=", "kilat_ops=.", "kilat_ops=9999999999999..", "kilat_ops=a.b.c"]
        {
            assert_eq!(key.session(&with(forged), 100), None, "{forged}");
        }
    }

    #[test]
    fn a_form_belongs_to_one_session() {
        let key = key(b"s", "token");
        let [one, two] = [0, 0].map(|_| key.session(&with(&value(&key.begin(100))), 100).unwrap());
        assert!(one.made(&one.form_token));
        assert!(!one.made(&two.form_token) && !one.made(""));
    }

    #[test]
    fn the_cookie_is_out_of_reach_for_scripts_and_other_sites() {
        let cookie = |secure| {
            let key = SessionKey::derive(b"s", &blake3::hash(b"t"), secure, SESSION);
            key.begin(0).to_str().unwrap().to_owned()
        };
        assert!(cookie(false).ends_with("; Path=/ops; Max-Age=28800; HttpOnly; SameSite=Strict"));
        assert!(cookie(true).ends_with("; HttpOnly; SameSite=Strict; Secure"));
    }
}
