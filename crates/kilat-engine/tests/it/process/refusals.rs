//! A server that can't keep the promises is refused, and the message names what to change.

use crate::postgres::Cluster;
use crate::sale::open;
use kilat_engine::{Engine, Store, StoreError, StoreOptions};
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
        Store::connect(options, self.engine.events())
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
        ("fsync=off", "set fsync = on"),
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
    place.refused("postgres://u:secret@localhost:port/x", "its address can't be read");
    place.refused(&url.replace("/postgres?", "/none?"), "database \"none\" does not exist");
    place.refused(&format!("{url}&sslmode=require"), "sslmode=require is not supported");
    place.cluster.sql("CREATE ROLE poor LOGIN");
    place.refused(&url.replace("kilat@", "poor@"), "permission denied");
    place.cluster.sql("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0");
    place.refused(&url.replace("/postgres?", "/latin?"), "ENCODING 'UTF8'");
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
