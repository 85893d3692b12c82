//! TLS to PostgreSQL: who is taken for the server, and who is not.

use crate::node::log;
use crate::postgres::{Cluster, own};
use kilat_engine::{EventStore, StoreError, StoreOptions};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// An authority that only those trust who are told to.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(file: PathBuf) -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Authority { issuer: Issuer::new(params, key), file }
    }

    /// Key and certificate for `name`, as settings of a server.
    fn certify(&self, name: &str, directory: &Path) -> [String; 2] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        let files = [("ssl_cert_file", cert.pem()), ("ssl_key_file", key.serialize_pem())];
        files.map(|(setting, pem)| {
            let file = directory.join(setting);
            fs::write(&file, pem).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
            own(&file);
            format!("{setting}={}", file.display())
        })
    }
}

/// A server with a certificate for `name`, at an address of this machine that nobody else uses.
struct Place {
    cluster: Cluster,
    host: String,
    ours: Authority,
    others: Authority,
    _directory: TempDir,
}

impl Place {
    fn certified_for(name: impl FnOnce(&str) -> String) -> Place {
        let directory = tempfile::tempdir().unwrap();
        own(directory.path());
        let [.., a, b, c] = std::process::id().to_be_bytes();
        let host = format!("127.{}.{b}.{}", 64 + a % 64, c.max(1));
        let ours = Authority::new(directory.path().join("ca.pem"));
        let others = Authority::new(directory.path().join("others.pem"));
        let [cert, key] = ours.certify(&name(&host), directory.path());
        let listen = format!("listen_addresses={host}");
        let cluster = Cluster::start_with(&["ssl=on", &cert, &key, &listen]);
        Place { cluster, host, ours, others, _directory: directory }
    }

    fn url(&self, mode: &str, authority: Option<&Authority>) -> String {
        let root = authority.map(|one| format!("&sslrootcert={}", one.file.display()));
        let root = root.unwrap_or_default();
        format!("postgres://kilat@{}/postgres?sslmode={mode}{root}", self.host)
    }

    /// Whether the connections that it makes are encrypted.
    fn is_encrypted(&self, url: &str) -> bool {
        let _log = log(url.parse().unwrap());
        let sql = "SELECT DISTINCT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
            WHERE a.application_name = 'kilat test'";
        match self.cluster.sql(sql).trim() {
            "t" => true,
            "f" => false,
            other => panic!("{other}"),
        }
    }

    fn refused(&self, url: &str, says: &str) {
        let (name, patience) = ("test".to_owned(), Duration::ZERO);
        let address = url.parse().unwrap();
        let options = StoreOptions { address, name, patience, may_lose: false };
        let Err(why) = EventStore::connect(options) else { panic!("taken: {url}") };
        assert!(matches!(why, StoreError::Refused { .. }), "{why}");
        assert!(why.to_string().contains(says), "{why}");
    }
}

#[test]
fn a_server_is_trusted_as_far_as_the_address_says() {
    let place = Place::certified_for(str::to_owned);
    let ours = Some(&place.ours);
    for (mode, authority, encrypted) in [
        ("disable", None, false),
        ("prefer", None, true),
        ("require", None, true),
        ("require", ours, true),
        ("verify-ca", ours, true),
        ("verify-full", ours, true),
    ] {
        assert_eq!(place.is_encrypted(&place.url(mode, authority)), encrypted, "{mode}");
    }
    for mode in ["require", "verify-ca", "verify-full"] {
        place.refused(&place.url(mode, Some(&place.others)), "invalid peer certificate");
    }
}

#[test]
fn another_ones_certificate_will_not_do_where_the_name_counts() {
    let place = Place::certified_for(|_| "somebody.else".to_owned());
    assert!(place.is_encrypted(&place.url("verify-ca", Some(&place.ours))));
    place.refused(&place.url("verify-full", Some(&place.ours)), "not valid for name");
}

#[test]
fn a_server_without_tls_is_refused_where_it_is_required() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::certified_for(str::to_owned);
    let [.., c] = std::process::id().to_be_bytes();
    let host = format!("127.63.{c}.1");
    let plain = Cluster::start_with(&[&format!("listen_addresses={host}")]);
    let place = Place { cluster: plain, host, _directory: directory, ..place };
    assert!(!place.is_encrypted(&place.url("prefer", None)));
    place.refused(&place.url("require", None), "does not support TLS");
}
