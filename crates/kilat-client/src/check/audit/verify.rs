//! `kilat verify LOG`: is every record of a log what was written, where it was written?
//!
//! Reads the log once, in memory that grows with the number of runs but not of lines. It shares
//! the reading of a record with the writer's side and nothing else.

use super::kind::{self, Kind as FileKind};
use super::lines::Lines;
use super::tail;
use crate::{ClientError, Lang};
use runs::Runs;
use std::fs::File;
use std::io;
use std::path::Path;

mod fault;
mod report;
mod runs;
mod text;

pub use report::{Checked, RunChecked, RunState};

/// Checks a log, of records or in the seed's text. With `seal`, a run must have exactly it.
///
/// # Errors
/// [`ClientError::Usage`] when it can't be read or is no log of Kilat.
pub fn verify(path: &Path, seal: Option<&str>, lang: Lang) -> Result<Checked, ClientError> {
    let usage = |key, why: String| {
        Err(ClientError::Usage(lang.say(key, &[("file", &path.display()), ("why", &why)])))
    };
    match check(path, seal) {
        Ok(Some(checked)) => Ok(checked),
        Ok(None) => usage("audit.no_log", String::new()),
        Err(error) => usage("audit.unreadable", error.to_string()),
    }
}

fn check(path: &Path, seal: Option<&str>) -> io::Result<Option<Checked>> {
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
        FileKind::Seed => text::check(Lines::new(&file, 0, end))?,
        _ => Runs::check(Lines::new(&file, 0, end), seal)?,
    };
    checked.torn_bytes = size - end;
    Ok(Some(checked))
}

/// Kind and size while nobody is in the middle of an append. A file system without locks, or a
/// file that is locked by something stopped, must not keep anybody from checking.
fn look(file: &File) -> io::Result<(FileKind, u64)> {
    let locked = super::file::lock_shared(file);
    let found = (kind::of(file)?, file.metadata()?.len());
    drop(locked);
    Ok(found)
}
