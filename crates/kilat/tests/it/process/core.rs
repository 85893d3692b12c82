//! `kilat core` with replicas in front of it: any of them may die, stop or be cut off.

use super::attack::sold;
use crate::program::{Server, kilat, stderr, verify, wait_for};
use crate::storm::Storm;
use crate::witness::{Witness, seed};
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const OPERATIONS: u64 = 600;
const WORKERS: u64 = 3;
/// Longer than a core lets a request be on its way.
const STOPPED: Duration = Duration::from_millis(5_500);
const SECRET: &str = "fedcba9876543210fedcba9876543210";

/// A folder with a data directory, and how its core is reached.
pub(super) struct Place {
    pub(super) folder: TempDir,
}

impl Place {
    pub(super) fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(super) fn url(&self) -> String {
        format!("core://{}", self.data().join("core.sock").display())
    }

    pub(super) fn core(&self) -> Server {
        core(&mut core_command(&self.data()))
    }

    pub(super) fn replica(&self, node: &str) -> Server {
        Server::run(&mut replica_command(&self.url(), node))
    }

    fn replica_at(&self, url: &str, node: &str) -> Server {
        let address = url.trim_start_matches("http://");
        Server::run(kilat(["serve", "--listen", address]).args(behind(&self.url(), node)))
    }
}

fn core_command(data: &Path) -> Command {
    kilat(["core", "--admin=127.0.0.1:0", "--data", data.to_str().unwrap()])
}

/// Starts a core and waits until replicas can come.
fn core(command: &mut Command) -> Server {
    let mut core = Server::run(command);
    let line = core.next_line();
    assert!(line.contains("--ledger core://"), "{line}");
    core.banner += &line;
    core
}

fn behind(url: &str, node: &str) -> [String; 6] {
    ["--ledger", url, "--events", url, "--node", node].map(str::to_owned)
}

fn replica_command(url: &str, node: &str) -> Command {
    let mut command = kilat(["serve", "--listen=127.0.0.1:0"]);
    command.args(behind(url, node));
    command
}

#[test]
fn replicas_hold_no_state_and_are_handed_their_secrets() {
    let place = Place::new();
    let core = place.core();
    let mut command = replica_command(&place.url(), "one");
    let elsewhere = place.folder.path().join("elsewhere");
    let replica =
        Server::run(command.env_remove("KILAT_ADMIN_TOKEN").env("KILAT_DATA", &elsewhere));
    // With the token that only the core was given.
    replica.make_sale("s", 10, 60);
    let reply = replica.order("s", "key", r#"{"customer":"budi","quantity":1}"#);
    assert_eq!((reply.status, reply.json()["node"].as_str()), (201, Some("one")));
    assert!(!elsewhere.exists(), "a replica made a data directory");
    assert_eq!(replica.get("/readyz").status, 200);
    assert_eq!(sold(&core), 1);
    replica.stop();
    core.stop();
    assert_eq!(verify(&place.data())["sales"][0]["sold"], 1);
}

#[test]
fn two_replicas_are_stormed_at_the_same_time() {
    let place = Place::new();
    let core = place.core();
    let replicas = [place.replica("one"), place.replica("two")];
    let storms: Vec<Storm> = replicas
        .iter()
        .map(|replica| Storm::start(&replica.url, &["--orders=2000", "--hold=0.3"]))
        .collect();
    for storm in storms {
        assert_eq!(storm.proven()["after"]["sold"], 100);
    }
    replicas.into_iter().for_each(Server::stop);
    core.stop();
    verify(&place.data());
}

#[test]
fn a_core_killed_under_attack_loses_nothing_and_sells_nothing_twice() {
    let place = Place::new();
    let mut core = place.core();
    let replica = place.replica("one");
    replica.make_sale("s", 1_500, 600);
    let storm = ["--sale=s", "--orders=2000", "--buyers=2000", "--connections=100", "--hold=0.2"];
    let storm = Storm::start(&replica.url, &storm);
    for level in [200, 600, 1_000] {
        wait_for("units sold", || (sold(&core) >= level).then_some(()));
        core.kill();
        core = place.core();
    }
    storm.proven();
    assert_eq!(sold(&replica), 1_500, "demand was enough");
    replica.stop();
    core.stop();
    assert_eq!(verify(&place.data())["sales"][0]["sold"], 1_500);
}

/// It has three connections; a reader of its log needs one line.
#[test]
fn a_replica_says_once_that_its_core_is_away_and_once_that_it_is_back() {
    let place = Place::new();
    let core = place.core();
    let replica = place.replica("one");
    core.kill();
    let lines = |words: &str| replica.log().matches(words).count();
    wait_for("the warning", || (lines("the core is away") > 0).then_some(()));
    let core = place.core();
    wait_for("the core", || (lines("the core is back") > 0).then_some(()));
    let log = replica.log();
    assert_eq!((lines(" WARN "), lines("the core is back")), (1, 1), "{log}");
    replica.stop();
    core.stop();
}

#[test]
fn what_a_replica_acknowledged_survives_its_core() {
    let place = Place::new();
    let (witness, seed) = (Witness::default(), seed());
    let mut core = place.core();
    let replica = place.replica("one");
    for life in 0..3 {
        core = std::thread::scope(|scope| {
            let work = || witness.work(&replica.url, WORKERS, OPERATIONS, seed + life);
            let working = scope.spawn(work);
            let before = witness.acknowledged();
            let enough = || witness.acknowledged() > before + 50 || working.is_finished();
            wait_for("acknowledgements", || enough().then_some(()));
            core.kill();
            let core = place.core();
            working.join().unwrap();
            core
        });
        wait_for("the core", || (replica.get("/readyz").status == 200).then_some(()));
        witness.check(&replica);
        witness.replay(&replica);
    }
    replica.stop();
    core.stop();
    verify(&place.data());
}

#[test]
fn a_replica_that_dies_or_stands_still_loses_nothing() {
    let place = Place::new();
    let core = place.core();
    let other = place.replica("two");
    let mut replica = place.replica("one");
    replica.make_sale("s", 1_500, 600);
    let url = replica.url.clone();
    let storm = ["--sale=s", "--orders=2000", "--buyers=2000", "--connections=100", "--hold=0.2"];
    let storm = Storm::start(&url, &[&storm[..], &["--timeout-ms=2000"]].concat());
    wait_for("units sold", || (sold(&other) >= 200).then_some(()));
    replica.kill();
    replica = place.replica_at(&url, "one");
    wait_for("units sold", || (sold(&other) >= 600).then_some(()));
    replica.process().signal(Signal::STOP);
    std::thread::sleep(STOPPED);
    let sold_meanwhile = sold(&other);
    replica.process().signal(Signal::CONT);
    storm.proven();
    assert!(sold_meanwhile < 1_500, "nothing was left to be sold late");
    assert_eq!(sold(&other), 1_500, "demand was enough");
    replica.stop();
    other.stop();
    core.stop();
    verify(&place.data());
}

#[test]
fn a_replica_over_tcp_needs_the_secret() {
    let place = Place::new();
    let mut command = core_command(&place.data());
    let core = core(command.arg("--listen=tcp://127.0.0.1:0").env("KILAT_SECRET", SECRET));
    let url = core.banner.split("--ledger ").nth(1).unwrap().split_whitespace().next().unwrap();
    let url = &url.to_owned();
    let replica = |secret: &str| {
        let mut command = replica_command(url, "one");
        Server::try_run(command.env("KILAT_SECRET", secret))
    };
    let Err(end) = replica(&"0".repeat(40)) else { panic!("it started") };
    assert_eq!(end.status.code(), Some(2), "{}", end.said);
    assert!(end.said.contains("give both the same secret"), "{}", end.said);
    let Ok(replica) = replica(SECRET) else { panic!("it did not start") };
    replica.make_sale("s", 10, 60);
    assert_eq!(replica.order("s", "key", r#"{"customer":"budi","quantity":1}"#).status, 201);
    replica.stop();
    core.stop();
    let given =
        |name: &str| kilat(["serve", "--ledger", url, "--events", url]).env_remove(name).output();
    for name in ["KILAT_ADMIN_TOKEN", "KILAT_SECRET"] {
        let output = given(name).unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("KILAT_SECRET and KILAT_ADMIN_TOKEN"));
    }
}
