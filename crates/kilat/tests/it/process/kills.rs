//! Killed at a system call, one after the other: what was acknowledged is recovered.

use crate::program::{Server, scaled, verify};
use crate::trace;
use crate::witness::{Witness, seed};
use std::path::Path;

/// Operations of one life, before it is asked to stop.
const OPERATIONS: u64 = 500;
const WORKERS: u64 = 3;
/// Lives of one data directory, for calls that every life makes.
const MANY_LIVES: usize = 4;
/// For calls that only the making of a data directory makes.
const ONE_LIFE: usize = 1;

/// One life: starts, works, stops. A call that kills makes it shorter.
fn live(data: &Path, log: &Path, inject: Option<&str>, witness: &Witness, seed: u64) {
    if let Ok(mut server) = Server::try_run(&mut trace::server(data, log, inject)) {
        witness.work(&server.url, WORKERS, OPERATIONS, seed);
        server.process().signal(rustix::process::Signal::TERM);
        server.process().wait();
    }
}

/// Recovers, reads, sends keys again, and is killed without a word.
fn recover(data: &Path, witness: &Witness) {
    let server = Server::start(data);
    witness.check(&server);
    witness.replay(&server);
    server.kill();
    verify(data);
}

/// How often a life from nothing to the end makes `call`.
fn sites(call: &str, seed: u64) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let (data, log) = (folder.path().join("data"), folder.path().join("trace"));
    let witness = Witness::default();
    live(&data, &log, None, &witness, seed);
    trace::count(&trace::lines(&log), call)
}

fn check(call: &str, lives: usize, kills_max: usize) {
    let seed = seed();
    let sites = sites(call, seed);
    assert!(sites > 0, "{call} is never made: nothing would be tested");
    let kills = kills_max.min(sites);
    println!("{call}: {sites} sites, {kills} kills, {OPERATIONS} operations a life");
    let folder = tempfile::tempdir().unwrap();
    let mut reached = 0;
    let mut witness = Witness::default();
    for kill in 0..kills {
        if kill % lives == 0 {
            witness = Witness::default();
        }
        let data = folder.path().join(format!("data-{}", kill / lives));
        let log = folder.path().join(format!("trace-{kill}"));
        // Every directory gets sites from all over the life; together they are all different.
        let order = kill / lives + kill % lives * kills.div_ceil(lives);
        let site = 1 + order.min(kills - 1) * sites / kills;
        let inject = format!("{call}:signal=SIGKILL:when={site}");
        live(&data, &log, Some(&inject), &witness, seed + kill as u64);
        let killed = trace::lines(&log).iter().any(|line| line.contains("killed by SIGKILL"));
        reached += usize::from(killed);
        recover(&data, &witness);
    }
    println!("{call}: {reached} of {kills} sites reached");
    assert!(reached * 2 >= kills, "too few sites were reached: {reached} of {kills}");
}

/// What these tests are worth: a server that only pretends to write is found out.
#[test]
fn writes_that_never_happen_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (data, log) = (folder.path().join("data"), folder.path().join("trace"));
    let witness = Witness::default();
    // By thread: both segments are made with fewer calls.
    let inject = Some("pwrite64:retval=512:when=40+");
    let server = Server::run(&mut trace::server(&data, &log, inject));
    witness.work(&server.url, WORKERS, OPERATIONS, seed());
    server.kill();
    let caught = std::thread::scope(|scope| scope.spawn(|| recover(&data, &witness)).join());
    assert!(caught.is_err(), "lost orders were not missed");
}

#[test]
fn a_kill_at_a_write_loses_nothing() {
    check("pwrite64", MANY_LIVES, scaled("KILAT_KILLS", 80));
}

#[test]
fn a_kill_at_a_sync_loses_nothing() {
    check("fdatasync", MANY_LIVES, scaled("KILAT_KILLS", 80));
}

#[test]
fn a_kill_at_a_sync_of_names_loses_nothing() {
    check("fsync", ONE_LIFE, scaled("KILAT_KILLS", 16));
}

#[test]
fn a_kill_at_a_rename_loses_nothing() {
    check("rename", ONE_LIFE, scaled("KILAT_KILLS", 8));
}

#[test]
fn a_kill_at_a_new_directory_or_lock_loses_nothing() {
    check("mkdir", ONE_LIFE, scaled("KILAT_KILLS", 4));
    check("ftruncate", ONE_LIFE, scaled("KILAT_KILLS", 4));
}
