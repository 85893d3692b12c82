//! A server that takes 64 lookups at once and answers 429 beyond: how much of that the check
//! uses once it had five seconds to find out.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::client::{self, Check};
use super::reference;
use crate::bench::figure::{Figure, Target};
use crate::bench::scene::Scene;

/// Lookups that the server takes at once.
const PLACES: u32 = 64;
const SETTLED: Duration = Duration::from_secs(5);
const USED_MIN: f64 = 0.9;
/// Half a minute at full capacity.
const IDS: u64 = 4_800;

/// Without `--concurrency`, and with far too much of it.
pub(super) fn found(scene: &Scene) -> Result<Vec<Figure>> {
    let ways = [("unasked", None), ("with --concurrency 1000", Some(1_000))];
    ways.into_iter().map(|(name, concurrency)| use_of(scene, name, concurrency)).collect()
}

fn use_of(scene: &Scene, name: &str, concurrency: Option<u32>) -> Result<Figure> {
    let folder = scene.folder("limit")?;
    let above = PLACES.to_string();
    let rehearsal = ["--delay", reference::SEED_DELAY, "--busy-above", &above];
    let server = reference::serve(scene, folder.path(), &rehearsal)?;
    let ids = reference::ids(folder.path(), scene.pick(IDS, 200))?;
    let log = folder.path().join("limit.jsonl");
    Check { server: &server, profile: "stock", ids: Some(&ids), concurrency, log: &log }
        .run(scene)?;
    let mut ends = Vec::new();
    client::read(&log, |lookup| ends.push((lookup.ended, lookup.reply)))?;
    let from = scene.pick(SETTLED, Duration::ZERO);
    let used = used(&mut ends, from)?;
    Ok(Figure::new("limit", format!("of 64 places used after 5 s, {name}"), "×", vec![used])
        .aims(Target::AtLeast(USED_MIN)))
}

/// Time that replies took to be made, out of all that the places had. The end of the run, when
/// fewer ids are left than places, does not count.
fn used(ends: &mut [(Duration, Duration)], from: Duration) -> Result<f64> {
    ends.sort();
    let counted = ends.len().saturating_sub(PLACES as usize);
    let Some(&(until, _)) = ends.get(counted) else {
        return Ok(0.0);
    };
    ensure!(until > from, "all was answered within {} s", from.as_secs());
    let work: Duration = ends
        .iter()
        .map(|&(end, reply)| end.min(until).saturating_sub((end.saturating_sub(reply)).max(from)))
        .sum();
    Ok(work.as_secs_f64() / (until - from).as_secs_f64() / f64::from(PLACES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_are_always_taken_are_used_in_full() {
        let second = Duration::from_secs(1);
        let mut ends: Vec<_> =
            (1..=10).flat_map(|end| vec![(second * end, second); PLACES as usize]).collect();
        assert!((used(&mut ends, second * 5).unwrap() - 1.0).abs() < 1e-9);
        let mut half: Vec<_> =
            (1..=10).flat_map(|end| vec![(second * end, second / 2); PLACES as usize]).collect();
        assert!((used(&mut half, second * 5).unwrap() - 0.5).abs() < 0.07);
    }
}
