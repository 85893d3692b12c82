//! Taking a backup, also while the directory is in use.

use super::manifest::{BackupManifest, FileRecord};
use super::{BackupError, OnProgress, advance};
use crate::events::EVENTS;
use crate::recovery::JOURNAL;
use jiff::Timestamp;
use kilat_eventlog::Tip;
use kilat_journal::{
    BACKUP_MANIFEST, Copied, CopyError, DataDirectory, FrameView, PeekedDirectory, Position,
    RecoverError, UnfinishedDirectory,
};
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What is added to the target's name until the backup is whole.
const PARTIAL_SUFFIX: &str = ".partial";
/// The marker of a data directory.
const MARKER: &str = "KILAT";
/// No kept file is longer: they hold a line each.
const KEPT_BYTES_MAX: u64 = 1 << 20;

/// What to back up, and where to.
#[derive(Clone, Debug)]
pub struct BackupOptions {
    /// The data directory; it may be in use.
    pub data: PathBuf,
    /// Where the backup is to be; nothing may be there.
    pub target: PathBuf,
    /// Files beside the journals that belong to it, by name. Those that are not there are left out.
    pub kept: &'static [&'static str],
    /// The program that makes it, for people: one line.
    pub by: String,
}

/// A backup that was taken.
#[derive(Clone, Debug)]
pub struct BackedUp {
    /// What it says of itself.
    pub manifest: BackupManifest,
    /// Events in it.
    pub events: u64,
    /// How long it took.
    pub took: Duration,
}

/// Takes a backup. It is durable, under its name and whole when this returns; before that there is
/// only a directory with another name.
///
/// # Errors
/// [`BackupError`]; the target does not exist then.
pub fn backup(
    options: &BackupOptions,
    on_progress: OnProgress<'_>,
) -> Result<BackedUp, BackupError> {
    let (started, now) = (Instant::now(), Timestamp::now());
    // What people can read; never later than it was.
    let begun = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
    let data = DataDirectory::peek(&options.data)?;
    if options.data.join(BACKUP_MANIFEST).exists() {
        return Err(BackupError::IsBackup(options.data.clone()));
    }
    expect_nothing_at(&options.target)?;
    let partial = UnfinishedDirectory::create(partial_name(&options.target)?)?;
    let path = partial.path().to_owned();
    let filled = fill(&partial, &data, options, begun, on_progress);
    let (manifest, events) = match filled {
        Ok(filled) => filled,
        Err(error) => {
            // The cause is what is reported; what stays is removed by the next attempt.
            let _ = partial.abandon();
            return Err(error);
        }
    };
    partial.finish(data.identity())?;
    give_name(&path, &options.target)?;
    Ok(BackedUp { manifest, events, took: started.elapsed() })
}

fn expect_nothing_at(target: &Path) -> Result<(), BackupError> {
    match fs::symlink_metadata(target) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(BackupError::reading(target)(error)),
        Ok(_) => Err(BackupError::Exists(target.to_owned())),
    }
}

/// A sibling, so that it can be renamed.
fn partial_name(target: &Path) -> Result<PathBuf, BackupError> {
    let name = target.file_name().ok_or_else(|| BackupError::Exists(target.to_owned()))?;
    let mut partial = OsString::from(name);
    partial.push(PARTIAL_SUFFIX);
    Ok(target.with_file_name(partial))
}

/// Everything but the marker, and how many events there are.
fn fill(
    partial: &UnfinishedDirectory,
    data: &PeekedDirectory,
    options: &BackupOptions,
    begun: Timestamp,
    on_progress: OnProgress<'_>,
) -> Result<(BackupManifest, u64), BackupError> {
    let mut files = Vec::new();
    // Events first: see the module.
    let (events, tip) = copy_events(partial, data, &mut files, on_progress)?;
    let journal = copy_log(partial, data, JOURNAL, &mut files, |frame| {
        advance(on_progress, frame.disk_bytes()).map_err(|_| Halt::Stopped)
    })?;
    if tip.ledger_frame > journal.frame {
        return Err(BackupError::Damaged(format!(
            "the event log has copied the ledger up to frame {}, but the ledger ends at frame {}: \
             one of the two was replaced",
            tip.ledger_frame, journal.frame
        )));
    }
    for name in options.kept {
        copy_kept(partial, data, name, &mut files)?;
    }
    let identity = data.identity();
    files.push(record(MARKER, identity.to_marker().as_bytes()));
    let history = identity.history();
    let manifest =
        BackupManifest { history, begun, by: options.by.clone(), journal, events, files };
    partial.write(BACKUP_MANIFEST, manifest.encode().as_bytes())?;
    Ok((manifest, tip.events))
}

fn copy_events(
    partial: &UnfinishedDirectory,
    data: &PeekedDirectory,
    files: &mut Vec<FileRecord>,
    on_progress: OnProgress<'_>,
) -> Result<(Position, Tip), BackupError> {
    let mut tip = Tip::default();
    let events = copy_log(partial, data, EVENTS, files, |frame| {
        tip = Tip::after(frame).map_err(|error| Halt::Malformed(error.to_string()))?;
        advance(on_progress, frame.disk_bytes()).map_err(|_| Halt::Stopped)
    })?;
    Ok((events, tip))
}

/// Why a frame ends the copying.
enum Halt {
    Malformed(String),
    Stopped,
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Halt::Malformed(why) => why,
            Halt::Stopped => "stopped",
        })
    }
}

/// Copies one of the two journals. One that was never begun is copied as none.
fn copy_log(
    partial: &UnfinishedDirectory,
    data: &PeekedDirectory,
    part: &'static str,
    files: &mut Vec<FileRecord>,
    on_frame: impl FnMut(&FrameView<'_>) -> Result<(), Halt>,
) -> Result<Position, BackupError> {
    let id = data.identity().journal_id(part);
    if !data.path().join(part).exists() {
        return Ok(Position { frame: 0, chain: id.genesis() });
    }
    let to = partial.directory(part)?;
    let copied = kilat_journal::copy(&data.directory(part), id, &to, on_frame);
    let Copied { position, files: segments } = copied.map_err(|error| explain(part, error))?;
    files.extend(segments.into_iter().map(|segment| FileRecord {
        path: format!("{part}/{}", segment.name),
        bytes: segment.bytes,
        sum: segment.sum,
    }));
    Ok(position)
}

fn explain(part: &str, error: CopyError<Halt>) -> BackupError {
    match error {
        CopyError::Source(RecoverError::Refused { error: Halt::Stopped, .. }) => {
            BackupError::Stopped
        }
        CopyError::Source(RecoverError::Io(failure)) => BackupError::Copy(failure.to_string()),
        CopyError::Source(damage) => BackupError::Damaged(format!("in {part}: {damage}")),
        CopyError::Target(failure) => {
            let remedy = super::remedy(&failure.source);
            BackupError::Copy(format!("{failure}; {remedy}"))
        }
    }
}

fn copy_kept(
    partial: &UnfinishedDirectory,
    data: &PeekedDirectory,
    name: &str,
    files: &mut Vec<FileRecord>,
) -> Result<(), BackupError> {
    let path = data.path().join(name);
    let bytes = match super::check::read_small(&path, KEPT_BYTES_MAX) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        read => read.map_err(BackupError::reading(&path))?,
    };
    partial.write(name, &bytes)?;
    files.push(record(name, &bytes));
    Ok(())
}

fn record(path: &str, bytes: &[u8]) -> FileRecord {
    let sum = *blake3::hash(bytes).as_bytes();
    FileRecord { path: path.to_owned(), bytes: bytes.len() as u64, sum }
}

fn give_name(partial: &Path, target: &Path) -> Result<(), BackupError> {
    // A rename takes the place of an empty directory that was made meanwhile, and of nothing else.
    fs::rename(partial, target).map_err(BackupError::writing(target))?;
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let synced = File::open(parent).and_then(|directory| directory.sync_all());
    synced.map_err(BackupError::writing(parent))
}
