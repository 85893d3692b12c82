//! Backups taken under load, killed half-way, changed, and restored.

use super::attack::sold;
use super::core::Place;
use super::events::{EVENT, publish, start_stress, stats};
use crate::facts;
use crate::http;
use crate::program::{Running, Server, kilat, run, scaled, stderr, stdout, verify, wait_for};
use crate::storm::Storm;
use crate::trace;
use crate::witness::{Witness, seed};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

const OPERATIONS: u64 = 600;
const WORKERS: u64 = 3;
/// At calls that are made more often, some are left out.
const KILLS_MAX: usize = 16;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn backup_command(data: &Path, target: &Path) -> Command {
    kilat(["backup", text(target), "--data", text(data), "--json", "--quiet"])
}

fn done(output: &std::process::Output) -> Value {
    assert!(output.status.success(), "{}{}", stdout(output), stderr(output));
    serde_json::from_str(&stdout(output)).unwrap()
}

/// Takes a backup, and has it verified.
pub(crate) fn backup(data: &Path, target: &Path) -> Value {
    let said = done(&backup_command(data, target).output().unwrap());
    let verified = verify(target);
    assert_eq!(verified["backup"]["findings"], json!([]), "{verified}");
    assert_eq!(verified["frames"], said["frames"], "{verified}");
    assert_eq!(verified["events"]["events"], said["events"], "{verified}");
    said
}

pub(crate) fn restore(backup: &Path, data: &Path) -> Value {
    let said = done(&run(["restore", text(backup), "--data", text(data), "--json", "--quiet"]));
    verify(data);
    said
}

fn names(path: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(path).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Every fact of the sale has its event once the projector has caught up, and it was never halted.
fn projector_goes_on(server: &Server, sale: &str) {
    server.make_sale(sale, 10, 60);
    assert_eq!(server.order(sale, "k", r#"{"customer":"c","quantity":1}"#).status, 201);
    wait_for("the copies", || (facts::of(server, sale).len() == 2).then_some(()));
    let metrics = server.get("/metrics");
    let halted = metrics.text().lines().find(|line| line.starts_with("kilat_projector_halted"));
    assert_eq!(halted, Some("kilat_projector_halted 0"));
}

#[test]
fn backups_under_load_hold_all_that_was_acknowledged_before_and_sell_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let data = path("data");
    let server = Server::start(&data);
    let seed = seed();
    let witness = Witness::default();
    witness.work(&server.url, WORKERS, OPERATIONS, seed);
    assert_eq!(publish(&server, EVENT)["stored"], 1);
    server.make_sale("s", 1_000_000, 600);
    let storm = ["--sale=s", "--orders=1000000", "--buyers=1000000", "--connections=16"];
    let mut storm = Storm::start(&server.url, &[&storm[..], &["--timeout-ms=2000"]].concat());
    let mut stress = start_stress(&server.url, seed);
    let mut sales = Vec::new();
    for round in 0..scaled("KILAT_BACKUPS", 6) {
        let (sold_before, events_before) = (sold(&server), stats(&server).1);
        wait_for("more sold", || (sold(&server) > sold_before + 500).then_some(()));
        let before = sold(&server);
        let target = path(&format!("backup-{round}"));
        let said = backup(&data, &target);
        assert!(said["events"].as_u64() > Some(events_before), "{said}");
        let restored = restore(&target, &path(&format!("data-{round}")));
        let sale = restored["sales"].as_array().unwrap().iter().find(|sale| sale["id"] == "s");
        let kept = sale.unwrap()["sold"].as_u64().unwrap();
        assert!(kept >= before, "{kept} of {before} units sold before");
        sales.push((target, kept));
        if round == 0 {
            assert!(!storm.has_ended() && stress.ended().is_none(), "there was no load");
        }
    }
    println!("sold in the backups: {:?}", sales.iter().map(|(_, kept)| kept).collect::<Vec<_>>());
    server.kill();
    for round in 0..sales.len() {
        let restored = Server::start(&path(&format!("data-{round}")));
        witness.check(&restored);
        if round + 1 == sales.len() {
            witness.replay(&restored);
        }
        assert_eq!(publish(&restored, EVENT)["duplicates"], 1, "it was stored before");
        projector_goes_on(&restored, "after");
        restored.stop();
        verify(&path(&format!("data-{round}")));
    }
}

/// Publishes bodies so long that segments roll, forgetting them now and then.
fn roll_and_forget(url: &str, publications: usize) {
    let body = "x".repeat(900_000);
    for number in 0..publications {
        let event = json!({"topic": "long", "event_id": number.to_string(), "source": "test",
            "timestamp": "2026-11-21T12:00:00Z", "payload": {"body": body}});
        let headers = [("content-type", "application/json")];
        let reply = http::call(url, "POST", "/publish", &headers, &event.to_string()).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        if number % 6 == 5 {
            let said = run(["events", "forget", "--topic=long", "--yes", "--url", url]);
            assert!(said.status.success(), "{}", stderr(&said));
        }
    }
}

#[test]
fn segments_may_roll_and_bodies_be_forgotten_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let finished = AtomicBool::new(false);
    let mut segments = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            roll_and_forget(&server.url, 60);
            finished.store(true, Ordering::Relaxed);
        });
        // One more after the end.
        let mut last = false;
        while !last {
            last = finished.load(Ordering::Relaxed);
            let target = folder.path().join(format!("backup-{}", segments.len()));
            backup(&data, &target);
            segments.push(names(&target.join("events")).len());
            fs::remove_dir_all(&target).unwrap();
        }
    });
    println!("segments of the event log in each backup: {segments:?}");
    assert!(segments.last() >= Some(&3) && segments[0] < 3, "{segments:?}");
    let target = folder.path().join("backup");
    backup(&data, &target);
    let restored = folder.path().join("restored");
    restore(&target, &restored);
    server.stop();
    let server = Server::start(&restored);
    assert_eq!(stats(&server).1, 60);
    roll_and_forget(&server.url, 12);
    assert_eq!(stats(&server), (72, 60, 12), "each was stored before");
    server.stop();
    verify(&restored);
}

/// A directory with a sale, an order and an event, at rest.
fn small(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    let server = Server::start(&data);
    server.make_sale("s", 10, 60);
    assert_eq!(server.order("s", "k", r#"{"customer":"c","quantity":1}"#).status, 201);
    publish(&server, EVENT);
    server.stop();
    data
}

#[test]
fn a_directory_at_rest_comes_back_with_its_secrets_and_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut command = kilat(["serve", "--data", text(&data), "--listen=127.0.0.1:0"]);
    Server::run(command.env_remove("KILAT_ADMIN_TOKEN")).stop();
    let (target, restored) = (folder.path().join("backup"), folder.path().join("deep/restored"));
    backup(&data, &target);
    restore(&target, &restored);
    for name in ["admin-token", "secret"] {
        assert_eq!(fs::read(data.join(name)).unwrap(), fs::read(restored.join(name)).unwrap());
    }
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for place in [&target, &restored] {
        for name in names(place) {
            let path = place.join(name);
            let expected = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(&path), expected, "{}", path.display());
        }
        assert_eq!(mode(place), 0o700);
    }
    let expected = ["BACKUP", "KILAT", "admin-token", "events", "journal", "secret"];
    assert_eq!(names(&target), expected.map(str::to_owned).into());
    let marker = |path: &Path| fs::read_to_string(path.join("KILAT")).unwrap();
    assert!(marker(&restored).starts_with(&marker(&data)) && marker(&restored) != marker(&data));
}

/// `kilat` ends with this code and says this.
fn check_refused(arguments: &[&str], code: i32, says: &str) {
    let output = run(arguments.iter().copied());
    let said = stdout(&output) + &stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(said.contains(says), "{arguments:?}: {said}");
}

#[test]
fn what_can_t_be_asked_for_is_refused_and_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let data = small(folder.path());
    let target = folder.path().join("backup");
    backup(&data, &target);
    let (data, target) = (text(&data), text(&target));
    let full = folder.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("thesis.tex"), "years of work").unwrap();
    let (full, new) = (text(&full), folder.path().join("new"));
    let new = text(&new);
    check_refused(&["backup", target, "--data", data], 2, "exists already");
    check_refused(&["backup", full, "--data", data], 2, "exists already");
    check_refused(&["backup", new, "--data", new], 2, "no kilat data directory");
    check_refused(&["backup", new, "--data", full], 2, "the file KILAT in it");
    check_refused(&["backup", new, "--data", target], 2, "a backup itself");
    check_refused(&["restore", target, "--data", data], 2, "not empty");
    check_refused(&["restore", target, "--data", full], 2, "not empty");
    check_refused(&["restore", data, "--data", new], 2, "no backup");
    check_refused(&["restore", new, "--data", new], 2, "no backup");
    check_refused(&["serve", "--listen=127.0.0.1:0", "--data", target], 2, "kilat restore");
    assert!(!Path::new(new).exists());
    assert_eq!(names(Path::new(full)).len(), 1);
    verify(Path::new(target));
    let expected = ["backup", "data", "full"].map(str::to_owned);
    assert_eq!(names(folder.path()), expected.into(), "something was left");
}

#[test]
fn a_changed_backup_is_named_and_not_restored() {
    let folder = tempfile::tempdir().unwrap();
    let data = small(folder.path());
    let target = folder.path().join("backup");
    backup(&data, &target);
    let segment = target.join("journal/00000000000000000001.seg");
    let whole = fs::read(&segment).unwrap();
    // Zeros behind the end of the log: only the manifest knows them.
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    // The last frame, gone without a trace.
    let mut shortened = whole.clone();
    let last = whole.chunks(512).rposition(|sector| sector.iter().any(|byte| *byte != 0));
    shortened[last.unwrap() * 512..].fill(0);
    let restored = folder.path().join("restored");
    let check = |file: &Path, content: Option<&[u8]>, says: &str| {
        let before = fs::read(file).ok();
        match content {
            Some(content) => fs::write(file, content).unwrap(),
            None => fs::remove_file(file).unwrap(),
        }
        check_refused(&["verify", text(&target), "--lang=en"], 1, says);
        let (backup, data) = (text(&target), text(&restored));
        check_refused(&["restore", backup, "--data", data, "--lang=en"], 1, says);
        assert!(!restored.exists());
        match before {
            Some(before) => fs::write(file, before).unwrap(),
            None => fs::remove_file(file).unwrap(),
        }
    };
    check(&segment, Some(&changed), "00000000000000000001.seg is not what the manifest says");
    check(&segment, Some(&shortened), "00000000000000000001.seg is not what the manifest says");
    check(&segment, Some(&whole[..512]), "00000000000000000001.seg is not what the manifest says");
    check(&target.join("BACKUP"), Some(b"kilat backup, format 1\n"), "is damaged");
    check(&target.join("events/more.seg"), Some(b""), "events/more.seg is not in the manifest");
    // One verdict, the last line, though the journal itself is whole.
    fs::write(target.join("extra"), b"").unwrap();
    let said = stdout(&run(["verify", text(&target), "--lang=en"]));
    assert_eq!(said.matches("DOES NOT HOLD").count(), 1, "{said}");
    assert!(said.lines().last().unwrap().starts_with("DOES NOT HOLD"), "{said}");
    assert!(!said.contains("VERIFIED"), "{said}");
    fs::remove_file(target.join("extra")).unwrap();
    restore(&target, &restored);
}

/// Killed at each call of this kind, or at some of them: there is no backup, and then there is.
fn check_kills(call: &str, arguments: &[&str], made: &Path, rubble: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let log = |name: String| folder.path().join(name);
    let counted = log("count".to_owned());
    let ended = trace::traced(&kilat(arguments.iter().copied()), &counted, None).output().unwrap();
    assert!(ended.status.success(), "{}", stderr(&ended));
    let sites = trace::count(&trace::lines(&counted), call);
    assert!(sites > 0, "{call} is never made");
    fs::remove_dir_all(made).unwrap();
    let mut killed = 0;
    let step = sites.div_ceil(KILLS_MAX);
    let kills = (1..=sites).step_by(step);
    for site in kills.clone() {
        let inject = format!("{call}:signal=SIGKILL:when={site}");
        let log = log(format!("{call}-{site}"));
        let program = kilat(arguments.iter().copied());
        let mut program = trace::traced(&program, &log, Some(&inject));
        let status = Running::start(program.stdout(std::process::Stdio::null())).wait();
        killed += usize::from(!status.success());
        if made.join("KILAT").exists() {
            // It was whole already: the last steps only make that durable, or tidy up.
            verify(made);
            fs::remove_dir_all(made).unwrap();
        } else {
            assert!(run(["verify", text(made)]).status.code() == Some(2), "half looks whole");
        }
        if rubble.join("KILAT").exists() {
            fs::remove_dir_all(rubble).unwrap();
        }
        let again = run(arguments.iter().copied());
        assert!(again.status.success(), "after {call} {site}: {}", stderr(&again));
        verify(made);
        fs::remove_dir_all(made).unwrap();
        assert!(!rubble.exists(), "after {call} {site}");
    }
    println!("{call}: {killed} kills at {sites} sites");
    assert_eq!(killed, kills.count());
}

#[test]
fn killed_anywhere_a_half_backup_never_looks_whole_and_the_next_attempt_clears_it_away() {
    let folder = tempfile::tempdir().unwrap();
    let data = small(folder.path());
    let (made, rubble) = (folder.path().join("backup"), folder.path().join("backup.partial"));
    let arguments = ["backup", text(&made), "--data", text(&data), "--quiet"];
    for call in ["pwrite64", "fdatasync", "fsync", "rename", "mkdir", "unlink"] {
        check_kills(call, &arguments, &made, &rubble);
    }
}

#[test]
fn killed_anywhere_a_half_restore_is_no_data_directory_and_can_be_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = small(folder.path());
    let (target, made) = (folder.path().join("backup"), folder.path().join("restored"));
    backup(&data, &target);
    let arguments = ["restore", text(&target), "--data", text(&made), "--quiet"];
    for call in ["pwrite64", "fsync", "rename", "mkdir", "unlink", "ftruncate"] {
        check_kills(call, &arguments, &made, &folder.path().join("no"));
    }
}

#[test]
fn a_stopped_backup_leaves_nothing_and_says_so_with_130() {
    let folder = tempfile::tempdir().unwrap();
    let data = small(folder.path());
    let (target, log) = (folder.path().join("backup"), folder.path().join("log"));
    let inject = Some("pwrite64:signal=SIGINT:when=1");
    let output = trace::traced(&backup_command(&data, &target), &log, inject).output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stderr(&output).contains("stopped"), "{}", stderr(&output));
    assert_eq!(names(folder.path()), ["data", "log"].map(str::to_owned).into());
}

#[test]
fn a_replica_notices_that_its_core_was_restored() {
    let place = Place::new();
    let first = place.core();
    let replica = place.replica("one");
    replica.make_sale("s", 10, 60);
    let target = place.folder.path().join("backup");
    backup(&place.data(), &target);
    let history = |server: &Server| server.get("/stats").json()["history"].clone();
    let before = history(&first);
    assert_eq!(history(&replica), before);
    let order = replica.order("s", "later", r#"{"customer":"c","quantity":1}"#);
    assert_eq!(order.status, 201);
    first.stop();
    fs::remove_dir_all(place.data()).unwrap();
    restore(&target, &place.data());
    let again = place.core();
    wait_for("a refusal", || replica.log().contains("another data directory").then_some(()));
    wait_for("unready", || (replica.get("/readyz").status == 503).then_some(()));
    let fresh = place.replica("two");
    assert_eq!(sold(&fresh), 0, "what came later is not there");
    assert_ne!(history(&again), before);
    assert_eq!(history(&fresh), history(&again));
    drop(replica);
    fresh.stop();
    again.stop();
}
