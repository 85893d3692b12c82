//! Whom to trust: the well-known authorities, and those that the user names.

use super::setback::Setback;
use super::{ExchangeOptions, Http2};
use crate::{ClientError, Lang};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The configuration of all secure connections.
///
/// # Errors
/// [`ClientError::Usage`] when the file of authorities can't be used.
pub(super) fn config(options: &ExchangeOptions, lang: Lang) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = &options.ca {
        add(&mut roots, path).map_err(|why| {
            ClientError::Usage(lang.say("exchange.ca", &[("file", &path.display()), ("why", &why)]))
        })?;
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

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let before = roots.len();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| e.to_string())? {
        let certificate = certificate.map_err(|e| e.to_string())?;
        roots.add(certificate).map_err(|e| e.to_string())?;
    }
    if roots.len() == before {
        return Err("no certificate in it".to_owned());
    }
    Ok(())
}

/// What a failed handshake means.
pub(super) fn setback(error: &io::Error) -> Setback {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            Setback::UnknownAuthority
        }
        Some(reason) => Setback::Untrusted(reason.to_string()),
        None => Setback::Closed,
    }
}
