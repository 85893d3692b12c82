//! A server that can't keep the promises is refused, and the message names what to change.

use crate::postgres::Cluster;
use crate::sale::{SALE, open, ordered};
use kilat_engine::{
    Change, Engine, EventStore, OrderId, OrderText, Orders, SaleTerms, Store, StoreError,
    StoreOptions,
};
use std::time::Duration;

/// A server, and an event log that nothing comes to.
struct Place {
    cluster: Cluster,
    engine: Engine,
    _directory: tempfile::TempDir,
}

impl Place {
    fn with(settings: &[&str]) -> Place {
        let directory = tempfile::tempdir().unwrap();
        let engine = open(directory.path());
        Place { cluster: Cluster::start_with(settings), engine, _directory: directory }
    }

    fn connect(&self, url: &str, may_lose: bool) -> Result<Store, StoreError> {
        let (name, patience) = ("test".to_owned(), Duration::ZERO);
        let options = StoreOptions { address: url.parse().unwrap(), name, patience, may_lose };
        Store::connect(options, 1, self.engine.events())
    }

    fn refused(&self, url: &str, says: &str) {
        let Err(why) = self.connect(url, false) else { panic!("taken, though: {says}") };
        assert!(why.to_string().contains(says), "{why}");
        assert!(!why.to_string().contains("secret"), "{why}");
    }
}

#[test]
fn what_loses_orders_is_refused_unless_that_is_wanted() {
    for (setting, says) in [
        ("fsync=off", "set fsync to on"),
        ("synchronous_commit=off", "set synchronous_commit to on"),
    ] {
        let place = Place::with(&[setting]);
        place.refused(&place.cluster.url(), says);
        assert!(place.connect(&place.cluster.url(), true).is_ok(), "{setting}");
    }
}

#[test]
fn an_address_that_leads_nowhere_is_said_to() {
    let place = Place::with(&[]);
    let url = place.cluster.url();
    place.refused("postgres://u:secret@localhost/postgres?host=/nonexistent", "can't be reached");
    place.refused("postgres://u:secret@localhost:port/x", "its URL can't be read");
    place.refused(&url.replace("/postgres?", "/none?"), "\"none\" does not exist [3D000]: make");
    place.refused(&format!("{url}&sslmode=maybe"), "verify-full");
    let full = "postgres://u:secret@localhost/x?sslmode=verify-full";
    place.refused(full, "sslrootcert=");
    place.refused("postgres://u:sec/secret@localhost:port/x", "%2F");
    place.cluster.sql("CREATE ROLE poor LOGIN");
    place.refused(&url.replace("kilat@", "poor@"), "GRANT the user CREATE");
    place.refused(&url.replace("kilat@", "nobody@"), "give the right user and password");
    place.cluster.sql("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0");
    place.refused(&url.replace("/postgres?", "/latin?"), "ENCODING 'UTF8'");
}

#[test]
fn what_can_only_be_read_is_refused() {
    let place = Place { cluster: Cluster::standby(), ..Place::with(&[]) };
    place.refused(&place.cluster.url(), "give the address of the primary");
    let place = Place::with(&["default_transaction_read_only=on"]);
    place.refused(&place.cluster.url(), "set default_transaction_read_only to off");
}

#[test]
fn an_event_log_is_refused_for_the_same_reasons() {
    let place = Place::with(&["fsync=off"]);
    let connect = |url: &str, may_lose| {
        let (name, patience) = ("test".to_owned(), Duration::ZERO);
        let address = url.parse().unwrap();
        EventStore::connect(StoreOptions { address, name, patience, may_lose })
    };
    let url = place.cluster.url();
    let Err(why) = connect(&url, false) else { panic!("taken") };
    assert!(why.to_string().contains("set fsync to on"), "{why}");
    assert!(connect(&url, true).is_ok());
    let Err(why) = connect("redis://u:secret@localhost", true) else { panic!("taken") };
    assert!(why.to_string().contains("give postgres://"), "{why}");
}

#[tokio::test]
async fn a_newer_program_brings_the_schema_up_to_date_beside_an_older_one() {
    let place = Place::with(&[]);
    let url = place.cluster.url();
    let older = place.connect(&url, false).unwrap();
    // As the program before this one left it; its processes still run.
    place.cluster.sql(
        "DROP TABLE kilat.events, kilat.event_log, kilat.event_topics, kilat.event_publishers; \
         DROP FUNCTION kilat.publish, kilat.forget, kilat.reclaim, kilat.drop_bodies; \
         DELETE FROM kilat.migrations WHERE version = 2",
    );
    let newer = place.connect(&url, false).unwrap();
    assert_eq!(place.cluster.sql("SELECT max(version) FROM kilat.migrations").trim(), "2");
    let terms = SaleTerms { id: SALE.into(), supply: 2, ..SaleTerms::default() };
    for (handle, key) in [(newer.handle(), "newer"), (older.handle(), "older")] {
        let change = Change::CreateSale { terms: Box::new(terms.clone()) };
        handle.change(change).await.unwrap();
        let mut orders = Orders::default();
        let text = OrderText { sale: SALE, customer: key, key };
        orders.push(handle.hasher(), OrderId::from_bits(key.as_bytes()[0].into()), &text, 1, false);
        let placed = handle.place_all(orders).await.unwrap();
        assert!(ordered(placed.outcomes()[0]).is_some(), "{key}");
    }
    // The other way round: it works on until its connection ends, and is then refused.
    place.cluster.sql("INSERT INTO kilat.migrations (version) VALUES (99)");
    place.refused(&url, "version 99");
    assert_eq!(older.handle().sale(SALE).await.unwrap().unwrap().counters.sold, 2);
}

/// A build whose migration had another text under the same number, as its database is found: nothing is
/// brought up to date, and nothing is called that is not there.
#[test]
fn a_schema_of_another_build_is_refused_and_left_as_it_is() {
    let newest = "SELECT max(version) FROM kilat.migrations";
    for (change, version) in [
        ("UPDATE kilat.migrations SET digest = 'x' WHERE version = 2", "version 2"),
        ("UPDATE kilat.migrations SET digest = 'x' WHERE version = 1", "version 1"),
        // From before digests were remembered; its batches had one argument less.
        (
            "ALTER TABLE kilat.migrations DROP COLUMN digest; \
             DELETE FROM kilat.migrations WHERE version = 2; DROP FUNCTION kilat.commit; \
             CREATE FUNCTION kilat.commit(text[], smallint[], integer[], uuid[], text[], text[], \
                 bigint[], boolean[], text[], integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
            "version 1",
        ),
    ] {
        let place = Place::with(&[]);
        let url = place.cluster.url();
        drop(place.connect(&url, false).unwrap());
        place.cluster.sql(change);
        let before = place.cluster.sql(newest);
        place.refused(&url, &format!("whose {version} of it is another"));
        assert_eq!(place.cluster.sql(newest), before, "{change}");
    }
}

#[test]
fn a_schema_from_before_digests_is_gone_on_with() {
    let place = Place::with(&[]);
    let url = place.cluster.url();
    drop(place.connect(&url, false).unwrap());
    place.cluster.sql("ALTER TABLE kilat.migrations DROP COLUMN digest");
    drop(place.connect(&url, false).unwrap());
}

#[test]
fn a_schema_of_a_newer_program_is_refused() {
    let place = Place::with(&[]);
    let url = place.cluster.url();
    drop(place.connect(&url, false).unwrap());
    place.cluster.sql("INSERT INTO kilat.migrations (version) VALUES (99)");
    place.refused(&url, "version 99");
}

#[test]
fn processes_that_start_at_once_make_one_schema() {
    let place = Place::with(&[]);
    let url = place.cluster.url();
    let stores: Vec<_> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..4).map(|_| scope.spawn(|| place.connect(&url, false))).collect();
        starting.into_iter().map(|one| one.join().unwrap().unwrap()).collect()
    });
    assert_eq!(place.cluster.sql("SELECT count(*) FROM kilat.migrations").trim(), "2");
    drop(stores);
}
