//! Embedded stores as peers: SQLite and fjall, each in a process that inserts batches by itself,
//! without a network and without reading what it stores.

use std::path::{Path, PathBuf};

use anyhow::Result;
use duct::Expression;

use super::driver::{self, Amount, BATCHES_MAX};
use super::race::{self, BATCH, Peer};
use crate::bench::figure::Figure;
use crate::bench::part::unavailable;
use crate::bench::scene::Scene;
use crate::process;

const FJALL: &str = "bench/peers/fjall/Cargo.toml";

/// SQLite through Python's own module, which spends little of the time.
pub(super) fn sqlite(scene: &Scene) -> Result<Vec<Figure>> {
    let peer = Peer {
        id: "sqlite",
        name: "SQLite in process",
        size: "1,000 a transaction",
        note: "durable: WAL, synchronous=FULL; no network, JSON not read",
    };
    measure(scene, peer, driver::prepared_batches(scene), |store, arguments| {
        let call = ["bench/peers/sqlite/driver.py", "--store", store];
        driver::python(Path::new("python3"), &[&call[..], arguments].concat())
    })
}

/// fjall, a log-structured merge tree in Rust.
pub(super) fn fjall(scene: &Scene) -> Result<Vec<Figure>> {
    let program = build_fjall(scene)?;
    let peer = Peer {
        id: "fjall",
        name: "fjall in process",
        size: "1,000 a batch",
        note: "durable: PersistMode::SyncData; no network, JSON not read, keeps no order",
    };
    measure(scene, peer, BATCHES_MAX, |store, arguments| {
        driver::program(&program, &[&["--store", store][..], arguments].concat())
    })
}

fn measure(
    scene: &Scene,
    peer: Peer,
    batches: u64,
    call: impl Fn(&str, &[&str]) -> Expression,
) -> Result<Vec<Figure>> {
    let folder = scene.folder(peer.id)?;
    let store = folder.path().join("store").to_string_lossy().into_owned();
    let amount = Amount { batch: BATCH, seconds: scene.shot_seconds(), batches };
    let mut sent = 0;
    race::with(scene, peer, || {
        let shot = driver::insert(amount, sent, |arguments| call(&store, arguments))?;
        sent += shot.events;
        Ok(shot)
    })
}

/// A crate outside of the workspace: its dependencies are nobody else's.
fn build_fjall(scene: &Scene) -> Result<PathBuf> {
    let target = scene.root().join("fjall-build");
    let (profile, folder) = scene.pick(("release", "release"), ("dev", "debug"));
    let target_text = target.to_string_lossy().into_owned();
    let arguments = ["build", "--quiet", "--locked", "--profile", profile];
    let places = ["--manifest-path", FJALL, "--target-dir", &target_text];
    if !process::succeeds(&process::cargo(arguments.into_iter().chain(places)))? {
        return Err(unavailable(format!(
            "`cargo build --manifest-path {FJALL}` failed, see above"
        )));
    }
    Ok(target.join(folder).join("fjall-peer"))
}
