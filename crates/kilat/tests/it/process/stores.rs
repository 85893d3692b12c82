//! Servers that keep their ledger in PostgreSQL, with the event log there too or behind a core.

use super::clock::library;
use crate::facts;
use crate::http::{self, Reply};
use crate::operator::Operator;
use crate::program::{ADMIN, Server, kilat, stderr, wait_for};
use crate::storm::Storm;
use postgres::Cluster;
use std::process::Command;
use tempfile::TempDir;

#[expect(dead_code, reason = "the engine's tests need more of it")]
#[path = "../../../../kilat-engine/tests/it/postgres.rs"]
pub(crate) mod postgres;

const SECRET: &str = "fedcba9876543210fedcba9876543210";

/// A server for the ledger, and for the events too unless there is a core for them.
pub(crate) struct Place {
    pub(crate) cluster: Cluster,
    /// For the events, if they have one of their own.
    log: Option<Cluster>,
    core: Option<Server>,
    /// Where the events are.
    url: String,
    _folder: TempDir,
}

impl Place {
    pub(crate) fn alone() -> Place {
        let (cluster, folder) = (Cluster::start(), tempfile::tempdir().unwrap());
        let url = cluster.url();
        Place { cluster, log: None, core: None, url, _folder: folder }
    }

    fn with_two_databases() -> Place {
        let log = Cluster::start();
        let url = log.url();
        Place { log: Some(log), url, ..Place::alone() }
    }

    fn with_a_core() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut core = Server::run(&mut kilat([
            "core",
            "--admin=127.0.0.1:0",
            "--data",
            data.to_str().unwrap(),
        ]));
        assert!(core.next_line().contains("--ledger core://"));
        let url = format!("core://{}", data.join("core.sock").display());
        let core = Some(core);
        Place { cluster: Cluster::start(), log: None, core, url, _folder: folder }
    }

    pub(crate) fn command(&self, listen: &str, node: &str) -> Command {
        let ledger = self.cluster.url();
        let mut command = kilat(["serve", "--listen", listen, "--node", node]);
        command.args(["--ledger", &ledger, "--events", &self.url]).env("KILAT_SECRET", SECRET);
        command.env("KILAT_ADMIN_TOKEN", ADMIN);
        command
    }

    pub(crate) fn serve(&self, node: &str) -> Server {
        Server::run(&mut self.command("127.0.0.1:0", node))
    }

    /// Again, where one was.
    fn serve_at(&self, url: &str, node: &str) -> Server {
        Server::run(&mut self.command(url.trim_start_matches("http://"), node))
    }
}

#[test]
fn two_servers_are_stormed_at_once_and_one_of_them_is_killed() {
    storm_two(Place::with_a_core());
}

#[test]
fn two_servers_with_all_in_one_database_are_stormed_at_once_and_one_of_them_is_killed() {
    storm_two(Place::alone());
}

fn storm_two(mut place: Place) {
    let (one, mut two) = (place.serve("one"), place.serve("two"));
    let (of_one, of_two) = (one.url.clone(), two.url.clone());
    let storm = |url: &str, sale: &str| {
        let own = format!("--sale={sale}");
        let rest = ["--orders=1500", "--buyers=1500", "--connections=50", "--hold=0.2"];
        Storm::start(url, &[&[&*own][..], &rest[..]].concat())
    };
    one.make_sale("a", 1_000, 600);
    one.make_sale("b", 1_000, 600);
    let storms = [storm(&of_one, "a"), storm(&of_two, "b")];
    wait_for("units sold", || (sold_of(&one, "b") >= 200).then_some(()));
    two.kill();
    two = place.serve_at(&of_two, "two");
    wait_for("units sold", || (sold_of(&one, "b") >= 500).then_some(()));
    place.cluster.kill();
    place.cluster.resume();
    wait_for("units sold", || (sold_of(&one, "b") >= 700).then_some(()));
    place.cluster.kill_backend("one");
    for storm in storms {
        storm.proven();
    }
    let metrics = one.get("/metrics");
    let has_log = place.core.is_none();
    for name in crate::deploy::monitoring::STORE_METRICS {
        if name == "kilat_store_publish_seconds" && !has_log {
            continue;
        }
        assert!(metrics.text().contains(&format!("# TYPE {name} ")), "{name}");
    }
    for sale in ["a", "b"] {
        assert_eq!((sold_of(&one, sale), sold_of(&two, sale)), (1_000, 1_000));
    }
    wait_for("facts", || {
        (place.cluster.sql("SELECT count(*) FROM kilat.outbox") == "0\n").then_some(())
    });
    for sale in ["a", "b"] {
        facts::check(&one, sale);
        facts::check(&two, sale);
    }
    one.stop();
    two.stop();
    if let Some(core) = place.core {
        core.stop();
    }
}

fn sold_of(server: &Server, sale: &str) -> u64 {
    server.get(&format!("/v1/sales/{sale}")).json()["sold"].as_u64().unwrap_or(0)
}

#[test]
fn what_is_missing_is_named_before_anything_is_touched() {
    let ledger = "postgres://u:secret@localhost/shop";
    for (arguments, secrets, says) in [
        (&[][..], true, "--events"),
        (&["--events", "core:///x"][..], false, "KILAT_SECRET"),
        (&["--events", "redis://u:secret@localhost"][..], true, "Redis keeps no event log"),
    ] {
        let listen = ["--listen", "127.0.0.1:0", "--lookup-listen", "none"];
        let mut command = kilat(["serve", "--ledger", ledger]);
        command.args(listen);
        command.args(arguments).env("KILAT_ADMIN_TOKEN", ADMIN);
        if secrets {
            command.env("KILAT_SECRET", SECRET);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = stderr(&output);
        assert!(said.contains(says) && !said.contains("u:secret"), "{said}");
    }
}

const ORDER: &str = r#"{"customer":"c","quantity":1}"#;

fn publish(server: &Server, id: &str) -> Reply {
    let body = serde_json::json!({"topic": "t", "event_id": id, "source": "test",
        "timestamp": "2026-11-21T12:00:00Z", "payload": {}});
    let headers = [("content-type", "application/json")];
    http::call(&server.url, "POST", "/publish", &headers, &body.to_string()).unwrap()
}

#[test]
fn while_the_database_stands_still_all_is_refused_with_a_time_to_come_again() {
    let place = Place::alone();
    let server = place.serve("one");
    server.make_sale("s", 10, 60);
    place.cluster.stand_still();
    // What was on its way first is not known of; from then on nothing is sent.
    let ask = || [server.order("s", "a", ORDER), publish(&server, "a"), server.get("/readyz")];
    wait_for("refusals", || {
        let replies = ask();
        let told = replies.iter().map(|reply| (reply.status, reply.header("retry-after")));
        told.clone().for_each(|(status, _)| assert!(matches!(status, 503 | 504), "{status}"));
        let is_away = |(status, wait): (u16, Option<&str>)| status == 503 && wait.is_some();
        told.clone().all(is_away).then_some(())
    });
    place.cluster.go_on();
    wait_for("an order", || (server.order("s", "a", ORDER).status == 201).then_some(()));
    wait_for("an event", || (publish(&server, "a").status == 200).then_some(()));
    assert_eq!(server.get("/readyz").status, 200);
    let sold = server.get("/v1/sales/s/audit").json()["sold"].as_u64();
    let stored = server.get("/stats").json()["total_unique_events_processed"].as_u64();
    assert_eq!((sold, stored), (Some(1), Some(1)));
    facts::check(&server, "s");
    server.stop();
}

/// Nobody who buys waits for the event log, but a process without it can't do all of its work.
#[test]
fn a_server_whose_events_are_in_a_database_that_is_away_says_that_it_is_not_ready() {
    let mut place = Place::with_two_databases();
    let server = place.serve("one");
    server.make_sale("s", 10, 60);
    assert_eq!(server.get("/readyz").status, 200);
    let log = place.log.as_mut().unwrap();
    log.kill();
    let told = wait_for("a reason", || {
        let reply = server.get("/readyz");
        (reply.status == 503).then_some(reply)
    });
    let reason = told.json();
    assert_eq!(reason["code"], "core_unreachable", "{reason}");
    assert_eq!(reason["detail"], "the event log can't be reached", "{reason}");
    assert!(told.header("retry-after").is_some());
    assert_eq!(server.order("s", "a", ORDER).status, 201);
    place.log.as_mut().unwrap().resume();
    wait_for("readiness", || (server.get("/readyz").status == 200).then_some(()));
    assert_eq!(publish(&server, "a").status, 200);
    facts::check(&server, "s");
    server.stop();
}

/// No other process has a console: each shows its own figures and says so.
#[test]
fn with_all_in_a_database_each_server_has_a_console_of_its_own() {
    let place = Place::alone();
    let server = place.serve("one");
    server.make_sale("s", 10, 60);
    let operator = Operator::sign_in(&server.url);
    let fields = "key=first&sale=s&buyers=20&rate=20&seconds=10";
    assert_eq!(operator.post(&server.url, "/ops", "/ops/rehearsals", fields).status, 303);
    let page = wait_for("the proof", || {
        let page = operator.get(&server.url, "/ops").text().to_owned();
        page.contains("data-run=\"first\" data-state=\"done\"").then_some(page)
    });
    assert!(page.contains("id=\"alone\"") && !page.contains("id=\"unreachable\""), "{page}");
    server.stop();
}

#[test]
fn servers_whose_clocks_differ_by_hours_agree_on_when_holds_end() {
    let place = Place::alone();
    let library = library().expect("libfaketime is missing: `apt-get install faketime`");
    let at = |node: &str, offset: &str| {
        let mut command = place.command("127.0.0.1:0", node);
        command.env("LD_PRELOAD", &library).env("FAKETIME", offset);
        Server::run(command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1"))
    };
    let (early, late) = (at("early", "-1h"), at("late", "+1h"));
    assert_ne!(early.log().get(11..13), late.log().get(11..13), "the clocks are the same");
    early.make_sale("s", 2, 3);
    wait_for("the sale", || (late.get("/v1/sales/s").status == 200).then_some(()));
    let hold = r#"{"customer":"c","quantity":1,"hold":true}"#;
    let (kept, lost) = (early.order("s", "kept", hold), late.order("s", "lost", hold));
    assert_eq!((kept.status, lost.status), (201, 201));
    let confirm = |server: &Server, order: &Reply| {
        let order = order.json()["order"].as_str().unwrap().to_owned();
        server.admin("POST", &format!("/v1/sales/s/orders/{order}/confirm"), "-", "").status
    };
    assert_eq!(confirm(&late, &kept), 200);
    for server in [&early, &late] {
        wait_for("the end of the hold", || {
            (server.get("/v1/sales/s/audit").json()["expired"] == 1).then_some(())
        });
        assert_eq!(confirm(server, &lost), 409);
    }
    early.stop();
    late.stop();
}
