//! Backups of a data directory, taken while it is in use, and the way back.
//!
//! *Invariant:* in a backup the event log is never ahead of the ledger. The
//! event log's copies of facts are of durable frames of the ledger, so it is
//! copied first, and the ledger's journal, which by then holds all of those
//! frames, after it.
//!
//! What is derived (snapshots, the index) is not copied: it is made again.
//! Knows nothing of how secrets are kept; their files are named by the caller.
//!
#![doc = include_str!("../../../../docs/formats/backup.md")]

mod check;
mod manifest;
mod restore;
mod write;

pub use check::{BackupCheck, check_backup};
pub use manifest::{BackupManifest, FileRecord};
pub use restore::{Restored, restore};
pub use write::{BackedUp, BackupOptions, backup};

use kilat_journal::{BACKUP_MANIFEST, DirectoryError};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Told how many bytes more are done; says whether to go on.
pub type OnProgress<'a> = &'a mut dyn FnMut(u64) -> ControlFlow<()>;

/// Why there is no backup, or nothing was restored. What was begun was removed again.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The directory to read or to write can't be used: do what the message says.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Choose another target.
    #[error("{} exists already; choose another target, or remove it", .0.display())]
    Exists(PathBuf),
    /// Copy it as any other files.
    #[error("{} is a backup itself: copy it with any program that copies files", .0.display())]
    IsBackup(PathBuf),
    /// Choose the right path.
    #[error("{} is no backup: it has no {BACKUP_MANIFEST} that says what belongs to it; name a directory that kilat backup made", .0.display())]
    NoBackup(PathBuf),
    /// The operating system refused.
    #[error("{} can't be {doing} ({source}); {}", path.display(), remedy(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// Read or written.
        doing: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The journal could not be read, or its copy not be written.
    #[error("{0}")]
    Copy(String),
    /// Look at it with `kilat verify`.
    #[error("{0}")]
    Damaged(String),
    /// It was stopped.
    #[error("stopped; nothing was kept")]
    Stopped,
}

impl BackupError {
    /// Whether the caller has to ask for something else.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Directory(error) => !matches!(error, DirectoryError::Io { .. }),
            Self::Exists(_) | Self::IsBackup(_) | Self::NoBackup(_) => true,
            Self::Io { .. } | Self::Copy(_) | Self::Damaged(_) | Self::Stopped => false,
        }
    }

    fn reading(path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::io(path, "read")
    }

    fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::io(path, "written")
    }

    fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), doing, source }
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free space there, then retry",
        io::ErrorKind::PermissionDenied => "check its rights, or run as the user it belongs to",
        _ => "look at the disk, then retry",
    }
}

/// A progress that says to go on.
fn advance(on_progress: OnProgress<'_>, bytes: u64) -> Result<(), BackupError> {
    if on_progress(bytes).is_break() { Err(BackupError::Stopped) } else { Ok(()) }
}
