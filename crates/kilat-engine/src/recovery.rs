//! From a data directory to a ledger: the newest snapshot that is whole, then the journal after it.

use crate::StartError;
use kilat_journal::{
    DataDirectory, Directory, Journal, Options, PartError, Position, RecoverError, Snapshot,
    SnapshotStore,
};
use kilat_ledger::{Corrupt, Fingerprinter, Index, IndexKind, Ledger, PartName, Piece, Pieces};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The part of the data directory that holds the journal of the ledger.
pub(crate) const JOURNAL: &str = "journal";
/// The part that holds the snapshots.
const SNAPSHOTS: &str = "snapshots";
/// Most threads that read a snapshot: memory is what more would wait for.
const THAW_THREADS_MAX: usize = 4;

/// What a start found and did.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// Frame of the snapshot that was used; `None` when the whole journal was replayed.
    pub snapshot_frame: Option<u64>,
    /// Why newer snapshots were passed over, one sentence each.
    pub snapshots_skipped: Vec<String>,
    /// Frames replayed after the snapshot.
    pub frames: u64,
    /// Bytes of a torn frame that nobody was told of and that was cut.
    pub bytes_cut: u64,
    /// Orders known.
    pub orders: u32,
    /// How long it took.
    pub took: Duration,
}

/// Everything that the engine runs on.
pub(crate) struct Recovered {
    pub(crate) ledger: Ledger,
    pub(crate) journal: Journal<Directory>,
    pub(crate) snapshots: SnapshotStore<Directory>,
    pub(crate) prints: Fingerprinter,
    pub(crate) report: Recovery,
}

/// Reads `directory` back.
pub(crate) fn recover(directory: &DataDirectory) -> Result<Recovered, StartError> {
    let started = Instant::now();
    let identity = directory.identity();
    let id = identity.journal_id(JOURNAL);
    let prints = Fingerprinter::new(identity.fingerprint_key);
    let mut snapshots =
        SnapshotStore::open(directory.directory(SNAPSHOTS)?, id).map_err(StartError::Snapshots)?;
    let loaded = snapshots.load(|snapshot| thaw(prints, snapshot));
    let (after, mut ledger) =
        loaded.snapshot.map_or((None, Ledger::new(prints)), |(at, ledger)| (Some(at), ledger));
    let storage = directory.directory(JOURNAL)?;
    let (journal, replayed) = replay(storage, Options::new(id), after, &mut ledger)?;
    let report = Recovery {
        snapshot_frame: after.map(|at| at.frame),
        snapshots_skipped: loaded.skipped,
        frames: replayed.frames,
        bytes_cut: replayed.bytes_cut,
        orders: ledger.orders_len(),
        took: started.elapsed(),
    };
    Ok(Recovered { ledger, journal, snapshots, prints, report })
}

fn replay(
    storage: Directory,
    options: Options,
    after: Option<Position>,
    ledger: &mut Ledger,
) -> Result<(Journal<Directory>, kilat_journal::Recovery), StartError> {
    let recovered = Journal::recover(storage, options, after, |frame| ledger.replay(frame.payload));
    recovered.map_err(|error| match error {
        RecoverError::Refused { frame, error } => StartError::Ledger { frame, error },
        other => StartError::Journal(other.to_string()),
    })
}

/// Builds the ledger from a snapshot's parts, on as many threads as help.
fn thaw(prints: Fingerprinter, snapshot: &Snapshot<'_, Directory>) -> Result<Ledger, PartError> {
    let rejected = |error: Corrupt| PartError::Rejected(error.to_string());
    let parts = snapshot.parts();
    let pieces = in_parallel(parts.len(), |index| read_piece(snapshot, &parts[index].name))?;
    let pieces = Pieces::collect(prints, pieces).map_err(rejected)?;
    let indexes: Vec<Index> = in_parallel(IndexKind::ALL.len(), |index| {
        pieces.build(IndexKind::ALL[index]).map_err(rejected)
    })?;
    pieces.assemble(indexes).map_err(rejected)
}

fn read_piece(snapshot: &Snapshot<'_, Directory>, name: &str) -> Result<Piece, PartError> {
    let bytes = snapshot.read(name)?;
    let rejected = |why: String| PartError::Rejected(format!("{name}: {why}"));
    let name: PartName =
        name.parse().map_err(|_| rejected("the name is not a part's".to_owned()))?;
    Piece::decode(name, &bytes).map_err(|error| rejected(error.to_string()))
}

/// Does `count` jobs on a few threads; the first error ends it.
fn in_parallel<T: Send, E: Send>(
    count: usize,
    job: impl Fn(usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return Ok(done);
            }
            done.push(job(index)?);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).clamp(1, THAW_THREADS_MAX);
    thread::scope(|scope| {
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut all = work()?;
        for worker in workers {
            all.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(all)
    })
}
