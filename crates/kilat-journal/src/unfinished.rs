//! A data directory that is being made from what another one holds. Until it is finished it has no
//! marker, so nobody takes it for whole, and whoever is to make it again may clear it away.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::data_directory::{
    DirectoryError, Identity, LOCK, MARKER, lock, make_directory, sync_directory, write_marker,
};
use crate::storage::Directory;

/// What tells an unfinished directory from somebody else's.
pub(crate) const UNFINISHED: &str = "UNFINISHED";
const UNFINISHED_TEXT: &[u8] = b"kilat is filling this directory, or was and could not finish\n";

/// A data directory without a marker, locked by this process.
#[derive(Debug)]
pub struct UnfinishedDirectory {
    path: PathBuf,
    /// It did not exist before.
    made: bool,
    /// Held, not read.
    _lock: File,
}

impl UnfinishedDirectory {
    /// Makes the directory at `path` (mode 0700), or takes an empty one. What an earlier process
    /// could not finish there is removed.
    ///
    /// # Errors
    /// [`DirectoryError`]: `NotEmpty` leaves everything as it is.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, DirectoryError> {
        let path = path.into();
        let made = !path.exists();
        check_is_free(&path)?;
        make_directory(&path)?;
        let lock = lock(&path)?;
        // Another process may have been faster.
        check_is_free(&path)?;
        let this = Self { path, made, _lock: lock };
        this.write(UNFINISHED, UNFINISHED_TEXT)?;
        this.sync()?;
        this.clear(&[LOCK, UNFINISHED])?;
        Ok(this)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The new directory `name` inside. `name` is the caller's own word, never input.
    ///
    /// # Errors
    /// [`DirectoryError::Io`]
    pub fn directory(&self, name: &str) -> Result<Directory, DirectoryError> {
        let path = self.path.join(name);
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|source| DirectoryError::Io { path: path.clone(), source })?;
        Ok(Directory::new(path))
    }

    /// Writes the file `name`, readable by the owner only, durably.
    ///
    /// # Errors
    /// [`DirectoryError::Io`]
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DirectoryError> {
        let path = self.path.join(name);
        let write = || {
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(|source| DirectoryError::Io { path: path.clone(), source })
    }

    /// Makes the names in it durable, and then gives it its marker: from here on it is whole.
    ///
    /// # Errors
    /// [`DirectoryError::Io`]
    pub fn finish(self, identity: &Identity) -> Result<(), DirectoryError> {
        self.sync()?;
        write_marker(&self.path, identity)?;
        for name in [UNFINISHED, LOCK] {
            let path = self.path.join(name);
            fs::remove_file(&path).map_err(|source| DirectoryError::Io { path, source })?;
        }
        self.sync()
    }

    /// Removes what was made.
    ///
    /// # Errors
    /// [`DirectoryError::Io`]
    pub fn abandon(self) -> Result<(), DirectoryError> {
        // The sign that it is ours goes last.
        self.clear(&[LOCK, UNFINISHED])?;
        self.clear(&[])?;
        if !self.made {
            return Ok(());
        }
        fs::remove_dir(&self.path)
            .map_err(|source| DirectoryError::Io { path: self.path.clone(), source })
    }

    fn sync(&self) -> Result<(), DirectoryError> {
        sync_directory(&self.path)
    }

    fn clear(&self, kept: &[&str]) -> Result<(), DirectoryError> {
        let clear = || {
            for entry in fs::read_dir(&self.path)? {
                let entry = entry?;
                if kept.iter().any(|name| entry.file_name() == *name) {
                    continue;
                }
                if entry.file_type()?.is_dir() {
                    fs::remove_dir_all(entry.path())?;
                } else {
                    fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        };
        clear().map_err(|source: io::Error| DirectoryError::Io { path: self.path.clone(), source })
    }
}

/// Nothing is there, or only what could not be finished.
fn check_is_free(path: &Path) -> Result<(), DirectoryError> {
    let names = match fs::read_dir(path) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.file_name())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(DirectoryError::NotEmpty { path: path.into() });
        }
        Err(source) => return Err(DirectoryError::Io { path: path.into(), source }),
    };
    let names = names.collect::<io::Result<Vec<_>>>();
    let names = names.map_err(|source| DirectoryError::Io { path: path.into(), source })?;
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let is_free = names.iter().all(|name| name == LOCK) || (has(UNFINISHED) && !has(MARKER));
    if is_free { Ok(()) } else { Err(DirectoryError::NotEmpty { path: path.into() }) }
}
