//! The seam under the journal: a flat directory of named files.
//!
//! Two implementers: [`Directory`] (real files) and
//! [`CrashingStorage`](crate::simulation::CrashingStorage) (memory that loses power on demand).
//! Nothing here knows segments, frames or snapshots.

use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::direct::Direct;
use rustix::fs::{Advice, fadvise, statvfs};

/// A flat directory of files, with the durability rules of POSIX: a file's bytes are safe after
/// [`StorageFile::sync_data`], a name after [`Storage::sync_directory`].
pub trait Storage: Clone + Send + Sync + 'static {
    /// An open file.
    type File: StorageFile;

    /// Creates `name` empty, replacing any file of that name.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens an existing file.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Opens an existing file that will only be read.
    fn open_to_read(&self, name: &str) -> io::Result<Self::File> {
        self.open(name)
    }

    /// Gives `from` the name `to`, atomically replacing a file of that name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes `name`.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of all files, in no particular order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes creations, renames and removals durable.
    fn sync_directory(&self) -> io::Result<()>;

    /// Bytes that may still be written here, as far as that is known; others may take them first.
    fn room(&self) -> io::Result<u64>;
}

/// An open file of a [`Storage`]. Reads and writes carry their position, so one file can be used
/// from several threads.
pub trait StorageFile: Send + Sync + 'static {
    /// Fills `buffer` from `offset`; a file that ends before that is an `UnexpectedEof` error.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`, extending the file if needed.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the file's bytes and length durable (`fdatasync`). After an error the state of
    /// unsynced bytes is unknown and a second call proves nothing.
    fn sync_data(&self) -> io::Result<()>;

    /// Makes later reads show what the device holds: writes out what is pending, then forgets
    /// what is cached. After a failed sync, a cache may show bytes that the device never took.
    fn settle(&self) -> io::Result<()>;

    /// Forgets what is cached of these bytes, so that later reads of them ask the device.
    fn refresh(&self, bytes: Range<u64>) -> io::Result<()>;

    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// A multiple of every page size in use: only whole pages are let go by the cache.
const PAGES_BYTES: u64 = 64 << 10;

/// Real files in one directory of the operating system.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
    writable: bool,
}

impl Directory {
    /// The existing directory at `path`, for reading and writing.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), writable: true }
    }

    /// The existing directory at `path`; whatever would change it fails with `PermissionDenied`.
    pub fn read_only(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), writable: false }
    }

    /// Where the directory is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self, name: &str, file: File) -> RealFile {
        let direct = self.writable.then(|| Direct::open(&self.path.join(name)));
        RealFile { file, direct: direct.flatten() }
    }

    fn writable(&self) -> io::Result<()> {
        if self.writable {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the directory is open for reading only",
        ))
    }
}

impl Storage for Directory {
    type File = RealFile;

    fn create(&self, name: &str) -> io::Result<RealFile> {
        self.writable()?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.path.join(name))?;
        Ok(self.file(name, file))
    }

    fn open(&self, name: &str) -> io::Result<RealFile> {
        let file = OpenOptions::new().read(true).write(self.writable).open(self.path.join(name))?;
        Ok(self.file(name, file))
    }

    fn open_to_read(&self, name: &str) -> io::Result<RealFile> {
        Ok(RealFile { file: File::open(self.path.join(name))?, direct: None })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.writable()?;
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.writable()?;
        std::fs::remove_file(self.path.join(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.writable()?;
        File::open(&self.path)?.sync_all()
    }

    fn room(&self) -> io::Result<u64> {
        let system = statvfs(&self.path)?;
        Ok(system.f_bavail.saturating_mul(system.f_frsize))
    }
}

/// An open file of a [`Directory`].
#[derive(Debug)]
pub struct RealFile {
    file: File,
    direct: Option<Direct>,
}

impl StorageFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match &self.direct {
            Some(direct) if direct.write_at(bytes, offset)? => Ok(()),
            _ => self.file.write_all_at(bytes, offset),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn settle(&self) -> io::Result<()> {
        self.file.sync_data()?;
        fadvise(&self.file, 0, None, Advice::DontNeed).map_err(Into::into)
    }

    fn refresh(&self, bytes: Range<u64>) -> io::Result<()> {
        let start = bytes.start - bytes.start % PAGES_BYTES;
        let length = NonZeroU64::new(bytes.end.next_multiple_of(PAGES_BYTES) - start);
        fadvise(&self.file, start, length, Advice::DontNeed).map_err(Into::into)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}
