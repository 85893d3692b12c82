//! Several processes on one file. `KILAT_LINES` sets how many lines each of them writes.

use super::rig::{Rig, finding, finish, ids, open, options};
use kilat_client::Lang;
use kilat_client::check::audit::{Entry, verify};
use std::collections::HashSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const LOG: &str = "KILAT_AUDIT_CROWD_LOG";
const NAME: &str = "KILAT_AUDIT_CROWD_NAME";
const PROCESSES: u64 = 8;

fn lines() -> u64 {
    std::env::var("KILAT_LINES").map_or(10_000, |text| text.parse().unwrap())
}

/// Not a test by itself: one of the crowd.
#[test]
fn child_writes() {
    let Some(log) = std::env::var_os(LOG).map(PathBuf::from) else { return };
    let name = std::env::var(NAME).unwrap();
    let (audit, _) = open(options(&log));
    for number in 0..lines() {
        audit.record_blocking(Entry::Ended(finding(number, &format!("{name}-{number}")))).unwrap();
    }
    finish(audit);
}

#[test]
fn eight_processes_write_one_log() {
    let rig = Rig::new();
    let spawn = |name: u64| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "audit::crowd::child_writes"])
            .env(LOG, &rig.path)
            .env(NAME, name.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = (0..PROCESSES).map(spawn).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    println!("KILAT_LINES={}", lines());
    let checked = verify(&rig.path, None, Lang::English).unwrap();
    assert!(checked.holds(), "{}", checked.text(Lang::English));
    let all = PROCESSES * lines();
    assert_eq!((checked.runs, checked.counts.found, checked.lines), (8, all, all + 16));
    if all <= 100_000 {
        assert_eq!(ids(&rig.path).into_iter().collect::<HashSet<_>>().len() as u64, all);
    }
}
