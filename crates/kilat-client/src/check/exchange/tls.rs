//! Whom to trust: the well-known authorities, and those that the user names.

use super::setback::Setback;
use super::{ExchangeOptions, Http2};
use crate::{ClientError, Lang};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, InvalidMessage, RootCertStore};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// Largest file of authorities, in bytes; all that browsers trust take a quarter of a mebibyte.
const CA_BYTES_MAX: u64 = 16 << 20;

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
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            Setback::UnknownAuthority
        }
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => Setback::NoTls,
        Some(reason) => Setback::Untrusted(reason.to_string()),
        None => Setback::Closed,
    }
}
