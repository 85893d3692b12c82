//! What must hold of running containers: confined, honest about their health, back by themselves.

use super::images::succeed;
use super::system::{System, docker, process_of};
use crate::http;
use crate::program::wait_for;
use serde_json::Value;
use std::path::Path;

const SHOP: &str = "http://127.0.0.1:80";

/// A field of `/proc/ID/status`.
fn status<'a>(text: &'a str, field: &str) -> &'a str {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(name, _)| *name == field).unwrap().1.trim()
}

/// Bytes of all files below a folder.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let sizes = entries.map(|entry| match entry.file_type().unwrap().is_dir() {
        true => size(&entry.path()),
        false => entry.metadata().unwrap().len(),
    });
    sizes.sum()
}

/// One system for all questions: bringing it up takes longer than to ask them.
#[test]
fn containers_are_confined_and_come_back_and_their_data_outlives_them() {
    let system = System::up();
    may_do_nothing_but_their_work(&system);
    is_one_build_and_nothing_else(&system);
    crash_in_a_storm_and_come_back(&system);
    leave_their_data(&system);
    say_how_they_are(&system);
}

fn may_do_nothing_but_their_work(system: &System) {
    for service in ["core", "web-1", "web-2", "web-3"] {
        let container = system.container(service);
        let id = process_of(&container).unwrap().as_raw_pid();
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{id}/{name}")).unwrap();
        let text = read("status");
        assert_eq!(status(&text, "Uid"), "65532\t65532\t65532\t65532", "{service}");
        assert_eq!(status(&text, "Gid"), "65532\t65532\t65532\t65532", "{service}");
        for (field, expected) in [("CapEff", "0"), ("CapBnd", "0"), ("NoNewPrivs", "1")] {
            let value = status(&text, field).trim_start_matches('0');
            assert_eq!(value, expected.trim_start_matches('0'), "{service}: {field}");
        }
        let mounts = read("mountinfo");
        let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
        assert!(root.split(' ').nth(5).unwrap().starts_with("ro"), "{service}: {root}");
    }
}

fn is_one_build_and_nothing_else(system: &System) {
    let image = succeed(&mut docker(&["image", "inspect", "kilat"]));
    let image: Value = serde_json::from_str(&image).unwrap();
    let bytes = image[0]["Size"].as_u64().unwrap();
    println!("the image with this build: {} MB", bytes / 1_000_000);
    assert_eq!(bytes, size(&system.image_folder()), "nothing else is in it");
}

fn say_how_they_are(system: &System) {
    assert!(["core", "web-1", "web-2", "web-3"].iter().all(|service| system.is_healthy(service)));
    succeed(&mut system.compose(&["kill", "core"]));
    assert!(!system.is_healthy("web-1"), "a replica without a core is not well");
    assert!(wait_for("a way without the core", || http::get(SHOP, "/").ok()).status == 200);
}

fn crash_in_a_storm_and_come_back(system: &System) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let size = ["--supply=1000000", "--buyers=64", "--per-customer=0", "--duration=10"];
    let more = ["--orders=1000000", "--rate=500"];
    let prometheus = prometheus(system);
    let figure = |expression| figure(&prometheus, expression);
    let all_are_seen = || (figure("sum(up{job=\"kilat\"})") == 4.0).then_some(());
    // What was not seen before it was killed can't be seen to have been started again.
    wait_for("all targets", all_are_seen);
    let mut storm = system.storm(&[&size[..], &more].concat(), log.reopen().unwrap());
    wait_for("an order", || (figure(CONFIRMED) > 0.0).then_some(()));
    assert!(storm.ended().is_none(), "it has only begun");
    ["core", "web-2", "web-1"].iter().for_each(|service| system.crash(service));
    let ended = storm.wait();
    let said = std::fs::read_to_string(log.path()).unwrap();
    assert!(ended.success() && said.contains("PROVEN: "), "{said}");
    wait_for("all targets", all_are_seen);
    wait_for("the alert", || (figure(RESTARTED) >= 3.0).then_some(()));
}

fn leave_their_data(system: &System) {
    let stats = || {
        let stats = http::get(SHOP, "/stats").ok().filter(|reply| reply.status == 200)?.json();
        Some((stats["total_events_received"].clone(), stats["topics"].clone()))
    };
    let before = wait_for("figures", stats);
    assert_eq!(before.0, 3, "the publisher's");
    succeed(&mut system.compose(&["down"]));
    assert!(http::get(SHOP, "/").is_err());
    succeed(&mut system.compose(&["up", "-d"]));
    let again = "the publisher's events, which are all there already";
    let after = wait_for(again, || stats().filter(|stats| stats.0 == 6));
    assert_eq!(after.1, before.1, "nothing is stored twice, nothing is lost");
}

const CONFIRMED: &str = "sum(flash_sale_requests_total{status=\"confirmed\"})";
const RESTARTED: &str = "count(ALERTS{alertname=\"KilatRestarted\",alertstate=\"firing\"})";

/// Where Prometheus can be asked from outside of its network.
fn prometheus(system: &System) -> String {
    let container = system.container("prometheus");
    let networks = container["NetworkSettings"]["Networks"].as_object().unwrap();
    let address = networks.values().next().unwrap()["IPAddress"].as_str().unwrap().to_owned();
    format!("http://{address}:9090")
}

/// The one figure of an expression, 0 if there is none.
fn figure(url: &str, expression: &str) -> f64 {
    let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let reply = http::get(url, &format!("/api/v1/query?query={encoded}"));
    let reply = reply.map(|reply| reply.json()).unwrap_or_default();
    let value = reply["data"]["result"][0]["value"][1].as_str().unwrap_or("0").to_owned();
    value.parse().unwrap()
}
