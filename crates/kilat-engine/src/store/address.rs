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

/// Scheme, host and path: user, password and parameters may be secret.
fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    // A password may contain an @, and what is after the last one is no part of it.
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    if scheme.is_empty() { place.to_owned() } else { format!("{scheme}://{place}") }
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
        ] {
            assert_eq!(url.parse::<StoreAddress>().map(|a| a.to_string()).ok(), Some(shown.into()));
        }
        let refused = "mysql://u:secret@h/d".parse::<StoreAddress>();
        let said = refused.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said.contains("mysql://h/d") && !said.contains("secret"), "{said}");
    }
}
