//! Killed without a word, again and again, and resumed: each id once, and what was shown is on disk.

use super::{check, ends, lookup, lookups, verified};
use crate::program::{Running, scaled, wait_for};
use crate::witness::seed;
use rustix::process::Signal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;

/// Ids for each kill, so that there is work left for all of them.
const IDS_A_KILL: usize = 60;

/// How much of a log there is.
fn bytes(log: &Path) -> u64 {
    std::fs::metadata(log).map_or(0, |file| file.len())
}

/// One life: until the log has grown by `bytes_more`. The ids that it showed.
fn live(folder: &Path, url: &str, bytes_more: u64) -> BTreeSet<String> {
    let log = folder.join("kilat-check-stock.jsonl");
    let before = bytes(&log);
    let arguments = ["stock", "--file=ids.txt", "--resume", "--json", "--concurrency=20"];
    let mut command = check(folder, url, &arguments);
    let mut process = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
    let stdout = process.take_stdout();
    let shown = std::thread::spawn(move || std::io::read_to_string(stdout).unwrap());
    wait_for("the log to grow", || {
        let has_grown = bytes(&log) >= before + bytes_more;
        (has_grown || process.ended().is_some()).then_some(())
    });
    process.signal(Signal::KILL);
    process.wait();
    let shown = shown.join().unwrap();
    // The last line may be cut; the summary is no id.
    let objects = shown.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    objects.filter_map(|object| object["id"].as_str().map(str::to_owned)).collect()
}

/// How often each id is in the log.
fn times(log: &Path) -> BTreeMap<String, u32> {
    let text = std::fs::read(log).unwrap();
    let mut times = BTreeMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        let record = serde_json::from_slice::<Value>(line).unwrap_or_default();
        if record["kind"] == "lookup" {
            *times.entry(record["id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    times
}

#[test]
fn killed_and_resumed_each_id_is_there_once() {
    let kills = scaled("KILAT_KILLS", 10);
    let mut random = seed();
    let ids: Vec<String> = (0..kills * IDS_A_KILL).map(|n| format!("id-{n}")).collect();
    let server = lookup(&["--delay=0..0.01", "--fail=1%", "--seed=1"]);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("kilat-check-stock.jsonl");
    std::fs::write(folder.path().join("ids.txt"), ids.join("\n")).unwrap();
    let mut shown = BTreeSet::new();
    for _ in 0..kills {
        // Knuth's MMIX generator.
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let of_this_life = live(folder.path(), &server.url, (random >> 33) % 30_000);
        let logged = times(&log);
        assert!(of_this_life.iter().all(|id| logged.contains_key(id)), "shown, and not on disk");
        assert!(of_this_life.is_disjoint(&shown), "asked a second time");
        shown.extend(of_this_life);
    }
    let left = ids.len() - times(&log).len();
    println!("{kills} kills, {} ids, {left} of them left to the last run", ids.len());
    let mut last =
        check(folder.path(), &server.url, &["stock", "--file=ids.txt", "--resume", "--quiet"]);
    ends(&mut last, 0);
    verified(&log);
    let times = times(&log);
    assert!(times.values().all(|times| *times == 1), "an id is there twice");
    assert_eq!(times.len(), ids.len());
    assert_eq!(lookups(&log).len(), ids.len());
}
