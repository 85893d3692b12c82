//! Which runs there are, recorded in snapshots with the state that belongs to them.
//!
//! A run is recorded only when its file is durable under its name, and its file is removed only
//! when no snapshot names it any more, so that every snapshot is whole at every instant. Knows
//! nothing of what the state means or how runs come about.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread;

use kilat_journal::{
    IoFailure, JournalId, Part, PartError, Position, Snapshot, SnapshotError, SnapshotStore,
    Storage,
};

use super::error::BuildError;
use super::run::{Run, is_run_name, run_name};
use super::runs::Runs;

/// What files have behind their name until they are whole.
pub(super) const TEMPORARY_SUFFIX: &str = ".tmp";
const MANIFEST_SUFFIX: &str = ".manifest";
const PART_SUFFIX: &str = ".part";
const RUNS_PART: &str = "runs";
const STATE_PART: &str = "state";
/// first offset u64, end offset u64, header's checksum u32.
const RECORD_BYTES: usize = 20;
/// Runs opened at once when an index is loaded.
const OPENED_TOGETHER: usize = 8;

/// What an index was when it was last recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Restored {
    /// The last frame whose events are in the runs.
    pub(crate) position: Position,
    /// The state after that frame, as it was handed in with the seal.
    pub(crate) state: Vec<u8>,
}

/// The list of runs and its snapshots.
pub(super) struct Catalogue<S: Storage> {
    storage: S,
    journal: JournalId,
    store: SnapshotStore<S>,
    runs: Runs,
    sealed: Option<Sealed>,
    /// Of the newest part of any name that was begun.
    version: u64,
    /// Whether the newest snapshot on disk may be of a seal that was not recorded to the end.
    unsettled: bool,
    condemned: bool,
}

/// The newest seal.
#[derive(Clone, Copy)]
struct Sealed {
    position: Position,
    state_version: u64,
}

/// A snapshot that was read.
struct Read {
    runs: Runs,
    state: Vec<u8>,
    state_version: u64,
    version: u64,
}

impl<S: Storage> Catalogue<S> {
    /// Reads the newest snapshot that is whole, and says why others were passed over. Changes
    /// nothing on disk.
    pub(super) fn load(
        storage: S,
        journal: JournalId,
    ) -> Result<(Self, Option<Restored>, Vec<String>), SnapshotError> {
        let mut store = SnapshotStore::open(storage.clone(), journal)?;
        let loaded = store.load(|snapshot| read(&storage, journal, snapshot));
        let mut catalogue = Self::empty(storage, journal, store);
        let restored = loaded.snapshot.map(|(position, read)| {
            catalogue.runs = read.runs;
            catalogue.version = read.version;
            catalogue.sealed = Some(Sealed { position, state_version: read.state_version });
            Restored { position, state: read.state }
        });
        Ok((catalogue, restored, loaded.skipped))
    }

    /// One without runs. Whatever `storage` holds is removed.
    pub(super) fn anew(storage: S, journal: JournalId) -> Result<Self, SnapshotError> {
        erase_snapshots(&storage).map_err(cannot_erase)?;
        let ours = |name: &str| {
            is_run_name(name) || name.ends_with(PART_SUFFIX) || name.ends_with(TEMPORARY_SUFFIX)
        };
        remove_if(&storage, ours);
        let store = SnapshotStore::open(storage.clone(), journal)?;
        Ok(Self::empty(storage, journal, store))
    }

    fn empty(storage: S, journal: JournalId, store: SnapshotStore<S>) -> Self {
        Self {
            storage,
            journal,
            store,
            runs: Runs::default(),
            sealed: None,
            version: 0,
            unsettled: false,
            condemned: false,
        }
    }

    pub(super) fn runs(&self) -> &Runs {
        &self.runs
    }

    /// Records a seal: from now on these are the runs, and this is the state after `position`.
    pub(super) fn record_seal(
        &mut self,
        runs: Runs,
        position: Position,
        state: &[u8],
    ) -> Result<(), BuildError> {
        let sealed = Sealed { position, state_version: self.version + 1 };
        self.unsettled = true;
        self.record(&runs, sealed, |out| out.write_all(state))?;
        self.unsettled = false;
        self.sealed = Some(sealed);
        self.runs = runs;
        self.tidy();
        Ok(())
    }

    /// Records a merge: the position and the state stay those of the newest seal.
    pub(super) fn record_merge(&mut self, runs: Runs) -> Result<(), BuildError> {
        // The newest snapshot on disk might be the newer one that the failed seal wrote.
        if self.unsettled {
            return Err(BuildError::Unsettled);
        }
        if let Some(sealed) = self.sealed {
            let missing = || io::Error::other("the state of the last seal is not on disk");
            self.record(&runs, sealed, |_| Err(missing()))?;
        }
        self.runs = runs;
        self.tidy();
        Ok(())
    }

    fn record(
        &mut self,
        runs: &Runs,
        sealed: Sealed,
        encode_state: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), SnapshotError> {
        // Even after a failure a version is never used again: its part may be on disk.
        self.version += 1;
        if self.condemned {
            return Ok(());
        }
        let list = encode(runs);
        let runs = Part {
            name: RUNS_PART,
            version: self.version,
            encode: Box::new(|out| out.write_all(&list)),
        };
        let state = Part {
            name: STATE_PART,
            version: sealed.state_version,
            encode: Box::new(encode_state),
        };
        self.store.write(sealed.position, vec![runs, state]).map(drop)
    }

    /// Makes the next start rebuild the index: removes all snapshots and writes no others.
    pub(super) fn condemn(&mut self) -> Result<(), SnapshotError> {
        self.condemned = true;
        erase_snapshots(&self.storage).map_err(cannot_erase)
    }

    /// Removes what crashes left behind. No run may be in the making.
    pub(super) fn clean_up(&self) {
        remove_if(&self.storage, is_unfinished_run);
        self.tidy();
    }

    /// Removes the runs that nothing names. What can't be removed now is removed another time.
    fn tidy(&self) {
        let Some(mut needed) = self.recorded_runs() else {
            return;
        };
        needed.extend(self.runs.list().iter().map(|run| run.name().to_owned()));
        remove_if(&self.storage, |name| is_run_name(name) && !needed.contains(name));
    }

    /// The runs that snapshots on disk name; `None` if that can't be told.
    fn recorded_runs(&self) -> Option<HashSet<String>> {
        let mut store = SnapshotStore::open(self.storage.clone(), self.journal).ok()?;
        let mut names = HashSet::new();
        let mut readable = true;
        store.load::<()>(|snapshot| {
            match snapshot.read(RUNS_PART).ok().and_then(|bytes| decode(&bytes)) {
                Some(records) => names.extend(records.into_iter().map(|record| record.name)),
                None => readable = false,
            }
            Err(PartError::Rejected("only its runs are looked at".into()))
        });
        readable.then_some(names)
    }
}

/// A run, as recorded.
struct RunRecord {
    name: String,
    check: u32,
}

fn encode(runs: &Runs) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(runs.list().len() * RECORD_BYTES);
    for run in runs.list() {
        bytes.extend_from_slice(&run.offsets().start.to_le_bytes());
        bytes.extend_from_slice(&run.offsets().end.to_le_bytes());
        bytes.extend_from_slice(&run.check().to_le_bytes());
    }
    bytes
}

fn decode(bytes: &[u8]) -> Option<Vec<RunRecord>> {
    let (records, rest) = bytes.as_chunks::<RECORD_BYTES>();
    rest.is_empty().then(|| records.iter().map(decode_record).collect())
}

fn decode_record(bytes: &[u8; RECORD_BYTES]) -> RunRecord {
    let (offsets, check) = bytes.split_at(16);
    let (start, end) = offsets.split_at(8);
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte));
    RunRecord { name: run_name(&(number(start)..number(end))), check: number(check) as u32 }
}

fn read<S: Storage>(
    storage: &S,
    journal: JournalId,
    snapshot: &Snapshot<'_, S>,
) -> Result<Read, PartError> {
    let list = decode(&snapshot.read(RUNS_PART)?).ok_or_else(|| rejected("its list is cut"))?;
    let state = snapshot.read(STATE_PART)?;
    let runs = Runs::of(open_all(storage, journal, &list)?);
    let version_of = |name| {
        let part = snapshot.parts().iter().find(|part| part.name == name);
        part.map_or(0, |part| part.version)
    };
    let state_version = version_of(STATE_PART);
    let version = state_version.max(version_of(RUNS_PART));
    let runs = runs.ok_or_else(|| rejected("its runs do not follow each other"))?;
    Ok(Read { runs, state, state_version, version })
}

/// Opens several at a time: it is mostly waiting for the device and copying.
fn open_all<S: Storage>(
    storage: &S,
    journal: JournalId,
    records: &[RunRecord],
) -> Result<Vec<Arc<Run>>, PartError> {
    let mut runs = Vec::with_capacity(records.len());
    for records in records.chunks(OPENED_TOGETHER) {
        let opened: Vec<_> = thread::scope(|scope| {
            let open = |record| scope.spawn(move || open(storage, journal, record));
            let threads: Vec<_> = records.iter().map(open).collect();
            threads.into_iter().map(|thread| thread.join()).collect()
        });
        for run in opened {
            runs.push(run.map_err(|_| rejected("a thread that opened a run panicked"))??);
        }
    }
    Ok(runs)
}

fn open<S: Storage>(
    storage: &S,
    journal: JournalId,
    record: &RunRecord,
) -> Result<Arc<Run>, PartError> {
    let run = Run::open(storage, &record.name, &record.name, journal)
        .map_err(|error| rejected(error.to_string()))?;
    if run.check() == record.check {
        return Ok(Arc::new(run));
    }
    Err(rejected(format!("{} is not the file that was recorded", record.name)))
}

fn rejected(why: impl Into<String>) -> PartError {
    PartError::Rejected(why.into())
}

fn is_unfinished_run(name: &str) -> bool {
    name.strip_suffix(TEMPORARY_SUFFIX).is_some_and(is_run_name)
}

/// Durably: nothing that is removed later may be missed by a snapshot.
fn erase_snapshots(storage: &impl Storage) -> io::Result<()> {
    for name in storage.list()? {
        if name.ends_with(MANIFEST_SUFFIX) {
            storage.remove(&name)?;
        }
    }
    storage.sync_directory()
}

fn cannot_erase(error: io::Error) -> SnapshotError {
    SnapshotError::Io(IoFailure { doing: "erase", file: "the index".into(), source: error })
}

/// Removes what it can: a file that stays is in nobody's way.
fn remove_if(storage: &impl Storage, unneeded: impl Fn(&str) -> bool) {
    for name in storage.list().unwrap_or_default() {
        if unneeded(&name) {
            let _ = storage.remove(&name);
        }
    }
}
