//! The event log as publishers meet it: retried, killed, restarted.

use crate::facts;
use crate::http;
use crate::program::{
    Running, Server, kilat, run, scaled, serve, stderr, stdout, verify, wait_for,
};
use crate::witness::{Random, seed};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

pub(super) const EVENT: &str = r#"{"topic":"orders","event_id":"o-1","timestamp":"2026-11-21T12:00:00+07:00","source":"shop","payload":{"total":10}}"#;

pub(super) fn publish(server: &Server, body: &str) -> Value {
    let headers = [("content-type", "application/json")];
    let reply = http::call(&server.url, "POST", "/publish", &headers, body).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

pub(super) fn stats(server: &Server) -> (u64, u64, u64) {
    let stats = server.get("/stats").json();
    let figure = |name: &str| stats[name].as_u64().unwrap_or_else(|| panic!("{name}: {stats}"));
    (
        figure("total_events_received"),
        figure("total_unique_events_processed"),
        figure("total_duplicate_events_dropped"),
    )
}

#[test]
fn an_event_published_three_times_with_a_restart_between_is_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    assert_eq!(publish(&server, EVENT)["results"], json!([{"status": "stored", "offset": 0}]));
    assert_eq!(publish(&server, EVENT)["results"], json!([{"status": "duplicate", "offset": 0}]));
    assert_eq!(stats(&server), (2, 1, 1));
    server.kill();
    let server = Server::start(&data);
    assert_eq!(stats(&server), (2, 1, 1));
    assert_eq!(publish(&server, EVENT)["duplicates"], 1);
    let other = EVENT.replace("10", "11");
    assert_eq!(publish(&server, &other)["conflicts"], 1, "the same id says something else");
    assert_eq!(stats(&server), (4, 1, 3));
    let page = server.get("/events?topic=orders").json();
    assert_eq!(page["count"], 1);
    assert_eq!(page["events"][0]["payload"], json!({"total": 10}));
    assert_eq!(page["events"][0]["timestamp"], "2026-11-21T12:00:00+07:00");
    server.stop();
    verify(&data);
}

/// Whether a file of the event log in `data` holds this text. A file may be replaced meanwhile.
fn holds(data: &Path, text: &str) -> bool {
    let files = std::fs::read_dir(data.join("events")).unwrap();
    let content = |path| std::fs::read(path).unwrap_or_default();
    let mut contents = files.map(|file| content(file.unwrap().path()));
    contents.any(|bytes| String::from_utf8_lossy(&bytes).contains(text))
}

#[test]
fn what_is_forgotten_leaves_the_disk_at_once_or_after_a_kill_and_later_backups_lack_it() {
    for is_killed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut server = Server::start(&data);
        publish(&server, &EVENT.replace("10", "\"to be forgotten\""));
        publish(&server, &EVENT.replace("orders", "others").replace("10", "\"to be kept\""));
        assert!(holds(&data, "to be forgotten") && holds(&data, "to be kept"));
        let forget = |server: &Server, topic| {
            run(["events", "forget", "--topic", topic, "--yes", "--url", &server.url])
        };
        let said = forget(&server, "orders");
        assert!(said.status.success(), "{}", stderr(&said));
        if is_killed {
            server.kill();
            server = Server::start(&data);
        }
        wait_for("the bytes to go", || (!holds(&data, "to be forgotten")).then_some(()));
        let target = folder.path().join("backup");
        let taken = run(["backup", target.to_str().unwrap(), "--data", data.to_str().unwrap()]);
        assert!(taken.status.success(), "{}", stderr(&taken));
        for directory in [&data, &target] {
            assert!(!holds(directory, "to be forgotten") && holds(directory, "to be kept"));
            let events = &verify(directory)["events"];
            assert_eq!((&events["forgotten"], &events["still_stored"]), (&json!(1), &json!(0)));
        }
        let said = forget(&server, "nobody-knows");
        assert_eq!(said.status.code(), Some(1));
        assert!(stdout(&said).starts_with("Nothing was forgotten"), "{}", stdout(&said));
        server.stop();
    }
}

/// `kilat serve` at an address that stays the same from life to life.
fn serve_at(data: &Path, address: &str) -> Command {
    let mut command = kilat(serve(data));
    command.arg(format!("--listen={address}"));
    command
}

#[test]
fn a_stress_with_retries_survives_kills() {
    let kills_wanted = scaled("KILAT_EVENT_KILLS", 200);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let seed = seed();
    let mut random = Random::new(seed);
    let mut server = Server::start(&data);
    let address = server.url.trim_start_matches("http://").to_owned();
    let (mut kills, mut runs) = (0, 0);
    while kills < kills_wanted {
        runs += 1;
        let before = stats(&server).0;
        let mut stress = start_stress(&server.url, seed ^ runs);
        wait_for("the first events", || (stats(&server).0 > before).then_some(()));
        while stress.ended().is_none() && kills < kills_wanted {
            std::thread::sleep(Duration::from_millis(random.below(120)));
            server.kill();
            kills += 1;
            server = Server::run(&mut serve_at(&data, &address));
        }
        let said = stress.take_stdout();
        let text = std::io::read_to_string(said).unwrap();
        assert!(stress.wait().success(), "after {kills} kills: {text}");
        assert!(text.contains("VERIFICATION PASSED"), "{text}");
    }
    println!("{kills} kills in {runs} runs");
    server.stop();
    verify(&data);
}

pub(super) fn start_stress(url: &str, seed: u64) -> Running {
    let (url, seed) = (format!("--url={url}"), format!("--seed={seed}"));
    let size = ["--events=40000", "--batch=50", "--connections=4", "--patience=60"];
    let mut command = kilat(["stress", "--lang=en", "--quiet"]);
    Running::start(command.args(size).args([url, seed]).stdout(Stdio::piped()))
}

#[test]
fn killed_anywhere_each_fact_of_a_sale_is_one_event() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut random = Random::new(seed());
    let mut orders: BTreeMap<String, u64> = BTreeMap::new();
    for life in 0..scaled("KILAT_LIVES", 12) {
        let server = Server::start(&data);
        server.make_sale("copy", 1_000_000, 60);
        for number in 0..random.below(200) {
            let key = format!("{life}-{number}");
            let reply = server.order("copy", &key, r#"{"customer":"c","quantity":1}"#);
            let order = reply.json();
            let id = order["order"].as_str().unwrap().to_owned();
            orders.insert(id, order["sequence"].as_u64().unwrap());
        }
        server.kill();
    }
    let server = Server::start(&data);
    // One fact made the sale, each order is one.
    let events = wait_for("the copy to catch up", || {
        let events = facts::of(&server, "copy");
        (events.len() > orders.len()).then_some(events)
    });
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event["event_id"], format!("copy/{}", index + 1), "{event}");
        let payload = &event["payload"];
        if payload["type"] == "order_placed" {
            let sequence = orders.remove(payload["order"].as_str().unwrap());
            assert_eq!(sequence, Some(index as u64 + 1), "{event}");
        }
    }
    assert!(orders.is_empty(), "orders without an event: {orders:?}");
    assert_eq!(stats(&server), (0, 0, 0), "copied facts are no deliveries");
    server.stop();
    verify(&data);
}

#[test]
fn the_topics_of_sales_are_closed_to_strangers() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    server.make_sale("closed", 10, 60);
    let body = EVENT.replace("\"orders\"", "\"sale.closed\"");
    let headers = [("content-type", "application/json")];
    let reply = http::call(&server.url, "POST", "/publish", &headers, &body).unwrap();
    assert_eq!((reply.status, &reply.json()["code"]), (403, &json!("topic_reserved")));
    assert_eq!(server.get("/events?topic=sale.closed").status, 401);
    wait_for("the sale's event", || (!facts::of(&server, "closed").is_empty()).then_some(()));
    let everything = server.get("/events").json();
    assert_eq!(everything["count"], 0, "{everything}");
    server.stop();
}
