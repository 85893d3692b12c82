//! No space left: a clear no, reads as ever, and selling by itself when there is space again.

use super::disk::{Disk, Sectors, fill, may_mount};
use crate::facts;
use crate::http::{self, Reply};
use crate::program::{Server, kilat, serve, verify, wait_for};
use crate::storm::Storm;
use crate::system::{NAMES, Up};
use std::time::Duration;

/// Room for the first segments of ledger and event log (8 MiB each), not for a second (16 MiB).
const LEFT_BYTES: u64 = 22 << 20;
const SECRET: &str = "a secret of at least 32 characters, for a test";
/// Longer than the supervisor bears a process that does not answer.
const SILENCE: Duration = Duration::from_secs(16);
pub(super) const ORDER: &str = r#"{"customer":"c","quantity":1}"#;

/// Sells in ever smaller batches until there is no room for a single order; how many were taken.
pub(super) fn sell_until_full(server: &Server) -> u64 {
    [2_000, 100, 1].into_iter().map(|size| sell(server, size)).sum()
}

/// Batches of `size` orders until one is refused.
fn sell(server: &Server, size: usize) -> u64 {
    let customer = "c".repeat(120);
    let mut taken = 0;
    for batch in 0..4_000 {
        let order = |number| {
            let key = format!("{size}-{batch}-{number}");
            format!(r#"{{"key":"{key}","customer":"{customer}-{number}","quantity":1}}"#)
        };
        let orders: Vec<String> = (0..size).map(order).collect();
        let body = format!(r#"{{"orders":[{}]}}"#, orders.join(","));
        let reply = server.admin("POST", "/v1/sales/s/orders:batch", "-", &body);
        if reply.status != 200 {
            assert_eq!(reply.status, 503, "{}", reply.text());
            return taken;
        }
        let outcomes = reply.json();
        let outcomes = outcomes["outcomes"].as_array().unwrap();
        let refused = outcomes.iter().find(|outcome| !outcome["order"].is_string());
        taken += outcomes.iter().filter(|outcome| outcome["order"].is_string()).count() as u64;
        if let Some(refused) = refused {
            assert!(refused.to_string().contains("storage_full"), "{refused}");
            return taken;
        }
    }
    panic!("the disk never became full: {taken} orders");
}

/// Publishes batches until one is refused; how many events were stored.
pub(super) fn publish_until_full(server: &Server) -> u64 {
    let text = "x".repeat(1_000);
    for batch in 0..200 {
        let reply = publish(server, batch, &text);
        if reply.status != 200 {
            assert_eq!(reply.status, 503, "{}", reply.text());
            assert_eq!(reply.json()["code"], "storage_full");
            return batch * EVENTS_PER_BATCH;
        }
    }
    panic!("the event log never became full");
}

const EVENTS_PER_BATCH: u64 = 200;

pub(super) fn publish(server: &Server, batch: u64, text: &str) -> Reply {
    let events = (0..EVENTS_PER_BATCH).map(|number| {
        serde_json::json!({"topic": "full", "event_id": format!("{batch}-{number}"),
            "timestamp": "2026-11-21T12:00:00Z", "source": "test", "payload": {"text": text}})
    });
    let body = serde_json::Value::from_iter(events).to_string();
    let headers = [("content-type", "application/json")];
    http::call(&server.url, "POST", "/publish", &headers, &body).unwrap()
}

#[test]
fn a_full_disk_refuses_clearly_and_recovers_by_itself() {
    if !may_mount() {
        return;
    }
    let disk = Disk::new(64, Sectors::Small);
    let filler = fill(&disk.path(), LEFT_BYTES);
    let data = disk.path().join("data");
    // A journal that tries to make its second segment holds all space for a moment, in which the
    // first start can't write a secret: it is given one.
    let mut command = kilat(serve(&data));
    let server = Server::run(command.arg("--listen=127.0.0.1:0").env("KILAT_SECRET", SECRET));
    server.make_sale("s", 10_000_000, 60);
    let taken = sell_until_full(&server);
    println!("{taken} orders until the disk was full");
    let refused = server.order("s", "small", ORDER);
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(refused.json()["code"], "storage_full");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    let events = publish_until_full(&server);
    let audit = server.get("/v1/sales/s/audit");
    assert_eq!(audit.status, 200, "{}", audit.text());
    assert_eq!(audit.json()["balanced"], true);
    assert_eq!(server.get("/").status, 200);
    std::fs::remove_file(filler).unwrap();
    wait_for("an order", || (server.order("s", "later", ORDER).status == 201).then_some(()));
    wait_for("events", || (publish(&server, 1_000, "").status == 200).then_some(()));
    let stats = server.get("/stats").json();
    assert_eq!(stats["total_unique_events_processed"], events + EVENTS_PER_BATCH, "{stats}");
    let sold = server.get("/v1/sales/s/audit").json()["sold"].as_u64().unwrap();
    assert!(sold > taken, "{sold} sold, {taken} acknowledged before");
    server.stop();
    assert_eq!(verify(&data)["sales"][0]["sold"], sold);
}

/// Behind a gateway, too, buyers hear the reason, pages are shown, and no process is ended for it.
#[test]
fn the_whole_system_on_a_full_disk_says_so_and_sells_on_by_itself() {
    if !may_mount() {
        return;
    }
    let disk = Disk::new(64, Sectors::Small);
    let filler = fill(&disk.path(), LEFT_BYTES);
    let up = Up::on(&disk.path().join("data"));
    up.server.make_sale("s", 10_000_000, 60);
    let storm = Storm::without_end(&up.server, 16);
    let taken = sell_until_full(&up.server);
    println!("{taken} orders until the disk was full");
    for name in NAMES {
        let told = wait_for("processes that say that they are not ready", || {
            let process = up.process(name);
            (process["state"] == "unready").then_some(process)
        });
        let why = told["why"].as_str().unwrap().to_owned();
        // The gateway knows no reason, only that it has nobody.
        assert!(why.contains("no space is left") || name == "gateway", "{told}");
    }
    let refused = up.server.order("s", "small", ORDER);
    assert_eq!(refused.json()["code"], "storage_full", "{}", refused.text());
    assert_eq!(refused.status, 503);
    assert_eq!(up.server.get("/").status, 200);
    // For longer than a process may be silent.
    std::thread::sleep(SILENCE);
    std::fs::remove_file(filler).unwrap();
    wait_for("an order", || (up.server.order("s", "later", ORDER).status == 201).then_some(()));
    up.await_all();
    let report = storm.end();
    for sale in ["s", report["setup"]["sale"].as_str().unwrap()] {
        facts::check(&up.server, sale);
    }
    for name in NAMES {
        assert_eq!(up.process(name)["restarts"], 0, "{name}");
    }
    up.stop();
}
