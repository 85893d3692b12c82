//! The audit log of a check: one terminal record for each id, whole or absent, durable before
//! anybody is told of it.
//!
//! Several processes may write to one file. What one of them leaves behind when it dies is cut by
//! the next. The form is in docs/formats/audit.md. This module must never know how an answer is
//! found, nor what is shown of it.
//!
//! | module | holds |
//! |---|---|
//! | `open`, `kind` | finding or making the file, the first record of a run |
//! | `writer` | the thread that turns entries into lines and appends them |
//! | `durable` | the thread that makes appended lines durable, and tells |
//! | `file` | whole appends under the file's lock |
//! | `tail` | what stands at the end after a death |
//! | `records`, `chain`, `escape`, `stamp` | JSON Lines |
//! | `lines`, `record`, `strand` | JSON Lines, read back |
//! | `resume` | what a run that is continued has done |
//! | `findings` | what a run and those before it found |
//! | `unknown` | which ids a log says last to be unknown |
//! | `seed` | the seed's text |
//! | [`verify()`] | whether a log holds |
//! | `seen` | which ids have been seen |

mod chain;
mod durable;
mod escape;
#[cfg(test)]
mod failing;
mod failure;
mod file;
mod findings;
#[cfg(test)]
mod forged;
#[cfg(test)]
mod golden;
mod kind;
mod lines;
mod open;
mod record;
mod records;
mod resume;
mod seed;
mod seen;
mod stamp;
mod strand;
mod tail;
mod unknown;
mod verify;
mod writer;

pub(super) use escape::is_unsafe;
pub(crate) use findings::findings_of;
pub use records::Counts;
pub use seed::SeedWords;
pub use seen::Seen;
pub(crate) use unknown::unknown_ids;
pub use verify::{Asked, Checked, RunChecked, RunState, verify};

use super::finding::{Finding, Id};
use crate::{ClientError, Lang};
use durable::Durability;
use failure::Failure;
use jiff::Timestamp;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;
use uuid::Uuid;

/// Entries that wait for the writer; whoever has more waits.
const QUEUE_ENTRIES_MAX: usize = 4_096;

/// The id of a run: a UUID of version 7, which tells when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(Uuid);

impl RunId {
    fn new() -> RunId {
        RunId(Uuid::now_v7())
    }

    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn from_text(text: &str) -> Option<RunId> {
        let id = Uuid::try_parse(text).ok()?;
        (id.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text).then_some(RunId(id))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// What is written down.
#[derive(Debug)]
pub enum Entry {
    /// Work on an id begins. Only for [`Audit::wants_steps`].
    Began {
        /// As [`Finding::index`].
        index: u64,
        /// The id.
        id: Id,
        /// Now.
        at: Timestamp,
    },
    /// A request is about to be sent. Only for [`Audit::wants_steps`].
    Sent {
        /// As [`Finding::index`].
        index: u64,
        /// Where to, without secrets.
        url: String,
        /// Now.
        at: Timestamp,
    },
    /// An id has ended.
    Ended(Finding),
}

/// How a log reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Checksummed JSON Lines.
    Json,
    /// The seed's text, with a profile's words.
    Seed(SeedWords),
}

/// What the first record says of a run.
#[derive(Clone, Debug)]
pub struct RunFacts {
    /// Name of the profile.
    pub profile: String,
    /// Where it asks, without secrets.
    pub url: String,
    /// Language of the messages.
    pub lang: Lang,
    /// How many ids there are, when that is known.
    pub total: Option<u64>,
}

/// Called with one finding or more as soon as they are durable, in the order in which they are in the log,
/// on a thread of the log. While it runs nothing else becomes durable.
pub type OnDurable = Box<dyn FnMut(&[Finding]) + Send>;

/// How to open a log.
pub struct AuditOptions {
    /// Where it is. It is made when it is not there.
    pub path: PathBuf,
    /// How it reads.
    pub format: Format,
    /// Removes what a log held before. A file that is no log of Kilat is never touched.
    pub overwrite: bool,
    /// Goes on with the newest run of the same profile and URL.
    pub resume: bool,
    /// What the run is.
    pub run: RunFacts,
    /// Whom to tell.
    pub on_durable: OnDurable,
}

/// What is known from the run that is resumed.
pub struct Resumed {
    /// The ids that have ended; empty for a new run.
    pub seen: Seen,
    /// The first run of those that are continued; `None` when this is a new one.
    pub root: Option<RunId>,
    /// How the ids in `seen` ended.
    pub done: Counts,
}

/// How a run ended.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// Every id that was asked for has ended, in this run or in those that it continues.
    pub complete: bool,
    /// Why it is not complete; one sentence.
    pub reason: String,
    /// Requests sent, retries and hedges included.
    pub requests: u64,
    /// From the beginning, by a steady clock.
    pub elapsed: Duration,
}

/// A log that has ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The run.
    pub run: RunId,
    /// Pins every record of the run: the sum of the last one. The seed's text has none.
    pub seal: Option<String>,
    /// What this run wrote, in lines.
    pub lines: u64,
}

/// Nothing more can be written; [`Audit::finish`] says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// A log that a run writes to. When it is dropped without [`Audit::finish`], what was recorded is
/// still written, but the run has no end and nobody waits for it.
pub struct Audit {
    run: RunId,
    steps: bool,
    entries: mpsc::Sender<Entry>,
    ending: Arc<Mutex<Option<Ending>>>,
    writer: JoinHandle<Result<Sealed, Failure>>,
    durability: Durability,
    path: PathBuf,
    lang: Lang,
}

impl Audit {
    /// Opens or makes the log and begins a run in it.
    ///
    /// # Errors
    /// [`ClientError::Usage`] when the log can't be opened, is no log of Kilat, is of another
    /// format, or can't be resumed. [`ClientError::Storage`] when it can't be written.
    pub fn open(options: AuditOptions) -> Result<(Audit, Resumed), ClientError> {
        open::open(options)
    }

    /// Whether [`Entry::Began`] and [`Entry::Sent`] are wanted.
    #[must_use]
    pub fn wants_steps(&self) -> bool {
        self.steps
    }

    /// The run that is written.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.run
    }

    /// Hands an entry over; waits while the writer is behind. It is durable when
    /// [`AuditOptions::on_durable`] says so.
    ///
    /// # Errors
    /// [`Closed`] when nothing more can be written.
    pub async fn record(&self, entry: Entry) -> Result<(), Closed> {
        self.entries.send(entry).await.map_err(|_| Closed)
    }

    /// As [`Audit::record`], for threads.
    ///
    /// # Errors
    /// [`Closed`] when nothing more can be written.
    ///
    /// # Panics
    /// Within an asynchronous task.
    pub fn record_blocking(&self, entry: Entry) -> Result<(), Closed> {
        self.entries.blocking_send(entry).map_err(|_| Closed)
    }

    /// Writes what is left and the end of the run. When it returns, all of it is durable and
    /// [`AuditOptions::on_durable`] has been called for the last time. Blocks its thread for as
    /// long as the device takes, some milliseconds.
    ///
    /// # Errors
    /// [`ClientError::Storage`] when something could not be written, now or before.
    pub fn finish(self, ending: Ending) -> Result<Sealed, ClientError> {
        let Audit { entries, writer, durability, path, lang, .. } = self;
        *self.ending.lock().unwrap_or_else(PoisonError::into_inner) = Some(ending);
        drop(entries);
        let written = writer.join().unwrap_or(Err(Failure::Stopped));
        // What the device could not take is why the writer stopped.
        let durable = durability.join();
        durable.and(written).map_err(|failure| failure.into_error(&path, lang))
    }
}
