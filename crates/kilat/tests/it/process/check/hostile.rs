//! Replies that are made to hurt: bounded, unknown, explained, and of no harm to other ids.

use super::api::{Api, reply, write_without_end};
use super::{check, ends, lookups, verified};
use crate::program::stdout;
use serde_json::Value;
use std::io::{self, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// More than a reply may have, and what lies on the way.
const TAKEN_BYTES_MAX: usize = 32 << 20;
const GOOD: &str = r#"{"name":"A","sku":"GOOD","stock":1,"warehouse":"B"}"#;

/// What is said to who asks for an id.
fn answer(id: &str, inner: &str, taken: &AtomicUsize, client: &mut TcpStream) -> io::Result<()> {
    let mut send = |bytes: &[u8]| client.write_all(bytes);
    let ok = |body: &[u8]| reply("200 OK", "content-type: application/json\r\n", body);
    let over = || Err(io::Error::other("over"));
    match id {
        "GOOD" => return send(&ok(GOOD.as_bytes())),
        "endless" => send(b"HTTP/1.1 200 OK\r\n\r\n{\"name\":\"")?,
        "endless-chunks" => send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?,
        "endless-head" => send(b"HTTP/1.1 200 OK\r\n")?,
        "huge" => send(b"HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\n")?,
        "drip" => {
            send(b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n")?;
            loop {
                send(b"x")?;
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        "silent" => loop {
            // It learns that the client left by its own end.
            std::thread::park();
        },
        "deep" => {
            return send(&ok(&["[".repeat(100_000), "]".repeat(100_000)].concat().into_bytes()));
        }
        "deep-inside" => {
            let deep = [
                "{\"sku\":\"deep-inside\",\"stock\":1,\"x\":",
                &"[".repeat(200),
                &"]".repeat(200),
                "}",
            ];
            return send(&ok(deep.concat().as_bytes()));
        }
        "latin" => return send(&ok(b"{\"name\":\"caf\xe9\",\"sku\":\"latin\",\"stock\":1}")),
        "wide" => {
            let wide: Vec<u8> = GOOD.encode_utf16().flat_map(u16::to_le_bytes).collect();
            return send(&ok(&[b"\xff\xfe", &wide[..]].concat()));
        }
        "elsewhere" => return send(&reply("302 Found", &format!("location: {inner}/\r\n"), b"")),
        "metadata" => {
            let field = "location: http://169.254.169.254/latest/meta-data/\r\n";
            return send(&reply("301 Moved", field, b""));
        }
        "packed" => return send(&reply("200 OK", "content-encoding: gzip\r\n", b"\x1f\x8b\x08")),
        "page" => return send(&ok(b"<html>Available</html>")),
        "cut" => {
            send(&ok(GOOD.as_bytes())[..60])?;
            return over();
        }
        "noise" => {
            send(b"\x16\x03\x01 noise\r\n\r\n")?;
            return over();
        }
        "two" => {
            send(&[ok(GOOD.as_bytes()), ok(GOOD.as_bytes())].concat())?;
            return over();
        }
        "another" => return send(&ok(GOOD.as_bytes())),
        other => panic!("nobody asked for {other}"),
    }
    let piece = match id {
        "endless-chunks" => [b"1000\r\n", &[b'x'; 0x1000][..], b"\r\n"].concat(),
        "endless-head" => format!("x: {}\r\n", "y".repeat(1_000)).into_bytes(),
        _ => vec![b'x'; 64 << 10],
    };
    taken.fetch_add(write_without_end(client, &piece), Relaxed);
    over()
}

/// Asks for one that hurts, and one that does not.
fn check_one(folder: &Path, url: &str, id: &str, says: &str) {
    let arguments = ["stock", "--json", "--retries=0", "--timeout=2s", id, "GOOD"];
    let text = stdout(&ends(&mut check(folder, url, &arguments), 1));
    let objects: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ended = |id: &str| {
        let object = objects.iter().find(|object| object["id"] == id).unwrap();
        (object["outcome"].as_str().unwrap(), object["message"].as_str().unwrap())
    };
    let (outcome, message) = ended(id);
    assert_eq!(outcome, "unknown", "{id}: {message}");
    assert!(message.contains(says), "{id}: {message}");
    assert!(message.chars().count() < 400, "{id}: {message}");
    assert_eq!(ended("GOOD").0, "found", "{id}");
}

#[test]
fn hostile_replies_are_bounded_unknown_and_explained() {
    let inner = Api::start(|_, client| client.write_all(&reply("200 OK", "", GOOD.as_bytes())));
    let taken = Arc::new(AtomicUsize::new(0));
    let (inner_url, count) = (inner.url.clone(), Arc::clone(&taken));
    let api = Api::start(move |target, client| {
        let id = target.split_once("sku=").unwrap().1;
        answer(id, &inner_url, &count, client)
    });
    let folder = tempfile::tempdir().unwrap();
    let hostile = [
        ("endless", "longer than 262,144 bytes"),
        ("endless-chunks", "longer than 262,144 bytes"),
        ("endless-head", "longer than 32,768 bytes"),
        ("huge", "longer than 262,144 bytes"),
        ("drip", "Timeout: SKU drip took longer than 2 s."),
        ("silent", "Timeout: SKU silent took longer than 2 s."),
        ("deep", "status 200"),
        ("deep-inside", "nested too deeply"),
        ("latin", "not UTF-8"),
        ("wide", "not UTF-8"),
        ("elsewhere", "redirects elsewhere"),
        ("metadata", "169.254.169.254"),
        ("packed", "gzip"),
        ("page", "a page instead of JSON"),
        ("cut", "ended before the reply was whole"),
        ("noise", "breaks the rules of HTTP"),
        ("two", "nobody asked for"),
        ("another", "another id"),
    ];
    for (id, says) in hostile {
        check_one(folder.path(), &api.url, id, says);
    }
    assert_eq!(inner.heads().len(), 0, "a redirect was followed");
    let taken = taken.load(Relaxed);
    assert!(taken < 4 * TAKEN_BYTES_MAX, "{taken} bytes were read");
    let log = folder.path().join("kilat-check-stock.jsonl");
    verified(&log);
    assert_eq!(lookups(&log).len(), 2 * hostile.len());
}
