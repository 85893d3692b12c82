//! A disk that is full at the target: nothing is left there, and it works once there is space.

use super::disk::{Disk, Sectors, fill, may_mount};
use crate::program::{Server, run, stderr, verify};
use std::path::Path;

/// Less than a backup of both journals takes.
const LEFT_BYTES: u64 = 200 << 10;

fn publish_a_lot(server: &Server) {
    let text = "x".repeat(400_000);
    for number in 0..3 {
        let event = serde_json::json!({"topic": "t", "event_id": number.to_string(),
            "timestamp": "2026-11-21T12:00:00Z", "source": "test", "payload": {"text": text}});
        let headers = [("content-type", "application/json")];
        let reply =
            crate::http::call(&server.url, "POST", "/publish", &headers, &event.to_string());
        assert_eq!(reply.unwrap().status, 200);
    }
}

/// Refused for want of space, with nothing left behind; then done.
fn check(disk: &Disk, arguments: &[&str], made: &Path) {
    let filler = fill(&disk.path(), LEFT_BYTES);
    let before = std::fs::read_dir(disk.path()).unwrap().count();
    let refused = run(arguments.iter().copied());
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("free space"), "{}", stderr(&refused));
    assert_eq!(std::fs::read_dir(disk.path()).unwrap().count(), before, "something was left");
    std::fs::remove_file(filler).unwrap();
    let done = run(arguments.iter().copied());
    assert!(done.status.success(), "{}", stderr(&done));
    verify(made);
}

#[test]
fn a_full_target_is_said_clearly_and_nothing_is_left_there() {
    if !may_mount() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    publish_a_lot(&server);
    let disk = Disk::new(64, Sectors::Small);
    let (backup, restored) = (disk.path().join("backup"), disk.path().join("restored"));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (target, from, to) = (text(&backup), text(&data), text(&restored));
    check(&disk, &["backup", &target, "--data", &from, "--quiet"], &backup);
    check(&disk, &["restore", &target, "--data", &to, "--quiet"], &restored);
    server.stop();
    verify(&data);
}
