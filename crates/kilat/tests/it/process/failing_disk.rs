//! A disk that fails once, and a system without files to give.

use crate::http::{self, Connection};
use crate::program::{ADMIN, Server, kilat, serve, stderr, verify, wait_for};
use crate::trace;
use crate::witness::{Witness, seed};
use std::path::Path;
use std::process::Command;

/// Enough to come to every site below.
const OPERATIONS: u64 = 240;
const WORKERS: u64 = 3;

/// The failing call is never made again on that file, and nothing it should have kept is told.
fn check(call: &str, sites: &[usize]) {
    let seed = seed();
    for &site in sites {
        println!("{call} fails at {site}");
        let folder = tempfile::tempdir().unwrap();
        let (data, log) = (folder.path().join("data"), folder.path().join("trace"));
        let witness = Witness::default();
        let inject = format!("{call}:error=EIO:when={site}");
        let mut command = trace::server(&data, &log, Some(&inject));
        let end = match Server::try_run(&mut command) {
            Ok(server) => {
                witness.work(&server.url, WORKERS, OPERATIONS, seed);
                server.end()
            }
            Err(end) => end,
        };
        let (status, said) = (end.status, end.said);
        assert!(matches!(status.code(), Some(1 | 2)), "{status}: {said}");
        let sentences = said.lines().filter(|line| line.starts_with("kilat: "));
        assert_eq!(sentences.count(), 1, "{said}");
        never_again(&trace::lines(&log), call);
        let server = Server::start(&data);
        witness.check(&server);
        witness.replay(&server);
        server.stop();
        verify(&data);
    }
}

fn never_again(lines: &[String], call: &str) {
    let failed = lines.iter().position(|line| line.contains("(INJECTED)"));
    let failed = failed.expect("the call did not fail: nothing was tested");
    let file = file_in(&lines[failed]);
    let again = lines[failed + 1..].iter().find(|line| {
        line.contains(&format!("{call}(")) && file_in(line) == file && !line.contains("resumed")
    });
    assert_eq!(again, None, "tried again after {}", lines[failed]);
}

fn file_in(line: &str) -> &str {
    let name = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    name.map_or("", |(name, _)| name)
}

#[test]
fn a_failed_sync_ends_the_process_and_is_never_tried_again() {
    check("fdatasync", &[1, 3, 4, 9, 20]);
}

#[test]
fn a_failed_write_ends_the_process() {
    // Calls are counted by thread: the first and the ninth make the first segment.
    check("pwrite64", &[1, 9, 30]);
}

/// Connections that the system has no file for.
const CONNECTIONS: usize = 120;
const FILES_MAX: usize = 60;

fn few_files(data: &Path) -> Command {
    let program = kilat(serve(data));
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {FILES_MAX}; exec \"$0\" \"$@\"")]);
    command.arg(program.get_program()).args(program.get_args());
    command.arg("--listen=127.0.0.1:0").env("KILAT_ADMIN_TOKEN", ADMIN);
    command
}

#[test]
fn without_files_connections_wait_and_selling_goes_on_when_they_close() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::run(&mut few_files(&data));
    server.make_sale("s", 10, 60);
    let mut first = Connection::open(&server.url).unwrap();
    assert_eq!(first.call("GET", "/livez", &[], "").unwrap().status, 200);
    let crowd: Vec<_> = (0..CONNECTIONS).map(|_| Connection::open(&server.url)).collect();
    wait_for("the warning", || {
        server.log().contains("no connection can be accepted").then_some(())
    });
    let headers = [("content-type", "application/json"), ("idempotency-key", "in-the-crowd")];
    let order = r#"{"customer":"c","quantity":1}"#;
    let reply = first.call("POST", "/v1/sales/s/orders", &headers, order).unwrap();
    assert_eq!(reply.status, 201, "who is connected buys: {}", reply.text());
    drop(crowd);
    wait_for("an answer", || {
        http::get(&server.url, "/livez").is_ok_and(|reply| reply.status == 200).then_some(())
    });
    assert_eq!(server.order("s", "after", order).status, 201);
    let warnings = server.log().matches("no connection can be accepted").count();
    assert!(warnings < 1_000, "{warnings} warnings: it does not pause between attempts");
    server.stop();
    assert_eq!(verify(&data)["sales"][0]["sold"], 2);
}

/// Below a handful the system can't even load the program.
#[test]
fn too_few_files_to_start_with_are_one_sentence_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["serve", "--data=data", "--listen=127.0.0.1:0"][..],
        &["check", "stock", "--url=http://127.0.0.1:1"],
        &["lookup", "--listen=127.0.0.1:0"],
        &["verify", "."],
    ] {
        for files in [6, 8, 24] {
            let program = kilat(arguments.iter().copied());
            let output = Command::new("sh")
                .args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")])
                .arg(program.get_program())
                .args(program.get_args())
                .arg("--lang=en")
                .env("KILAT_ADMIN_TOKEN", ADMIN)
                .current_dir(folder.path())
                .output()
                .unwrap();
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(2), "{arguments:?} {files}: {said}");
            assert!(said.starts_with("kilat: ") && said.contains("ulimit -n"), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was touched");
}
