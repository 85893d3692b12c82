//! Logs whose sums are right and which say what can't be: a mistake of ours could write them.

use super::chain::{AFTER_SUM, BEFORE_SUM, SEAL_BYTES};
use super::failing::{finding, options};
use super::records::{Origin, PROGRAM, Records};
use super::{Audit, Ending, RunId, verify};
use crate::{ClientError, Lang};
use jiff::Timestamp;
use std::path::Path;

/// A log in the making.
#[derive(Default)]
struct Log {
    text: Vec<u8>,
}

impl Log {
    /// A run begins, on its own or where another was.
    fn start(&mut self, origin: Option<Origin>) -> Records {
        let mut records = Records::new(RunId::new());
        let facts = options(Path::new("")).0.run;
        records.start(PROGRAM, &facts, origin.as_ref(), Timestamp::now(), &mut self.text);
        records
    }

    fn lookup(&mut self, records: &mut Records, id: u64) {
        records.lookup(&finding(id), None, &mut self.text);
    }

    fn end(&mut self, records: &mut Records) {
        let ending = Ending { complete: true, ..Ending::default() };
        records.end(&ending, Timestamp::now(), &mut self.text);
    }
}

/// By what a run goes on with another that is there.
fn origin(records: &Records) -> Origin {
    let (run, n, sum) = (records.run(), records.written() - 1, records.sum());
    Origin { root: run, run, n, sum }
}

/// What `verify` says of a log, and at which line it can't be resumed.
fn check(name: &str, write: impl FnOnce(&mut Log), says: Option<&str>, refused_at: Option<u64>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.jsonl");
    let mut log = Log::default();
    write(&mut log);
    std::fs::write(&path, &log.text).unwrap();
    let checked = verify(&path, None, Lang::English).unwrap();
    let said = checked.text(Lang::English);
    assert_eq!(checked.faults, u64::from(says.is_some()), "{name}: {said}");
    assert!(said.contains(says.unwrap_or_default()), "{name}: {said}");
    let resumed = Audit::open(options(&path).0);
    let Some(line) = refused_at else {
        resumed.unwrap().0.finish(Ending::default()).unwrap();
        return;
    };
    let why = match resumed {
        Err(ClientError::Usage(why)) => why,
        _ => panic!("{name}: it was resumed"),
    };
    assert!(why.contains(&format!("damaged at line {line},")), "{name}: {why}");
    assert_eq!(std::fs::read(&path).unwrap(), log.text, "{name}: it was changed");
}

#[test]
fn an_id_ends_once_in_all_runs_that_go_on_with_one_another() {
    let twice = |log: &mut Log| {
        let mut run = log.start(None);
        log.lookup(&mut run, 1);
        log.lookup(&mut run, 1);
    };
    check("twice in a run", twice, Some("line 3: "), Some(3));
    let again = |log: &mut Log| {
        let mut run = log.start(None);
        log.lookup(&mut run, 1);
        let mut next = log.start(Some(origin(&run)));
        log.lookup(&mut next, 1);
    };
    check("again in the next", again, Some("line 4: "), Some(4));
    let apart = |log: &mut Log| {
        for _ in 0..2 {
            let mut run = log.start(None);
            log.lookup(&mut run, 1);
            log.end(&mut run);
        }
        let mut run = log.start(None);
        log.lookup(&mut run, 1);
    };
    check("in runs of their own", apart, None, None);
}

#[test]
fn nothing_follows_the_end_of_a_run_or_who_goes_on_with_it() {
    let ended = |log: &mut Log| {
        let mut run = log.start(None);
        log.lookup(&mut run, 1);
        log.end(&mut run);
        log.lookup(&mut run, 2);
    };
    check("after its end", ended, Some("line 4: "), Some(4));
    let continued = |log: &mut Log| {
        let mut run = log.start(None);
        log.lookup(&mut run, 1);
        log.start(Some(origin(&run)));
        log.lookup(&mut run, 2);
    };
    check("after it was taken over", continued, Some("line 4: "), Some(4));
}

#[test]
fn a_run_goes_on_with_the_last_record_of_one_that_is_there_and_alone() {
    type Change = fn(Origin) -> Origin;
    let changes: [(&str, Change); 4] = [
        ("an earlier record", |origin| Origin { n: 0, ..origin }),
        ("a later record", |origin| Origin { n: 9, ..origin }),
        ("another sum", |origin| Origin { sum: super::chain::Sum::default(), ..origin }),
        ("another root", |origin| Origin { root: RunId::new(), ..origin }),
    ];
    for (name, change) in changes {
        let loose = |log: &mut Log| {
            let mut run = log.start(None);
            log.lookup(&mut run, 1);
            log.start(Some(change(origin(&run))));
            // The newest that can be resumed, so that the whole log is read.
            log.start(None);
        };
        check(name, loose, Some("line 3: "), Some(3));
    }
    let nobody = |log: &mut Log| {
        let run = Log::default().start(None);
        log.start(None);
        log.start(Some(origin(&run)));
        log.start(None);
    };
    check("a run that is not there", nobody, Some("line 2: "), Some(2));
    let twice = |log: &mut Log| {
        let run = log.start(None);
        log.start(Some(origin(&run)));
        log.start(Some(origin(&run)));
        log.start(None);
    };
    check("taken over twice", twice, Some("line 3: "), Some(3));
}

#[test]
fn a_record_calls_only_earlier_ones_durable() {
    for (synced, says) in [(0, None), (1, Some("line 2: ")), (2, Some("line 2: "))] {
        let claim = |log: &mut Log| {
            let mut run = log.start(None);
            run.lookup(&finding(1), Some(synced), &mut log.text);
        };
        check("a claim", claim, says, says.map(|_| 2));
    }
}

#[test]
fn an_end_counts_what_is_there() {
    let miscounted = |log: &mut Log| {
        let mut run = log.start(None);
        log.lookup(&mut run, 1);
        let (before, from) = (run.sum(), log.text.len());
        log.end(&mut run);
        let line = String::from_utf8(log.text.split_off(from)).unwrap();
        let text = line[..line.len() - 1 - SEAL_BYTES].replace("\"unknown\":1", "\"unknown\":2");
        let sum = before.next(text.as_bytes()).hex();
        for part in [text.as_bytes(), BEFORE_SUM, &sum, AFTER_SUM, b"\n"] {
            log.text.extend_from_slice(part);
        }
    };
    check("one too many", miscounted, Some("line 3: "), Some(3));
}

#[test]
fn only_the_sum_of_an_end_is_a_seal() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.jsonl");
    let mut log = Log::default();
    let mut run = log.start(None);
    log.lookup(&mut run, 1);
    for is_ended in [false, true] {
        std::fs::write(&path, &log.text).unwrap();
        let checked = verify(&path, Some(&run.sum().to_string()), Lang::English).unwrap();
        assert_eq!((checked.faults, checked.holds()), (0, is_ended));
        log.end(&mut run);
    }
}

#[test]
fn a_message_is_cut_at_a_character() {
    let mut log = Log::default();
    let mut run = log.start(None);
    for message in ["é".repeat(4_096), "é".repeat(4_097), format!("x{}", "é".repeat(4_096))] {
        run.lookup(&super::Finding { message, ..finding(1) }, None, &mut log.text);
    }
    let text = String::from_utf8(log.text).unwrap();
    let lengths = text.lines().skip(1).map(|line| {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let message = record["message"].as_str().unwrap();
        (message.len(), message.ends_with('…'))
    });
    let cut = '…'.len_utf8();
    let expected = [(8_192, false), (8_192 + cut, true), (8_191 + cut, true)];
    assert_eq!(lengths.collect::<Vec<_>>(), expected);
}
