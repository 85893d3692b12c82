//! The thread that turns entries into lines and appends them.
//!
//! An entry that comes alone is appended at once; those that come within the pause after it go
//! together. So a lookup waits for [`APPEND_PAUSE`] and two flushes at most.

use super::durable::Appended;
use super::failure::Failure;
use super::file::LogFile;
use super::lines::LINE_BYTES_MAX;
use super::records::Records;
use super::seed::SeedText;
use super::tail::UNSYNCED_BYTES_MAX;
use super::{Ending, Entry, RunId, Sealed};
use crate::check::finding::Finding;
use jiff::Timestamp;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

/// Shortest time between two appends, unless there is much to append: it bounds the flushes a
/// second, each of which costs the device a write and the process a tenth of a millisecond.
const APPEND_PAUSE: Duration = Duration::from_millis(10);
/// Bytes of lines after which they are appended without a pause.
const APPEND_BYTES: usize = 256 * 1024;
/// Whatever is to be appended has room when all else is durable.
const _: () = assert!((APPEND_BYTES + LINE_BYTES_MAX) as u64 <= UNSYNCED_BYTES_MAX);
/// Rest after the queue was empty while lines wait to be appended: entries come one by one, and
/// waking for each costs both threads more than writing it does.
const REST: Duration = Duration::from_millis(1);
/// Entries taken at a time.
const TAKE_ENTRIES: usize = 1_024;

/// What a run's lines look like.
pub(super) enum Lines {
    Json(Records),
    Seed { text: SeedText, run: RunId, lines: u64 },
}

impl Lines {
    pub(super) fn run(&self) -> RunId {
        match self {
            Lines::Json(records) => records.run(),
            Lines::Seed { run, .. } => *run,
        }
    }

    pub(super) fn written(&self) -> u64 {
        match self {
            Lines::Json(records) => records.written(),
            Lines::Seed { lines, .. } => *lines,
        }
    }

    fn write(&mut self, entry: &Entry, synced: Option<u64>, out: &mut Vec<u8>) {
        match (self, entry) {
            (Lines::Json(records), Entry::Ended(finding)) => records.lookup(finding, synced, out),
            (Lines::Json(_), _) => {}
            (Lines::Seed { text, lines, .. }, entry) => {
                let from = out.len();
                match entry {
                    Entry::Began { index, id, at } => text.began(*index, id, *at, out),
                    Entry::Sent { index, url, at } => text.sent(*index, url, *at, out),
                    Entry::Ended(finding) => text.ended(finding, out),
                }
                *lines += memchr::memchr_iter(b'\n', &out[from..]).count() as u64;
            }
        }
    }

    fn end(&mut self, ending: &Ending, out: &mut Vec<u8>) {
        let now = Timestamp::now();
        match self {
            Lines::Json(records) => records.end(ending, now, out),
            Lines::Seed { text, lines, .. } => {
                text.end(ending, now, out);
                *lines += 1;
            }
        }
    }

    fn sealed(&self) -> Sealed {
        let seal = match self {
            Lines::Json(records) => Some(records.sum().to_string()),
            Lines::Seed { .. } => None,
        };
        Sealed { run: self.run(), seal, lines: self.written() }
    }
}

/// The thread's own things.
pub(super) struct Writer {
    lines: Lines,
    log: LogFile,
    appended: Appended,
    entries: mpsc::Receiver<Entry>,
    ending: Arc<Mutex<Option<Ending>>>,
    /// Lines that are not appended yet, and the findings in them.
    buffer: Vec<u8>,
    findings: Vec<Finding>,
    /// The last record that a line has called durable.
    claimed: Option<u64>,
}

impl Writer {
    /// A writer that goes on after the first lines, which are appended.
    pub(super) fn new(
        lines: Lines,
        log: LogFile,
        appended: Appended,
        entries: mpsc::Receiver<Entry>,
        ending: Arc<Mutex<Option<Ending>>>,
    ) -> Writer {
        let (buffer, findings) = (Vec::new(), Vec::new());
        Writer { lines, log, appended, entries, ending, buffer, findings, claimed: None }
    }

    /// Writes until nobody can hand over any more, then the end if the run has one.
    pub(super) async fn run(mut self) -> Result<Sealed, Failure> {
        let mut taken = Vec::with_capacity(TAKE_ENTRIES);
        let mut last_append = Instant::now();
        let mut is_drained = false;
        loop {
            if is_drained && !self.buffer.is_empty() {
                sleep(REST).await;
            }
            let take = self.entries.recv_many(&mut taken, TAKE_ENTRIES);
            let count = if self.buffer.is_empty() {
                take.await
            } else {
                match timeout_at(last_append + APPEND_PAUSE, take).await {
                    Ok(count) => count,
                    Err(_) => {
                        self.append()?;
                        last_append = Instant::now();
                        continue;
                    }
                }
            };
            if count == 0 {
                break;
            }
            is_drained = count < TAKE_ENTRIES;
            for entry in taken.drain(..) {
                self.write(entry)?;
            }
            if last_append.elapsed() >= APPEND_PAUSE && !self.buffer.is_empty() {
                self.append()?;
                last_append = Instant::now();
            }
        }
        self.end()
    }

    fn write(&mut self, entry: Entry) -> Result<(), Failure> {
        // Said once in each append, by its first record.
        let synced = if self.buffer.is_empty() { self.news() } else { None };
        self.lines.write(&entry, synced, &mut self.buffer);
        if let Entry::Ended(finding) = entry {
            self.findings.push(finding);
        }
        if self.buffer.len() >= APPEND_BYTES { self.append() } else { Ok(()) }
    }

    /// The last durable record of this run, if no line has said so yet.
    fn news(&mut self) -> Option<u64> {
        let synced = self.appended.synced_records().checked_sub(1);
        if synced == self.claimed {
            return None;
        }
        self.claimed = synced;
        synced
    }

    fn append(&mut self) -> Result<(), Failure> {
        let bytes = self.buffer.len();
        self.appended.make_room(bytes)?;
        self.log.append(&self.buffer)?;
        self.buffer.clear();
        self.appended.push(&mut self.findings, bytes, self.lines.written());
        Ok(())
    }

    fn end(mut self) -> Result<Sealed, Failure> {
        let ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ending) = &ending {
            self.lines.end(ending, &mut self.buffer);
        }
        if !self.buffer.is_empty() {
            self.append()?;
        }
        Ok(self.lines.sealed())
    }
}
