//! What the switches say is what the API is asked. Counted, never timed.

use super::api::{Api, reply};
use super::{check, ends, lookup};
use crate::program::stdout;
use serde_json::Value;
use std::collections::HashSet;
use std::io::{self, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// The summary of a check that ends with `code`.
fn summary(folder: &Path, url: &str, code: i32, arguments: &[&str]) -> Value {
    let mut command = check(folder, url, &["stock", "--json", "--quiet"]);
    let text = stdout(&ends(command.args(arguments), code));
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    last["summary"].clone()
}

/// What the API says of an id that it does not know.
fn unknown_sku(target: &str) -> Vec<u8> {
    let id = target.split_once("sku=").unwrap().1;
    let body = format!(r#"{{"error":"sku_not_found","message":"no '{id}'"}}"#);
    reply("404 Not Found", "", body.as_bytes())
}

/// So many ids that nobody knows, in a file.
fn ids(folder: &Path, count: usize) {
    let ids: Vec<String> = (0..count).map(|n| format!("id-{n}")).collect();
    std::fs::write(folder.join("ids.txt"), ids.join("\n")).unwrap();
}

#[test]
fn no_more_are_asked_at_once_than_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let server = lookup(&["--delay=0.03"]);
    ids(folder.path(), 40);
    for (more, most) in [(&["--concurrency=3"][..], 3), (&["--concurrency=1"], 1), (&[], 16)] {
        let arguments = [&["--file=ids.txt"], more].concat();
        let traffic = &summary(folder.path(), &server.url, 0, &arguments)["traffic"];
        // Left alone it begins with 16 and rises with each success.
        let in_flight = traffic["in_flight_most"].as_u64().unwrap();
        assert!(in_flight == most || (more.is_empty() && in_flight > most), "{more:?}: {traffic}");
        assert_eq!(traffic["requests"], 40, "{more:?}: {traffic}");
    }
}

/// Ids that are asked at once at first, and refused.
const CROWD: usize = 80;

/// What a server sees of those that come again.
#[derive(Default)]
struct Wave {
    refused: usize,
    waiting: usize,
    most: usize,
    is_over: bool,
}

/// Refuses a crowd, then lets all wait until the whole crowd is there or nobody else comes.
fn crowded(wave: &(Mutex<Wave>, Condvar), target: &str, client: &mut TcpStream) -> io::Result<()> {
    let (state, changed) = wave;
    let mut now = state.lock().unwrap();
    if now.refused < CROWD {
        now.refused += 1;
        return client.write_all(&reply("429 Too Many Requests", "retry-after: 1\r\n", b""));
    }
    now.waiting += 1;
    now.most = now.most.max(now.waiting);
    changed.notify_all();
    let is_open = |wave: &mut Wave| !wave.is_over && wave.waiting < CROWD;
    (now, _) = changed.wait_timeout_while(now, Duration::from_secs(2), is_open).unwrap();
    now.is_over = true;
    now.waiting -= 1;
    changed.notify_all();
    drop(now);
    client.write_all(&unknown_sku(target))
}

#[test]
fn a_number_above_the_threshold_gives_way_unless_it_is_fixed() {
    let folder = tempfile::tempdir().unwrap();
    ids(folder.path(), CROWD);
    let most = |more: &[&str]| {
        let wave = Arc::new((Mutex::new(Wave::default()), Condvar::new()));
        let seen = Arc::clone(&wave);
        let api = Api::start(move |target, client| crowded(&seen, target, client));
        let arguments = [&["--file=ids.txt", "--concurrency=80"], more].concat();
        summary(folder.path(), &api.url, 0, &arguments);
        wave.0.lock().unwrap().most
    };
    let (adaptive, fixed) = (most(&[]), most(&["--fixed"]));
    assert!((1..=CROWD / 2).contains(&adaptive), "{adaptive} at once after pushback");
    assert_eq!(fixed, CROWD);
}

#[test]
fn no_more_begin_in_a_time_than_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let server = lookup(&[]);
    let ended = summary(folder.path(), &server.url, 1, &["--rate=1/m", "--deadline=2s"]);
    assert_eq!(
        (&ended["traffic"]["requests"], &ended["ids"], &ended["complete"]),
        (&1.into(), &1.into(), &false.into()),
        "{ended}"
    );
}

#[test]
fn an_id_is_asked_again_as_often_as_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let server = lookup(&["--fail=100%"]);
    for (retries, requests) in [("--retries=0", 1), ("--retries=1", 2), ("--retries=3", 4)] {
        let ended = summary(folder.path(), &server.url, 1, &[retries, "X"]);
        let traffic = &ended["traffic"];
        assert_eq!((&traffic["requests"], &ended["unknown"]), (&requests.into(), &1.into()));
        assert_eq!(traffic["retries"], requests - 1, "{traffic}");
    }
}

#[test]
fn a_slow_request_gets_a_second_one_only_when_that_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let server = lookup(&["--delay=0.4"]);
    for (more, hedges) in [(&["X"][..], 0), (&["--hedge=20ms", "X"], 1), (&["--hedge=1h", "X"], 0)]
    {
        let traffic = summary(folder.path(), &server.url, 0, more)["traffic"].clone();
        assert_eq!(
            (&traffic["hedges"], &traffic["requests"]),
            (&hedges.into(), &(1 + hedges).into())
        );
    }
}

#[test]
fn a_server_that_fails_is_given_up_after_what_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let server = lookup(&["--fail=100%"]);
    ids(folder.path(), 500);
    let arguments = ["--file=ids.txt", "--give-up=1s", "--concurrency=20"];
    let ended = summary(folder.path(), &server.url, 1, &arguments);
    assert!(ended["reason"].as_str().unwrap().contains("no good answer for"), "{ended}");
    assert_eq!((&ended["complete"], &ended["unknown"]), (&false.into(), &0.into()), "{ended}");
    // Twenty in a row, then probes: nobody is asked 500 times.
    let requests = ended["traffic"]["requests"].as_u64().unwrap();
    assert!((20..60).contains(&requests), "{ended}");
}

#[test]
fn http2_is_spoken_without_tls_when_that_was_said_and_nothing_but_get() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::start(|target, client| match target {
        "*" => Err(io::Error::other("that is HTTP/2")),
        _ => client.write_all(&unknown_sku(target)),
    });
    summary(folder.path(), &api.url, 0, &["X"]);
    let heads = api.heads();
    assert_eq!(heads.len(), 1);
    assert!(heads[0].starts_with("GET /get_stock?sku=X HTTP/1.1\r\n"), "{heads:?}");
    summary(folder.path(), &api.url, 1, &["--http2", "--retries=0", "X"]);
    assert!(api.heads()[1].starts_with("PRI * HTTP/2.0\r\n"), "{:?}", api.heads());
}

/// One connection carries one request after the other.
#[test]
fn connections_are_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let connections = Arc::new(Mutex::new(HashSet::new()));
    let seen = Arc::clone(&connections);
    let api = Api::start(move |target, client| {
        seen.lock().unwrap().insert(client.peer_addr().unwrap());
        client.write_all(&unknown_sku(target))
    });
    ids(folder.path(), 200);
    summary(folder.path(), &api.url, 0, &["--file=ids.txt", "--concurrency=4"]);
    assert_eq!((api.heads().len(), connections.lock().unwrap().len()), (200, 4));
}
