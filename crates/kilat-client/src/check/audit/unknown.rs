//! The ids that a log says last to be unknown, to ask for them again.
//!
//! Of a log that is damaged none: what a changed line says of an id is nobody's answer.

use super::failure::Stop;
use super::kind::Kind as FileKind;
use super::lines::Lines;
use super::open::damaged_behind;
use super::record::{Kind, Record};
use super::resume::{Past, unreadable};
use super::verify::look;
use super::{RunFacts, tail};
use crate::ClientError;
use crate::check::finding::{Id, Outcome};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::Path;

/// Most ids that are taken from a log: they are held in memory.
const UNKNOWN_IDS_MAX: usize = 1_000_000;

/// Those of all runs with this profile and address, in the order in which they became unknown.
/// Since each id is judged by its last record, what an interrupted run did not come to stays.
///
/// # Errors
/// [`ClientError::Usage`] when the log can't be read, is damaged or has no such run, and when
/// there are too many.
pub(crate) fn unknown_ids(path: &Path, facts: &RunFacts) -> Result<Vec<Id>, ClientError> {
    read(path, facts).map_err(|stop| stop.into_error(path, facts.lang))
}

fn read(path: &Path, facts: &RunFacts) -> Result<Vec<Id>, Stop> {
    let none = || Stop::Usage("audit.unknown_from", String::new());
    let no_log = || Stop::Usage("audit.unknown_no_log", String::new());
    let closed = |error: io::Error| Stop::Usage("error.file_unreadable", error.to_string());
    let file = File::open(path).map_err(closed)?;
    if !file.metadata().map_err(closed)?.is_file() {
        return Err(no_log());
    }
    let (kind, size) = look(&file).map_err(closed)?;
    if kind != FileKind::Json {
        return Err(no_log());
    }
    let end = tail::end(&file, size).map_err(|error| unreadable(&error))?;
    if !tail::is_torn(&file, end, size).map_err(|error| unreadable(&error))? {
        return Err(damaged_behind(&file, end)?);
    }
    // What follows the chains of all runs finds damage.
    Past::read(&file, end, facts)?.ok_or_else(none)?;
    collect(&file, end, facts)
}

/// The ids whose last record in all runs of this profile and address says unknown.
fn collect(file: &File, end: u64, facts: &RunFacts) -> Result<Vec<Id>, Stop> {
    let mut runs = HashSet::new();
    let mut unknown: HashMap<String, u64> = HashMap::new();
    let mut lines = Lines::new(file, 0, end);
    while let Some(line) = lines.next().map_err(|error| unreadable(&error))? {
        let Some(record) = Record::read(line.bytes) else { continue };
        match record.kind {
            Kind::Start { profile, url, .. } if profile == facts.profile && url == facts.url => {
                runs.insert(record.run);
            }
            Kind::Lookup { id, outcome: Outcome::Unknown, .. } if runs.contains(&record.run) => {
                unknown.entry(id.into_owned()).or_insert(line.offset);
            }
            Kind::Lookup { id, .. } if runs.contains(&record.run) => {
                unknown.remove(id.as_ref());
            }
            _ => {}
        }
        if unknown.len() > UNKNOWN_IDS_MAX {
            return Err(Stop::Usage("audit.unknown_most", UNKNOWN_IDS_MAX.to_string()));
        }
    }
    let mut ids: Vec<(u64, String)> = unknown.into_iter().map(|(id, at)| (at, id)).collect();
    ids.sort_unstable();
    Ok(ids.iter().filter_map(|(_, id)| Id::new(id)).collect())
}
