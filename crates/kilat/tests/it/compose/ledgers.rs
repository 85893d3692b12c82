//! The profiles that keep the ledger in a store, which is sold from by three replicas, killed, removed and made again.

use super::images::succeed;
use super::system::{System, process_of};
use crate::http;
use crate::program::wait_for;
use rustix::process::{Signal, kill_process};

const SHOP: &str = "http://127.0.0.1:80";

/// Units sold in the one sale, as the store says, while it answers.
fn sold() -> Option<u64> {
    let ask = |path: &str| {
        let reply = http::get(SHOP, path).ok().filter(|reply| reply.status == 200)?;
        Some(reply.json())
    };
    let sales = ask("/v1/sales")?;
    let sale = sales["sales"][0]["id"].as_str()?;
    ask(&format!("/v1/sales/{sale}/audit"))?["sold"].as_u64()
}

fn check(profile: &'static str, ledger: &'static str) {
    let system = System::with_ledger(profile, ledger);
    wait_for("replicas", || {
        ["web-1", "web-2", "web-3"].iter().all(|name| system.is_healthy(name)).then_some(())
    });
    let log = tempfile::NamedTempFile::new().unwrap();
    let size = ["--supply=1000", "--orders=1500", "--buyers=64", "--rate=250", "--per-customer=0"];
    let mut storm = system.storm(&size, log.reopen().unwrap());
    wait_for("orders", || sold().filter(|sold| *sold > 200));
    let before = process_of(&system.container(profile)).unwrap();
    kill_process(before, Signal::KILL).unwrap();
    wait_for("a store that comes back", || {
        let now = process_of(&system.container(profile));
        (now.is_some() && now != Some(before)).then_some(())
    });
    let ended = storm.wait();
    let said = std::fs::read_to_string(log.path()).unwrap();
    assert!(ended.success() && said.contains("PROVEN: "), "{said}");
    assert_eq!(sold(), Some(1_000));
    // A new container, at another address, finds what is in the volume.
    succeed(&mut system.compose(&["rm", "-s", "-f", profile]));
    succeed(&mut system.compose(&["up", "-d", profile]));
    wait_for("what was sold", || sold().filter(|sold| *sold == 1_000));
}

#[test]
fn a_ledger_in_redis_is_sold_from_killed_and_found_again() {
    check("redis", "redis://redis:6379");
}

#[test]
fn a_ledger_in_postgres_is_sold_from_killed_and_found_again() {
    check("postgres", "postgres://kilat@postgres/kilat");
}
