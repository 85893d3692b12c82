//! `kilat verify LOG`: is every record of a log what was written, where it was written?
//!
//! Reads the log once, in memory that grows with the number of runs but not of lines. It shares
//! the reading of a record with the writer's side and nothing else.

use super::chain::Sum;
use super::kind::{self, Kind as FileKind};
use super::lines::Lines;
use super::tail;
use crate::{ClientError, Lang};
use fault::What;
use runs::Runs;
use std::fs::File;
use std::io;
use std::path::Path;

mod fault;
mod report;
mod runs;
mod text;

pub use report::{Asked, Checked, RunChecked, RunState};

/// Checks a log, of records or in the seed's text. With `seal`, a run must have exactly it.
///
/// # Errors
/// [`ClientError::Usage`] when it can't be read or is no log of Kilat, when `seal` is none, or
/// when there is no room for the ids of a long log.
pub fn verify(path: &Path, seal: Option<&str>, lang: Lang) -> Result<Checked, ClientError> {
    let usage = |key, why: String| {
        Err(ClientError::Usage(lang.say(key, &[("file", &path.display()), ("why", &why)])))
    };
    let seal = match seal.map(seal_of) {
        Some(None) => return usage("audit.no_seal", String::new()),
        seal => seal.flatten(),
    };
    match check(path, seal) {
        Ok(Some(checked)) => Ok(checked),
        Ok(None) => usage("audit.no_log", String::new()),
        Err(Unverified::Log(error)) => usage("audit.unreadable", error.to_string()),
        Err(Unverified::Room(error)) => {
            let directory = std::env::temp_dir();
            let why: &dyn std::fmt::Display = &error;
            let values = [("directory", &directory.display() as _), ("why", why)];
            Err(ClientError::Usage(lang.say("audit.no_room", &values)))
        }
    }
}

/// What keeps a log from being checked.
enum Unverified {
    /// It can't be read.
    Log(io::Error),
    /// There is no room for the ids that memory does not hold.
    Room(io::Error),
}

impl From<io::Error> for Unverified {
    fn from(error: io::Error) -> Unverified {
        Unverified::Log(error)
    }
}

/// Reads a seal as people copy it: in either case, with spaces around it.
fn seal_of(text: &str) -> Option<Sum> {
    Sum::from_hex(text.trim().to_ascii_lowercase().as_bytes())
}

fn check(path: &Path, seal: Option<Sum>) -> Result<Option<Checked>, Unverified> {
    if !path.metadata()?.is_file() {
        return Ok(None);
    }
    let file = File::open(path)?;
    let (kind, size) = look(&file)?;
    let end = match kind {
        FileKind::Foreign => return Ok(None),
        FileKind::Empty => 0,
        // Zeros at the beginning are damage, whatever they were.
        FileKind::Headless => tail::end_of_lines(&file, 0, size)?,
        FileKind::Json | FileKind::Seed => tail::end(&file, size)?,
    };
    let mut checked = match kind {
        // Text has no sums, so no run in it has the seal.
        FileKind::Seed => {
            Checked { sealed: seal.map(|_| false), ..text::check(Lines::new(&file, 0, end))? }
        }
        _ => Runs::check(Lines::new(&file, 0, end), seal)?,
    };
    if kind == FileKind::Json && !tail::is_torn(&file, end, size)? {
        checked.fault(checked.lines + 1, What::Unreadable);
    } else {
        checked.torn_bytes = size - end;
    }
    Ok(Some(checked))
}

/// Kind and size while nobody is in the middle of an append. A file system without locks, or a
/// file that is locked by something stopped, must not keep anybody from checking.
pub(super) fn look(file: &File) -> io::Result<(FileKind, u64)> {
    let locked = super::file::lock_shared(file);
    let found = (kind::of(file)?, file.metadata()?.len());
    drop(locked);
    Ok(found)
}
