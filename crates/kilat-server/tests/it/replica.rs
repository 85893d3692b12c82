//! A server that is a replica answers as one with its own ledger does: the other modules once more,
//! with a core between each server and its engine.

use crate::world::BEHIND_A_CORE;
use std::process::Command;

/// Modules that ask ledger and event log.
const MODULES: [&str; 8] = [
    "contract::",
    "events::",
    "follow::",
    "live::",
    "misuse::",
    "pages::",
    "pipelining::",
    "roles::",
];

#[test]
fn behind_a_core_every_answer_is_the_same() {
    let mut again = Command::new(std::env::current_exe().unwrap());
    let output = again.args(MODULES).env(BEHIND_A_CORE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains("running 0 tests"), "{said}");
}
