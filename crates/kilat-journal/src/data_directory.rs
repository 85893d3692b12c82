//! The data directory: whose it is, which format it has, and that only one process writes to it.
//!
//! Knows nothing of what the parts inside hold.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::format::JournalId;
use crate::hex;
use crate::storage::Directory;
use crate::unfinished::UNFINISHED;

pub(crate) const MARKER: &str = "KILAT";
const MARKER_TEMPORARY: &str = "KILAT.tmp";
pub(crate) const LOCK: &str = "LOCK";
/// The file that a directory has which is a backup: what it held when it was made.
pub const BACKUP_MANIFEST: &str = "BACKUP";
/// The format that this version makes and the newest that it reads.
const FORMAT: u32 = 1;
const FIRST_LINE: &str = "kilat data directory, format ";
/// No marker is longer; whatever is, is none.
const MARKER_BYTES_MAX: u64 = 4096;

/// What a data directory is given at its birth and keeps for ever.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// Names the directory.
    pub id: [u8; 16],
    /// A secret with which the directory's users hash what comes from strangers.
    pub fingerprint_key: [u8; 16],
    /// Drawn each time that the directory is restored from a backup.
    pub restored: Option<[u8; 16]>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", hex::encode(&self.id))
    }
}

impl Identity {
    fn random() -> io::Result<Self> {
        let (mut id, mut fingerprint_key) = ([0; 16], [0; 16]);
        getrandom::fill(&mut id).map_err(io::Error::other)?;
        getrandom::fill(&mut fingerprint_key).map_err(io::Error::other)?;
        Ok(Self { id, fingerprint_key, restored: None })
    }

    /// The identity of what is restored from a backup of this directory.
    ///
    /// # Errors
    /// What the system says when it gives no random numbers.
    pub fn to_restored(&self) -> io::Result<Self> {
        let mut restored = [0; 16];
        getrandom::fill(&mut restored).map_err(io::Error::other)?;
        Ok(Self { restored: Some(restored), ..self.clone() })
    }

    /// Names the history in the directory to those outside who remember some of it: another one
    /// after each restore, since that takes back what came after the backup.
    pub fn history(&self) -> [u8; 16] {
        let Some(restored) = &self.restored else {
            return self.id;
        };
        let mut hasher = blake3::Hasher::new_keyed(&[0; 32]);
        hasher.update(&self.id);
        hasher.update(restored);
        let mut name = [0; 16];
        name.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        name
    }

    /// The identity of the journal called `name` in this directory.
    pub fn journal_id(&self, name: &str) -> JournalId {
        let mut hasher = blake3::Hasher::new_keyed(&[0; 32]);
        hasher.update(&self.id);
        hasher.update(name.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        JournalId(id)
    }

    /// The marker of a directory of this identity, to the byte.
    pub fn to_marker(&self) -> String {
        let (id, key) = (hex::encode(&self.id), hex::encode(&self.fingerprint_key));
        let restored = self.restored.map(|name| format!("restored {}\n", hex::encode(&name)));
        let restored = restored.unwrap_or_default();
        format!("{FIRST_LINE}{FORMAT}\nid {id}\nfingerprint key {key}\n{restored}")
    }

    fn from_marker(text: &str) -> Result<Self, BadMarker> {
        let mut lines = text.lines();
        let format = lines.next().and_then(|line| line.strip_prefix(FIRST_LINE));
        let format: u32 = format.and_then(|f| f.parse().ok()).ok_or(BadMarker::Unreadable)?;
        if format > FORMAT {
            return Err(BadMarker::Newer(format));
        }
        let mut field = |name: &str| {
            let value = lines.next()?.strip_prefix(name)?;
            hex::decode::<16>(value)
        };
        let id = field("id ").ok_or(BadMarker::Unreadable)?;
        let fingerprint_key = field("fingerprint key ").ok_or(BadMarker::Unreadable)?;
        let restored = field("restored ");
        Ok(Self { id, fingerprint_key, restored })
    }
}

enum BadMarker {
    Newer(u32),
    Unreadable,
}

/// Why a data directory can't be used. Nothing in it was changed.
#[derive(Debug)]
pub enum DirectoryError {
    /// Retry once the other process has ended.
    InUse {
        /// The directory.
        path: PathBuf,
        /// The other process, if it could be read.
        pid: Option<u32>,
    },
    /// Choose another directory: this one holds something else.
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// Name the data directory itself: this is a part of it.
    Part {
        /// The part.
        path: PathBuf,
        /// The data directory.
        whole: PathBuf,
    },
    /// Choose another directory: this one is not empty.
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// Do it again, or remove the directory: whoever was filling it could not finish.
    Unfinished {
        /// The directory.
        path: PathBuf,
    },
    /// Restore it elsewhere: this is a backup, which is to stay as it is.
    Backup {
        /// The directory.
        path: PathBuf,
    },
    /// Use the version that wrote it.
    NewerFormat {
        /// The directory.
        path: PathBuf,
        /// The format that was found.
        found: u32,
        /// The newest format known here.
        supported: u32,
    },
    /// Choose the right path: there is no data directory.
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// Report: the marker is damaged.
    Unreadable {
        /// The marker file.
        path: PathBuf,
    },
    /// Retry once the cause is gone: the operating system refused.
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { path, pid: Some(pid) } => write!(
                f,
                "the data directory {} is in use by process {pid}; stop it or choose another one",
                path.display()
            ),
            Self::InUse { path, pid: None } => write!(
                f,
                "the data directory {} is in use by another process; stop it or choose another one",
                path.display()
            ),
            Self::Foreign { path } => write!(
                f,
                "{} is not empty and not a kilat data directory; choose an empty or new one",
                path.display()
            ),
            Self::Part { path, whole } => write!(
                f,
                "{} is a part of the data directory {}; name that one",
                path.display(),
                whole.display()
            ),
            Self::NotEmpty { path } => {
                write!(f, "{} is not empty; choose an empty or new directory", path.display())
            }
            Self::Unfinished { path } => write!(
                f,
                "{} could not be filled to its end; fill it again, or remove it",
                path.display()
            ),
            Self::Backup { path } => write!(
                f,
                "{} is a backup; restore it to another directory with kilat restore",
                path.display()
            ),
            Self::NewerFormat { path, found, supported } => write!(
                f,
                "the data directory {} has format {found} and this version reads up to \
                 {supported}; use the version that wrote it",
                path.display()
            ),
            Self::Missing { path } => write!(
                f,
                "there is no kilat data directory at {}; name the directory that has the file \
                 {MARKER} in it",
                path.display()
            ),
            Self::Unreadable { path } => {
                write!(f, "the marker {} is damaged; restore it from a backup", path.display())
            }
            Self::Io { path, source } => write!(
                f,
                "cannot use {}: {source}; check its permissions and the disk",
                path.display()
            ),
        }
    }
}

impl std::error::Error for DirectoryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// A data directory that this process alone may write to, until it is dropped.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    identity: Identity,
    /// Held, not read: closing it lets the lock go.
    _lock: File,
}

/// A data directory seen without the lock: for reading only, also while another process writes.
#[derive(Debug, Clone)]
pub struct PeekedDirectory {
    path: PathBuf,
    identity: Identity,
}

impl DataDirectory {
    /// Opens the data directory at `path`, making it (mode 0700) if there is nothing or only an
    /// empty directory.
    pub fn open_or_create(path: impl Into<PathBuf>) -> Result<Self, DirectoryError> {
        let path = path.into();
        match read_identity(&path) {
            Ok(_) => return Self::open_existing(path),
            Err(DirectoryError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
        make_directory(&path)?;
        let lock = lock(&path)?;
        // Another process may have made it while this one waited for nothing.
        let identity = match read_identity(&path) {
            Err(DirectoryError::Missing { .. }) => write_identity(&path)?,
            found => found?,
        };
        Ok(Self { path, identity, _lock: lock })
    }

    /// Opens the data directory at `path`. A backup is not opened: it would not stay what its
    /// manifest says.
    pub fn open_existing(path: impl Into<PathBuf>) -> Result<Self, DirectoryError> {
        let path = path.into();
        let identity = identity_of(&path)?;
        if path.join(BACKUP_MANIFEST).exists() {
            return Err(DirectoryError::Backup { path });
        }
        let lock = lock(&path)?;
        Ok(Self { path, identity, _lock: lock })
    }

    /// Reads who the directory is without locking it.
    pub fn peek(path: impl Into<PathBuf>) -> Result<PeekedDirectory, DirectoryError> {
        let path = path.into();
        let identity = identity_of(&path)?;
        Ok(PeekedDirectory { path, identity })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The directory `name` inside, made durable if it is new. `name` is the caller's own word,
    /// never input.
    pub fn directory(&self, name: &str) -> Result<Directory, DirectoryError> {
        let path = self.path.join(name);
        let made = DirBuilder::new().mode(0o700).create(&path);
        match made {
            Ok(()) => sync_directory(&self.path)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(DirectoryError::Io { path, source }),
        }
        Ok(Directory::new(path))
    }
}

impl PeekedDirectory {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The directory `name` inside, for reading only.
    pub fn directory(&self, name: &str) -> Directory {
        Directory::read_only(self.path.join(name))
    }
}

/// The identity of a directory that must be there: what holds something else is none either, and
/// nobody is told to fill another one.
fn identity_of(path: &Path) -> Result<Identity, DirectoryError> {
    read_identity(path).map_err(|error| match error {
        DirectoryError::Foreign { path } => DirectoryError::Missing { path },
        other => other,
    })
}

/// The identity in the marker; `Missing` if there is nothing, or nothing that is not ours, at
/// `path`.
fn read_identity(path: &Path) -> Result<Identity, DirectoryError> {
    let marker = path.join(MARKER);
    let mut text = String::new();
    let read =
        File::open(&marker).and_then(|file| file.take(MARKER_BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(_) => Identity::from_marker(&text).map_err(|bad| match bad {
            BadMarker::Newer(found) => {
                DirectoryError::NewerFormat { path: path.into(), found, supported: FORMAT }
            }
            BadMarker::Unreadable => DirectoryError::Unreadable { path: marker },
        }),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(DirectoryError::Unreadable { path: marker })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(without_marker(path)),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(DirectoryError::Foreign { path: path.into() })
        }
        Err(source) => Err(DirectoryError::Io { path: marker, source }),
    }
}

/// The data directory that this one lies in, written as the caller would.
fn whole_of(path: &Path) -> Option<PathBuf> {
    let named = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let above = match path.file_name() {
        Some(_) => named.unwrap_or(Path::new(".")).to_owned(),
        // `.` and `..` have no other parent that could be read from them.
        None => path.join(".."),
    };
    above.join(MARKER).is_file().then_some(above)
}

/// Tells an empty or absent directory from somebody else's. What a creation that was cut short
/// leaves behind counts as empty.
fn without_marker(path: &Path) -> DirectoryError {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return DirectoryError::Missing { path: path.into() };
        }
        Err(source) => {
            return DirectoryError::Io { path: path.into(), source };
        }
    };
    if path.join(UNFINISHED).exists() {
        return DirectoryError::Unfinished { path: path.into() };
    }
    if let Some(whole) = whole_of(path) {
        return DirectoryError::Part { path: path.into(), whole };
    }
    for entry in entries {
        match entry {
            Ok(entry) if entry.file_name() == LOCK || entry.file_name() == MARKER_TEMPORARY => {}
            Ok(_) => return DirectoryError::Foreign { path: path.into() },
            Err(source) => {
                return DirectoryError::Io { path: path.into(), source };
            }
        }
    }
    DirectoryError::Missing { path: path.into() }
}

pub(crate) fn make_directory(path: &Path) -> Result<(), DirectoryError> {
    let made = DirBuilder::new().mode(0o700).recursive(true).create(path);
    made.map_err(|source| DirectoryError::Io { path: path.into(), source })?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent),
        _ => sync_directory(Path::new(".")),
    }
}

pub(crate) fn sync_directory(path: &Path) -> Result<(), DirectoryError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| DirectoryError::Io { path: path.into(), source })
}

pub(crate) fn lock(path: &Path) -> Result<File, DirectoryError> {
    let lock_path = path.join(LOCK);
    let io_error = |source| DirectoryError::Io { path: lock_path.clone(), source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock_path)
        .map_err(io_error)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // The process is named if it can be; that it exists is certain.
            let _ = file.read_to_string(&mut text);
            return Err(DirectoryError::InUse { path: path.into(), pid: text.trim().parse().ok() });
        }
        Err(TryLockError::Error(source)) => return Err(io_error(source)),
    }
    file.set_len(0).map_err(io_error)?;
    file.rewind().map_err(io_error)?;
    writeln!(file, "{}", std::process::id()).map_err(io_error)?;
    Ok(file)
}

fn write_identity(path: &Path) -> Result<Identity, DirectoryError> {
    let identity = Identity::random();
    let identity = identity.map_err(|source| DirectoryError::Io { path: path.into(), source })?;
    write_marker(path, &identity)?;
    Ok(identity)
}

/// Marks the directory, durably: from here on it is a data directory.
pub(crate) fn write_marker(path: &Path, identity: &Identity) -> Result<(), DirectoryError> {
    let temporary = path.join(MARKER_TEMPORARY);
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(identity.to_marker().as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path.join(MARKER))
    };
    write().map_err(|source| DirectoryError::Io { path: path.into(), source })?;
    sync_directory(path)
}
