//! Whether the files of a backup are those that its manifest names.

use super::manifest::{BackupManifest, FileRecord, MANIFEST_BYTES_MAX};
use super::{BackupError, OnProgress, advance};
use kilat_journal::BACKUP_MANIFEST;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Bytes read at once.
const PIECE_BYTES: usize = 1 << 20;
/// What may be there although no manifest names it: itself, and what a crash right after its last
/// step leaves.
const UNNAMED: [&str; 3] = [BACKUP_MANIFEST, "LOCK", "UNFINISHED"];

/// What a check of a backup's files found.
#[derive(Clone, Debug)]
pub struct BackupCheck {
    /// What the backup says of itself.
    pub manifest: BackupManifest,
    /// What is not so, one sentence each.
    pub findings: Vec<String>,
}

/// Checks the files of the backup at `path` against its manifest; `None` if it has none and so is
/// no backup.
///
/// # Errors
/// [`BackupError`] when that can't be done. A manifest that is damaged is one of them.
pub fn check_backup(
    path: &Path,
    on_progress: OnProgress<'_>,
) -> Result<Option<BackupCheck>, BackupError> {
    let Some(manifest) = read_manifest(path)? else {
        return Ok(None);
    };
    let mut findings = Vec::new();
    for file in &manifest.files {
        findings.extend(check_file(path, file, on_progress)?);
    }
    findings.extend(unnamed(path, &manifest)?);
    Ok(Some(BackupCheck { manifest, findings }))
}

fn read_manifest(path: &Path) -> Result<Option<BackupManifest>, BackupError> {
    let manifest = path.join(BACKUP_MANIFEST);
    let bytes = match read_small(&manifest, MANIFEST_BYTES_MAX) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        read => read.map_err(BackupError::reading(&manifest))?,
    };
    let decoded = String::from_utf8(bytes).map_err(|_| "is damaged");
    let decoded = decoded.and_then(|text| BackupManifest::decode(&text));
    let named = |why| BackupError::Damaged(format!("the manifest {} {why}", manifest.display()));
    decoded.map(Some).map_err(named)
}

/// The content of a file that is not longer than `bytes_max`.
pub(super) fn read_small(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    let fits = bytes.len() as u64 <= bytes_max;
    fits.then_some(bytes).ok_or_else(|| io::Error::other("it is too long"))
}

/// What is wrong with a file, if something is.
fn check_file(
    backup: &Path,
    file: &FileRecord,
    on_progress: OnProgress<'_>,
) -> Result<Option<String>, BackupError> {
    let path = backup.join(&file.path);
    let mut source = match File::open(&path) {
        Ok(source) => source,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Some(format!("{} is missing", file.path)));
        }
        Err(error) => return Err(BackupError::reading(&path)(error)),
    };
    let mut sum = Summing::new();
    while let Some(piece) = sum.piece(&mut source).map_err(BackupError::reading(&path))? {
        advance(on_progress, piece.len() as u64)?;
    }
    Ok((!sum.is_of(file)).then(|| format!("{} is not what the manifest says", file.path)))
}

/// Reads a file piece by piece and sums it up.
pub(super) struct Summing {
    hasher: blake3::Hasher,
    bytes: u64,
    piece: Vec<u8>,
}

impl Summing {
    pub(super) fn new() -> Self {
        Self { hasher: blake3::Hasher::new(), bytes: 0, piece: vec![0; PIECE_BYTES] }
    }

    /// The next piece; all but the last have the same length.
    pub(super) fn piece(&mut self, source: &mut File) -> io::Result<Option<&[u8]>> {
        let mut read = 0;
        while read < self.piece.len() {
            match source.read(&mut self.piece[read..]) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let piece = &self.piece[..read];
        self.hasher.update(piece);
        self.bytes += read as u64;
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }

    pub(super) fn is_of(&self, file: &FileRecord) -> bool {
        self.bytes == file.bytes && *self.hasher.finalize().as_bytes() == file.sum
    }
}

/// Files that do not belong there.
fn unnamed(backup: &Path, manifest: &BackupManifest) -> Result<Vec<String>, BackupError> {
    let named: BTreeSet<&str> = manifest.files.iter().map(|file| &*file.path).collect();
    let mut findings = Vec::new();
    for name in names(backup)? {
        let path = backup.join(&name);
        let inner = if path.is_dir() { names(&path)? } else { Vec::new() };
        let found = if path.is_dir() {
            inner.iter().map(|file| format!("{name}/{file}")).collect()
        } else {
            vec![name]
        };
        let strange = found
            .into_iter()
            .filter(|path| !named.contains(&**path) && !UNNAMED.contains(&&**path));
        findings.extend(strange.map(|path| format!("{path} is not in the manifest")));
    }
    Ok(findings)
}

fn names(directory: &Path) -> Result<Vec<String>, BackupError> {
    let entries = fs::read_dir(directory).map_err(BackupError::reading(directory))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names =
        names.collect::<io::Result<Vec<_>>>().map_err(BackupError::reading(directory))?;
    names.sort_unstable();
    Ok(names)
}
