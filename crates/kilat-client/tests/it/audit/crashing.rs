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
const IDS: u64 = 20_000;

/// What has been told to whom is outside: a line for each id.
fn told(log: &Path) -> PathBuf {
    log.with_extension("told")
}

/// Not a test by itself: what [`spawn`] runs, to be killed.
#[test]
fn child_goes_on() {
    let Some(log) = std::env::var_os(LOG).map(PathBuf::from) else { return };
    let mut told = std::fs::File::options().append(true).create(true).open(told(&log)).unwrap();
    let on_durable = Box::new(move |findings: &[kilat_client::check::Finding]| {
        let lines: String =
            findings.iter().map(|found| format!("{}\n", found.id.as_str())).collect();
        told.write_all(lines.as_bytes()).unwrap();
    });
    let (audit, mut resumed) = open(AuditOptions { resume: true, on_durable, ..options(&log) });
    for number in 0..IDS {
        let id = format!("id-{number}");
        if !resumed.seen.insert(id.as_bytes()).unwrap() {
            continue;
        }
        if audit.record_blocking(Entry::Ended(finding(number, &id))).is_err() {
            return;
        }
    }
    finish(audit);
}

fn spawn(log: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "audit::crashing::child_goes_on"])
        .env(LOG, log)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).map_or(or, |text| text.parse().unwrap())
}

/// A linear congruential generator: its quality does not matter, that it can be repeated does.
fn next(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

fn check(log: &Path) {
    // Killed before it was made.
    if !log.exists() {
        return;
    }
    let checked = verify(log, None, Lang::English).unwrap();
    assert!(checked.holds(), "{}", checked.text(Lang::English));
    let text = std::fs::read_to_string(told(log)).unwrap_or_default();
    let logged: HashSet<String> = ids(log).into_iter().collect();
    // The last one may have been killed while it told.
    let told = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    for id in told {
        assert!(logged.contains(id), "{id} was told and is not in the log");
    }
}

/// Kills one or several at a time until all is done.
fn run(crowd: u64) {
    let kills = number("KILAT_KILLS", 12);
    let seed = number("KILAT_SEED", u64::from(std::process::id()));
    println!("KILAT_KILLS={kills} KILAT_SEED={seed}");
    let rig = Rig::new();
    let mut random = seed;
    for _ in 0..kills {
        let mut children: Vec<Child> = (0..crowd).map(|_| spawn(&rig.path)).collect();
        for child in &mut children {
            std::thread::sleep(Duration::from_micros(next(&mut random, 60_000)));
            child.kill().unwrap();
        }
        for mut child in children {
            child.wait().unwrap();
        }
        check(&rig.path);
    }
    assert!(spawn(&rig.path).wait().unwrap().success());
    check(&rig.path);
    let all = ids(&rig.path);
    assert_eq!(all.len() as u64, IDS, "each id ends once");
    assert_eq!(all.into_iter().collect::<HashSet<_>>().len() as u64, IDS);
}

#[test]
fn after_kills_each_id_has_ended_once() {
    run(1);
}

#[test]
fn also_when_several_go_on_with_the_same_run() {
    run(3);
}
