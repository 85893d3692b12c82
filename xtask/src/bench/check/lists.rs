//! The seed's five lists: how long a check takes beyond the slowest reply of its list.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::client::{self, Check};
use super::reference;
use crate::bench::figure::{Figure, Target};
use crate::bench::scene::Scene;

const PROFILES: [&str; 5] = ["stock", "flight", "domain", "package", "player"];
/// Start of the program, connections, log and sync included.
const OVERHEAD_MS_MAX: f64 = 20.0;

/// The largest overhead of the five in each round.
pub(super) fn five(scene: &Scene) -> Result<Vec<Figure>> {
    let folder = scene.folder("lists")?;
    let server = reference::serve(scene, folder.path(), &["--delay", "seed"])?;
    let log = folder.path().join("list.jsonl");
    let mut rounds = Vec::new();
    for _ in 0..scene.rounds() {
        let mut worst = Duration::ZERO;
        for profile in PROFILES {
            let check = Check { server: &server, profile, ids: None, concurrency: None, log: &log };
            let wall = check.run(scene)?.wall;
            let mut slowest = None;
            client::read(&log, |lookup| slowest = slowest.max(Some(lookup.reply)))?;
            worst = worst.max(wall.saturating_sub(slowest.context("nothing was asked")?));
        }
        rounds.push(worst.as_secs_f64() * 1e3);
    }
    let what = "the seed's five lists: wall time beyond the slowest reply, worst of five";
    Ok(vec![Figure::new("lists", what, "ms", rounds).aims(Target::AtMost(OVERHEAD_MS_MAX))])
}
