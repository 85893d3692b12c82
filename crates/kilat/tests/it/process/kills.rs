//! Killed at a system call, one after the other: what was acknowledged is recovered.

use crate::program::{Server, scaled, verify};
use crate::trace;
use crate::witness::{Witness, seed};
use std::path::Path;

/// Operations of one life, before it is asked to stop.
const OPERATIONS: u64 = 120;
const WORKERS: u64 = 3;
/// After so many lives a new data directory: its making has sites of its own.
const LIVES_MAX: usize = 8;

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

fn check(call: &str, kills_max: usize) {
    let seed = seed();
    let sites = sites(call, seed);
    assert!(sites > 0, "{call} is never made: nothing would be tested");
    let kills = kills_max.min(sites);
    println!("{call}: {sites} sites, {kills} kills, {OPERATIONS} operations a life");
    let folder = tempfile::tempdir().unwrap();
    let mut reached = 0;
    let mut witness = Witness::default();
    for kill in 0..kills {
        if kill % LIVES_MAX == 0 {
            witness = Witness::default();
        }
        let data = folder.path().join(format!("data-{}", kill / LIVES_MAX));
        let log = folder.path().join(format!("trace-{kill}"));
        // Every directory gets sites from all over the life; together they are all different.
        let order = kill / LIVES_MAX + kill % LIVES_MAX * kills.div_ceil(LIVES_MAX);
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

#[test]
fn a_kill_at_a_write_loses_nothing() {
    check("pwrite64", scaled("KILAT_KILLS", 48));
}

#[test]
fn a_kill_at_a_sync_loses_nothing() {
    check("fdatasync", scaled("KILAT_KILLS", 40));
}

#[test]
fn a_kill_at_a_sync_of_names_loses_nothing() {
    check("fsync", scaled("KILAT_KILLS", 16));
}

#[test]
fn a_kill_at_a_rename_loses_nothing() {
    check("rename", scaled("KILAT_KILLS", 8));
}

#[test]
fn a_kill_at_a_new_directory_or_lock_loses_nothing() {
    check("mkdir", scaled("KILAT_KILLS", 4));
    check("ftruncate", scaled("KILAT_KILLS", 4));
}
