//! T9: a hundred thousand lookups with nine thousand in flight, beside aiohttp, and what memory
//! does when there are many more ids.

use std::path::Path;

use anyhow::{Result, ensure};

use super::client::{self, Check};
use super::peers;
use super::reference;
use crate::bench::figure::{Figure, Target};
use crate::bench::job::Ended;
use crate::bench::scene::{Scene, alternate};
use crate::bench::server::Server;

const IDS: u64 = 100_000;
const IN_FLIGHT: u32 = 9_000;
/// What a check may take beyond the bound that delays and places in flight set: a twentieth,
/// and the last delay.
const SLACK: f64 = 1.05;
const LAST_DELAY_S: f64 = 0.6;
const MEMORY_MIB_MAX: f64 = 150.0;
/// Memory with a hundred times the ids, against that with these.
const GROWTH_MAX: f64 = 1.1;
const MIB: f64 = 1024.0 * 1024.0;

/// T9, at two sizes for its memory.
pub(super) fn lookups(scene: &Scene) -> Result<Vec<Figure>> {
    let (folder, in_flight) = (scene.folder("t9")?, scene.pick(IN_FLIGHT, 100));
    let count = scene.pick(IDS, 500);
    let ids = reference::ids(folder.path(), count)?;
    // A server of its own for each: thousands of connections that were closed keep theirs from being
    // opened again at the same address for a minute, and each that tries waits for a second.
    let serve = || reference::serve(scene, folder.path(), &["--delay", reference::SEED_DELAY]);
    let bound = count as f64 * reference::DELAY_MEAN.as_secs_f64() / f64::from(in_flight);
    let rounds = alternate(
        scene.pick(3, 1),
        || check(scene, &serve()?, folder.path(), (&ids, count, in_flight)),
        || peers::aiohttp_run(scene, &serve()?, &ids, in_flight),
    )?;
    let wall = |of: fn(&(Ended, Ended)) -> &Ended| -> Vec<f64> {
        rounds.iter().map(|round| of(round).wall.as_secs_f64()).collect()
    };
    let ratios = rounds.iter().map(|(ours, theirs)| theirs.wall.div_duration_f64(ours.wall));
    let peaks: Vec<f64> = rounds.iter().map(|(ours, _)| ours.peak_bytes / MIB).collect();
    let memory = format!("aiohttp {:.0} MiB", rounds.last().map_or(0.0, |r| r.1.peak_bytes / MIB));
    let what = format!("{count} lookups, {in_flight} in flight");
    let mut figures = vec![
        Figure::new("T9", what, "s", wall(|round| &round.0))
            .aims(Target::AtMost(bound * SLACK + LAST_DELAY_S))
            .noted(format!("bound {bound:.2} s, every id known, logged and synced")),
        Figure::new("T9", "the same, aiohttp", "s", wall(|round| &round.1)).noted("no log"),
        Figure::new("T9", "aiohttp ÷ `kilat check`", "×", ratios.collect()),
        Figure::new("T9", "memory of `kilat check`, peak", "MiB", peaks)
            .aims(Target::AtMost(MEMORY_MIB_MAX))
            .noted(memory),
    ];
    figures.push(growth(scene, folder.path())?);
    Ok(figures)
}

fn check(
    scene: &Scene,
    server: &Server,
    folder: &Path,
    (ids, count, in_flight): (&Path, u64, u32),
) -> Result<Ended> {
    let log = folder.join("check.jsonl");
    let ids = Some(ids);
    let check = Check { server, profile: "stock", ids, concurrency: Some(in_flight), log: &log };
    let ended = check.run(scene)?;
    let mut found = 0;
    let logged = client::read(&log, |lookup| found += u64::from(lookup.outcome == "found"))?;
    ensure!(logged == count, "{logged} of {count} ids are in the log");
    let known = reference::known_among(count);
    ensure!(found == known, "{found} ids were found, the server knows {known}");
    Ok(ended)
}

/// Without delays, so that many ids take minutes and not an hour.
fn growth(scene: &Scene, folder: &Path) -> Result<Figure> {
    let (few, many) = (scene.pick(IDS, 500), scene.ids(10 * IDS, 5_000));
    let server = reference::serve(scene, folder, &["--delay", "none"])?;
    let peak = |count: u64| -> Result<f64> {
        let ids = reference::ids(folder, count)?;
        Ok(check(scene, &server, folder, (&ids, count, scene.pick(1_000, 50)))?.peak_bytes)
    };
    let (small, large) = (peak(few)?, peak(many)?);
    Ok(Figure::new("T9", format!("memory with {many} ids ÷ {few}"), "×", vec![large / small])
        .aims(Target::AtMost(GROWTH_MAX))
        .noted(format!("{:.1} MiB, {:.1} MiB", large / MIB, small / MIB)))
}
