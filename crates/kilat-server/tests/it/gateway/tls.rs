//! Clients that speak TLS.

use super::world::World;
use kilat_server::gateway::{Limits, Tls};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

struct Identity {
    tls: Tls,
    certificate: rcgen::Certificate,
}

fn identity() -> Identity {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["shop.test".to_owned()]).unwrap();
    let tls = Tls::from_pem(cert.pem().as_bytes(), signing_key.serialize_pem().as_bytes());
    Identity { tls: tls.unwrap(), certificate: cert }
}

/// All that comes back to `bytes`, and the protocol that was agreed on.
fn exchange(world: &World, identity: &Identity, bytes: &[u8]) -> (String, Option<Vec<u8>>) {
    let mut roots = RootCertStore::empty();
    roots.add(identity.certificate.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from("shop.test").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(world.address).unwrap());
    stream.write_all(bytes).unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    let protocol = stream.conn.alpn_protocol().map(<[u8]>::to_vec);
    (String::from_utf8(reply).unwrap(), protocol)
}

#[test]
fn clients_speak_tls_and_replicas_are_told_so() {
    let identity = identity();
    let world = World::start(Limits::default(), Some(identity.tls.clone()), &["a"]);
    let request =
        b"POST /x HTTP/1.1\r\nhost: shop.test\r\nconnection: close\r\ncontent-length: 2\r\n\r\nab";
    let (reply, protocol) = exchange(&world, &identity, request);
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.ends_with("\r\n\r\n2"), "{reply}");
    assert_eq!(protocol.as_deref(), Some(&b"http/1.1"[..]));
    let seen = &world.replicas[0].seen_at("/x")[0];
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("forwarded"), Some("for=127.0.0.1;proto=https"));
}

#[test]
fn what_is_ambiguous_is_refused_over_tls_too() {
    let identity = identity();
    let world = World::start(Limits::default(), Some(identity.tls.clone()), &["a"]);
    let (reply, _) = exchange(&world, &identity, b"GET / HTTP/1.1\nhost: h\n\n");
    assert!(reply.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{reply}");
    assert_eq!(world.seen_at("/"), 0);
}

#[test]
fn who_does_not_speak_tls_is_cut() {
    let limits =
        Limits { header_timeout: std::time::Duration::from_millis(200), ..Limits::default() };
    let world = World::start(limits, Some(identity().tls), &["a"]);
    for bytes in [&b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"[..], b"", b"\x16\x03\x01"] {
        let mut client = world.connect();
        client.send(bytes);
        assert!(!client.read_to_end().starts_with(b"HTTP"));
    }
    assert_eq!(world.seen_at("/"), 0);
}

#[test]
fn a_certificate_that_does_not_fit_is_refused() {
    let (one, other) = (rcgen::generate_simple_self_signed(["a".to_owned()]), identity());
    let one = one.unwrap();
    let (cert, key) = (one.cert.pem(), one.signing_key.serialize_pem());
    for (cert, key) in [
        (cert.as_str(), ""),
        ("", key.as_str()),
        ("nonsense", key.as_str()),
        (other.certificate.pem().as_str(), key.as_str()),
    ] {
        let error = Tls::from_pem(cert.as_bytes(), key.as_bytes()).unwrap_err();
        assert!(!error.to_string().contains("PRIVATE"), "{error}");
    }
}
