//! NATS with JetStream as a peer, as Debian packages it and as strict as it goes. Events go
//! message by message with 1,000 in flight, and it drops an id that comes twice in two minutes.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::driver::{self, Amount, Requests, Shot};
use super::generator::Protocol;
use super::jetstream::{Client, IN_FLIGHT_MAX};
use super::load;
use super::race::{self, Peer};
use crate::bench::figure::Figure;
use crate::bench::part::unavailable;
use crate::bench::python;
use crate::bench::scene::Scene;
use crate::bench::server::{self, Program, Ready, Server};
use crate::process;

const PEER: &str = "bench/peers/nats";
/// Messages of one write: a part of what may be in flight, so that acknowledgements overlap it.
const WRITE_MESSAGES: u64 = IN_FLIGHT_MAX / 10;

/// Debian's server with its defaults, which sync every two minutes.
pub(super) fn with_its_default(scene: &Scene) -> Result<Vec<Figure>> {
    let program = process::find("nats-server").context("`nats-server` is not installed")?;
    let peer = Peer {
        id: "nats",
        name: "JetStream",
        size: "1,000 in flight",
        note: "Debian's, its default: acknowledged before the sync, which comes in 2 minutes; dedup for 2 minutes",
    };
    measure(scene, peer, &program, None)
}

/// A newer server that syncs before it acknowledges: Debian's cannot.
pub(super) fn with_a_sync_each(scene: &Scene) -> Result<Vec<Figure>> {
    let python = python::environment(scene.root(), "nats", PEER)?;
    let program = python.with_file_name("nats-server");
    if !program.exists() {
        return Err(unavailable("the Python package holds no `nats-server` for this machine"));
    }
    let peer = Peer {
        id: "nats-sync",
        name: "JetStream",
        size: "1,000 in flight",
        note: "2.15, `sync_interval: always`; dedup for 2 minutes",
    };
    measure(scene, peer, &program, Some("strict.conf"))
}

fn measure(
    scene: &Scene,
    peer: Peer,
    program: &Path,
    configuration: Option<&str>,
) -> Result<Vec<Figure>> {
    let folder = scene.folder("nats")?;
    let nats = start(program, folder.path(), configuration)?;
    Client::open(nats.address())?.create_stream()?;
    let mut sent = 0;
    let figures = race::with(scene, peer, || {
        let shot = shoot(scene, &nats, sent)?;
        sent += shot.events;
        Ok(shot)
    })?;
    check(&nats, sent)?;
    Ok(figures)
}

fn start(program: &Path, folder: &Path, configuration: Option<&str>) -> Result<Server> {
    let address = server::free_address()?;
    let port = address.port().to_string();
    let mut nats = Program::new(program, address, None, folder)?
        .args(["--addr", &address.ip().to_string(), "--port", &port, "--jetstream"])
        .arg_path("--store_dir", &folder.join("store"));
    if let Some(name) = configuration {
        nats = nats.arg_path("--config", &fs::canonicalize(format!("{PEER}/{name}"))?);
    }
    nats.start(Ready::Accepts)
}

fn shoot(scene: &Scene, nats: &Server, first: u64) -> Result<Shot> {
    let amount = Amount::of_seconds(WRITE_MESSAGES, scene.shot_seconds());
    let requests = Requests::new(amount, Protocol::Nats, 1, first);
    driver::generate(scene, nats.address(), requests)
}

/// Nothing that was new is missing. More may be there: duplicates of what came long before.
fn check(nats: &Server, sent: u64) -> Result<()> {
    let stored = Client::open(nats.address())?.stored()?;
    let unique = load::new_among(sent);
    ensure!(
        (unique..=sent).contains(&stored),
        "{unique} of {sent} events were new, {stored} are stored"
    );
    Ok(())
}
