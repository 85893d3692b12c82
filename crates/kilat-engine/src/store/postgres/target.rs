//! What an address says: where the server is, and how sure we must be that it is the one.
//!
//! Read as libpq reads it. An address may hold a password: what is wrong with it is said without
//! showing any of it.

use super::tls::{Tls, Trust};
use crate::store::{StoreFault, StoreReason};
use percent_encoding::percent_decode_str;
use std::path::PathBuf;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

/// See the module.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) config: Config,
    pub(super) tls: Tls,
}

/// What the driver does not know of.
#[derive(Default)]
struct Security {
    mode: Option<String>,
    root: Option<PathBuf>,
}

impl Target {
    /// # Errors
    /// [`StoreFault::Refused`], with what to write.
    pub(super) fn of(url: &str) -> Result<Target, StoreFault> {
        let (rest, security) = Security::split_off(url)?;
        let mut config: Config = rest.parse().map_err(|error| unreadable(&rest, &error))?;
        let (mode, trust) = security.settle()?;
        config.ssl_mode(mode);
        Ok(Target { config, tls: Tls::new(&trust)? })
    }
}

impl Security {
    /// Takes `sslmode` and `sslrootcert` out of the address.
    fn split_off(url: &str) -> Result<(String, Security), StoreFault> {
        let mut security = Security::default();
        // As the driver does: what is before the first @ is user and password.
        let places = url.find('@').unwrap_or(0);
        let Some(question) = url[places..].find('?') else {
            return Ok((url.to_owned(), security));
        };
        let (place, query) = (&url[..places + question], &url[places + question + 1..]);
        let mut others = Vec::new();
        for parameter in query.split('&') {
            match parameter.split_once('=') {
                Some(("sslmode", mode)) => security.mode = Some(mode.to_owned()),
                Some(("sslrootcert", file)) => {
                    let file = percent_decode_str(file).decode_utf8();
                    let file = file.map_err(|_| {
                        let said = "sslrootcert is not UTF-8".to_owned();
                        StoreFault::Refused(StoreReason::PostgresUrl { said })
                    })?;
                    security.root = Some(PathBuf::from(file.into_owned()));
                }
                _ => others.push(parameter),
            }
        }
        let query =
            if others.is_empty() { String::new() } else { format!("?{}", others.join("&")) };
        Ok((format!("{place}{query}"), security))
    }

    /// As libpq has it: `require` alone asks nobody who they are, with a root it does.
    fn settle(self) -> Result<(SslMode, Trust), StoreFault> {
        let mode = self.mode.as_deref().unwrap_or("prefer");
        Ok(match (mode, self.root) {
            ("disable", _) => (SslMode::Disable, Trust::Anyone),
            ("prefer", _) => (SslMode::Prefer, Trust::Anyone),
            ("require", None) => (SslMode::Require, Trust::Anyone),
            ("require" | "verify-ca", Some(root)) => (SslMode::Require, Trust::Signed(root)),
            ("verify-full", Some(root)) => (SslMode::Require, Trust::Named(root)),
            ("verify-ca" | "verify-full", None) => {
                return Err(StoreFault::Refused(StoreReason::NoRoot));
            }
            _ => return Err(StoreFault::Refused(StoreReason::SslMode)),
        })
    }
}

/// The driver's words name an option of the address. Behind an @ that was not escaped that could be
/// a part of the password.
fn unreadable(url: &str, error: &tokio_postgres::Error) -> StoreFault {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let tail = &rest[rest.find(['/', '?', '#']).unwrap_or(rest.len())..];
    if tail.contains('@') {
        return StoreFault::Refused(StoreReason::Unescaped);
    }
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    StoreFault::Refused(StoreReason::PostgresUrl { said: cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_an_address_is_said_without_its_password() {
        for (url, says) in [
            ("postgres://u:secret@h:port/d", "invalid value for option `port`"),
            ("postgres://u:secret@h/d?wrong=1", "unknown option `wrong`"),
            ("postgres://u:sec/secret@h:port/d", "%2F"),
            ("postgres://u:sec@ret?secret@h/d", "%2F"),
            ("postgres://u:secret@h/d?sslmode=verify-full", "sslrootcert="),
            ("postgres://u:secret@h/d?sslmode=maybe", "verify-full"),
            ("postgres://u:secret@h/d?sslmode=require&sslrootcert=/none", "/none"),
        ] {
            let said = Target::of(url).unwrap_err().to_string();
            assert!(said.contains(says) && !said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn what_the_driver_knows_is_left_to_it() {
        let url = "postgres://u@h/d?sslmode=require&host=/run&sslrootcert=%2Fa%20b&user=v";
        let (rest, security) = Security::split_off(url).unwrap();
        assert_eq!(rest, "postgres://u@h/d?host=/run&user=v");
        assert_eq!(security.root, Some(PathBuf::from("/a b")));
        let (rest, security) = Security::split_off("postgres://u:p?q@h/d?sslmode=require").unwrap();
        assert_eq!((&*rest, security.mode.as_deref()), ("postgres://u:p?q@h/d", Some("require")));
    }
}
