//! System calls that kill or fail on request, by `strace`.
//!
//! The tracer is detached: the child of the test is `kilat` itself, so that its
//! exit status is its own. It counts calls by thread, and so do these tests.
//! (With `--seccomp-bpf` it would be faster, but inject no signals.)

use crate::program::{kilat, serve, wait_for};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Calls that change files or make changes durable.
pub(crate) const CALLS: [&str; 7] =
    ["pwrite64", "fdatasync", "fsync", "rename", "ftruncate", "mkdir", "unlink"];

/// `kilat serve` under a tracer that does `inject`, as in `fdatasync:error=EIO:when=3`.
pub(crate) fn server(data: &Path, log: &Path, inject: Option<&str>) -> Command {
    let mut program = kilat(serve(data));
    program.arg("--listen=127.0.0.1:0");
    traced(&program, log, inject)
}

/// `program` under a tracer that does `inject`.
pub(crate) fn traced(program: &Command, log: &Path, inject: Option<&str>) -> Command {
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-y", "-o"]).arg(log);
    command.arg(format!("--trace={}", CALLS.join(",")));
    if let Some(inject) = inject {
        command.arg(format!("--inject={inject}"));
    }
    command.arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// The lines of a log whose process has ended.
pub(crate) fn lines(log: &Path) -> Vec<String> {
    let text = wait_for("the tracer", || {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let last = text.lines().last().unwrap_or_default();
        let ended = last.contains("+++ exited") || last.contains("+++ killed");
        ended.then_some(text)
    });
    text.lines().map(str::to_owned).collect()
}

/// How often the thread that makes most of them made `call`.
pub(crate) fn count(lines: &[String], call: &str) -> usize {
    let begin = format!("{call}(");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (thread, rest) in lines.iter().filter_map(|line| line.split_once(' ')) {
        if rest.trim_start().starts_with(&begin) {
            *counts.entry(thread).or_default() += 1;
        }
    }
    counts.into_values().max().unwrap_or_default()
}
