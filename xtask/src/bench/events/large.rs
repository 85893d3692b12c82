//! T7: a log that holds many ids already: how fast it takes events compared with an empty one,
//! how much memory it needs, and how much disk.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::aggregator::Aggregator;
use super::driver::{Amount, Shot};
use super::load;
use super::race::{BATCH, CONNECTIONS};
use crate::bench::figure::{self, Figure, Target};
use crate::bench::scene::{Scene, alternate};
use crate::bench::server::Server;
use crate::bench::usage;

/// Of an empty log's throughput.
const RATIO_MIN: f64 = 0.75;
const RESIDENT_MB_MAX: f64 = 500.0;
const MB: f64 = 1e6;
/// Ids of a person's run; the target speaks of 100 million.
const IDS: u64 = 10_000_000;
const IDS_SMOKE: u64 = 20_000;
/// Longest time that filling may take: 100 million ids at 40,000 a second.
const FILL_SECONDS_MAX: u64 = 2_500;
/// Between two looks at a server's memory.
const MEMORY_POLL: Duration = Duration::from_millis(20);
/// A server is settled when it uses less of one core than this for that long.
const SETTLED_CORE_SHARE: f64 = 0.05;
const SETTLED_FOR: Duration = Duration::from_millis(500);
/// Longest wait for that.
const SETTLE_DEADLINE: Duration = Duration::from_secs(120);

/// A log with its ids, and what filling it took.
pub(super) struct Filled<'a> {
    pub(super) aggregator: Aggregator<'a>,
    pub(super) ids: u64,
    shot: Shot,
    /// The most anonymous memory that was seen, in bytes.
    peak_bytes: f64,
}

/// T7.
pub(super) fn logs(scene: &Scene) -> Result<Vec<Figure>> {
    let folder = scene.folder("t7")?;
    let Filled { mut aggregator, ids, shot: filling, peak_bytes } = fill(scene, folder.path())?;
    let disk = disk_figure(&folder.path().join("data"), load::new_among(aggregator.sent()))?;
    let amount = Amount::of_seconds(BATCH, scene.shot_seconds());
    let mut peaks = Vec::new();
    let mut old = Vec::new();
    let rounds = alternate(
        scene.rounds(),
        || {
            let (shot, peak) = watched(&mut aggregator, |log| log.publish(amount, CONNECTIONS))?;
            peaks.push(peak / MB);
            old.push(aggregator.publish_with_old(amount, CONNECTIONS)?.per_second());
            settle(scene, aggregator.server())?;
            Ok(shot)
        },
        || empty(scene, amount),
    )?;
    aggregator.check()?;
    let samples = |of: fn(&(Shot, Shot)) -> f64| rounds.iter().map(of).collect::<Vec<_>>();
    let full = samples(|(full, _)| full.per_second());
    let at = format!("at {} ids", figure::with_thousands(ids as f64));
    let figure = |what: String, unit, samples| Figure::new("T7", what, unit, samples);
    Ok(vec![
        figure(
            format!("events by 1,000, {at} ÷ empty"),
            "×",
            samples(|(full, empty)| full.per_second() / empty.per_second()),
        )
        .aims(Target::AtLeast(RATIO_MIN)),
        figure(format!("events by 1,000, {at}"), "/s", full)
            .noted("duplicates of the last million ids"),
        figure("events by 1,000, empty".to_owned(), "/s", samples(|(_, empty)| empty.per_second())),
        figure(format!("events by 1,000, {at}, old duplicates"), "/s", old)
            .noted("duplicates of any id, reported apart"),
        figure(format!("anonymous memory {at}, peak under load"), "MB", peaks)
            .aims(Target::AtMost(RESIDENT_MB_MAX)),
        figure("anonymous memory, peak while filling".to_owned(), "MB", vec![peak_bytes / MB]),
        figure("events by 1,000, filling".to_owned(), "/s", vec![filling.per_second()])
            .noted(format!("{:.0} s", filling.seconds)),
        disk,
    ])
}

/// Kilat on a fresh directory in `folder`, with as many ids as are asked for.
pub(super) fn fill<'a>(scene: &'a Scene, folder: &Path) -> Result<Filled<'a>> {
    let ids = scene.ids(IDS, IDS_SMOKE);
    let batches = load::events_for(ids).div_ceil(BATCH);
    let mut aggregator = Aggregator::kilat(scene, folder)?;
    let amount = Amount { batch: BATCH, seconds: FILL_SECONDS_MAX, batches };
    let (shot, peak_bytes) = watched(&mut aggregator, |log| log.publish(amount, CONNECTIONS))?;
    ensure!(
        shot.events == batches * BATCH,
        "only {} of {ids} ids after {FILL_SECONDS_MAX} s",
        load::new_among(shot.events)
    );
    aggregator.check()?;
    settle(scene, aggregator.server())?;
    Ok(Filled { aggregator, ids, shot, peak_bytes })
}

fn empty(scene: &Scene, amount: Amount) -> Result<Shot> {
    let folder = scene.folder("t7-empty")?;
    let mut aggregator = Aggregator::kilat(scene, folder.path())?;
    let shot = aggregator.publish(amount, CONNECTIONS)?;
    aggregator.check()?;
    Ok(shot)
}

/// What happens in the background must not slow down whoever is measured next.
fn settle(scene: &Scene, server: &Server) -> Result<()> {
    let deadline = scene.pick(SETTLE_DEADLINE, SETTLED_FOR);
    let started = Instant::now();
    while started.elapsed() < deadline {
        let before = server.cpu_time()?;
        thread::sleep(SETTLED_FOR);
        let used = server.cpu_time()?.saturating_sub(before);
        if used.as_secs_f64() < SETTLED_FOR.as_secs_f64() * SETTLED_CORE_SHARE {
            break;
        }
    }
    Ok(())
}

/// Runs the load, and gives the most anonymous memory that the server had meanwhile.
fn watched(
    log: &mut Aggregator<'_>,
    load: impl FnOnce(&mut Aggregator<'_>) -> Result<Shot>,
) -> Result<(Shot, f64)> {
    let pid = log.server().pid();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| peak_memory(pid, &is_over));
        let shot = load(log);
        is_over.store(true, Ordering::Relaxed);
        Ok((shot?, watcher.join().unwrap_or(f64::NAN)))
    })
}

fn peak_memory(pid: u32, is_over: &AtomicBool) -> f64 {
    let mut peak: f64 = 0.0;
    while !is_over.load(Ordering::Relaxed) {
        // A process that ends right now has no memory any more.
        peak = peak.max(usage::memory(pid).map_or(0.0, |memory| memory.anonymous));
        thread::sleep(MEMORY_POLL);
    }
    peak
}

fn disk_figure(data: &Path, events: u64) -> Result<Figure> {
    let mut parts = Vec::new();
    for entry in fs::read_dir(data)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        parts.push((name, disk_bytes(&path)?));
    }
    parts.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let per_event = |bytes: u64| bytes as f64 / events as f64;
    let all: u64 = parts.iter().map(|(_, bytes)| bytes).sum();
    let note: Vec<String> = parts
        .iter()
        .filter(|(_, bytes)| *bytes > 0)
        .map(|(name, bytes)| format!("{name} {:.1}", per_event(*bytes)))
        .collect();
    Ok(Figure::new("T7", "disk, for each stored event", "bytes", vec![per_event(all)])
        .noted(note.join(", ")))
}

/// What files take on the disk: holes take nothing (`st_blocks` counts 512 bytes).
fn disk_bytes(path: &Path) -> Result<u64> {
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() {
        return Ok(found.blocks() * 512);
    }
    fs::read_dir(path)?.map(|entry| disk_bytes(&entry?.path())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_is_counted_by_what_it_takes() {
        let folder = std::env::temp_dir().join(format!("kilat-disk-{}", std::process::id()));
        fs::create_dir_all(folder.join("events")).unwrap();
        fs::write(folder.join("events/a"), vec![1; 4096]).unwrap();
        fs::File::create(folder.join("events/hole")).unwrap().set_len(1 << 20).unwrap();
        let bytes = disk_bytes(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert!((4096..1 << 20).contains(&bytes), "{bytes}");
    }
}
