//! The power goes while orders are under way: what was acknowledged, or shown, is still there.

use super::disk::{Disk, Sectors, may_mount};
use crate::program::{Server, scaled, verify, wait_for};
use crate::trace;
use crate::witness::{Random, Witness, seed};
use std::path::Path;

const MEGABYTES: u64 = 64;
/// More than any life gets to.
const OPERATIONS: u64 = 3_000;
const WORKERS: u64 = 3;
/// After so many cuts a new data directory: its making can be cut, too.
const CUTS_MAX: usize = 12;

/// Power goes after `more` acknowledgements; the file system comes back as the device has it.
fn cut_while_working(disk: &mut Disk, server: Server, witness: &Witness, more: usize, seed: u64) {
    let enough = witness.acknowledged() + more;
    std::thread::scope(|scope| {
        let url = server.url.clone();
        let work = scope.spawn(move || witness.work(&url, WORKERS, OPERATIONS, seed));
        wait_for("acknowledgements", || {
            (witness.acknowledged() >= enough || work.is_finished()).then_some(())
        });
        disk.cut_power();
        // It learns of the cut by its next write, or never: either way it must go.
        server.kill();
    });
    disk.unmount();
    disk.mount();
}

/// What recovery showed to readers is cut off before anything else is written.
fn cut_after_reading(disk: &mut Disk, data: &Path, witness: &Witness) {
    let server = Server::start(data);
    witness.check(&server);
    disk.cut_power();
    server.kill();
    disk.unmount();
    disk.mount();
}

fn check(sectors: Sectors, cuts: usize) {
    if !may_mount() {
        return;
    }
    let seed = seed();
    let mut random = Random::new(seed);
    let mut disk = Disk::new(MEGABYTES, sectors);
    let mut witness = Witness::default();
    let data = disk.path().join("data");
    let (mut done, mut acknowledged, mut double) = (0, 0, 0);
    while done < cuts {
        let (more, seed) = (1 + random.below(80) as usize, random.below(u64::MAX));
        cut_while_working(&mut disk, Server::start(&data), &witness, more, seed);
        done += 1;
        if random.below(3) == 0 {
            cut_after_reading(&mut disk, &data, &witness);
            (done, double) = (done + 1, double + 1);
        }
        let server = Server::start(&data);
        witness.check(&server);
        witness.replay(&server);
        server.kill();
        verify(&data);
        if done / CUTS_MAX > (done - 1) / CUTS_MAX {
            acknowledged += witness.acknowledged();
            witness = Witness::default();
            std::fs::remove_dir_all(&data).unwrap();
        }
    }
    acknowledged += witness.acknowledged();
    println!(
        "{sectors:?} sectors: {done} cuts, {double} after reading only, {acknowledged} acknowledged"
    );
}

/// What these tests are worth: a server whose syncs do nothing is found out.
#[test]
fn syncs_that_do_nothing_are_noticed() {
    if !may_mount() {
        return;
    }
    let mut disk = Disk::new(MEGABYTES, Sectors::Large);
    let data = disk.path().join("data");
    let witness = Witness::default();
    let log = tempfile::NamedTempFile::new().unwrap();
    // By thread: the first segment is made durable, and the first frames are.
    let inject = Some("fdatasync:retval=0:when=4+");
    let server = Server::run(&mut trace::server(&data, log.path(), inject));
    cut_while_working(&mut disk, server, &witness, 50, seed());
    let caught = std::thread::scope(|scope| {
        let recover = || {
            let server = Server::start(&data);
            witness.check(&server);
            witness.replay(&server);
        };
        scope.spawn(recover).join()
    });
    assert!(caught.is_err(), "lost orders were not missed");
}

#[test]
fn a_power_cut_loses_nothing_that_was_written_directly() {
    check(Sectors::Small, scaled("KILAT_POWER_CUTS", 150) / 2);
}

#[test]
fn a_power_cut_loses_nothing_that_went_through_the_cache() {
    check(Sectors::Large, scaled("KILAT_POWER_CUTS", 150) / 2);
}
