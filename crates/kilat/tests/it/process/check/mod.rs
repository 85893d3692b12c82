//! `kilat check` as its users meet it, against `kilat lookup`.

mod api;
mod asking;
mod bad_input;
mod crash;
mod deaths;
mod hostile;
mod interrupt;
mod output;
mod registry;
mod secure;
mod seed_logs;
mod streams;
mod trouble;
mod watch;

pub(crate) use crash::{shown_in, times};

use crate::program::{Server, kilat, run, stderr, stdout};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

/// A reference server on a free port, without delay unless `arguments` say otherwise.
pub(crate) fn lookup(arguments: &[&str]) -> Server {
    let delayed = arguments.iter().any(|argument| argument.starts_with("--delay"));
    let delay: &[&str] = if delayed { &[] } else { &["--delay=none"] };
    Server::run(kilat(["lookup", "--listen=127.0.0.1:0"]).args(delay).args(arguments))
}

/// `kilat check` in `folder`, in English.
pub(crate) fn check(folder: &Path, url: &str, arguments: &[&str]) -> Command {
    let mut command = kilat(["check", "--lang=en", "--url", url]);
    command.args(arguments).current_dir(folder);
    command
}

/// Runs to its end, with exit code `code`.
pub(crate) fn ends(command: &mut Command, code: i32) -> Output {
    let output = command.output().unwrap();
    let said = format!("{}{}", stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(code), "{command:?}: {said}");
    output
}

/// Records of kind `lookup` in a log.
pub(crate) fn lookups(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["kind"] == "lookup").collect()
}

/// `kilat verify` says that the log holds.
pub(crate) fn verified(log: &Path) -> String {
    let output = run(["verify", "--lang=en", log.to_str().unwrap()]);
    let text = stdout(&output);
    assert!(output.status.success(), "{text}{}", stderr(&output));
    text
}
