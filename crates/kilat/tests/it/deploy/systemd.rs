//! The unit: understood by systemd, and shut off from what it does not need.

use super::{check_command, content, read};
use std::process::Command;

const UNIT: &str = "systemd/kilat.service";
/// Most exposure that `systemd-analyze security` may find, in tenths: 0 is none, 100 is all.
const EXPOSURE_MAX: &str = "--threshold=15";

fn command_line(unit: &str) -> &str {
    unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap()
}

#[test]
fn the_unit_is_understood_and_confined() {
    let folder = tempfile::tempdir().unwrap();
    let unit = read(UNIT).replace("/usr/local/bin/kilat", env!("CARGO_BIN_EXE_kilat"));
    let path = folder.path().join("kilat.service");
    std::fs::write(&path, unit).unwrap();
    let said = content(Command::new("systemd-analyze").arg("verify").arg(&path));
    // It also speaks of units of the machine that are not right.
    assert!(!said.contains("kilat.service"), "{said}");
    let security = ["security", "--offline=true", EXPOSURE_MAX];
    content(Command::new("systemd-analyze").args(security).arg(&path));
}

#[test]
fn the_unit_starts_kilat_as_it_can_be_started() {
    let unit = read(UNIT);
    let mut words = command_line(&unit).split_whitespace();
    assert_eq!(words.next(), Some("/usr/local/bin/kilat"));
    check_command(&words.collect::<Vec<_>>());
    for line in ["RestartPreventExitStatus=2", "KillSignal=SIGTERM", "StateDirectory=kilat"] {
        assert!(unit.lines().any(|found| found == line), "{line}");
    }
}
