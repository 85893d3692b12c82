//! Whom to trust: the well-known authorities, and those that the user names.

use super::setback::Setback;
use super::{ExchangeOptions, Http2};
use crate::{ClientError, Lang};
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertificateError, ClientConfig, InvalidMessage, RootCertStore};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// Largest file of authorities, in bytes; all that browsers trust take a quarter of a mebibyte.
const CA_BYTES_MAX: u64 = 16 << 20;
/// Most names of a certificate that are shown to a user whose host is none of them.
const NAMES_SHOWN: usize = 3;

/// The configuration of all secure connections.
///
/// # Errors
/// [`ClientError::Usage`] when the file of authorities can't be used.
pub(super) fn config(options: &ExchangeOptions, lang: Lang) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = &options.ca {
        let usage = |key: &str, why: &str| {
            ClientError::Usage(lang.say(key, &[("file", &path.display()), ("why", &why)]))
        };
        let added = add(&mut roots, path).map_err(|why| usage("exchange.ca", &why))?;
        if added == 0 {
            return Err(usage("exchange.no_ca", ""));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| ClientError::Fault(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let protocols: &[&[u8]] = match options.http2 {
        Http2::Auto => &[b"h2", b"http/1.1"],
        Http2::PriorKnowledge => &[b"h2"],
    };
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

/// How many certificates there were to add.
fn add(roots: &mut RootCertStore, path: &Path) -> Result<usize, String> {
    let before = roots.len();
    let text = read(path).map_err(|e| e.to_string())?;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|e| e.to_string())?;
        roots.add(certificate).map_err(|e| e.to_string())?;
    }
    Ok(roots.len() - before)
}

/// The parser itself reads a line of any length.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(CA_BYTES_MAX + 1).read_to_end(&mut text)?;
    match text.len() as u64 > CA_BYTES_MAX {
        true => Err(io::Error::other(format!("> {CA_BYTES_MAX} B"))),
        false => Ok(text),
    }
}

/// What a failed handshake means.
pub(super) fn setback(error: &io::Error) -> Setback {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => Setback::NoTls,
        Some(reason) => distrust(reason).unwrap_or_else(|| Setback::Untrusted(reason.to_string())),
        None => Setback::Closed,
    }
}

/// What is wrong with a certificate, where a user can do something about it.
fn distrust(error: &rustls::Error) -> Option<Setback> {
    use CertificateError as Wrong;
    let rustls::Error::InvalidCertificate(wrong) = error else { return None };
    match wrong {
        // Signed by a namesake of an authority that is trusted, often an earlier one.
        Wrong::UnknownIssuer | Wrong::BadSignature => Some(Setback::UnknownAuthority),
        Wrong::ExpiredContext { not_after, .. } => Some(Setback::Expired(day(*not_after))),
        Wrong::NotValidYetContext { not_before, .. } => {
            Some(Setback::NotYetValid(day(*not_before)))
        }
        Wrong::NotValidForNameContext { expected, presented } => Some(Setback::OtherName {
            names: names(presented),
            host: expected.to_str().into_owned(),
        }),
        _ => None,
    }
}

/// In UTC.
fn day(at: UnixTime) -> String {
    let at = i64::try_from(at.as_secs()).ok().and_then(|at| Timestamp::from_second(at).ok());
    at.unwrap_or(Timestamp::MAX).strftime("%Y-%m-%d").to_string()
}

/// Hosts and addresses among the names of a certificate, of many the first.
fn names(presented: &[String]) -> String {
    let hosts: Vec<&str> = presented.iter().filter_map(|name| plain(name)).collect();
    let more = if hosts.len() > NAMES_SHOWN { ", …" } else { "" };
    hosts[..hosts.len().min(NAMES_SHOWN)].join(", ") + more
}

/// The name in `DnsName("a.test")` or `IpAddress(10.0.0.1)`: rustls passes it on so only.
fn plain(name: &str) -> Option<&str> {
    let name = name.strip_prefix("DnsName(").or_else(|| name.strip_prefix("IpAddress("))?;
    Some(name.strip_suffix(')')?.trim_matches('"'))
}
