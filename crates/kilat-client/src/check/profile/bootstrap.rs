//! Which server answers for a domain: the registry's bootstrap file (RFC 9224).
//!
//! The file is given by the user and never fetched. It is data all the same: hosts that it
//! names are guarded.

use super::address;
use super::json::BYTE_ORDER_MARK;
use crate::{ClientError, Lang};
use serde::Deserialize;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Largest bootstrap file, in bytes.
const BOOTSTRAP_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Longest domain name in text, in bytes (RFC 1035, section 2.3.4).
const DOMAIN_BYTES_MAX: usize = 253;
/// Longest label of a domain name, in bytes.
const LABEL_BYTES_MAX: usize = 63;

/// Base addresses by the end of a domain name.
#[derive(Clone, Debug)]
pub(super) struct Bootstrap {
    bases: Arc<HashMap<String, Arc<str>>>,
}

/// Why no server can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoServer {
    /// It has characters that must be written as `xn--`.
    Foreign,
    Malformed,
    /// No entry of the file covers it.
    Unlisted,
}

/// RFC 9224, section 3.
#[derive(Deserialize)]
struct Registry {
    services: Vec<(Vec<String>, Vec<String>)>,
}

impl Bootstrap {
    /// # Errors
    /// [`ClientError::Usage`] when the file can't be read or is not a bootstrap file.
    pub(super) fn open(path: &Path, lang: Lang) -> Result<Bootstrap, ClientError> {
        let file = path.display();
        let usage = |key: &str, why: &dyn std::fmt::Display| {
            ClientError::Usage(lang.say(key, &[("file", &file), ("why", why)]))
        };
        let bytes = read(path).map_err(|why| usage("error.file_unreadable", &why))?;
        let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
        let registry = serde_json::from_slice::<Registry>(text)
            .map_err(|why| usage("profile.bootstrap_malformed", &why))?;
        let bootstrap = Bootstrap::of(registry);
        match bootstrap.bases.is_empty() {
            true => Err(usage("profile.bootstrap_empty", &"")),
            false => Ok(bootstrap),
        }
    }

    fn of(registry: Registry) -> Bootstrap {
        let mut bases = HashMap::new();
        for (entries, urls) in registry.services {
            let Some(base) = preferred(&urls) else { continue };
            for entry in entries {
                bases.insert(entry.to_ascii_lowercase(), Arc::clone(&base));
            }
        }
        Bootstrap { bases: Arc::new(bases) }
    }

    /// The base address for a domain: the entry with most labels wins (RFC 9224, section 4).
    ///
    /// # Errors
    /// [`NoServer`] when there is none.
    pub(super) fn base(&self, domain: &str) -> Result<&str, NoServer> {
        let name = domain_name(domain)?;
        let mut end = name.as_str();
        loop {
            if let Some(base) = self.bases.get(end) {
                return Ok(base);
            }
            // The root's entry, if there is one, is the empty name.
            end = match end.split_once('.') {
                Some((_, parent)) => parent,
                None if end.is_empty() => return Err(NoServer::Unlisted),
                None => "",
            };
        }
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BOOTSTRAP_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > BOOTSTRAP_BYTES_MAX {
        true => Err(std::io::Error::other(format!("> {BOOTSTRAP_BYTES_MAX} B"))),
        false => Ok(bytes),
    }
}

/// HTTPS where there is a choice.
fn preferred(urls: &[String]) -> Option<Arc<str>> {
    let usable = |url: &&String| address::is_base(url);
    let secure = |url: &&String| url.to_ascii_lowercase().starts_with("https://");
    let url = urls.iter().filter(usable).find(secure).or_else(|| urls.iter().find(usable))?;
    Some(url.trim_end_matches('/').into())
}

/// A domain name as it is compared: in lower case, without the dot of the root.
fn domain_name(domain: &str) -> Result<String, NoServer> {
    if !domain.is_ascii() {
        return Err(NoServer::Foreign);
    }
    let name = domain.strip_suffix('.').unwrap_or(domain).to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    match name.len() <= DOMAIN_BYTES_MAX && name.split('.').all(is_label) {
        true => Ok(name),
        false => Err(NoServer::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bootstrap() -> Bootstrap {
        let text = r#"{"version":"1.0","publication":"2026-01-01T00:00:00Z","services":[
            [["com","net"],["http://old.example/","https://rdap.example/com/v1/"]],
            [["uk"],["http://uk.example"]],
            [["CO.uk"],["https://co.example/"]],
            [["ftp"],["ftp://x.example/","https://user:x@y.example/","https://q.example/?a="]]]}"#;
        Bootstrap::of(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn the_longest_entry_names_the_server_and_https_is_preferred() {
        for (domain, base) in [
            ("example.com", Ok("https://rdap.example/com/v1")),
            ("A.B.NET.", Ok("https://rdap.example/com/v1")),
            ("x.uk", Ok("http://uk.example")),
            ("x.co.uk", Ok("https://co.example")),
            ("com", Ok("https://rdap.example/com/v1")),
            ("example.org", Err(NoServer::Unlisted)),
            ("example.ftp", Err(NoServer::Unlisted)),
            ("toko.é.com", Err(NoServer::Foreign)),
            ("a..com", Err(NoServer::Malformed)),
            (".", Err(NoServer::Malformed)),
            ("a b.com", Err(NoServer::Malformed)),
            ("../x.com", Err(NoServer::Malformed)),
            (&format!("{}.com", "a".repeat(64)), Err(NoServer::Malformed)),
            (&"a.".repeat(126), Err(NoServer::Unlisted)),
            (&"a.".repeat(128), Err(NoServer::Malformed)),
        ] {
            assert_eq!(bootstrap().base(domain), base, "{domain}");
        }
    }

    #[test]
    fn the_roots_entry_is_for_all_that_no_other_covers() {
        let text =
            r#"{"services":[[[""],["https://root.example/"]],[["com"],["https://c.example/"]]]}"#;
        let bootstrap = Bootstrap::of(serde_json::from_str(text).unwrap());
        for (domain, base) in [
            ("example.com", Ok("https://c.example")),
            ("example.org.", Ok("https://root.example")),
            ("org", Ok("https://root.example")),
            ("", Err(NoServer::Malformed)),
        ] {
            assert_eq!(bootstrap.base(domain), base, "{domain}");
        }
    }
}
