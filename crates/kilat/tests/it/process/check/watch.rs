//! `--watch`: every round is a run in the log, and what changed is shown.

use super::{check, ends, lookup, lookups, verified};
use crate::process::lookup::beside_a_sale;
use crate::program::Running;
use rustix::process::Signal;
use std::io::BufRead;
use std::process::Stdio;

#[test]
fn falling_stock_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (server, url) = beside_a_sale(&folder.path().join("data"));
    server.make_sale("s", 7, 60);
    let mut command = check(folder.path(), &url, &["stock", "--watch=100ms", "TEST", "SKU-003"]);
    let mut process = Running::start(command.stdout(Stdio::piped()));
    let mut lines = process.take_stdout().lines().map(Result::unwrap);
    assert!(lines.find(|line| line.contains("TEST")).unwrap().contains('7'));
    for (key, change) in [("a", "TEST  stock 7 → 5 (−2)"), ("b", "TEST  stock 5 → 3 (−2)")]
    {
        let reply = server.order("s", key, r#"{"customer":"c","quantity":2}"#);
        assert_eq!(reply.status, 201);
        let line = lines.find(|line| line.contains('→')).unwrap();
        assert!(line.ends_with(change), "{line}");
    }
    assert_eq!(server.order("s", "c", r#"{"customer":"c","quantity":3}"#).status, 201);
    let line = lines.find(|line| line.contains('→')).unwrap();
    assert!(line.contains("stock 3 → 0 (−3)") && line.contains("Sold out!"), "{line}");
    process.signal(Signal::INT);
    assert_eq!(process.wait().code(), Some(130));
    let log = folder.path().join("kilat-check-stock.jsonl");
    verified(&log);
    let text = std::fs::read_to_string(&log).unwrap();
    let starts = text.matches("\"kind\":\"start\"").count();
    assert!(starts >= 4, "{text}");
    // Each round is a run of its own, with both ids and an end; the last one may have been cut short.
    assert_eq!(text.matches("\"kind\":\"end\"").count(), starts, "{text}");
    let complete = text.matches("\"complete\":true").count();
    assert!(complete + 1 >= starts, "{text}");
    for id in ["TEST", "SKU-003"] {
        let logged = lookups(&log).iter().filter(|record| record["id"] == id).count();
        assert!((complete..=starts).contains(&logged), "{id} is there {logged} times: {text}");
    }
    server.stop();
}

/// The log is begun anew once, and not by each round.
#[test]
fn rounds_do_not_overwrite_each_other() {
    let server = lookup(&[]);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("kilat-check-stock.jsonl");
    ends(&mut check(folder.path(), &server.url, &["stock", "OLD"]), 0);
    let arguments = ["stock", "--watch=20ms", "--overwrite", "--json", "SKU-001"];
    let mut command = check(folder.path(), &server.url, &arguments);
    let mut process = Running::start(command.stdout(Stdio::piped()));
    let lines = process.take_stdout().lines().map(Result::unwrap);
    assert_eq!(lines.filter(|line| line.contains("\"summary\"")).take(3).count(), 3);
    process.signal(Signal::INT);
    process.wait();
    verified(&log);
    let logged = lookups(&log);
    assert!(
        logged.len() >= 3 && logged.iter().all(|record| record["id"] == "SKU-001"),
        "{logged:?}"
    );
}
