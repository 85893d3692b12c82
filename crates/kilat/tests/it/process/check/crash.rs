//! Killed without a word, again and again, and resumed: each id once, and what was shown is on disk.

use super::{check, ends, lookup, lookups, verified};
use crate::program::{Running, scaled, stderr, wait_for};
use crate::witness::seed;
use rustix::process::Signal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Ids for each kill, so that there is work left for all of them.
const IDS_A_KILL: usize = 100;

/// What processes were doing when they were killed, as far as the log tells.
#[derive(Debug, Default)]
struct Spread {
    /// The log is as it was.
    before_its_start: u32,
    /// Only the first record of a run is new.
    after_its_start: u32,
    at_work: u32,
    /// Of all of them: there are more new records than were shown.
    before_showing: u32,
    /// Of all of them: a part of a line was left.
    torn: u32,
}

impl Spread {
    fn add(&mut self, log: &Path, size_before: u64, added: usize, shown: usize) {
        let text = std::fs::read(log).unwrap_or_default();
        let stage = match added {
            0 if text.len() as u64 <= size_before => &mut self.before_its_start,
            0 => &mut self.after_its_start,
            _ => &mut self.at_work,
        };
        *stage += 1;
        self.before_showing += u32::from(added > shown);
        self.torn += u32::from(text.last().is_some_and(|byte| *byte != b'\n'));
    }
}

/// How much of a log there is.
fn bytes(log: &Path) -> u64 {
    std::fs::metadata(log).map_or(0, |file| file.len())
}

/// When a life ends.
#[derive(Clone, Copy)]
enum Moment {
    /// The log has grown by so many bytes.
    Grown(u64),
    /// So long after it began, which may be before its log is open.
    Passed(Duration),
}

/// One life, until that moment. The ids that it showed.
fn live(folder: &Path, url: &str, moment: Moment) -> BTreeSet<String> {
    let log = folder.join("kilat-check-stock.jsonl");
    let before = bytes(&log);
    let arguments = ["stock", "--file=ids.txt", "--resume", "--json", "--concurrency=20"];
    let mut command = check(folder, url, &arguments);
    let mut process = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
    let stdout = process.take_stdout();
    let shown = std::thread::spawn(move || std::io::read_to_string(stdout).unwrap());
    match moment {
        Moment::Grown(bytes_more) => wait_for("the log to grow", || {
            let has_grown = bytes(&log) >= before + bytes_more;
            (has_grown || process.ended().is_some()).then_some(())
        }),
        Moment::Passed(time) => std::thread::sleep(time),
    }
    process.signal(Signal::KILL);
    process.wait();
    shown_in(&shown.join().unwrap())
}

/// The ids that a check with `--json` showed.
pub(crate) fn shown_in(text: &str) -> BTreeSet<String> {
    // The last line may be cut; the summary is no id.
    let objects = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    objects.filter_map(|object| object["id"].as_str().map(str::to_owned)).collect()
}

/// How often each id is in the log.
pub(crate) fn times(log: &Path) -> BTreeMap<String, u32> {
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
    let (mut shown, mut spread, mut before) = (BTreeSet::new(), Spread::default(), 0);
    for _ in 0..kills {
        // Knuth's MMIX generator.
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let size_before = bytes(&log);
        let drawn = random >> 33;
        let moment = match drawn % 3 {
            0 => Moment::Passed(Duration::from_micros(drawn / 3 % 40_000)),
            _ => Moment::Grown(drawn / 3 % 30_000),
        };
        let of_this_life = live(folder.path(), &server.url, moment);
        let logged = if log.exists() { times(&log) } else { BTreeMap::new() };
        spread.add(&log, size_before, logged.len() - before, of_this_life.len());
        before = logged.len();
        assert!(of_this_life.iter().all(|id| logged.contains_key(id)), "shown, and not on disk");
        assert!(of_this_life.is_disjoint(&shown), "asked a second time");
        shown.extend(of_this_life);
    }
    let left = ids.len() - times(&log).len();
    println!("{kills} kills, {} ids, {left} of them left to the last run; {spread:?}", ids.len());
    assert!(left > 0, "the last kills were of processes without work");
    let mut last =
        check(folder.path(), &server.url, &["stock", "--file=ids.txt", "--resume", "--quiet"]);
    ends(&mut last, 0);
    verified(&log);
    let times = times(&log);
    assert!(times.values().all(|times| *times == 1), "an id is there twice");
    assert_eq!(times.len(), ids.len());
    assert_eq!(lookups(&log).len(), ids.len());
}

/// `ulimit -f`: the write fails, and the process says so, where the system would end it.
#[test]
fn a_log_that_may_not_grow_further_ends_the_run_with_a_word() {
    let server = lookup(&[]);
    let folder = tempfile::tempdir().unwrap();
    let ids: Vec<String> = (0..2_000).map(|n| format!("id-{n}")).collect();
    std::fs::write(folder.path().join("ids.txt"), ids.join("\n")).unwrap();
    let log = folder.path().join("kilat-check-stock.jsonl");
    let arguments = ["stock", "--file=ids.txt", "--quiet"];
    let mut limited = limited("ulimit -f 64", &check(folder.path(), &server.url, &arguments));
    let said = stderr(&ends(&mut limited, 1));
    assert!(said.starts_with("kilat: ") && said.contains("kilat-check-stock.jsonl"), "{said}");
    verified(&log);
    ends(check(folder.path(), &server.url, &arguments).arg("--resume"), 0);
    assert_eq!(times(&log).len(), ids.len());
    assert!(times(&log).values().all(|times| *times == 1));
}

/// `command` in its folder, under a limit of the system.
fn limited(limit: &str, command: &Command) -> Command {
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("{limit}; exec \"$0\" \"$@\"")]).arg(command.get_program());
    limited.args(command.get_args()).current_dir(command.get_current_dir().unwrap());
    limited
}

/// `ulimit -n`: that few connections make it slow is said, unless few were asked for.
#[test]
fn a_check_with_few_connections_says_so() {
    let (server, folder) = (lookup(&[]), tempfile::tempdir().unwrap());
    for (more, says) in
        [(&["stock"][..], true), (&["stock", "--overwrite", "--concurrency=5"], false)]
    {
        let mut few = limited("ulimit -n 100", &check(folder.path(), &server.url, more));
        let said = stderr(&ends(&mut few, 0));
        assert_eq!(said.contains("allows only 36 connections at once"), says, "{said}");
    }
}
