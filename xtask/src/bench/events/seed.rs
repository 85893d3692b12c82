//! The seed's stack as a peer: FastAPI on uvicorn, one worker, SQLite with its defaults, one
//! transaction a request.

use std::path::Path;

use anyhow::Result;

use super::aggregator::Aggregator;
use super::driver::Amount;
use super::race::{self, Peer};
use crate::bench::figure::Figure;
use crate::bench::python;
use crate::bench::scene::{Scene, alternate};
use crate::bench::server::{self, Program, Ready, Server};

const SHOP: &str = "bench/peers/fastapi";

/// How many events a request carries, and over how many connections.
struct Size {
    name: &'static str,
    batch: u64,
    connections: usize,
}

static SIZES: [Size; 3] = [
    Size { name: "one by one", batch: 1, connections: 64 },
    Size { name: "by 100", batch: 100, connections: 8 },
    Size { name: "by 1,000", batch: 1_000, connections: race::CONNECTIONS },
];

/// The seed's stack and Kilat get the same requests from the same generator.
pub(super) fn publications(scene: &Scene) -> Result<Vec<Figure>> {
    let (ours, theirs) = (scene.folder("events-kilat")?, scene.folder("fastapi")?);
    let python = python::environment(scene.root(), "fastapi", SHOP)?;
    let mut seed = Aggregator::new(scene, start(&python, theirs.path())?);
    let mut kilat = Aggregator::kilat(scene, ours.path())?;
    let mut figures = Vec::new();
    for Size { name, batch, connections } in &SIZES {
        let amount = Amount::of_seconds(*batch, scene.shot_seconds());
        let rounds = alternate(
            scene.pick(3, 1),
            || kilat.publish(amount, *connections),
            || seed.publish(amount, *connections),
        )?;
        let note = "durable; one worker, SQLite's default journal, the same generator";
        let peer = Peer { id: "seed", name: "FastAPI + SQLite", size: name, note };
        figures.extend(race::figures(peer, name, &rounds));
    }
    kilat.check()?;
    seed.check()?;
    Ok(figures)
}

fn start(python: &Path, folder: &Path) -> Result<Server> {
    let address = server::free_address()?;
    Program::new(python, address, None, folder)?
        .env("DATABASE", folder.join("events.db"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["-m", "uvicorn", "--workers", "1", "--no-access-log", "--log-level", "warning"])
        .args(["--host", &address.ip().to_string(), "--port", &address.port().to_string()])
        .args(["--app-dir", SHOP, "app:app"])
        .start(Ready::Get("/stats"))
}
