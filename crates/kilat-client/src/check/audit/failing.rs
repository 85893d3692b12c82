//! A device that fails at a chosen call: what is lost, what is said, and that nothing is tried
//! again.

use super::file::Medium;
use super::open::open_with;
use super::{Audit, AuditOptions, Ending, Entry, Format, RunFacts, verify};
use crate::check::finding::{Finding, Id, Outcome};
use crate::{ClientError, Lang};
use jiff::Timestamp;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Which call fails, counted from 1; the others do what a file does.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// A write takes so many bytes, the next one none.
    Full { write: u32, taken: usize },
    /// A write fails at once.
    Write(u32),
    /// A flush fails, the next one would not.
    Sync(u32),
}

#[derive(Default)]
struct Calls {
    writes: AtomicU32,
    syncs: AtomicU32,
    /// Bytes of the file that the device has taken.
    durable: AtomicU64,
}

struct Failing {
    file: File,
    fault: Fault,
    calls: Arc<Calls>,
}

impl Failing {
    /// Whatever a line calls durable has been flushed.
    fn check_claims(&self, bytes: &[u8]) {
        let durable = self.calls.durable.load(Ordering::Relaxed);
        let mut text = vec![0; usize::try_from(durable).unwrap()];
        self.file.read_exact_at(&mut text, 0).unwrap();
        let text = String::from_utf8(text).unwrap();
        for line in String::from_utf8_lossy(bytes).lines() {
            let Ok(record) = serde_json::from_str::<serde_json::Value>(line) else { continue };
            if let Some(synced) = record["synced"].as_u64() {
                let opening = format!("{{\"run\":{},\"n\":{synced},", record["run"]);
                assert!(text.contains(&opening), "{opening} is not durable yet");
            }
        }
    }
}

impl Medium for Failing {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.check_claims(bytes);
        let call = self.calls.writes.fetch_add(1, Ordering::Relaxed) + 1;
        match self.fault {
            Fault::Write(at) if call == at => Err(io::Error::from_raw_os_error(5)),
            Fault::Full { write, taken } if call == write => self.file.write(&bytes[..taken]),
            Fault::Full { write, .. } if call > write => Err(io::ErrorKind::StorageFull.into()),
            _ => self.file.write(bytes),
        }
    }

    fn sync(&self) -> io::Result<()> {
        let call = self.calls.syncs.fetch_add(1, Ordering::Relaxed) + 1;
        match self.fault {
            Fault::Sync(at) if call == at => Err(io::Error::from_raw_os_error(5)),
            _ => {
                // What is appended meanwhile may be taken too.
                let size = self.file.metadata()?.len();
                self.file.sync()?;
                self.calls.durable.store(size, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    fn file(&self) -> &File {
        &self.file
    }
}

fn finding(index: u64) -> Finding {
    Finding {
        index,
        id: Id::new(&format!("id-{index}")).unwrap(),
        outcome: Outcome::Unknown,
        message: String::new(),
        status: None,
        attempts: 1,
        began_at: Timestamp::now(),
        elapsed: Duration::ZERO,
        reply_time: None,
        row: None,
        notable: false,
    }
}

/// The ids that somebody was told of; it ends when nobody is told any more.
type Told = mpsc::Receiver<String>;

fn options(path: &Path) -> (AuditOptions, Told) {
    let (sink, told) = mpsc::channel();
    let on_durable = Box::new(move |findings: &[Finding]| {
        // Whoever listens no longer does not want to know.
        findings.iter().for_each(|found| drop(sink.send(found.id.as_str().to_owned())));
    });
    let run = RunFacts {
        profile: "stock".to_owned(),
        url: "http://x".to_owned(),
        lang: Lang::English,
        total: None,
    };
    let (path, format) = (path.to_owned(), Format::Json);
    (AuditOptions { path, format, overwrite: false, resume: true, run, on_durable }, told)
}

/// Records some at a time until nothing more becomes durable; returns the error and what was told.
fn run(path: &Path, fault: Fault) -> (ClientError, Vec<String>, Arc<Calls>) {
    let (options, told) = options(path);
    let calls = Arc::new(Calls::default());
    let counted = Arc::clone(&calls);
    let opened = open_with(options, move |file| {
        Arc::new(Failing { file, fault, calls: Arc::clone(&counted) })
    });
    let audit = match opened {
        Ok((audit, _)) => audit,
        Err(error) => return (error, told.iter().collect(), calls),
    };
    let mut all = Vec::new();
    for index in 0.. {
        if audit.record_blocking(Entry::Ended(finding(index))).is_err() {
            break;
        }
        if index % 10 == 9 {
            match told.recv() {
                Ok(id) => all.push(id),
                Err(_) => break,
            }
        }
    }
    all.extend(told.iter());
    (audit.finish(Ending::default()).unwrap_err(), all, calls)
}

/// After a fault: what was told is there, the log holds, and the next run goes on.
fn check(fault: Fault, said: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path: PathBuf = directory.path().join("log.jsonl");
    let (error, told, calls) = run(&path, fault);
    assert!(
        matches!(&error, ClientError::Storage(why) if why.contains(said)),
        "{fault:?}: {error}"
    );
    let text = std::fs::read_to_string(&path).unwrap();
    let durable = usize::try_from(calls.durable.load(Ordering::Relaxed)).unwrap();
    for id in &told {
        assert!(text[..durable].contains(&format!("\"{id}\"")), "{fault:?}: {id} was told");
    }
    match fault {
        Fault::Sync(at) => {
            assert_eq!(calls.syncs.load(Ordering::Relaxed), at, "a flush is never tried again");
        }
        Fault::Full { .. } | Fault::Write(_) => {
            assert!(text.is_empty() || text.ends_with('\n'), "the own fragment is cut");
        }
    }
    let (audit, mut resumed): (Audit, _) = Audit::open(options(&path).0).unwrap();
    for id in &told {
        assert!(!resumed.seen.insert(id.as_bytes()).unwrap());
    }
    audit.finish(Ending::default()).unwrap();
    let checked = verify(&path, None, Lang::English).unwrap();
    assert!(checked.holds(), "{fault:?}: {}", checked.text(Lang::English));
}

#[test]
fn a_failed_flush_ends_the_run_at_every_call() {
    for call in 1..8 {
        check(Fault::Sync(call), "the device did not take");
    }
}

#[test]
fn what_a_first_record_follows_is_durable_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.jsonl");
    Audit::open(options(&path).0).unwrap().0.finish(Ending::default()).unwrap();
    let before = std::fs::read(&path).unwrap();
    // One that goes on reads more of the log later, and so flushes twice.
    for (resume, flushes) in [(false, 1), (true, 2)] {
        for fault in (1..=flushes).map(Fault::Sync) {
            let calls = Arc::<Calls>::default();
            let opened = open_with(AuditOptions { resume, ..options(&path).0 }, move |file| {
                Arc::new(Failing { file, fault, calls: Arc::clone(&calls) })
            });
            assert!(matches!(opened.err(), Some(ClientError::Storage(_))), "{fault:?}");
            assert_eq!(std::fs::read(&path).unwrap(), before);
        }
    }
}

#[test]
fn a_full_disk_ends_the_run_with_whole_lines() {
    for write in 1..5 {
        for taken in [0, 1, 100, 150] {
            check(
                Fault::Full { write, taken },
                if taken == 0 { "log" } else { "the disk is full" },
            );
        }
    }
}

#[test]
fn a_failed_write_ends_the_run() {
    for call in 1..5 {
        check(Fault::Write(call), "can't be written");
    }
}

#[test]
fn who_panics_when_told_ends_the_run() {
    let directory = tempfile::tempdir().unwrap();
    let (mut options, _) = options(&directory.path().join("log.jsonl"));
    options.on_durable = Box::new(|_| panic!("on purpose"));
    let (audit, _) = Audit::open(options).unwrap();
    let mut index = 0;
    while audit.record_blocking(Entry::Ended(finding(index))).is_ok() {
        index += 1;
    }
    assert!(matches!(audit.finish(Ending::default()), Err(ClientError::Storage(_))));
}
