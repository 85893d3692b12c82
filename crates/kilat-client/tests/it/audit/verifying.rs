//! What `verify` sees, and what it says.

use super::rig::{Rig, finish, open, options, record, refusal, seed_words, tempfile_with};
use kilat_client::check::audit::{AuditOptions, Format, RunState, verify};
use kilat_client::{ClientError, Lang};

/// A log of format 1, whose bytes never change.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/audit-1.jsonl");
const GOLDEN_SEAL: &str = "a81337416d0e9d733625093d9c0d96fb";

#[test]
fn the_golden_log_holds_for_ever() {
    let checked = verify(GOLDEN.as_ref(), Some(GOLDEN_SEAL), Lang::English).unwrap();
    assert!(checked.holds(), "{}", checked.text(Lang::English));
    assert_eq!((checked.runs, checked.lines, checked.sealed), (2, 8, Some(true)));
    let states: Vec<RunState> = checked.newest.iter().map(|run| run.state).collect();
    assert_eq!(states, [RunState::Continued, RunState::Complete]);
    assert_eq!(checked.newest[1].seal(), GOLDEN_SEAL);
}

#[test]
fn a_seal_belongs_to_one_run() {
    let rig = Rig::new();
    let (audit, _) = open(options(&rig.path));
    record(&audit, &["a"]);
    let seal = finish(audit).seal.unwrap();
    for (given, holds) in [
        (seal.clone(), true),
        (seal.to_uppercase(), true),
        (seal.replace(|c: char| c.is_ascii_digit(), "0"), false),
    ] {
        let checked = verify(&rig.path, Some(&given), Lang::English).unwrap();
        assert_eq!(checked.holds(), holds, "{given}");
    }
    for given in ["", "nonsense", "1234", &seal[1..], &format!("{seal}0")] {
        let refused = verify(&rig.path, Some(given), Lang::English).unwrap_err();
        assert!(refused.to_string().contains("32 digits"), "{given}: {refused}");
    }
    let text = Rig::new();
    let format = Format::Seed(seed_words());
    finish(open(AuditOptions { format, ..options(&text.path) }).0);
    assert!(!verify(&text.path, Some(&seal), Lang::English).unwrap().holds());
}

#[test]
fn what_stands_behind_the_last_newline_is_a_part_of_a_line() {
    let rig = Rig::new();
    let (audit, _) = open(options(&rig.path));
    record(&audit, &["a", "b"]);
    finish(audit);
    let text = rig.text();
    let last = text.trim_end().rfind('\n').unwrap() + 1;
    let line = text[last..].trim_end();
    let row = "{\"run\":\"0\",\"row\":{\"sum\":\"00000000000000000000000000000000\"},";
    for (tail, holds) in [
        ("{", true),
        (row, true),
        (line, true),
        (&format!("{line}\u{b}"), false),
        (&format!("{line} {line}"), false),
        ("precious", false),
        (&format!("{{\"run\":\"{}", "x".repeat(1 << 20)), false),
    ] {
        let changed = tempfile_with(&(text[..last].to_owned() + tail));
        let checked = verify(changed.path(), None, Lang::English).unwrap();
        assert_eq!(checked.holds(), holds, "{}", &tail[..tail.len().min(300)]);
        // What is damaged is not called the rest of a death, which the next run removes.
        assert_eq!(checked.torn_bytes, if holds { tail.len() as u64 } else { 0 });
    }
}

#[test]
fn what_is_damaged_is_said_beside_the_total() {
    let rig = Rig::new();
    let (audit, _) = open(options(&rig.path));
    record(&audit, &["a", "b"]);
    finish(audit);
    let forged = rig.text().replacen("\"found\"", "\"not_found\"", 1);
    let checked = verify(tempfile_with(&forged).path(), None, Lang::English).unwrap();
    let said = checked.text(Lang::English);
    assert_eq!(checked.faults, 1, "{said}");
    assert!(said.contains("damaged ones too: 1 found, 1 not found"), "{said}");
}

#[test]
fn no_number_of_a_record_is_too_large_to_be_read() {
    let rig = Rig::new();
    let (audit, _) = open(options(&rig.path));
    record(&audit, &["a", "b"]);
    finish(audit);
    let most = format!("\"n\":{}", u64::MAX);
    for number in ["\"n\":2", "\"n\":3"] {
        let changed = tempfile_with(&rig.text().replacen(number, &most, 1));
        let checked = verify(changed.path(), None, Lang::English).unwrap();
        assert!(!checked.holds(), "{}", checked.text(Lang::English));
        let resumed = refusal(AuditOptions { resume: true, ..options(changed.path()) });
        assert!(resumed.to_string().contains("damaged"), "{resumed}");
    }
}

#[test]
fn a_log_without_a_run_and_one_without_an_end_are_not_called_whole() {
    let said = |text: &str| {
        let checked = verify(tempfile_with(text).path(), None, Lang::English).unwrap();
        (checked.holds(), checked.text(Lang::English))
    };
    let (holds, text) = said("");
    assert!(!holds && text.contains("holds no run"), "{text}");
    let rig = Rig::new();
    let (audit, _) = open(options(&rig.path));
    record(&audit, &["a", "b"]);
    finish(audit);
    let whole = rig.text();
    let (holds, text) = said(&whole);
    assert!(holds && text.contains("nothing is changed, missing"), "{text}");
    let cut = whole.trim_end().rfind('\n').unwrap() + 1;
    let (holds, text) = said(&whole[..cut]);
    assert!(holds && text.contains("only the seal can tell"), "{text}");
    assert!(!text.contains("missing"), "{text}");
}

/// Where a child finds its log; without it, it is no child.
const LONG_LOG: &str = "KILAT_AUDIT_LONG_LOG";

/// Not a test by itself: what the next one runs, without a directory for temporary files.
#[test]
fn child_verifies_without_room() {
    let Some(log) = std::env::var_os(LONG_LOG) else { return };
    let why = verify(log.as_ref(), None, Lang::English).unwrap_err().to_string();
    assert!(why.contains("/nowhere can't take them"), "{why}");
}

#[test]
fn without_room_the_log_is_not_blamed() {
    let rig = Rig::new();
    let (audit, _) = open(options(&rig.path));
    let ids: Vec<String> = (0..60_000).map(|number| number.to_string()).collect();
    record(&audit, &ids.iter().map(String::as_str).collect::<Vec<_>>());
    finish(audit);
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "audit::verifying::child_verifies_without_room"]);
    let child = child.env(LONG_LOG, &rig.path).env("TMPDIR", "/nowhere");
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// Lines of a log taken, doubled or moved: what `verify` says of each.
fn check(change: impl Fn(&mut Vec<&str>), wanted: &[&str]) {
    let rig = Rig::new();
    for ids in [["a", "b", "c"], ["d", "e", "f"]] {
        let (audit, _) = open(options(&rig.path));
        record(&audit, &ids);
        finish(audit);
    }
    let text = rig.text();
    let mut lines: Vec<&str> = text.lines().collect();
    change(&mut lines);
    let changed = tempfile_with(&(lines.join("\n") + "\n"));
    let checked = verify(changed.path(), None, Lang::English).unwrap();
    let said = checked.text(Lang::English);
    assert_eq!(checked.faults, wanted.len() as u64, "{said}");
    for part in wanted {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}

#[test]
fn every_change_of_lines_is_named() {
    let remove = |at: usize| {
        move |lines: &mut Vec<&str>| {
            lines.remove(at);
        }
    };
    check(|_| (), &[]);
    check(remove(2), &["line 3: records 2 to 2"]);
    check(remove(0), &["line 1: the first record"]);
    check(remove(4), &[]);
    check(|lines| lines.insert(3, lines[2]), &["line 4: record 2"]);
    check(|lines| lines.swap(1, 2), &["line 2: records 1 to 1", "line 3: record 1"]);
    check(|lines| lines.push(lines[5]), &["line 11: run"]);
    check(|lines| lines.push(lines[6]), &["line 11: record 1"]);
    check(|lines| lines.insert(1, "{}"), &["line 2 is not a record"]);
    check(|lines| lines.insert(1, ""), &["line 2 is not a record"]);
    let moved = |lines: &mut Vec<&str>| {
        let start = lines.remove(5);
        lines.insert(0, start);
    };
    check(moved, &[]);
}

#[test]
fn runs_that_end_say_how() {
    let rig = Rig::new();
    let (audit, _) = open(options(&rig.path));
    record(&audit, &["a"]);
    let so_far = verify(&rig.path, None, Lang::Indonesian).unwrap();
    assert_eq!(so_far.text(Lang::Indonesian).matches("belum berakhir").count(), 2);
    assert!(so_far.text(Lang::English).contains("Runs that have not ended: 1."));
    let reason = "stopped by its user".to_owned();
    audit.finish(kilat_client::check::audit::Ending { reason, ..Default::default() }).unwrap();
    let checked = verify(&rig.path, None, Lang::Indonesian).unwrap();
    assert_eq!(checked.newest[0].state, RunState::Incomplete);
    assert!(checked.text(Lang::Indonesian).contains("tidak lengkap"));
    assert_eq!(checked.json()["newest"][0]["found"], 1);
    assert_eq!(rig.lines()[2]["reason"], "stopped by its user");
}

#[test]
fn the_seeds_text_is_checked_as_far_as_it_goes() {
    let rig = Rig::new();
    let format = Format::Seed(seed_words());
    let (audit, _) = open(AuditOptions { format, ..options(&rig.path) });
    finish(audit);
    let stamp = "[2026-11-21 09:00:00.123456]";
    let work = |text: &str| format!("{stamp} [Worker-0] {text}\n");
    let whole = [work("Memulai x: a"), work("Berhasil!"), work("Selesai x: a")].concat();
    for (added, faults) in [
        (whole.clone(), 0),
        (whole.replace("Berhasil!", "Mengirim permintaan ke http://x"), 1),
        (whole.replace("Memulai", "Memulia"), 3),
        (whole.replace("09:00", "9:00"), 3),
        ("forged\n".to_owned(), 1),
    ] {
        let changed = tempfile_with(&(rig.text() + &added));
        let checked = verify(changed.path(), None, Lang::English).unwrap();
        assert_eq!(checked.faults, faults, "{added}{}", checked.text(Lang::English));
        assert!(checked.is_text && !checked.text(Lang::English).contains("not found"));
        assert!(checked.json()["found"].is_null());
    }
}

#[test]
fn what_is_no_log_is_refused() {
    let file = tempfile_with("precious\n");
    for path in [file.path(), "/nowhere".as_ref(), "/".as_ref(), "/dev/null".as_ref()] {
        assert!(matches!(verify(path, None, Lang::English), Err(ClientError::Usage(_))));
    }
}

#[test]
fn each_run_says_what_it_asked_and_whether_it_holds() {
    let rig = Rig::new();
    for ids in [["a", "b"], ["c", "d"]] {
        let (audit, _) = open(options(&rig.path));
        record(&audit, &ids);
        finish(audit);
    }
    let mut lines: Vec<String> = rig.text().lines().map(str::to_owned).collect();
    lines[1] = lines[1].replace("\"found\"", "\"not_found\"");
    std::fs::write(&rig.path, lines.join("\n") + "\n").unwrap();
    let checked = verify(&rig.path, None, Lang::English).unwrap();
    let damaged: Vec<bool> = checked.newest.iter().map(|run| run.damaged).collect();
    assert_eq!(damaged, [true, false]);
    for (lang, words) in [(Lang::English, "damaged"), (Lang::Indonesian, "rusak")] {
        let text = checked.text(lang);
        assert!(text.contains(&format!(": {words}, 4 ")), "{text}");
        for run in &checked.newest {
            let asked = run.asked.as_ref().unwrap();
            let at = run.at.unwrap().strftime("%Y-%m-%d %H:%M:%S UTC");
            let line = format!("      {}, {at}: ", asked.profile);
            assert!(text.contains(&line) && text.contains(&asked.url), "{line}\n{text}");
        }
    }
    let json = checked.json();
    assert_eq!(json["newest"][0]["damaged"], true);
    assert_eq!(
        json["newest"][1]["profile"].as_str(),
        Some(checked.newest[1].asked.as_ref().unwrap().profile.as_str())
    );
}
