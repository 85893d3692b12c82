//! A device that fails at a chosen call: what is lost, what is said, and that nothing is tried
//! again. And one under which somebody else is faster.

use super::file::Medium;
use super::open::open_with;
use super::tail::UNSYNCED_BYTES_MAX;
use super::{Audit, AuditOptions, Ending, Entry, Format, RunFacts, verify};
use crate::check::finding::{Finding, Id, Outcome};
use crate::{ClientError, Lang};
use jiff::Timestamp;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
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
    /// A signal comes before a write has taken anything, which then is made again.
    Interrupted(u32),
}

/// No call fails.
const NONE: Fault = Fault::Sync(u32::MAX);

#[derive(Default)]
struct Calls {
    writes: AtomicU32,
    syncs: AtomicU32,
    /// Names of the threads that wrote, one for each write.
    writers: Mutex<Vec<String>>,
    /// Bytes of the file that the device has taken.
    durable: AtomicU64,
}

struct Failing {
    file: File,
    fault: Fault,
    calls: Arc<Calls>,
}

impl Failing {
    /// What is handed to the device are whole lines, behind whole lines, by whoever has the lock:
    /// first by who opens the log, then by one thread.
    fn check_lines(&self, bytes: &[u8]) {
        let size = self.file.metadata().unwrap().len();
        let mut before = [b'\n'];
        self.file.read_exact_at(&mut before, size.saturating_sub(1)).unwrap_or_default();
        let is_rest = before != *b"\n";
        let is_torn = matches!(self.fault, Fault::Full { .. });
        assert!(!is_rest || is_torn, "an append begins in the middle of a line");
        assert!(bytes.ends_with(b"\n"), "an append ends in the middle of a line");
        let other = File::open(format!("/proc/self/fd/{}", self.file.as_raw_fd())).unwrap();
        assert!(other.try_lock().is_err(), "nobody holds the lock");
        let writer = std::thread::current().name().unwrap_or_default().to_owned();
        self.calls.writers.lock().unwrap().push(writer);
    }

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
        self.check_lines(bytes);
        self.check_claims(bytes);
        let call = self.calls.writes.fetch_add(1, Ordering::Relaxed) + 1;
        match self.fault {
            Fault::Write(at) if call == at => Err(io::Error::from_raw_os_error(5)),
            Fault::Interrupted(at) if call == at => Err(io::ErrorKind::Interrupted.into()),
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

pub(super) fn finding(index: u64) -> Finding {
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
pub(super) type Told = mpsc::Receiver<String>;

pub(super) fn options(path: &Path) -> (AuditOptions, Told) {
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
        Fault::Full { .. } | Fault::Write(_) | Fault::Interrupted(_) => {
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
fn one_thread_writes_and_only_whole_lines() {
    let directory = tempfile::tempdir().unwrap();
    let (_, _, calls) = run(&directory.path().join("log.jsonl"), Fault::Sync(40));
    let mut writers = std::mem::take(&mut *calls.writers.lock().unwrap());
    let opener = writers.remove(0);
    assert!(writers.len() > 10, "{}", writers.len());
    assert!(writers.iter().all(|name| name == "audit-writer"), "{opener}: {writers:?}");
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

/// Records so many with messages of so many bytes, and waits for nothing; the log must hold.
fn record_all(fault: Fault, count: u64, message_bytes: usize) -> Arc<Calls> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.jsonl");
    let calls = Arc::new(Calls::default());
    let counted = Arc::clone(&calls);
    let medium = move |file| -> Arc<dyn Medium> {
        Arc::new(Failing { file, fault, calls: Arc::clone(&counted) })
    };
    let (audit, _) = open_with(options(&path).0, medium).unwrap();
    for index in 0..count {
        let message = "x".repeat(message_bytes);
        let entry = Entry::Ended(Finding { message, ..finding(index) });
        audit.record_blocking(entry).unwrap();
    }
    audit.finish(Ending::default()).unwrap();
    let checked = verify(&path, None, Lang::English).unwrap();
    assert!(checked.holds() && checked.counts.total() == count, "{}", checked.text(Lang::English));
    calls
}

#[test]
fn a_write_that_a_signal_interrupts_is_made_again() {
    for call in 1..3 {
        let calls = record_all(Fault::Interrupted(call), 1, 0);
        // The first record, the id, the end, and one of them again.
        assert!(calls.writes.load(Ordering::Relaxed) > call, "{call}");
    }
}

#[test]
fn a_large_append_goes_in_pieces_of_whole_lines() {
    let calls = record_all(NONE, 3_000, 100);
    assert!(calls.writes.load(Ordering::Relaxed) > 20);
}

/// A device that takes nothing for as long as a test holds its gate.
struct Gated {
    file: File,
    gate: Arc<Mutex<()>>,
}

impl Medium for Gated {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        let _open = self.gate.lock().unwrap();
        self.file.sync()
    }

    fn file(&self) -> &File {
        &self.file
    }
}

#[test]
fn no_more_is_appended_than_a_power_cut_may_take() {
    const ENTRIES: u64 = 2_000;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.jsonl");
    let gate = Arc::new(Mutex::new(()));
    let gated = Arc::clone(&gate);
    let medium = move |file| -> Arc<dyn Medium> { Arc::new(Gated { file, gate: gated.clone() }) };
    let (audit, _) = open_with(options(&path).0, medium).unwrap();
    let held = gate.lock().unwrap();
    for index in 0..ENTRIES {
        let message = "x".repeat(8_000);
        audit.record_blocking(Entry::Ended(Finding { message, ..finding(index) })).unwrap();
    }
    let size = || path.metadata().unwrap().len();
    while size() < UNSYNCED_BYTES_MAX - (1 << 20) {
        std::thread::yield_now();
    }
    // Whoever went on would be far beyond by now.
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(2));
        assert!(size() <= UNSYNCED_BYTES_MAX, "{} bytes", size());
    }
    drop(held);
    audit.finish(Ending::default()).unwrap();
    assert!(size() > 3 * UNSYNCED_BYTES_MAX);
    assert!(verify(&path, None, Lang::English).unwrap().holds());
}

#[test]
fn a_log_that_is_replaced_while_it_is_opened_is_opened_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.jsonl");
    let moved = directory.path().join("log.1");
    Audit::open(options(&path).0).unwrap().0.finish(Ending::default()).unwrap();
    let before = std::fs::read(&path).unwrap();
    // Between opening and locking.
    let medium = |file| -> Arc<dyn Medium> {
        if !moved.exists() {
            std::fs::rename(&path, &moved).unwrap();
        }
        Arc::new(file)
    };
    let (audit, resumed) = open_with(options(&path).0, medium).unwrap();
    assert!(resumed.root.is_none(), "another file is another log");
    audit.finish(Ending::default()).unwrap();
    assert_eq!(std::fs::read(&moved).unwrap(), before);
    let checked = verify(&path, None, Lang::English).unwrap();
    assert!(checked.holds() && checked.runs == 1, "{}", checked.text(Lang::English));
}

/// Lets another writer append when the log was read and is not locked yet.
struct Meanwhile {
    file: File,
    syncs: AtomicU32,
    append: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Medium for Meanwhile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.file.sync()
    }

    fn file(&self) -> &File {
        let other = File::open(format!("/proc/self/fd/{}", self.file.as_raw_fd())).unwrap();
        let is_read = self.syncs.load(Ordering::Relaxed) > 0;
        if is_read
            && other.try_lock().is_ok()
            && let Some(append) = self.append.lock().unwrap().take()
        {
            drop(other);
            append();
        }
        &self.file
    }
}

#[test]
fn what_is_appended_while_a_log_is_read_is_resumed_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.jsonl");
    let (options_of_old, told) = options(&path);
    let old = Arc::new(Audit::open(options_of_old).unwrap().0);
    old.record_blocking(Entry::Ended(finding(0))).unwrap();
    assert_eq!(told.recv().unwrap(), "id-0");
    let told = Mutex::new(told);
    let late = Arc::clone(&old);
    let append: Box<dyn FnOnce() + Send> = Box::new(move || {
        late.record_blocking(Entry::Ended(finding(1))).unwrap();
        assert_eq!(told.lock().unwrap().recv().unwrap(), "id-1");
    });
    let append = Mutex::new(Some(append));
    let medium = |file| -> Arc<dyn Medium> {
        let append = Mutex::new(append.lock().unwrap().take());
        Arc::new(Meanwhile { file, syncs: AtomicU32::new(0), append })
    };
    let (new, mut resumed) = open_with(options(&path).0, medium).unwrap();
    assert!(append.lock().unwrap().is_none());
    assert_eq!(resumed.done.total(), 2);
    assert!(!resumed.seen.insert(b"id-1").unwrap(), "it would be asked again");
    new.finish(Ending::default()).unwrap();
    let checked = verify(&path, None, Lang::English).unwrap();
    assert!(checked.holds(), "{}", checked.text(Lang::English));
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

/// A device under which, as soon as the lock is free again, another begins.
struct Overtaken {
    file: File,
    path: PathBuf,
    was_locked: AtomicBool,
    overtaken: Arc<AtomicBool>,
}

impl Medium for Overtaken {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn file(&self) -> &File {
        let is_locked = File::open(&self.path).unwrap().try_lock().is_err();
        let was_locked = self.was_locked.fetch_or(is_locked, Ordering::Relaxed);
        if was_locked && !is_locked && !self.overtaken.swap(true, Ordering::Relaxed) {
            drop(Audit::open(options(&self.path).0).unwrap());
        }
        &self.file
    }
}

#[test]
fn of_two_that_begin_at_once_the_second_goes_on_with_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let overtaken = Arc::new(AtomicBool::new(false));
    let (_, resumed) = open_with(options(&path).0, |file| {
        let (path, was_locked) = (path.clone(), AtomicBool::new(false));
        Arc::new(Overtaken { file, path, was_locked, overtaken: Arc::clone(&overtaken) })
    })
    .unwrap();
    assert!(overtaken.load(Ordering::Relaxed) && resumed.root.is_some());
}
