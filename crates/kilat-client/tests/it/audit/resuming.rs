//! A run goes on by id where another stopped, and the other stops for good.

use super::rig::{Rig, finding, finish, ids, open, options, record, refusal};
use kilat_client::check::Id;
use kilat_client::check::audit::{AuditOptions, Entry, Format, verify};
use kilat_client::{ClientError, Lang};

fn resuming(rig: &Rig) -> AuditOptions {
    AuditOptions { resume: true, ..options(&rig.path) }
}

/// Leaves a run without an end.
fn interrupt(options: AuditOptions, ids: &[&str]) {
    let rig_told = std::sync::mpsc::channel();
    let (told, count) = (rig_told.0, ids.len());
    let mut left = count;
    let on_durable = Box::new(move |findings: &[kilat_client::check::Finding]| {
        left -= findings.len();
        if left == 0 {
            told.send(()).unwrap();
        }
    });
    let (audit, _) = open(AuditOptions { on_durable, ..options });
    record(&audit, ids);
    rig_told.1.recv().unwrap();
}

#[test]
fn only_what_has_not_ended_is_left() {
    let rig = Rig::new();
    interrupt(options(&rig.path), &["a", "b \"\n\u{1f600}"]);
    interrupt(resuming(&rig), &["c"]);
    let (audit, mut resumed) = open(resuming(&rig));
    assert_eq!((resumed.done.found, resumed.done.total()), (3, 3));
    for (id, new) in [("a", false), ("b \"\n\u{1f600}", false), ("c", false), ("d", true)] {
        assert_eq!(resumed.seen.insert(id.as_bytes()).unwrap(), new, "{id}");
    }
    record(&audit, &["d"]);
    finish(audit);
    let lines = rig.lines();
    let root = &lines[0]["run"];
    assert_eq!(&lines[3]["resumes"]["root"], root);
    assert_eq!(
        (&lines[5]["resumes"]["root"], &lines[5]["resumes"]["run"]),
        (root, &lines[3]["run"])
    );
    assert_eq!(lines[5]["resumes"]["sum"], lines[4]["sum"]);
    assert_eq!(ids(&rig.path), ["a", "b \"\n\u{1f600}", "c", "d"]);
    let checked = verify(&rig.path, None, Lang::English).unwrap();
    assert!(checked.holds(), "{}", checked.text(Lang::English));
    assert_eq!((checked.runs, checked.open_runs), (3, 0));
}

#[test]
fn another_profile_or_address_is_another_run() {
    let rig = Rig::new();
    interrupt(options(&rig.path), &["a"]);
    let mut other = resuming(&rig);
    other.run.url = "http://elsewhere/".to_owned();
    let (audit, resumed) = open(other);
    assert_eq!((resumed.root, resumed.done.total()), (None, 0));
    finish(audit);
    // The newest that fits is still the first.
    let (audit, resumed) = open(resuming(&rig));
    assert_eq!(resumed.done.total(), 1);
    finish(audit);
}

#[test]
fn the_run_that_is_continued_writes_no_more() {
    let rig = Rig::new();
    let (old, _) = open(options(&rig.path));
    record(&old, &["a"]);
    let (new, _) = open(resuming(&rig));
    // When the first id was not appended before the other run began, this one is closed already.
    let _ = old.record_blocking(Entry::Ended(finding(1, "b")));
    record(&new, &["c"]);
    let ending = kilat_client::check::audit::Ending::default();
    let error = old.finish(ending).unwrap_err();
    assert!(
        matches!(&error, ClientError::Storage(why) if why.contains("another process")),
        "{error}"
    );
    finish(new);
    let checked = verify(&rig.path, None, Lang::English).unwrap();
    assert!(checked.holds(), "{}", checked.text(Lang::English));
    assert!(!ids(&rig.path).contains(&"b".to_owned()));
}

#[test]
fn two_runs_of_their_own_do_not_disturb_each_other() {
    let rig = Rig::new();
    let (one, _) = open(options(&rig.path));
    let (two, _) = open(options(&rig.path));
    for number in 0..200 {
        let audit = if number % 3 == 0 { &one } else { &two };
        audit.record_blocking(Entry::Ended(finding(number, &format!("{number}")))).unwrap();
    }
    finish(one);
    finish(two);
    let checked = verify(&rig.path, None, Lang::English).unwrap();
    assert!(checked.holds(), "{}", checked.text(Lang::English));
    assert_eq!((checked.runs, checked.counts.total()), (2, 200));
}

#[test]
fn what_can_not_be_resumed_says_so() {
    let rig = Rig::new();
    interrupt(options(&rig.path), &["a", "b"]);
    let both = AuditOptions { overwrite: true, ..resuming(&rig) };
    let text = AuditOptions { format: Format::Seed(super::rig::seed_words()), ..resuming(&rig) };
    for (options, part) in [(both, "exclude"), (text, "seed's text")] {
        assert!(matches!(refusal(options), ClientError::Usage(why) if why.contains(part)));
    }
    let changed = rig.text().replacen("\"id\":\"a\"", "\"id\":\"z\"", 1);
    std::fs::write(&rig.path, &changed).unwrap();
    assert!(matches!(refusal(resuming(&rig)), ClientError::Usage(why) if why.contains("line 2")));
    assert_eq!(rig.text(), changed);
}

/// Changes a log of two runs, the second of which was killed, and goes on with it.
fn check_damage(change: impl Fn(&mut Vec<String>), refused_at: Option<u64>) {
    let rig = Rig::new();
    let mut other = options(&rig.path);
    other.run.url = "http://elsewhere/".to_owned();
    interrupt(other, &["x", "y"]);
    interrupt(options(&rig.path), &["a", "b"]);
    let mut lines: Vec<String> = rig.text().lines().map(str::to_owned).collect();
    change(&mut lines);
    let changed = lines.join("\n") + "\n";
    std::fs::write(&rig.path, &changed).unwrap();
    let begun = kilat_client::check::audit::Audit::open(resuming(&rig));
    let why = begun.as_ref().err().map(ToString::to_string);
    match refused_at {
        None => drop(finish(begun.unwrap().0)),
        Some(line) => {
            let why = why.unwrap_or_default();
            assert!(why.contains(&format!("damaged at line {line},")), "{line}: {why}");
            assert_eq!(rig.text(), changed);
        }
    }
}

#[test]
fn a_log_with_damage_anywhere_is_not_resumed() {
    let run = |line: &str| line[8..44].to_owned();
    check_damage(|_| (), None);
    // The run's id is not in the log, or is none.
    check_damage(|lines| lines[5].replace_range(43..44, "!"), Some(6));
    check_damage(|lines| lines[5] = lines[5].replace(&run(&lines[5]), &run(NOBODY)), Some(6));
    // It is that of the other run.
    check_damage(|lines| lines[5] = lines[5].replace(&run(&lines[5]), &run(&lines[0])), Some(6));
    check_damage(|lines| lines[5].replace_range(..1, " "), Some(6));
    check_damage(|lines| lines[4].clear(), Some(5));
    check_damage(|lines| lines.push("{}".to_owned()), Some(7));
    check_damage(|lines| lines.push("x\0x".to_owned()), Some(7));
    check_damage(|lines| lines.push(lines[5].clone()), Some(7));
    check_damage(|lines| lines[1] = lines[1].replace("\"x\"", "\"z\""), Some(2));
    // Whole runs can be taken out.
    check_damage(|lines| drop(lines.drain(..3)), None);
}

/// Records with new sums, which say what can't be.
#[test]
fn a_log_that_contradicts_itself_is_neither_held_nor_resumed() {
    let rig = Rig::new();
    let (audit, _) = open(options(&rig.path));
    record(&audit, &["a", "b"]);
    finish(audit);
    let whole = rig.text();
    let lines: Vec<&str> = whole.lines().collect();
    let run = &lines[0][8..44];
    let none = "0".repeat(32);
    let itself = format!(
        ",\"resumes\":{{\"root\":\"{run}\",\"run\":\"{run}\",\"n\":{},\"sum\":\"{none}\"}}",
        u64::MAX
    );
    let with = |at: usize, old: &str, new: &str| {
        let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        lines[at] = lines[at].replacen(old, new, 1);
        lines
    };
    for (forged, line) in [
        (with(0, ",\"sum\"", ",\"more\":1,\"sum\""), None),
        (with(1, "\"n\":1,", &format!("\"n\":{},", u64::MAX)), Some(2)),
        (with(0, ",\"sum\"", &(itself + ",\"sum\"")), Some(1)),
        (with(1, ",\"row\"", ",\"synced\":1,\"row\""), Some(2)),
        (with(3, "\"found\":2", "\"found\":3"), Some(4)),
        (with(3, "\"unknown\":0", "\"unknown\":1"), Some(4)),
    ] {
        let text = with_sums(&forged);
        std::fs::write(&rig.path, &text).unwrap();
        let checked = verify(&rig.path, None, Lang::English).unwrap();
        let said = checked.text(Lang::English);
        assert_eq!(checked.holds(), line.is_none(), "{text}\n{said}");
        let begun = kilat_client::check::audit::Audit::open(resuming(&rig));
        let Some(line) = line else {
            finish(begun.unwrap().0);
            continue;
        };
        assert!(said.contains(&format!("line {line}")), "{said}");
        let why = begun.err().unwrap().to_string();
        assert!(why.contains(&format!("damaged at line {line},")), "{line}: {why}");
        assert_eq!(rig.text(), text);
    }
}

/// The records of one run with the sums that belong to them.
fn with_sums(lines: &[String]) -> String {
    let (mut text, mut sum) = (String::new(), [0; 16]);
    for line in lines {
        let record = line.rsplit_once(",\"sum\":\"").unwrap().0;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&sum).update(record.as_bytes());
        sum.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        let hex: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        text += &format!("{record},\"sum\":\"{hex}\"}}\n");
    }
    text
}

/// A record of a run that is in no log.
const NOBODY: &str = "{\"run\":\"01960000-0000-7000-8000-000000000000\",\"n\":1";

#[test]
fn without_anything_to_resume_a_run_begins() {
    let rig = Rig::new();
    let (audit, resumed) = open(resuming(&rig));
    assert_eq!(resumed.root, None);
    record(&audit, &[Id::new("a").unwrap().as_str()]);
    finish(audit);
    assert_eq!(ids(&rig.path), ["a"]);
}
