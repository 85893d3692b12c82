//! The wall clock jumps by an hour while the server runs: holds last as long as they were promised.

use crate::program::{Server, kilat, serve, verify, wait_for};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const HOLD_SECONDS: u32 = 5;
/// The wall clock may pull time by a thousandth, and replies show whole milliseconds.
const HOLD_LEAST: Duration = Duration::from_millis(4_900);

/// `kilat serve` that reads its wall clock from `faketime`, which reads the offset from a file.
fn server(data: &Path, offset: &Path) -> Server {
    let library = library().expect("libfaketime is missing: `apt-get install faketime`");
    let mut command = kilat(serve(data));
    command.arg("--listen=127.0.0.1:0");
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", offset);
    // Only the wall clock jumps on real machines.
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_NO_CACHE", "1");
    Server::run(&mut command)
}

/// The library that the program `faketime` would load.
pub(crate) fn library() -> Option<String> {
    let ask = ["-m", "-f", "+0", "sh", "-c", "echo $LD_PRELOAD"];
    let output = Command::new("faketime").args(ask).output().ok()?;
    let library = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    library.contains("libfaketime").then_some(library)
}

fn hold(server: &Server, key: &str) -> serde_json::Value {
    let body = r#"{"customer":"c","quantity":1,"hold":true}"#;
    let reply = server.order("s", key, body);
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()
}

/// When a hold ends. Zeros at the end of a fraction are not written, so only without the zone do
/// texts sort as times.
fn expiry(order: &serde_json::Value) -> &str {
    order["expires_at"].as_str().unwrap().trim_end_matches('Z')
}

fn audit(server: &Server, figure: &str) -> u64 {
    server.get("/v1/sales/s/audit").json()[figure].as_u64().unwrap()
}

/// The first and the last hour in a log: so that a test without a jump can't pass.
fn hours(log: &str) -> [Option<&str>; 2] {
    let lines = [log.lines().next(), log.lines().last()];
    lines.map(|line| line.and_then(|line| line.split(':').next()))
}

fn check(jump: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (data, offset) = (folder.path().join("data"), folder.path().join("offset"));
    std::fs::write(&offset, "+0").unwrap();
    let mut server = server(&data, &offset);
    server.make_sale("s", 10, HOLD_SECONDS);
    // From before the request to after the answer: a slow machine only makes it longer.
    let asked_at = Instant::now();
    let before = hold(&server, "before");
    std::fs::write(&offset, jump).unwrap();
    let after = hold(&server, "after");
    assert!(after["sequence"].as_u64() > before["sequence"].as_u64(), "{before} {after}");
    assert!(expiry(&after) >= expiry(&before), "{before} {after}");
    let held_for =
        wait_for("the expiry", || (audit(&server, "expired") > 0).then(|| asked_at.elapsed()));
    println!("{jump}: held for {held_for:?}");
    assert!(held_for >= HOLD_LEAST, "expired early, after {held_for:?}");
    wait_for("both expiries", || (audit(&server, "expired") == 2).then_some(()));
    let path = format!("/v1/sales/s/orders/{}/confirm", before["order"].as_str().unwrap());
    let late = server.admin("POST", &path, "-", "");
    assert_eq!(late.status, 409, "{}", late.text());
    assert!(hold(&server, "again")["sequence"].as_u64() > after["sequence"].as_u64());
    assert_eq!(audit(&server, "expired"), 2, "what has expired stays so");
    server.process().signal(rustix::process::Signal::TERM);
    let end = server.end();
    let [first, last] = hours(&end.said);
    assert!(end.status.success() && first != last, "the clock never jumped: {}", end.said);
    verify(&data);
}

#[test]
fn a_clock_set_forward_ends_no_hold_early() {
    check("+3600");
}

#[test]
fn a_clock_set_back_keeps_no_hold_alive() {
    check("-3600");
}
