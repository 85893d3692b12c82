//! Snapshots: the state after a frame, so that a start need not read the whole log.
//!
//! A snapshot is never needed for correctness: all segments are kept, so whatever is wrong with
//! one is answered by an older one or by reading the log from its beginning. Knows nothing of
//! what its parts hold.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Write};

use crc32fast::Hasher;

use crate::error::IoFailure;
use crate::format::{JournalId, Position};
pub use crate::manifest::PartRecord;
use crate::manifest::{Manifest, frame_of, is_part_name, part_file};
use crate::segment::TEMPORARY_SUFFIX;
use crate::storage::{Storage, StorageFile};

/// How many snapshots are kept.
const SNAPSHOTS_KEPT: usize = 2;
/// Bytes written or read and checked at once: small enough to stay in the processor's cache.
const PIECE_BYTES: usize = 256 << 10;
/// No manifest is longer; whatever is, is none.
const MANIFEST_BYTES_MAX: u64 = 16 << 20;
const DIRECTORY: &str = "the snapshots' directory";

/// Fills a part's content in.
pub type Encode<'a> = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + 'a>;

/// A named piece of a snapshot to be written.
pub struct Part<'a> {
    /// 1 to 64 of `a-z`, `0-9`, `-`.
    pub name: &'a str,
    /// Names the content: the same name and version always mean the same bytes, and are not
    /// written again.
    pub version: u64,
    /// Writes the content; not called if it is on disk already.
    pub encode: Encode<'a>,
}

/// The snapshots of one journal.
pub struct SnapshotStore<S: Storage> {
    storage: S,
    journal: JournalId,
    /// Those that may be relied on, oldest first.
    manifests: Vec<Manifest>,
    /// What was found unusable.
    skipped: Vec<String>,
}

/// A snapshot to be read, from any number of threads.
pub struct Snapshot<'a, S: Storage> {
    storage: &'a S,
    manifest: &'a Manifest,
}

/// What [`SnapshotStore::load`] found.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The snapshot's position and what was built from it; `None` means that the log is to be
    /// read from its beginning.
    pub snapshot: Option<(Position, T)>,
    /// Why newer snapshots were passed over, one sentence each.
    pub skipped: Vec<String>,
}

/// What writing a snapshot did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Parts written now.
    pub parts_written: usize,
    /// Parts that were on disk already.
    pub parts_kept: usize,
    /// Bytes of the parts written now.
    pub bytes_written: u64,
}

/// Why a snapshot could not be written or listed. Older snapshots are as they were.
#[derive(Debug)]
pub enum SnapshotError {
    /// Fix the request: a part's name is not allowed or not unique.
    BadName(String),
    /// Retry once the cause is gone: the operating system or the encoder refused.
    Io(IoFailure),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName(name) => {
                write!(f, "a snapshot cannot have a part called {name:?}; use a-z, 0-9 and - once")
            }
            Self::Io(failure) => write!(f, "{failure}; the older snapshots are still good"),
        }
    }
}

impl std::error::Error for SnapshotError {}

impl From<IoFailure> for SnapshotError {
    fn from(failure: IoFailure) -> Self {
        Self::Io(failure)
    }
}

/// Why a part can't be used. The answer is an older snapshot or the log.
#[derive(Debug)]
pub enum PartError {
    /// The snapshot has no part of this name.
    Absent {
        /// The name asked for.
        name: String,
    },
    /// The file is missing, short, or can't be read.
    Unreadable(IoFailure),
    /// The content is not what was written.
    WrongChecksum {
        /// The part's file.
        file: String,
    },
    /// The caller can't make sense of the content.
    Rejected(String),
}

impl fmt::Display for PartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent { name } => write!(f, "the snapshot has no part {name}"),
            Self::Unreadable(failure) => failure.fmt(f),
            Self::WrongChecksum { file } => write!(f, "the snapshot part {file} is damaged"),
            Self::Rejected(why) => write!(f, "the snapshot makes no sense: {why}"),
        }
    }
}

impl std::error::Error for PartError {}

impl<S: Storage> SnapshotStore<S> {
    /// Finds the snapshots of `journal` in `storage`.
    pub fn open(storage: S, journal: JournalId) -> Result<Self, SnapshotError> {
        let mut store = Self { storage, journal, manifests: Vec::new(), skipped: Vec::new() };
        let mut frames: Vec<u64> = store.list()?.iter().filter_map(|file| frame_of(file)).collect();
        frames.sort_unstable();
        for frame in frames {
            match store.read_manifest(frame) {
                Ok(manifest) => store.manifests.push(manifest),
                Err(why) => store.skipped.push(why),
            }
        }
        Ok(store)
    }

    /// Builds the caller's state from the newest snapshot for which `build` succeeds. A snapshot
    /// that fails is never built upon or referred to again.
    pub fn load<T>(
        &mut self,
        mut build: impl FnMut(&Snapshot<'_, S>) -> Result<T, PartError>,
    ) -> Loaded<T> {
        while let Some(manifest) = self.manifests.last() {
            match build(&Snapshot { storage: &self.storage, manifest }) {
                Ok(state) => {
                    let snapshot = Some((manifest.position, state));
                    return Loaded { snapshot, skipped: self.skipped.clone() };
                }
                Err(error) => {
                    self.skipped.push(format!("{}: {error}", manifest.file()));
                    self.manifests.pop();
                }
            }
        }
        Loaded { snapshot: None, skipped: self.skipped.clone() }
    }

    /// Writes the state after `position`, which must be durable in the journal. Call
    /// [`SnapshotStore::load`] first: parts of the newest snapshot are relied on. Until this
    /// returns, and after an error or a crash, the snapshots before it stand.
    pub fn write(
        &mut self,
        position: Position,
        parts: Vec<Part<'_>>,
    ) -> Result<Written, SnapshotError> {
        check_names(&parts)?;
        let mut written = Written { parts_written: 0, parts_kept: 0, bytes_written: 0 };
        let mut records = Vec::with_capacity(parts.len());
        for part in parts {
            if let Some(record) = self.known(part.name, part.version) {
                written.parts_kept += 1;
                records.push(record.clone());
                continue;
            }
            let record = self.write_part(part)?;
            written.parts_written += 1;
            written.bytes_written += record.bytes;
            records.push(record);
        }
        // The manifest must not become durable before the names of its parts.
        self.sync_directory()?;
        let manifest = Manifest { journal: self.journal, position, parts: records };
        let text = manifest.encode();
        self.write_file(&manifest.file(), |out| out.write_all(text.as_bytes()))?;
        self.sync_directory()?;
        self.keep(manifest);
        self.remove_unused()?;
        Ok(written)
    }

    fn keep(&mut self, manifest: Manifest) {
        self.manifests.retain(|kept| kept.position.frame != manifest.position.frame);
        self.manifests.push(manifest);
        let surplus = self.manifests.len().saturating_sub(SNAPSHOTS_KEPT);
        self.manifests.drain(..surplus);
    }

    /// A part that is on disk already: of the newest snapshot only, which is the one that was
    /// read or written last.
    fn known(&self, name: &str, version: u64) -> Option<&PartRecord> {
        let parts = &self.manifests.last()?.parts;
        parts.iter().find(|part| part.name == name && part.version == version)
    }

    fn write_part(&self, part: Part<'_>) -> Result<PartRecord, IoFailure> {
        let file = part_file(part.name, part.version);
        let (bytes, crc) = self.write_file(&file, part.encode)?;
        Ok(PartRecord { name: part.name.to_owned(), version: part.version, bytes, crc })
    }

    /// Writes a file under a temporary name, makes its bytes durable and then names it. Returns
    /// its length and checksum.
    fn write_file(
        &self,
        name: &str,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(u64, u32), IoFailure> {
        let temporary = format!("{name}{TEMPORARY_SUFFIX}");
        let write = || {
            let file = self.storage.create(&temporary)?;
            let mut out = PieceWriter::new(&file);
            fill(&mut out)?;
            let written = out.finish()?;
            file.sync_data()?;
            self.storage.rename(&temporary, name)?;
            Ok(written)
        };
        write().map_err(|error| {
            // The cause is what is reported; the file is removed with the next snapshot.
            let _ = self.storage.remove(&temporary);
            IoFailure::new("write", name, error)
        })
    }

    /// Removes all files that no kept snapshot needs.
    fn remove_unused(&self) -> Result<(), IoFailure> {
        let manifests = self.manifests.iter().map(Manifest::file);
        let parts = self.manifests.iter().flat_map(|manifest| &manifest.parts);
        let needed: HashSet<String> = manifests.chain(parts.map(PartRecord::file)).collect();
        // Manifests go first, so that none is ever without its parts.
        let (manifests, others): (Vec<_>, Vec<_>) = self
            .list()?
            .into_iter()
            .filter(|file| is_ours(file) && !needed.contains(file))
            .partition(|file| frame_of(file).is_some());
        self.remove_all(&manifests)?;
        self.remove_all(&others)
    }

    fn remove_all(&self, files: &[String]) -> Result<(), IoFailure> {
        for file in files {
            let removed = self.storage.remove(file);
            removed.map_err(|error| IoFailure::new("remove", file, error))?;
        }
        if files.is_empty() { Ok(()) } else { self.sync_directory() }
    }

    fn list(&self) -> Result<Vec<String>, IoFailure> {
        self.storage.list().map_err(|error| IoFailure::new("list", DIRECTORY, error))
    }

    fn sync_directory(&self) -> Result<(), IoFailure> {
        self.storage.sync_directory().map_err(|error| IoFailure::new("sync", DIRECTORY, error))
    }

    fn read_manifest(&self, frame: u64) -> Result<Manifest, String> {
        let file = crate::manifest::manifest_file(frame);
        let text = read_small(&self.storage, &file).map_err(|error| format!("{file}: {error}"))?;
        let manifest = std::str::from_utf8(&text).ok().and_then(Manifest::decode);
        match manifest {
            Some(manifest)
                if manifest.journal == self.journal && manifest.position.frame == frame =>
            {
                Ok(manifest)
            }
            Some(_) => Err(format!("{file} belongs to another journal")),
            None => Err(format!("{file} is damaged")),
        }
    }
}

/// The same name twice would leave one of them unreadable.
fn check_names(parts: &[Part<'_>]) -> Result<(), SnapshotError> {
    let mut seen = HashSet::new();
    let bad = parts.iter().find(|part| !is_part_name(part.name) || !seen.insert(part.name));
    bad.map_or(Ok(()), |part| Err(SnapshotError::BadName(part.name.to_owned())))
}

fn is_ours(file: &str) -> bool {
    let name = file.strip_suffix(TEMPORARY_SUFFIX).unwrap_or(file);
    frame_of(name).is_some() || name.ends_with(".part")
}

fn read_small<S: Storage>(storage: &S, file: &str) -> io::Result<Vec<u8>> {
    let file = storage.open(file)?;
    let bytes = file.len()?;
    if bytes > MANIFEST_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too long to be a manifest"));
    }
    let mut content = vec![0; bytes as usize];
    file.read_at(&mut content, 0)?;
    Ok(content)
}

impl<S: Storage> Snapshot<'_, S> {
    /// The last frame whose effect is in the snapshot.
    pub fn position(&self) -> Position {
        self.manifest.position
    }

    /// Its parts.
    pub fn parts(&self) -> &[PartRecord] {
        &self.manifest.parts
    }

    /// Reads a part by name and checks it.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, PartError> {
        match self.parts().iter().find(|part| part.name == name) {
            Some(part) => self.read_part(part),
            None => Err(PartError::Absent { name: name.to_owned() }),
        }
    }

    /// Reads a part and checks it.
    pub fn read_part(&self, part: &PartRecord) -> Result<Vec<u8>, PartError> {
        let name = part.file();
        let unreadable = |error| PartError::Unreadable(IoFailure::new("read", &name, error));
        let file = self.storage.open(&name).map_err(unreadable)?;
        // A damaged length must not become a huge allocation.
        if file.len().map_err(unreadable)? != part.bytes {
            return Err(PartError::WrongChecksum { file: name });
        }
        let mut content = vec![0; part.bytes as usize];
        let mut crc = Hasher::new();
        let mut offset = 0;
        for piece in content.chunks_mut(PIECE_BYTES) {
            file.read_at(piece, offset).map_err(unreadable)?;
            crc.update(piece);
            offset += piece.len() as u64;
        }
        if crc.finalize() != part.crc {
            return Err(PartError::WrongChecksum { file: name });
        }
        Ok(content)
    }
}

/// Writes a file from its start in large pieces and sums it up.
struct PieceWriter<'a, F> {
    file: &'a F,
    piece: Vec<u8>,
    offset: u64,
    crc: Hasher,
}

impl<'a, F: StorageFile> PieceWriter<'a, F> {
    fn new(file: &'a F) -> Self {
        Self { file, piece: Vec::with_capacity(PIECE_BYTES), offset: 0, crc: Hasher::new() }
    }

    fn put(&mut self) -> io::Result<()> {
        self.crc.update(&self.piece);
        self.file.write_at(&self.piece, self.offset)?;
        self.offset += self.piece.len() as u64;
        self.piece.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<(u64, u32)> {
        self.put()?;
        Ok((self.offset, self.crc.finalize()))
    }
}

impl<F: StorageFile> Write for PieceWriter<'_, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE_BYTES - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == PIECE_BYTES {
            self.put()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
