//! Clients that speak TLS.

use super::world::World;
use crate::http::request;
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

type Client = StreamOwned<ClientConnection, TcpStream>;

fn connect(world: &World, identity: &Identity) -> Client {
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
    StreamOwned::new(connection, TcpStream::connect(world.address).unwrap())
}

/// All that comes back to `bytes`, and the protocol that was agreed on.
fn exchange(world: &World, identity: &Identity, bytes: &[u8]) -> (String, Option<Vec<u8>>) {
    let mut stream = connect(world, identity);
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

/// An order whose body has so many letters more than the shortest.
fn order(letters: usize) -> String {
    let body = format!(r#"{{"customer":"{}","quantity":1}}"#, "c".repeat(letters));
    let headers = [("idempotency-key", "k"), ("content-type", "application/json")];
    request("POST", "/v1/sales/plain/orders", &headers, &body)
}

/// The body of the next reply, which must be a 2xx.
fn read_body(client: &mut Client) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 2"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    client.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

#[test]
fn orders_over_tls_share_connections_too() {
    let identity = identity();
    let world = World::on_threads(1, Limits::default(), Some(identity.tls.clone()), &["a"]);
    let shortest = r#"{"customer":"","quantity":1}"#.len();
    std::thread::scope(|scope| {
        for client in 0..4 {
            let (world, identity) = (&world, &identity);
            scope.spawn(move || {
                let mut stream = connect(world, identity);
                for round in 1..5 {
                    // One behind the other, then some at once, in pieces that fit nothing.
                    let letters: Vec<usize> = (1..=8 * round).map(|n| n + client).collect();
                    stream.write_all(order(letters[0]).as_bytes()).unwrap();
                    assert_eq!(read_body(&mut stream), (shortest + letters[0]).to_string());
                    let text: String = letters.iter().copied().map(order).collect();
                    text.as_bytes().chunks(97).for_each(|part| stream.write_all(part).unwrap());
                    for letters in &letters {
                        assert_eq!(read_body(&mut stream), (shortest + letters).to_string());
                    }
                }
                // Something else on the same connection.
                let other = request("GET", "/x", &[("connection", "close")], "");
                stream.write_all((order(7) + &other).as_bytes()).unwrap();
                assert_eq!(read_body(&mut stream), (shortest + 7).to_string());
                assert_eq!(read_body(&mut stream), "0");
                assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0, "it ends well");
            });
        }
    });
    let seen = world.replicas[0].seen_at("/v1/sales/plain/orders");
    assert_eq!(seen.len(), 4 * (4 + 8 + 16 + 24 + 32 + 1));
    assert!(seen.iter().all(|seen| seen.header("x-forwarded-proto") == Some("https")));
    let others = world.seen_at("/x");
    assert!(world.replicas[0].connections_seen() <= 1 + others, "orders share one");
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
