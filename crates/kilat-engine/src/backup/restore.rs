//! From a backup to a data directory.

use super::check::{BackupCheck, Summing, check_backup};
use super::manifest::{BackupManifest, FileRecord};
use super::{BackupError, OnProgress, advance};
use crate::verify::{Verified, verify};
use kilat_eventlog::{Content, StoredEvent};
use kilat_journal::{DataDirectory, UnfinishedDirectory};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// A multiple of every block size in use: whole blocks of zeros become holes.
const BLOCK_BYTES: usize = 64 << 10;
/// The last segments of a journal will be written to, so they get real zeros: the one that the log
/// is in, and perhaps a blank one after it.
const FULL_SEGMENTS: usize = 2;
/// The marker is written anew, with another history.
const MARKER: &str = "KILAT";

/// What was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What the backup says of itself.
    pub manifest: BackupManifest,
    /// What is in it, every invariant checked.
    pub verified: Verified,
}

/// Restores the backup at `backup` to `data`, which must be empty or not exist. First every sum
/// and every invariant is checked. Until the last step `data` is no data directory; a restore that
/// was killed can be done again.
///
/// The directory that is made has a history of its own (`Identity::history`): whoever remembers
/// what came after the backup can tell.
///
/// # Errors
/// [`BackupError`]; what was begun at `data` is removed.
pub fn restore(
    backup: &Path,
    data: &Path,
    content_of: impl FnMut(&StoredEvent) -> Option<Content>,
    on_progress: OnProgress<'_>,
) -> Result<Restored, BackupError> {
    // First, so that a wrong target is refused before anything is read.
    let unfinished = UnfinishedDirectory::create(data)?;
    let restored = fill(&unfinished, backup, content_of, on_progress);
    let restored = restored.and_then(|restored| {
        let identity = DataDirectory::peek(backup)?.identity().to_restored();
        Ok((restored, identity.map_err(BackupError::writing(data))?))
    });
    match restored {
        Ok((restored, identity)) => {
            unfinished.finish(&identity)?;
            Ok(restored)
        }
        Err(error) => {
            // The cause is what is reported; what stays is removed by the next attempt.
            let _ = unfinished.abandon();
            Err(error)
        }
    }
}

fn fill(
    data: &UnfinishedDirectory,
    backup: &Path,
    content_of: impl FnMut(&StoredEvent) -> Option<Content>,
    on_progress: OnProgress<'_>,
) -> Result<Restored, BackupError> {
    let check = check_backup(backup, on_progress)?;
    let BackupCheck { manifest, findings } =
        check.ok_or_else(|| BackupError::NoBackup(backup.to_owned()))?;
    if let Some(finding) = findings.first() {
        return Err(unsound(backup, finding));
    }
    let verified = verify(backup, content_of).map_err(|error| unsound(backup, &error))?;
    if !verified.holds() {
        return Err(unsound(backup, &"it does not hold"));
    }
    for directory in directories(&manifest) {
        data.directory(directory)?;
    }
    for file in manifest.files.iter().filter(|file| file.path != MARKER) {
        copy(backup, data.path(), file, may_have_holes(&manifest, file), on_progress)?;
    }
    for directory in directories(&manifest) {
        let path = data.path().join(directory);
        let synced = File::open(&path).and_then(|directory| directory.sync_all());
        synced.map_err(BackupError::writing(&path))?;
    }
    Ok(Restored { manifest, verified })
}

fn unsound(backup: &Path, why: &impl std::fmt::Display) -> BackupError {
    let path = backup.display();
    BackupError::Damaged(format!("the backup {path} is not sound: {why}; see kilat verify {path}"))
}

/// The directories that files are in.
fn directories(manifest: &BackupManifest) -> impl Iterator<Item = &str> {
    by_directory(manifest).into_keys()
}

fn by_directory(manifest: &BackupManifest) -> BTreeMap<&str, Vec<&FileRecord>> {
    let mut all: BTreeMap<&str, Vec<&FileRecord>> = BTreeMap::new();
    for file in &manifest.files {
        if let Some((directory, _)) = file.path.split_once('/') {
            all.entry(directory).or_default().push(file);
        }
    }
    all
}

fn may_have_holes(manifest: &BackupManifest, file: &FileRecord) -> bool {
    let of_directory = by_directory(manifest);
    let siblings = file.path.split_once('/').and_then(|(name, _)| of_directory.get(name));
    let place = siblings.and_then(|all| all.iter().position(|one| one.path == file.path));
    let count = siblings.map_or(0, Vec::len);
    place.is_some_and(|place| place + FULL_SEGMENTS < count)
}

/// Copies a file and sums up what it reads, so that what was checked is what is written.
fn copy(
    backup: &Path,
    data: &Path,
    file: &FileRecord,
    holes: bool,
    on_progress: OnProgress<'_>,
) -> Result<(), BackupError> {
    let (from, to) = (backup.join(&file.path), data.join(&file.path));
    let mut source = File::open(&from).map_err(BackupError::reading(&from))?;
    let target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&to);
    let target = target.map_err(BackupError::writing(&to))?;
    let (mut sum, mut offset) = (Summing::new(), 0);
    while let Some(piece) = sum.piece(&mut source).map_err(BackupError::reading(&from))? {
        for block in piece.chunks(BLOCK_BYTES) {
            if !holes || block.iter().any(|byte| *byte != 0) {
                target.write_all_at(block, offset).map_err(BackupError::writing(&to))?;
            }
            offset += block.len() as u64;
        }
        advance(on_progress, piece.len() as u64)?;
    }
    if !sum.is_of(file) {
        return Err(unsound(backup, &format!("{} was changed meanwhile", file.path)));
    }
    let finished = target.set_len(file.bytes).and_then(|()| target.sync_all());
    finished.map_err(BackupError::writing(&to))
}
