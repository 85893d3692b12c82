//! Every bit of a small log flipped, every length cut to, zeros as a power cut leaves them.

use super::rig::{Rig, finish, open, options, record, tempfile_with};
use kilat_client::Lang;
use kilat_client::check::audit::{Audit, AuditOptions, Ending, verify};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

fn small() -> (Rig, String) {
    let rig = Rig::new();
    let (audit, _) = open(options(&rig.path));
    record(&audit, &["a", "b"]);
    finish(audit);
    let text = rig.text();
    (rig, text)
}

fn holds(path: &Path) -> bool {
    verify(path, None, Lang::English)
        .is_ok_and(|checked| checked.holds() && checked.torn_bytes == 0)
}

/// Calls `check` for each number, in as many threads as pay while they wait for the device.
fn each(count: usize, check: impl Fn(&Rig, usize) + Sync) {
    const THREADS: usize = 8;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let check = &check;
            scope.spawn(move || {
                let rig = Rig::new();
                (thread..count).step_by(THREADS).for_each(|number| check(&rig, number));
            });
        }
    });
}

#[test]
fn every_flip_is_seen() {
    let (rig, text) = small();
    assert!(holds(&rig.path));
    let bytes = text.as_bytes();
    each(bytes.len() * 8, |rig, bit| {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        // In place: to make a file anew is what takes long.
        let file =
            File::options().write(true).create(true).truncate(false).open(&rig.path).unwrap();
        file.write_all_at(&changed, 0).unwrap();
        assert!(!holds(&rig.path), "bit {bit}");
    });
}

#[test]
fn every_length_comes_back_to_whole_lines() {
    let (_, text) = small();
    each(text.len() + 1, |rig, length| {
        let cut = &text[..length];
        std::fs::write(&rig.path, cut).unwrap();
        let whole = cut.rfind('\n').map_or("", |at| &cut[..=at]);
        if !whole.is_empty() {
            let checked = verify(&rig.path, None, Lang::English).unwrap();
            assert!(checked.holds(), "{length}: {}", checked.text(Lang::English));
            let torn = (cut.len() - whole.len()) as u64;
            assert_eq!((checked.lines, checked.torn_bytes), (whole.lines().count() as u64, torn));
        }
        let begun = Audit::open(options(&rig.path));
        // From eight bytes on it is clear that this was to be a log.
        if (1..8).contains(&length) {
            assert!(begun.is_err());
            assert_eq!(rig.text(), cut);
            return;
        }
        finish(begun.unwrap().0);
        assert!(rig.text().starts_with(whole));
        assert_eq!(rig.lines().len(), whole.lines().count() + 2, "{length}");
        assert!(holds(&rig.path));
    });
}

/// Overwrites a part of a log with zeros; `true` when the next run cuts it and the log holds.
fn is_mended(text: &str, begin: usize, end: usize) -> bool {
    let mut bytes = text.as_bytes().to_vec();
    bytes[begin..end].fill(0);
    let rig = Rig::new();
    std::fs::write(&rig.path, &bytes).unwrap();
    let held = verify(&rig.path, None, Lang::English).unwrap().holds();
    finish(open(options(&rig.path)).0);
    assert_eq!(holds(&rig.path), held, "zeros from {begin} to {end}");
    let whole = text[..begin].rfind('\n').map_or(0, |at| at + 1);
    if held {
        assert!(rig.text().starts_with(&text[..whole]));
        assert_eq!(rig.lines().len(), text[..whole].lines().count() + 2);
    } else {
        assert!(std::fs::read(&rig.path).unwrap().starts_with(&bytes), "damage stays");
    }
    held
}

#[test]
fn zeros_of_a_power_cut_are_cut_and_other_zeros_are_damage() {
    let rig = Rig::new();
    let (audit, _) = open(options(&rig.path));
    let ids: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    record(&audit, &ids.iter().map(String::as_str).collect::<Vec<_>>());
    finish(audit);
    let text = rig.text();
    // Of these lines none says that an earlier one was durable, or the test is about nothing.
    let last_claim = text.rfind("\"synced\"").map_or(0, |at| at + 1);
    let claim_line = text[..last_claim].rfind('\n').map_or(0, |at| at + 1);
    let sector = |at: usize| at.next_multiple_of(512);
    let from = sector(claim_line + 600);
    assert!(from + 2_048 < text.len(), "{from} {}", text.len());
    let line = text[..from].rfind('\n').unwrap() + 1;
    for (begin, end, mended) in [
        (from, from + 512, true),
        (from, from + 1_024, true),
        (line, from, true),
        (from, text.len(), true),
        (line, text.len(), true),
        (from + 1, from + 512, false),
        (from, from + 511, false),
        (from + 7, from + 8, false),
        (from + 511, from + 512, false),
        (sector(1), sector(1) + 512, sector(1) > claimed_end(&text)),
    ] {
        assert_eq!(is_mended(&text, begin, end), mended, "zeros from {begin} to {end}");
    }
}

/// What a run in a file of these bytes may do with it.
enum Wanted {
    /// Begin in it, as if it were empty.
    Begins,
    /// Nothing: it is no log.
    Refused,
    /// Nothing: it is a log that is damaged at its beginning.
    Damaged,
}

#[test]
fn only_zeros_that_can_be_nothing_else_are_an_empty_log() {
    use Wanted::{Begins, Damaged, Refused};
    let (_, text) = small();
    let zeros = |count: usize| vec![0; count];
    let lost = |count: usize| [&zeros(count), &text.as_bytes()[count..]].concat();
    let first_line = text.find('\n').unwrap() + 1;
    let image = [&zeros(32_768)[..], b"\x01CD001\x01", &[b'y'; 100_000]].concat();
    for (name, bytes, wanted) in [
        ("one sector", zeros(512), Begins),
        ("no whole sector", zeros(700), Begins),
        ("as many as a run may lose", zeros(4 << 20), Begins),
        ("more than a run may lose", zeros((4 << 20) + 1), Refused),
        ("an image without a newline", image.clone(), Refused),
        ("an image with newlines", [&image[..], b"\nline\nline\nrest"].concat(), Refused),
        ("one zero and text", b"\0precious\n".to_vec(), Refused),
        ("a log without its first byte", lost(1), Damaged),
        ("a log without its first sector", lost(512), Damaged),
        ("a log without its first line", lost(first_line - 1), Damaged),
        ("a log but for its last line", lost(text.trim_end().rfind('\n').unwrap()), Damaged),
    ] {
        for (overwrite, resume) in [(false, false), (false, true), (true, false)] {
            let rig = Rig::new();
            std::fs::write(&rig.path, &bytes).unwrap();
            let checked = verify(&rig.path, None, Lang::English);
            let begun = Audit::open(AuditOptions { overwrite, resume, ..options(&rig.path) });
            let why = begun.as_ref().err().map(ToString::to_string).unwrap_or_default();
            match wanted {
                Begins => {
                    let checked = checked.unwrap();
                    assert!(!checked.holds() && checked.faults == 0, "{name}: nothing to hold");
                    assert_eq!(checked.torn_bytes, bytes.len() as u64, "{name}");
                    finish(begun.unwrap().0);
                    assert!(holds(&rig.path) && rig.lines().len() == 2, "{name}");
                    continue;
                }
                Refused => {
                    assert!(checked.is_err(), "{name}");
                    assert!(why.contains("is not a log"), "{name}: {why}");
                }
                Damaged => {
                    assert!(!checked.unwrap().holds(), "{name}");
                    assert!(why.contains("damaged at line 1"), "{name}: {why}");
                }
            }
            assert!(std::fs::read(&rig.path).unwrap() == bytes, "{name} is as it was");
        }
    }
}

/// Where the last line ends that a later one says was durable; 0 when none is.
fn claimed_end(text: &str) -> usize {
    let claims = text.rmatch_indices("\"synced\":").next();
    let claimed = claims.map(|(at, key)| &text[at + key.len()..]);
    let line = claimed.and_then(|rest| rest.split([',', '}']).next()?.parse::<usize>().ok());
    line.and_then(|line| text.match_indices('\n').nth(line)).map_or(0, |(at, _)| at + 1)
}

#[test]
fn zeros_before_what_was_durable_are_damage() {
    let (_, first) = small();
    let (_, second) = small();
    // The second run began when the first was durable.
    let text = first.clone() + &second;
    assert!(!is_mended(&text, 512, 1_024));
    let at = first.len() + 512;
    assert!(!is_mended(&text, at, at + 3));
}

#[test]
fn a_fragment_of_the_dead_is_cut_by_the_living() {
    let rig = Rig::new();
    let (told, durable) = std::sync::mpsc::channel();
    let on_durable = Box::new(move |findings: &[_]| told.send(findings.len()).unwrap());
    let (audit, _) = open(AuditOptions { on_durable, ..options(&rig.path) });
    record(&audit, &["a"]);
    let (other, _) = open(options(&rig.path));
    finish(other);
    // The living has nothing to write while a stranger to its lock does.
    assert_eq!(durable.recv().unwrap(), 1);
    use std::io::Write as _;
    let mut file = File::options().append(true).open(&rig.path).unwrap();
    file.write_all(b"{\"run\":\"0196").unwrap();
    record(&audit, &["b"]);
    finish(audit);
    assert!(holds(&rig.path), "{}", rig.text());
    assert_eq!(rig.lines().len(), 6);
}

/// Behind the last newline only a part of a record is cut: a whole one whose newline became
/// another byte was acknowledged.
#[test]
fn what_no_death_leaves_behind_is_never_cut() {
    let (rig, text) = small();
    let last = text.trim_end().rfind('\n').unwrap() + 1;
    let line = text[last..].trim_end();
    for (tail, is_torn) in [
        (&line[..40], true),
        (line, true),
        (&format!("{line}\u{b}"), false),
        (&format!("{line}{line}"), false),
        ("precious", false),
        (&format!("{{\"run\":\"{}", "x".repeat(1 << 20)), false),
    ] {
        for resume in [false, true] {
            let changed = text[..last].to_owned() + tail;
            std::fs::write(&rig.path, &changed).unwrap();
            let begun = Audit::open(AuditOptions { resume, ..options(&rig.path) });
            if is_torn {
                finish(begun.unwrap().0);
                assert!(holds(&rig.path), "{tail:.60}");
                continue;
            }
            let why = begun.err().unwrap().to_string();
            assert!(why.contains("damaged at line 4,"), "{why}");
            assert_eq!(rig.text(), changed, "{tail:.60}");
        }
        finish(open(AuditOptions { overwrite: true, ..options(&rig.path) }).0);
        assert!(holds(&rig.path));
    }
}

#[test]
fn a_log_that_is_taken_away_ends_the_run() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 5] = [
        ("moved", |path| std::fs::rename(path, path.with_extension("1")).unwrap()),
        ("moved", |path| std::fs::remove_file(path).unwrap()),
        ("moved", |path| {
            std::fs::copy(path, path.with_extension("new")).unwrap();
            std::fs::rename(path.with_extension("new"), path).unwrap();
        }),
        ("shortened", |path| File::options().write(true).open(path).unwrap().set_len(0).unwrap()),
        ("shortened", |path| {
            let other = tempfile_with("");
            finish(open(options(other.path())).0);
            std::fs::write(path, std::fs::read_to_string(other.path()).unwrap().repeat(9)).unwrap();
        }),
    ];
    for (said, change) in changes {
        let rig = Rig::new();
        let (told, durable) = std::sync::mpsc::channel();
        let on_durable = Box::new(move |findings: &[_]| told.send(findings.len()).unwrap());
        let (audit, _) = open(AuditOptions { on_durable, ..options(&rig.path) });
        record(&audit, &["a"]);
        assert_eq!(durable.recv().unwrap(), 1);
        change(&rig.path);
        record(&audit, &["b"]);
        let error = audit.finish(Ending::default()).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(durable.try_iter().count(), 0, "nobody is told of what is gone");
    }
}
