//! `kilat attack` against `kilat serve`, also while the server dies and comes back.

use crate::program::{Server, kilat, run, serve, stderr, stdout, verify, wait_for};
use crate::storm::Storm;
use rustix::process::Signal;
use serde_json::Value;
use std::path::Path;
use std::process::Output;

fn attack(url: &str, more: &[&str]) -> Output {
    let common = ["attack", "--url", url, "--json", "--quiet"];
    run(common.into_iter().chain(more.iter().copied()))
}

pub(super) fn sold(server: &Server) -> u64 {
    server.get("/v1/sales/s/audit").json()["sold"].as_u64().unwrap()
}

fn serve_at(url: &str, data: &Path) -> Server {
    let address = url.trim_start_matches("http://");
    Server::run(kilat(serve(data)).args(["--listen", address]))
}

#[test]
fn a_rehearsal_is_proven() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let output = attack(&server.url, &["--hold=0.3", "--orders=1000"]);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["proven"], true);
    assert_eq!(report["after"]["sold"], 100, "{report}");
    server.stop();
    assert_eq!(verify(&data)["sales"][0]["sold"], 100);
}

#[test]
fn a_server_that_asks_for_a_token_is_stormed_with_the_admins() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = kilat(serve(&folder.path().join("data")));
    command.arg("--listen=127.0.0.1:0").env("KILAT_API_TOKEN", "a".repeat(40));
    let server = Server::run(&mut command);
    let output = attack(&server.url, &[]);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}

#[test]
fn a_server_killed_three_times_under_attack_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = Server::start(&data);
    server.make_sale("s", 1_500, 600);
    let url = server.url.clone();
    let storm = ["--sale=s", "--orders=2000", "--buyers=2000", "--connections=100"];
    let storm = Storm::start(&url, &[&storm[..], &["--timeout-ms=2000", "--hold=0.2"]].concat());
    for level in [200, 600, 1_000] {
        wait_for("units sold", || (sold(&server) >= level).then_some(()));
        server.kill();
        server = serve_at(&url, &data);
    }
    let report = storm.proven();
    let broken = report["traffic"].to_string();
    println!("{broken}");
    assert_eq!(sold(&server), 1_500, "demand was enough");
    server.stop();
    assert_eq!(verify(&data)["sales"][0]["sold"], 1_500);
}

#[test]
fn a_stop_under_load_is_clean_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = Server::start(&data);
    server.make_sale("s", 1_000, 600);
    let url = server.url.clone();
    let storm =
        Storm::start(&url, &["--sale=s", "--orders=1500", "--buyers=1500", "--connections=50"]);
    for level in [100, 500] {
        wait_for("units sold", || (sold(&server) >= level).then_some(()));
        server.process().signal(Signal::TERM);
        let status = server.process().wait();
        assert!(status.success(), "{status}: {}", server.log());
        server = serve_at(&url, &data);
    }
    storm.proven();
    server.stop();
    assert_eq!(verify(&data)["sales"][0]["sold"], 1_000);
}

#[test]
fn what_cannot_be_stormed_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    server.make_sale("s", 5, 60);
    let closed = server.admin("PATCH", "/v1/sales/s", "close", r#"{"state":"closed"}"#);
    assert_eq!(closed.status, 200);
    let elsewhere = folder.path().join("nothing");
    let without_token = || {
        let mut command = kilat(["attack", "--url", &server.url, "--quiet", "--json"]);
        command.env_remove("KILAT_ADMIN_TOKEN").env("KILAT_DATA", &elsewhere);
        command.output().unwrap()
    };
    let check = |output: Output, code: i32, says: &str| {
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{said}{}", stdout(&output));
        assert!(said.contains(says), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    };
    check(attack(&server.url, &["--sale=unknown"]), 1, "No such sale");
    check(attack(&server.url, &["--sale=NO"]), 2, "sale id");
    let wanted = format!("no admin token: {}/admin-token does not exist", elsewhere.display());
    check(without_token(), 2, &wanted);
    check(attack("http://127.0.0.1:1", &["--sale=s"]), 1, "start the server");
    let close = ["sale", "close", "s", "--lang=en", "--url", &server.url];
    let mut command = kilat(close);
    command.env_remove("KILAT_ADMIN_TOKEN").env("KILAT_DATA", &elsewhere);
    check(command.output().unwrap(), 2, &wanted);
    let closed = attack(&server.url, &["--sale=s", "--buyers=20"]);
    let report: Value = serde_json::from_str(&stdout(&closed)).unwrap();
    assert_eq!(closed.status.code(), Some(1), "nothing is sold, so nothing is proven: {report}");
    assert_eq!(report["proven"], false, "{report}");
    assert_eq!(report["after"]["sold"], 0, "{report}");
}
