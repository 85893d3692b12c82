//! No space left for a ledger and an event log in PostgreSQL: a clear no, nothing half done, and
//! selling by itself when there is space again.

use super::disk::{Disk, Sectors, fill, may_mount};
use super::full_disk::{ORDER, publish, publish_until_full, sell_until_full};
use crate::facts;
use crate::process::stores::Place;
use crate::process::stores::postgres::own;
use crate::program::wait_for;
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;

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

fn partitions() -> impl Iterator<Item = String> {
    (0..8).map(|number| format!("events_{number}"))
}
