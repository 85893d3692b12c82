//! What others use to ask an API ten thousand things: the seed's client, aiohttp and curl,
//! each beside a check with as many in flight. Must never tune a peer down.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};

use super::client::Check;
use super::reference;
use crate::bench::figure::Figure;
use crate::bench::job::{self, Ended};
use crate::bench::python;
use crate::bench::scene::{Scene, alternate};
use crate::bench::server::{self, Server};

const FOLDER: &str = "bench/peers/lookups";
const IDS: u64 = 10_000;
const IN_FLIGHT: u32 = 1_000;
/// curl takes no more (`--parallel-max`).
const CURL_IN_FLIGHT: u32 = 300;
const DEADLINE: Duration = Duration::from_secs(600);
const MIB: f64 = 1024.0 * 1024.0;

type Run = fn(&Scene, &Server, &Path, u32) -> Result<Ended>;

/// A peer and how many lookups it has in flight.
struct Peer {
    id: &'static str,
    name: &'static str,
    in_flight: u32,
    run: Run,
}

/// The seed's client: a thread and a connection for each lookup.
pub(super) fn threads(scene: &Scene) -> Result<Vec<Figure>> {
    let name = "the seed's client, threads + requests";
    against(scene, &Peer { id: "threads", name, in_flight: IN_FLIGHT, run: threads_run })
}

/// One event loop with a pool of connections.
pub(super) fn aiohttp(scene: &Scene) -> Result<Vec<Figure>> {
    against(scene, &Peer { id: "aiohttp", name: "aiohttp", in_flight: IN_FLIGHT, run: aiohttp_run })
}

/// `curl --parallel` with a file of addresses.
pub(super) fn curl(scene: &Scene) -> Result<Vec<Figure>> {
    against(scene, &Peer { id: "curl", name: "curl -Z", in_flight: CURL_IN_FLIGHT, run: curl_run })
}

fn against(scene: &Scene, peer: &Peer) -> Result<Vec<Figure>> {
    let (folder, count) = (scene.folder(peer.id)?, scene.pick(IDS, 200));
    let in_flight = scene.pick(peer.in_flight, 100);
    let ids = reference::ids(folder.path(), count)?;
    let log = folder.path().join("check.jsonl");
    let server = reference::serve(scene, folder.path(), &["--delay", reference::SEED_DELAY])?;
    let concurrency = Some(in_flight);
    let check =
        Check { server: &server, profile: "stock", ids: Some(&ids), concurrency, log: &log };
    let rounds = alternate(
        scene.pick(3, 1),
        || check.run(scene),
        || (peer.run)(scene, &server, &ids, in_flight),
    )?;
    let bound = count as f64 * reference::DELAY_MEAN.as_secs_f64() / f64::from(in_flight);
    let of = |pick: fn(&(Ended, Ended)) -> f64| rounds.iter().map(pick).collect::<Vec<f64>>();
    let memory = |ended: &Ended| ended.peak_bytes / MIB;
    let last = rounds.last().map_or((0.0, 0.0), |(ours, theirs)| (memory(ours), memory(theirs)));
    let id = peer.id;
    Ok(vec![
        Figure::new(
            id,
            format!("{} ÷ `kilat check`, {count} lookups, {in_flight} in flight", peer.name),
            "×",
            of(|(ours, theirs)| theirs.wall.div_duration_f64(ours.wall)),
        )
        .noted(format!("bound {bound:.2} s; memory {:.0} MiB, ours {:.0} MiB", last.1, last.0)),
        Figure::new(id, peer.name, "s", of(|(_, theirs)| theirs.wall.as_secs_f64())),
        Figure::new(id, "`kilat check`", "s", of(|(ours, _)| ours.wall.as_secs_f64())),
    ])
}

fn threads_run(scene: &Scene, server: &Server, ids: &Path, in_flight: u32) -> Result<Ended> {
    python_run(scene, "threads.py", server, ids, in_flight)
}

/// aiohttp with so many in flight.
pub(super) fn aiohttp_run(
    scene: &Scene,
    server: &Server,
    ids: &Path,
    in_flight: u32,
) -> Result<Ended> {
    python_run(scene, "aio.py", server, ids, in_flight)
}

fn python_run(
    scene: &Scene,
    script: &str,
    server: &Server,
    ids: &Path,
    in_flight: u32,
) -> Result<Ended> {
    let python = python::environment(scene.root(), "lookups", FOLDER)?;
    let mut command = server::pinned(None)?;
    command.arg(python).arg(format!("{FOLDER}/{script}")).arg(url(server)).arg(ids);
    command.arg(in_flight.to_string());
    complete(job::run(&mut command, DEADLINE)?, ids)
}

fn curl_run(_: &Scene, server: &Server, ids: &Path, in_flight: u32) -> Result<Ended> {
    let mut command = server::pinned(None)?;
    command.args(["curl", "--silent", "--parallel", "--parallel-immediate"]);
    command.args(["--parallel-max", &in_flight.to_string()]);
    command.args(["--write-out", "%{http_code}\\n"]).arg("--config").arg(addresses(server, ids)?);
    let mut ended = job::run(&mut command, DEADLINE)?;
    let answered = ended.output.lines().filter(|line| matches!(*line, "200" | "404")).count();
    ended.output = answered.to_string();
    complete(ended, ids)
}

fn addresses(server: &Server, ids: &Path) -> Result<PathBuf> {
    let path = ids.with_extension("curl");
    let mut text = String::new();
    for id in fs::read_to_string(ids)?.lines() {
        let _ = writeln!(text, "url = \"{}{id}\"\noutput = \"/dev/null\"", url(server));
    }
    fs::write(&path, text)?;
    Ok(path)
}

fn url(server: &Server) -> String {
    format!("http://{}/get_stock?sku=", server.address())
}

/// Peers print how many ids the server answered; all must be.
fn complete(ended: Ended, ids: &Path) -> Result<Ended> {
    let asked = fs::read_to_string(ids)?.lines().count();
    let answered = ended.output.trim();
    ensure!(
        ended.status.success() && answered == asked.to_string(),
        "it got {answered} replies of {asked} and ended with {}: {}",
        ended.status,
        ended.errors.lines().last().unwrap_or_default()
    );
    Ok(ended)
}
