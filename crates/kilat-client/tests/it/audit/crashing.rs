//! Processes that are killed at random moments, and others that go on.
//!
//! `KILAT_KILLS` sets how many are killed, `KILAT_SEED` the moments.

use super::rig::{Rig, finding, finish, ids, open, options};
use kilat_client::Lang;
use kilat_client::check::audit::{AuditOptions, Entry, verify};
use std::collections::HashSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where a child finds its log; without it, it is no child.
const LOG: &str = "KILAT_AUDIT_LOG";
/// How many ids there are.
const IDS: &str = "KILAT_AUDIT_IDS";
/// Whether a child waits for its ids to be durable, some at a time.
const PACED: &str = "KILAT_AUDIT_PACED";
/// Ids for each kill: more than a child that is killed gets to, so that there is work left for all.
const IDS_A_KILL: u64 = 200;
/// Most ids that a paced child hands over before it waits.
const BURST: u64 = 8;

/// What has been told to whom is outside: a line for each id.
fn told(log: &Path) -> PathBuf {
    log.with_extension("told")
}

/// Not a test by itself: what [`spawn`] runs, to be killed.
#[test]
fn child_goes_on() {
    let Some(log) = std::env::var_os(LOG).map(PathBuf::from) else { return };
    let mut told = std::fs::File::options().append(true).create(true).open(told(&log)).unwrap();
    let (sender, durable) = std::sync::mpsc::channel();
    let on_durable = Box::new(move |findings: &[kilat_client::check::Finding]| {
        let lines: String =
            findings.iter().map(|found| format!("{}\n", found.id.as_str())).collect();
        told.write_all(lines.as_bytes()).unwrap();
        // Nobody waits for the last ones.
        let _ = sender.send(findings.len() as u64);
    });
    let (audit, mut resumed) = open(AuditOptions { resume: true, on_durable, ..options(&log) });
    let is_paced = std::env::var_os(PACED).is_some();
    let mut waiting = 0;
    for number in 0..number(IDS, 0) {
        let id = format!("id-{number}");
        if !resumed.seen.insert(id.as_bytes()).unwrap() {
            continue;
        }
        if audit.record_blocking(Entry::Ended(finding(number, &id))).is_err() {
            return;
        }
        waiting += 1;
        while is_paced && waiting > number % BURST {
            let Ok(more) = durable.recv() else { return };
            waiting -= more;
        }
    }
    finish(audit);
}

fn spawn(log: &Path, ids: u64, is_paced: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "audit::crashing::child_goes_on"]);
    command.env(LOG, log).env(IDS, ids.to_string());
    if is_paced {
        command.env(PACED, "1");
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).map_or(or, |text| text.parse().unwrap())
}

/// A linear congruential generator: its quality does not matter, that it can be repeated does.
fn next(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

/// What is in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Content {
    starts: usize,
    lookups: usize,
    /// Not told to anybody.
    untold: usize,
    /// It ends in the middle of a line.
    is_torn: bool,
}

/// The log holds, and nothing is missing in it that was told.
fn check(log: &Path) -> Content {
    // Killed before it was made.
    if !log.exists() {
        return Content::default();
    }
    let checked = verify(log, None, Lang::English).unwrap();
    // A log is void until its first run has begun.
    assert!(checked.faults == 0, "{}", checked.text(Lang::English));
    let text = std::fs::read_to_string(told(log)).unwrap_or_default();
    let all = ids(log);
    let logged: HashSet<&str> = all.iter().map(String::as_str).collect();
    assert_eq!(logged.len(), all.len(), "an id is there twice");
    // The last one may have been killed while it told.
    let told: HashSet<&str> =
        text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).collect();
    for id in &told {
        assert!(logged.contains(id), "{id} was told and is not in the log");
    }
    let bytes = std::fs::read(log).unwrap();
    let starts = memchr::memmem::find_iter(&bytes, "\"kind\":\"start\"").count();
    let is_torn = bytes.last().is_some_and(|byte| *byte != b'\n');
    Content { starts, lookups: all.len(), untold: all.len() - told.len(), is_torn }
}

/// What processes were doing when they were killed, as far as the log tells.
#[derive(Debug, Default)]
struct Spread {
    /// Nothing is new in the log.
    before_its_start: u32,
    /// Only the first record of a run is.
    after_its_start: u32,
    at_work: u32,
    /// Of all of them: records that were not told yet.
    before_telling: u32,
    /// Of all of them: a part of a line was left.
    torn: u32,
}

impl Spread {
    fn add(&mut self, before: Content, after: Content) {
        let stage = match (after.starts - before.starts, after.lookups - before.lookups) {
            (0, 0) => &mut self.before_its_start,
            (_, 0) => &mut self.after_its_start,
            _ => &mut self.at_work,
        };
        *stage += 1;
        self.before_telling += u32::from(after.untold > before.untold);
        self.torn += u32::from(after.is_torn);
    }
}

/// Kills one or several at a time, and lets the last one do what is left.
fn run(crowd: u64) {
    let kills = number("KILAT_KILLS", 12);
    let seed = number("KILAT_SEED", u64::from(std::process::id()));
    println!("KILAT_KILLS={kills} KILAT_SEED={seed}");
    let (rig, all) = (Rig::new(), kills * IDS_A_KILL);
    let (mut random, mut spread, mut before) = (seed, Spread::default(), Content::default());
    for _ in 0..kills {
        let mut children: Vec<Child> = (0..crowd).map(|_| spawn(&rig.path, all, true)).collect();
        for child in &mut children {
            std::thread::sleep(Duration::from_micros(next(&mut random, 120_000)));
            child.kill().unwrap();
        }
        for mut child in children {
            child.wait().unwrap();
        }
        let after = check(&rig.path);
        spread.add(before, after);
        before = after;
    }
    println!("{} of {all} ids when the last was killed; {spread:?}", before.lookups);
    assert!((before.lookups as u64) < all, "the last kills were of processes without work");
    if kills >= 100 {
        assert!(spread.before_its_start > 0 && spread.at_work > kills as u32 / 4, "{spread:?}");
    }
    assert!(spawn(&rig.path, all, false).wait().unwrap().success());
    assert_eq!(check(&rig.path).lookups as u64, all, "each id ends once");
}

#[test]
fn after_kills_each_id_has_ended_once() {
    run(1);
}

#[test]
fn also_when_several_go_on_with_the_same_run() {
    run(3);
}
