//! Starting and stopping an engine whose ledger and event log are in this process.

use crate::alarm::{Alarm, OnFailure};
use crate::batcher::Batcher;
use crate::board::Board;
use crate::events::{self, DurableEnd, EventRecovery, EventThreads, Events, Outbox};
use crate::intake::Intake;
use crate::meters::Meters;
use crate::recovery::{JOURNAL, Recovered, Recovery, recover};
use crate::release::Release;
use crate::snapshots::{SNAPSHOT_BYTES, Snapshots};
use crate::spare::SpareBuffers;
use crate::work::{self, Work};
use crate::{Clock, Handle, OrderHasher, Sale};
use kilat_eventlog::Opened;
use kilat_journal::{
    Committer, DataDirectory, Directory, DirectoryError, LogReader, SnapshotError,
};
use kilat_ledger::{Corrupt, Time};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

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
    /// The event log is damaged or can't be read.
    #[error("{0}")]
    Events(String),
    /// The event log has copies of facts that the ledger does not have: one of the two was
    /// replaced. Restore both from the same backup.
    #[error(
        "the event log has copied the ledger up to frame {copied}, but the ledger ends at frame \
         {ledger}: one of the two was replaced; restore both from the same backup"
    )]
    EventsAhead {
        /// The last frame copied.
        copied: u64,
        /// The ledger's last frame.
        ledger: u64,
    },
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

impl StartError {
    /// Whether there is no data directory at all: another path has to be named.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, StartError::Directory(DirectoryError::Missing { .. }))
    }
}

/// A running engine. Dropping it stops it as [`Engine::stop`] does.
pub struct Engine {
    handle: Handle,
    recovery: Recovery,
    batcher: Option<JoinHandle<()>>,
    events: EventThreads,
    directory: DataDirectory,
}

impl Engine {
    /// Opens the data directory, recovers the ledger and the event log and starts the threads.
    ///
    /// # Errors
    /// [`StartError`], each with what to do.
    pub fn start(options: Options) -> Result<Engine, StartError> {
        let directory = DataDirectory::open_or_create(options.data)?;
        let (recovered, opened) = open_both(&directory)?;
        let alarm = Alarm::new(options.on_failure);
        let outbox = outbox(&directory, &recovered)?;
        let ledger_end = Arc::clone(&outbox.end);
        let report = recovered.report.clone();
        let (handle, batcher) =
            start_ledger(recovered, options.snapshot_bytes, ledger_end, &alarm)?;
        let events = EventThreads::start(opened, outbox, &alarm)?;
        Ok(Engine { handle, recovery: report, batcher: Some(batcher), events, directory })
    }

    /// A way in. Give clones to whoever sends commands.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The way to the event log.
    #[must_use]
    pub fn events(&self) -> &Events {
        self.events.events()
    }

    /// What the start found and did.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// What the start found and did in the event log.
    #[must_use]
    pub fn event_recovery(&self) -> &EventRecovery {
        self.events.recovery()
    }

    /// Names the history in the data directory: another one after a restore.
    pub(crate) fn history(&self) -> [u8; 16] {
        self.directory.identity().history()
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
        self.events.end();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end();
    }
}

/// Recovers the ledger and the event log at the same time.
fn open_both(directory: &DataDirectory) -> Result<(Recovered, Opened<Directory>), StartError> {
    let (recovered, opened) = thread::scope(|scope| {
        let opening = scope.spawn(|| events::open(directory));
        let recovered = recover(directory);
        (recovered, opening.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let (recovered, opened) = (recovered?, opened?);
    let (copied, ledger) = (opened.reader.ledger_cursor(), recovered.journal.position().frame);
    if copied > ledger {
        return Err(StartError::EventsAhead { copied, ledger });
    }
    Ok((recovered, opened))
}

/// The ledger's journal as the projector sees it.
fn outbox(directory: &DataDirectory, recovered: &Recovered) -> Result<Outbox, StartError> {
    let id = directory.identity().journal_id(JOURNAL);
    Ok(Outbox {
        facts: LogReader::open(directory.directory(JOURNAL)?, id),
        end: Arc::new(DurableEnd::new(recovered.journal.position().frame)),
        sales: recovered.ledger.sales().map(|sale| sale.terms.id.clone()).collect(),
        history: directory.identity().history(),
    })
}

fn start_ledger(
    recovered: Recovered,
    snapshot_bytes: usize,
    ledger_end: Arc<DurableEnd>,
    alarm: &Alarm,
) -> Result<(Handle, JoinHandle<()>), StartError> {
    let (intake, board) = (Arc::new(Intake::new(work::LIMITS)), Arc::new(Board::default()));
    let handle = Handle {
        intake: Arc::clone(&intake),
        board: Arc::clone(&board),
        hasher: OrderHasher::here(recovered.prints),
    };
    let meters = Meters::starting_after(recovered.journal.position().frame);
    let committer =
        Committer::spawn(recovered.journal, alarm.for_committer()).map_err(StartError::Threads)?;
    let snapshots =
        Snapshots::start(recovered.snapshots, snapshot_bytes).map_err(StartError::Threads)?;
    recovered.ledger.sales().for_each(|sale| board.publish(&Sale::from(sale)));
    let release = Release { board, ledger_end, spare: SpareBuffers::default(), meters };
    let batcher = Batcher {
        clock: Clock::start(recovered.ledger.clamp(Time::from_millis(0))),
        shown: recovered.ledger.sales().map(|sale| sale.sequence).collect(),
        ledger: recovered.ledger,
        intake: Arc::clone(&intake),
        committer,
        release: Arc::new(release),
        snapshots,
        ahead: false,
        full: false,
    };
    let alarm = alarm.clone();
    let deciding = move || decide_until_closed(batcher, &intake, &alarm);
    let batcher = thread::Builder::new().name("batcher".to_owned()).spawn(deciding);
    Ok((handle, batcher.map_err(StartError::Threads)?))
}

/// A broken invariant of the ledger is a panic of the batcher: selling on could
/// oversell, so it is as final as a failed fsync, and nobody is left waiting.
fn decide_until_closed(batcher: Batcher, intake: &Intake<Work>, alarm: &Alarm) {
    let why = "the ledger found itself inconsistent and stopped";
    if alarm.guard(why, || batcher.run()).is_err() {
        intake.fail();
    }
}
