//! Dead at each system call on the log, in the middle of an append, and by a device that fails:
//! what was shown is in the log, it holds, and the next run goes on.

use super::{check, ends, lookup, verified};
use super::{shown_in, times};
use crate::program::{Server, scaled, wait_for};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const LOG: &str = "kilat-check-stock.jsonl";
/// Ids of one check; each is appended alone.
const IDS: usize = 14;
/// Slower than the writer waits for company, so that each id is an append of its own.
const DELAY: &str = "--delay=0.015";
/// What is done to a log.
const CALLS: [&str; 5] = ["write", "fdatasync", "flock", "ftruncate", "fsync"];

/// A check of the same ids again and again, until all have ended.
struct Case {
    folder: tempfile::TempDir,
    url: String,
    shown: BTreeSet<String>,
    ids: usize,
}

impl Case {
    fn new(server: &Server, ids: usize) -> Case {
        let folder = tempfile::tempdir().unwrap();
        let text: Vec<String> = (0..ids).map(|n| format!("id-{n}")).collect();
        std::fs::write(folder.path().join("ids.txt"), text.join("\n")).unwrap();
        Case { folder, url: server.url.clone(), shown: BTreeSet::new(), ids }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(LOG)
    }

    fn command(&self, concurrency: &str) -> Command {
        let arguments = ["stock", "--file=ids.txt", "--resume", "--json", concurrency];
        check(self.folder.path(), &self.url, &arguments)
    }

    /// What a run, however it ended, leaves behind.
    fn look(&mut self, output: &Output) {
        let shown = shown_in(&String::from_utf8_lossy(&output.stdout));
        let logged = if self.log().exists() { times(&self.log()) } else { BTreeMap::new() };
        assert!(shown.iter().all(|id| logged.contains_key(id)), "shown, and not in the log");
        assert!(shown.is_disjoint(&self.shown), "asked a second time");
        assert!(logged.values().all(|times| *times == 1), "an id is there twice");
        self.shown.extend(shown);
    }

    /// The rest, without trouble.
    fn finish(&mut self) {
        let output = ends(&mut self.command("--concurrency=64"), 0);
        self.look(&output);
        assert_eq!(times(&self.log()).len(), self.ids);
        verified(&self.log());
    }
}

/// `command` under a tracer that sees only calls on the log, and may do `inject`.
fn traced(command: &Command, log: &Path, trace: &Path, inject: Option<&str>) -> Command {
    let mut tracer = Command::new("strace");
    tracer.args(["-D", "-f", "-q", "-y", "--signal=none", "-P"]).arg(log).arg("-o").arg(trace);
    tracer.arg(format!("--trace={}", CALLS.join(",")));
    tracer.args(inject.map(|inject| format!("--inject={inject}")));
    tracer.arg(command.get_program()).args(command.get_args());
    tracer.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => tracer.env(name, value),
            None => tracer.env_remove(name),
        };
    }
    tracer
}

/// The lines of a trace whose process has ended.
fn trace_of(trace: &Path) -> Vec<String> {
    let text = wait_for("the tracer", || {
        let text = std::fs::read_to_string(trace).unwrap_or_default();
        let last = text.lines().last().unwrap_or_default();
        (last.contains("+++ exited") || last.contains("+++ killed")).then_some(text)
    });
    text.lines().map(str::to_owned).collect()
}

/// How often `call` is made on the log, by the thread that makes it most: the tracer counts so.
fn sites(server: &Server, call: &str) -> usize {
    let case = Case::new(server, IDS);
    let trace = case.folder.path().join("trace");
    std::fs::write(case.log(), "").unwrap();
    ends(&mut traced(&case.command("--concurrency=1"), &case.log(), &trace, None), 0);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for line in trace_of(&trace) {
        let (thread, rest) = line.split_once(' ').unwrap();
        if rest.trim_start().starts_with(&format!("{call}(")) {
            *counts.entry(thread.to_owned()).or_default() += 1;
        }
    }
    counts.into_values().max().unwrap_or_default()
}

/// Killed as it makes the `site`-th such call, then again in the run that goes on, then not.
fn killed_at(server: &Server, call: &str, site: usize) -> (bool, bool) {
    let mut case = Case::new(server, IDS);
    // The tracer knows the log by a name that is there.
    std::fs::write(case.log(), "").unwrap();
    let inject = format!("{call}:signal=SIGKILL:when={site}");
    let live = |case: &mut Case, inject: &str, name: &str| {
        let trace = case.folder.path().join(name);
        let command = case.command("--concurrency=1");
        let output = traced(&command, &case.log(), &trace, Some(inject)).output().unwrap();
        case.look(&output);
        output.status.signal() == Some(9)
    };
    let first = live(&mut case, &inject, "first");
    // In its opening: before and after the end was looked for, the first record written.
    let opening = format!("{call}:signal=SIGKILL:when={}", 1 + site % 3);
    let second = live(&mut case, &opening, "second");
    case.finish();
    (first, second)
}

/// Of the calls of a run at most so many are killed at.
fn check_kills(call: &str, sites_max: usize) {
    let server = lookup(&[DELAY]);
    let sites = sites(&server, call);
    assert!(sites > 0, "{call} is never made on a log: nothing would be tested");
    let kills = sites.min(sites_max);
    let (mut first, mut second) = (0, 0);
    for kill in 0..kills {
        let (one, two) = killed_at(&server, call, 1 + kill * sites / kills);
        (first, second) = (first + usize::from(one), second + usize::from(two));
    }
    println!(
        "{call}: {sites} sites, {first} of {kills} kills at work, {second} in the run that goes on"
    );
    assert!(first * 2 > kills, "too few sites were reached: {first} of {kills}");
}

#[test]
fn killed_at_each_append_nothing_is_lost_or_doubled() {
    check_kills("write", scaled("KILAT_SITES", 6));
}

#[test]
fn killed_between_append_and_flush_nothing_is_lost_or_doubled() {
    check_kills("fdatasync", scaled("KILAT_SITES", 6));
}

#[test]
fn killed_with_or_without_the_lock_nothing_is_lost_or_doubled() {
    check_kills("flock", scaled("KILAT_SITES", 8));
}

/// A file that nobody finds by its name after a power cut is lost, however durable.
#[test]
fn the_name_of_a_new_log_is_flushed_before_anything_is_shown() {
    let server = lookup(&[]);
    let case = Case::new(&server, 1);
    let (folder, trace) = (case.log().parent().unwrap().to_owned(), tempfile::tempdir().unwrap());
    let trace = trace.path().join("trace");
    ends(&mut traced(&case.command("--concurrency=1"), &folder, &trace, None), 0);
    let lines = trace_of(&trace);
    let is_flush = |line: &&String| {
        line.contains("fsync(") && line.contains(&format!("<{}>", folder.display()))
    };
    assert!(lines.iter().any(|line| is_flush(&line)), "{lines:?}");
}

/// Units of `ulimit -f` in `bash`.
const UNIT: u64 = 1_024;

/// `command` where no file may grow beyond so many units: a write takes what fits and the next
/// one fails. `dies` when it wants to cut what it wrote, and so leaves the middle of an append.
fn limited(command: &Command, limit: u64, dies: bool) -> Command {
    let mut limited = Command::new("bash");
    limited.args(["-c", &format!("ulimit -c 0 -f {limit}; exec \"$0\" \"$@\"")]);
    if dies {
        limited.args(["strace", "-f", "-q", "-o", "/dev/null", "--signal=none"]);
        limited.args(["--trace=ftruncate", "--inject=ftruncate:signal=SIGKILL:when=1"]);
    }
    limited.arg(command.get_program()).args(command.get_args());
    limited.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        limited.env(name, value.unwrap_or_default());
    }
    limited
}

/// Each limit is met twice, the second time mostly in the first record of the run that goes on.
/// Between them a run cuts what the dead one left, meets the limit too, and says so.
#[test]
fn dead_in_the_middle_of_an_append_nothing_is_lost_or_doubled() {
    let server = lookup(&[]);
    let limits = scaled("KILAT_LIMITS", 12) as u64;
    let mut case = Case::new(&server, limits as usize * 6);
    let (mut torn, mut in_opening) = (0, 0);
    for limit in 1..=limits {
        for _ in 0..2 {
            let before = if case.log().exists() { times(&case.log()).len() } else { 0 };
            let output = limited(&case.command("--concurrency=4"), limit, true).output().unwrap();
            case.look(&output);
            assert_eq!(output.status.signal(), Some(9), "{output:?}");
            let bytes = std::fs::read(case.log()).unwrap();
            assert_eq!(bytes.len() as u64, limit * UNIT);
            torn += u32::from(bytes.last() != Some(&b'\n'));
            in_opening += u32::from(times(&case.log()).len() == before);
            let output = limited(&case.command("--concurrency=4"), limit, false).output().unwrap();
            case.look(&output);
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            assert!(std::fs::read(case.log()).unwrap().ends_with(b"\n"));
        }
    }
    println!(
        "{} deaths, {torn} in the middle of a line, {in_opening} without a new id",
        2 * limits
    );
    assert!(u64::from(torn) > limits && u64::from(in_opening) > limits / 4);
    case.finish();
}

/// A device that fails once: the run ends with a sentence, nothing is tried again, and what was
/// shown is there.
fn check_errors(call: &str, error: &str, says: &str) {
    let server = lookup(&[DELAY]);
    let sites = sites(&server, call);
    for site in [1, 2, 3, sites / 2, sites] {
        let mut case = Case::new(&server, IDS);
        std::fs::write(case.log(), "").unwrap();
        let trace = case.folder.path().join("trace");
        let inject = format!("{call}:error={error}:when={site}");
        let command = case.command("--concurrency=1");
        let output = traced(&command, &case.log(), &trace, Some(&inject)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        case.look(&output);
        let lines = trace_of(&trace);
        let Some(failed) = lines.iter().position(|line| line.contains("(INJECTED)")) else {
            assert_eq!(site, sites, "{call} {site}: the call did not fail");
            continue;
        };
        assert_eq!(output.status.code(), Some(1), "{call} {site}: {said}");
        assert!(said.contains(says) && said.contains(LOG), "{call} {site}: {said}");
        let again = lines[failed + 1..].iter().find(|line| line.contains(&format!("{call}(")));
        assert_eq!(again, None, "{call} {site}: tried again");
        case.finish();
    }
}

#[test]
fn a_flush_that_fails_ends_the_run_and_is_never_tried_again() {
    check_errors("fdatasync", "EIO", "the device did not take");
}

#[test]
fn a_write_that_fails_ends_the_run_and_is_never_tried_again() {
    check_errors("write", "EIO", "can't be written");
    check_errors("write", "ENOSPC", "the disk is full");
}
