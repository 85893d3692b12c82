//! Where a store is. Its URL may hold a password, so it is never shown as a whole.

use std::fmt;
use std::str::FromStr;

/// A store's URL, with the engine that its scheme names.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreAddress {
    /// `postgres://…` or `postgresql://…`, as libpq reads it.
    Postgres(String),
    /// `redis://…`, `rediss://…` and their relatives.
    Redis(String),
}

/// The URL has no scheme that names a store.
#[derive(Debug, thiserror::Error)]
#[error("{shown} is no address of a store: it must begin with postgres:// or redis://")]
pub struct StoreAddressError {
    shown: String,
}

impl StoreAddress {
    /// Whether a URL is one of a store, of whatever kind.
    #[must_use]
    pub fn is_one(url: &str) -> bool {
        url.parse::<StoreAddress>().is_ok()
    }

    fn url(&self) -> &str {
        match self {
            StoreAddress::Postgres(url) | StoreAddress::Redis(url) => url,
        }
    }
}

impl FromStr for StoreAddress {
    type Err = StoreAddressError;

    fn from_str(url: &str) -> Result<StoreAddress, StoreAddressError> {
        match url.split_once("://").map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => Ok(StoreAddress::Postgres(url.to_owned())),
            Some(scheme) if scheme.starts_with("redis") => Ok(StoreAddress::Redis(url.to_owned())),
            _ => Err(StoreAddressError { shown: without_secrets(url) }),
        }
    }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_secrets(self.url()))
    }
}

impl fmt::Debug for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Scheme, hosts and path: user, password and parameters may be secret. Of a URL that is not well
/// formed, so that nobody can say where its password ends, only the scheme.
pub(crate) fn without_secrets(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        // A secret can be in anything.
        return "…".to_owned();
    };
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let scheme = if scheme.chars().all(is_scheme) { scheme } else { "…" };
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    let path = tail.split(['?', '#']).next().unwrap_or_default();
    // With an @ behind it, what looks like a host is a user and the beginning of a password.
    if tail.contains('@') || !hosts.split(',').all(is_host) {
        return format!("{scheme}://…");
    }
    format!("{scheme}://{hosts}{path}")
}

/// Whether this is a host, with a port or without. What has a word for a port is a user.
fn is_host(host: &str) -> bool {
    let port = match host.rsplit_once(':') {
        Some((name, port)) if !name.ends_with(':') && !port.ends_with(']') => port,
        _ => "",
    };
    port.bytes().all(|digit| digit.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        for (url, shown) in [
            ("postgres://u:p%40@q@h:1,i:2/db?password=x", "postgres://h:1,i:2/db"),
            ("redis://:secret@h/0", "redis://h/0"),
            ("redis+sentinel://h:1/main#x", "redis+sentinel://h:1/main"),
            ("postgres://u:secret@[::1]:5432/db", "postgres://[::1]:5432/db"),
            ("postgres://u@localhost/db?host=/run", "postgres://localhost/db"),
            // Characters that a password can't have unescaped.
            ("postgres://u:sec/ret@h/db", "postgres://…"),
            ("postgres://u:sec?ret@h/db", "postgres://…"),
            ("postgres://u:sec#ret@h/db", "postgres://…"),
            ("postgres://h/db?password=sec@ret", "postgres://…"),
            ("postgres://u:secret/db", "postgres://…"),
            ("postgres://u:secret", "postgres://…"),
        ] {
            assert_eq!(url.parse::<StoreAddress>().map(|a| a.to_string()).ok(), Some(shown.into()));
        }
        let refused = "mysql://u:secret@h/d".parse::<StoreAddress>();
        let said = refused.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said.contains("mysql://h/d") && !said.contains("secret"), "{said}");
        for url in ["postgres:u:secret@h/d", "u:secret@h", "secret"] {
            let refused = url.parse::<StoreAddress>();
            let said = refused.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!said.is_empty() && !said.contains("secret"), "{said}");
        }
    }
}
