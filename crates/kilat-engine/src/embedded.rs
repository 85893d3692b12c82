//! Starting and stopping an engine whose ledger and journal are in this process.

use crate::batcher::Batcher;
use crate::board::Board;
use crate::intake::Intake;
use crate::meters::Meters;
use crate::recovery::{Recovery, recover};
use crate::release::Release;
use crate::snapshots::{SNAPSHOT_BYTES, Snapshots};
use crate::{Clock, Handle, Sale};
use kilat_journal::{Committer, DataDirectory, DirectoryError, JournalFailure, SnapshotError};
use kilat_ledger::{Corrupt, Time};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Told once, with the reason, when nothing can be committed any more.
pub type OnFailure = Box<dyn FnOnce(String) + Send>;

/// How to start.
pub struct Options {
    /// The data directory; made when it does not exist.
    pub data: PathBuf,
    /// Bytes of facts after which a snapshot is written.
    pub snapshot_bytes: usize,
    /// Called once, with what happened, when nothing can be committed any
    /// more. No reply leaves after that. A server ends its process here: what
    /// is on disk is known only after a new start.
    pub on_failure: OnFailure,
}

impl Options {
    /// The usual settings for the directory at `data`.
    #[must_use]
    pub fn new(data: PathBuf, on_failure: OnFailure) -> Options {
        Options { data, snapshot_bytes: SNAPSHOT_BYTES, on_failure }
    }
}

/// Why the engine did not start. What is on disk was not changed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The directory can't be used: choose another, or do what the message says.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The journal is damaged or can't be read.
    #[error("{0}")]
    Journal(String),
    /// A whole frame makes no sense to the ledger: report it.
    #[error("frame {frame} of the journal can't be replayed: {error}")]
    Ledger {
        /// Its number.
        frame: u64,
        /// What is wrong with it.
        error: Corrupt,
    },
    /// The snapshots can't be listed.
    #[error("{0}")]
    Snapshots(SnapshotError),
    /// The system has no more threads.
    #[error("a thread can't be started ({0}); free resources and start again")]
    Threads(std::io::Error),
}

/// What to call when nothing can be committed any more; it is called once.
#[derive(Clone)]
struct Alarm(Arc<Mutex<Option<OnFailure>>>);

impl Alarm {
    fn raise(&self, why: String) {
        let on_failure = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(on_failure) = on_failure {
            on_failure(why);
        }
    }
}

/// A broken invariant of the ledger is a panic of the batcher: selling on could
/// oversell, so it is as final as a failed fsync, and nobody is left waiting.
fn decide_until_closed(batcher: Batcher, intake: &Intake, alarm: &Alarm) {
    if catch_unwind(AssertUnwindSafe(|| batcher.run())).is_err() {
        alarm.raise("the ledger found itself inconsistent and stopped".to_owned());
        intake.fail();
    }
}

/// A running engine. Dropping it stops it as [`Engine::stop`] does.
pub struct Engine {
    handle: Handle,
    recovery: Recovery,
    batcher: Option<JoinHandle<()>>,
    directory: DataDirectory,
}

impl Engine {
    /// Opens the data directory, recovers the ledger and starts the threads.
    ///
    /// # Errors
    /// [`StartError`], each with what to do.
    pub fn start(options: Options) -> Result<Engine, StartError> {
        let directory = DataDirectory::open_or_create(options.data)?;
        let recovered = recover(&directory)?;
        let (intake, board) = (Arc::new(Intake::default()), Arc::new(Board::default()));
        let handle = Handle {
            intake: Arc::clone(&intake),
            board: Arc::clone(&board),
            prints: recovered.prints,
        };
        let alarm = Alarm(Arc::new(Mutex::new(Some(options.on_failure))));
        let failed = alarm.clone();
        let on_failure = Box::new(move |failure: JournalFailure| failed.raise(failure.to_string()));
        let committer =
            Committer::spawn(recovered.journal, on_failure).map_err(StartError::Threads)?;
        let snapshots = Snapshots::start(recovered.snapshots, options.snapshot_bytes)
            .map_err(StartError::Threads)?;
        let shown = recovered.ledger.sales().map(|sale| sale.sequence).collect();
        recovered.ledger.sales().for_each(|sale| board.publish(Sale::from(sale)));
        let batcher = Batcher {
            clock: Clock::start(recovered.ledger.clamp(Time::from_millis(0))),
            ledger: recovered.ledger,
            intake: Arc::clone(&intake),
            committer,
            release: Arc::new(Release {
                board,
                intake: Arc::clone(&intake),
                spare: Mutex::default(),
                meters: Meters::new(),
            }),
            snapshots,
            shown,
            ahead: false,
            full: false,
        };
        let thread = std::thread::Builder::new().name("batcher".to_owned());
        let deciding = move || decide_until_closed(batcher, &intake, &alarm);
        let batcher = Some(thread.spawn(deciding).map_err(StartError::Threads)?);
        Ok(Engine { handle, recovery: recovered.report, batcher, directory })
    }

    /// A way in. Give clones to whoever sends commands.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// What the start found and did.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The data directory, locked for as long as the engine lives.
    #[must_use]
    pub fn data(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Takes no more commands, finishes those taken, writes a snapshot and ends the threads.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.handle.intake.close();
        if let Some(batcher) = self.batcher.take()
            && batcher.join().is_err()
        {
            tracing::error!(
                "the batcher could not end in good order; what was acknowledged is in the journal"
            );
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end();
    }
}
