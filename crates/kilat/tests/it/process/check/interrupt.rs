//! Ctrl-C: what is under way ends, and the command that goes on can be copied.

use super::{check, ends, lookup, lookups, verified};
use crate::program::{Running, stdout, tell, wait_for};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where nobody answers, and nobody is asked.
const NOBODY: &str = "http://127.0.0.1:1";

/// Starts `command`; its process, and what it says on stdout in the end.
fn start(command: &mut Command) -> (Running, std::thread::JoinHandle<String>) {
    let mut process = Running::start(command.stdout(Stdio::piped()));
    let stdout = process.take_stdout();
    (process, std::thread::spawn(move || std::io::read_to_string(stdout).unwrap()))
}

/// Whole lines in a log that may not be there yet.
fn lines(log: &Path) -> usize {
    std::fs::read(log).map_or(0, |text| text.iter().filter(|byte| **byte == b'\n').count())
}

#[test]
fn what_is_under_way_ends_and_the_hint_goes_on() {
    for signal in [Signal::INT, Signal::TERM] {
        check_goes_on_after(signal);
    }
}

fn check_goes_on_after(signal: Signal) {
    let server = lookup(&["--delay=0.05..0.1"]);
    let folder = tempfile::tempdir().unwrap();
    // A name that a shell would take apart.
    let log = folder.path().join("it's a log.jsonl");
    let ids: Vec<String> = (0..200).map(|n| format!("id $n '{n}'")).collect();
    let mut command = check(folder.path(), &server.url, &["stock", "--concurrency=10", "--log"]);
    command.arg("it's a log.jsonl").arg("--").args(&ids);
    let (mut process, said) = start(&mut command);
    wait_for("some results", || (lines(&log) > 20).then_some(()));
    process.signal(signal);
    let status = process.wait();
    let said = said.join().unwrap();
    assert_eq!(status.code(), Some(130), "{said}");
    let before = lookups(&log);
    assert!((20..200).contains(&before.len()), "{}", before.len());
    assert!(before.iter().all(|record| record["outcome"] == "not_found"), "nothing is cut off");
    verified(&log);
    let hint = said.lines().find_map(|line| line.strip_prefix("To go on: ")).unwrap();
    let mut shell = Command::new("bash");
    let output = ends(shell.args(["-c", hint]).current_dir(folder.path()), 0);
    assert!(stdout(&output).contains("more had ended in earlier runs"), "{}", stdout(&output));
    let logged = lookups(&log);
    let distinct: BTreeSet<&str> =
        logged.iter().filter_map(|record| record["id"].as_str()).collect();
    assert_eq!((logged.len(), distinct.len()), (200, 200));
    assert!(ids.iter().all(|id| distinct.contains(id.as_str())));
    verified(&log);
}

#[test]
fn a_second_time_ends_at_once() {
    let server = lookup(&["--stall=100%"]);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("kilat-check-stock.jsonl");
    let mut command =
        check(folder.path(), &server.url, &["stock", "--timeout=1h", "--html=p.html"]);
    let (mut process, said) = start(&mut command);
    wait_for("the log", || (lines(&log) > 0).then_some(()));
    process.signal(Signal::INT);
    // Signals of one kind that come together are one.
    wait_for("the end", || {
        process.signal(Signal::INT);
        process.ended()
    });
    assert_eq!(process.wait().code(), Some(130), "{}", said.join().unwrap());
    verified(&log);
}

#[test]
fn a_second_time_ends_also_what_waits_for_input_that_never_comes() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["stock", "--form=csv", "--column=sku", "-"];
    let mut command = check(folder.path(), "http://127.0.0.1:1", &arguments);
    // Nobody writes to it, and nobody closes it.
    let (reader, _writer) = std::io::pipe().unwrap();
    let mut child = command.stdin(reader).stdout(Stdio::null()).spawn().unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    let status = wait_for("the end", || {
        let _ = rustix::process::kill_process(pid, Signal::INT);
        child.try_wait().unwrap()
    });
    // Before it has begun to listen, the system ends it.
    assert!(matches!(status.code(), Some(130) | None), "{status}");
}

/// A pipe with nobody who writes to it, in `folder`: opening it waits for ever.
fn lonely_pipe(folder: &Path) -> &'static str {
    tell("mkfifo", &[folder.join("ids.txt").to_str().unwrap()]);
    "--file=ids.txt"
}

#[test]
fn an_input_that_can_not_be_opened_yet_does_not_outlast_the_deadline() {
    for more in [&[][..], &["--resume"], &["--form=csv", "--column=sku"], &["--watch=1s"]] {
        let folder = tempfile::tempdir().unwrap();
        let file = lonely_pipe(folder.path());
        let arguments = [&["stock", file, "--deadline=100ms"], more].concat();
        let mut process = Running::start(&mut check(folder.path(), NOBODY, &arguments));
        let expected = if more.contains(&"--watch=1s") { 2 } else { 1 };
        assert_eq!(process.wait().code(), Some(expected), "{more:?}");
    }
}

#[test]
fn one_signal_ends_what_waits_for_an_input_that_can_not_be_opened_yet() {
    for more in [&[][..], &["--resume"], &["--form=csv", "--column=sku"], &["--watch=1s"]] {
        let folder = tempfile::tempdir().unwrap();
        let file = lonely_pipe(folder.path());
        let arguments = [&["stock", file], more].concat();
        let mut process = Running::start(&mut check(folder.path(), NOBODY, &arguments));
        wait_for("it to listen", || process.catches(Signal::TERM).then_some(()));
        process.signal(Signal::TERM);
        assert_eq!(process.wait().code(), Some(130), "{more:?}");
        verified(&folder.path().join("kilat-check-stock.jsonl"));
    }
}
