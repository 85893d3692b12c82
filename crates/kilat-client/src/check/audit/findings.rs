//! What all runs that went on with each other found, read back to show it together.

use super::failure::Stop;
use super::lines::Lines;
use super::record::{Kind, Record, is_start};
use super::resume::unreadable;
use super::{RunId, tail};
use crate::check::finding::{Finding, Id};
use crate::{ClientError, Lang};
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// What a record of an id says beside its outcome.
#[derive(Deserialize)]
struct Told {
    message: String,
    status: Option<u16>,
    attempts: u32,
    at: Timestamp,
    ms: f64,
    reply_ms: Option<f64>,
    #[serde(default)]
    notable: bool,
}

/// Hands over what `run` found and the runs that it goes on with, in the order of the log and
/// without rows. For a log that was followed when `run` began: damage is passed over.
///
/// # Errors
/// [`ClientError::Usage`] when the log can't be read.
pub(crate) fn findings_of(
    path: &Path,
    run: RunId,
    lang: Lang,
    take: impl FnMut(&Finding),
) -> Result<(), ClientError> {
    read(path, run, take).map_err(|stop| stop.into_error(path, lang))
}

fn read(path: &Path, run: RunId, mut take: impl FnMut(&Finding)) -> Result<(), Stop> {
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let size = file.metadata().map_err(|error| unreadable(&error))?.len();
    let end = tail::end(&file, size).map_err(|error| unreadable(&error))?;
    let roots = roots(&file, end)?;
    let root = roots.get(&run);
    let (mut lines, mut index) = (Lines::new(&file, 0, end), 0);
    while let Some(line) = lines.next().map_err(|error| unreadable(&error))? {
        let Some(record) = Record::read(line.bytes) else { continue };
        if roots.get(&record.run) == root
            && let Some(finding) = finding(&record, line.bytes, index)
        {
            take(&finding);
            index += 1;
        }
    }
    Ok(())
}

/// The first run of each run.
fn roots(file: &File, end: u64) -> Result<HashMap<RunId, RunId>, Stop> {
    let mut roots = HashMap::new();
    let mut lines = Lines::new(file, 0, end);
    while let Some(line) = lines.next().map_err(|error| unreadable(&error))? {
        let record = is_start(line.bytes).then(|| Record::read(line.bytes)).flatten();
        if let Some(Record { run, kind: Kind::Start { origin, .. }, .. }) = record {
            roots.insert(run, origin.map_or(run, |origin| origin.root));
        }
    }
    Ok(roots)
}

fn finding(record: &Record<'_>, line: &[u8], index: u64) -> Option<Finding> {
    let Kind::Lookup { id, outcome, .. } = &record.kind else { return None };
    let told: Told = serde_json::from_slice(line).ok()?;
    let span = |ms: f64| Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default();
    Some(Finding {
        index,
        id: Id::new(id)?,
        outcome: *outcome,
        message: told.message,
        status: told.status,
        attempts: told.attempts,
        began_at: told.at,
        elapsed: span(told.ms),
        reply_time: told.reply_ms.map(span),
        row: None,
        notable: told.notable,
    })
}
