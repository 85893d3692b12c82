//! No space left for a ledger and an event log in PostgreSQL: a clear no, nothing half done, and
//! selling by itself when there is space again.

use super::disk::{Disk, Sectors, fill, may_mount};
use super::full_disk::{ORDER, publish, publish_until_full, sell_until_full};
use crate::facts;
use crate::process::stores::Place;
use crate::process::stores::postgres::own;
use crate::program::{tell, wait_for};
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Room for some thousand orders and events.
const LEFT_BYTES: u64 = 8 << 20;

#[test]
fn a_full_disk_of_the_database_refuses_clearly_and_recovers_by_itself() {
    if !may_mount() {
        return;
    }
    let disk = Disk::new(64, Sectors::Large);
    let place = Place::alone();
    let server = place.serve("one");
    server.make_sale("s", 10_000_000, 60);
    // The log that makes changes durable has its own space: without it PostgreSQL itself ends.
    let space = disk.path().join("space");
    std::fs::create_dir(&space).unwrap();
    own(&space);
    set_permissions(disk.path().parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
    place.cluster.sql(&format!("CREATE TABLESPACE small LOCATION '{}'", space.display()));
    for table in std::iter::once("orders".to_owned()).chain(partitions()) {
        place.cluster.sql(&format!("ALTER TABLE kilat.{table} SET TABLESPACE small"));
    }
    let filler = fill(&disk.path(), LEFT_BYTES);
    let taken = sell_until_full(&server);
    println!("{taken} orders until the disk was full");
    // A page that was begun has room for some more.
    let mut small = 0;
    let refused = wait_for("a refusal", || {
        small += 1;
        let reply = server.order("s", &format!("small-{small}"), ORDER);
        (reply.json()["code"] == "storage_full").then_some(reply)
    });
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    let events = publish_until_full(&server);
    let audit = server.get("/v1/sales/s/audit");
    assert_eq!((audit.status, &audit.json()["balanced"]), (200, &true.into()));
    let orders = place.cluster.sql("SELECT count(*) FROM kilat.orders");
    assert_eq!(audit.json()["sold"].to_string(), orders.trim(), "half a batch");
    std::fs::remove_file(filler).unwrap();
    wait_for("an order", || (server.order("s", "later", ORDER).status == 201).then_some(()));
    wait_for("events", || (publish(&server, 1_000, "").status == 200).then_some(()));
    let stored = server.get("/stats").json()["total_unique_events_processed"].as_u64();
    assert!(stored >= Some(events), "{stored:?} stored, {events} acknowledged before");
    facts::check(&server, "s");
    server.stop();
}

/// The log that makes changes durable has no space: the database ends, as it does by design.
#[test]
fn without_space_for_its_log_the_database_ends_and_nothing_acknowledged_is_lost() {
    if !may_mount() {
        return;
    }
    let disk = Disk::new(80, Sectors::Large);
    set_permissions(disk.path().parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
    let mut place = Place::alone();
    place.cluster.kill();
    let url = place.cluster.url();
    let log = Path::new(url.split_once("host=").unwrap().1).join("data/pg_wal");
    let moved = disk.path().join("pg_wal");
    tell("mv", &[log.to_str().unwrap(), moved.to_str().unwrap()]);
    std::os::unix::fs::symlink(&moved, &log).unwrap();
    place.cluster.resume();
    let server = place.serve("one");
    server.make_sale("s", 10_000_000, 60);
    let filler = fill(&disk.path(), LEFT_BYTES);
    let mut told = 0;
    let refused = (0..4_000).find_map(|batch| {
        let orders: Vec<String> = (0..500)
            .map(|n| format!(r#"{{"key":"{batch}-{n}","customer":"c-{batch}-{n}","quantity":1}}"#))
            .collect();
        let body = format!(r#"{{"orders":[{}]}}"#, orders.join(","));
        let reply = server.admin("POST", "/v1/sales/s/orders:batch", "-", &body);
        told += if reply.status == 200 { 500 } else { 0 };
        (reply.status != 200).then_some(reply)
    });
    // What was on its way is not known; from then on nothing is taken.
    let refused = refused.expect("the disk never became full");
    assert!(matches!(refused.status, 503 | 504), "{}", refused.text());
    println!("{told} orders until the disk of the log was full");
    wait_for("a refusal", || {
        let reply = server.order("s", "small", ORDER);
        assert!(matches!(reply.status, 503 | 504), "{}", reply.text());
        (reply.status == 503 && reply.header("retry-after").is_some()).then_some(())
    });
    assert_eq!(server.get("/readyz").status, 503);
    std::fs::remove_file(filler).unwrap();
    place.cluster.kill();
    place.cluster.resume();
    wait_for("an order", || (server.order("s", "later", ORDER).status == 201).then_some(()));
    let audit = server.get("/v1/sales/s/audit").json();
    let orders = place.cluster.sql("SELECT count(*) FROM kilat.orders");
    assert_eq!(
        (&audit["balanced"], audit["sold"].to_string()),
        (&true.into(), orders.trim().to_owned())
    );
    let sold = audit["sold"].as_u64().unwrap();
    // All of the batch whose fate nobody knew, or nothing of it, and the small one.
    assert!(
        [told + 1, told + 2, told + 501, told + 502].contains(&sold),
        "{told} told, {sold} sold"
    );
    facts::check(&server, "s");
    server.stop();
}

fn partitions() -> impl Iterator<Item = String> {
    (0..8).map(|number| format!("events_{number}"))
}
