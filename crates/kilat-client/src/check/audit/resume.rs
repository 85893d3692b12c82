//! Which run of a log is continued, and what it has done already.
//!
//! The log is read twice: for the newest run that fits, then for its ids and for damage. A line
//! that is damaged could have been of any run, so the chains of all runs are followed. Most of
//! that needs no lock; what was appended meanwhile is read under it.

use super::failure::Stop;
use super::lines::{Line, Lines};
use super::record::{Kind, Record, is_start};
use super::records::{Counts, Origin};
use super::strand::Strand;
use super::{Resumed, RunFacts, RunId, Seen};
use std::collections::HashMap;
use std::fs::File;
use std::io;

/// What has been read of a log so far.
pub(super) struct Past {
    root: RunId,
    /// All runs of the log.
    runs: HashMap<RunId, Run>,
    /// The one that went on last with the root, or the root itself.
    last: RunId,
    seen: Seen,
    done: Counts,
    /// Everything before it has been read, in bytes and lines.
    end: u64,
    lines: u64,
}

/// A run as far as it has been read.
struct Run {
    strand: Strand,
    root: RunId,
    ended: bool,
    continued: bool,
    counts: Counts,
}

impl Past {
    /// Reads the first `end` bytes of a log; `None` when no run in it fits.
    ///
    /// # Errors
    /// [`Stop::Usage`] when the log can't be read or is damaged.
    pub(super) fn read(file: &File, end: u64, facts: &RunFacts) -> Result<Option<Past>, Stop> {
        let Some(root) = newest(file, end, facts)? else { return Ok(None) };
        let (runs, done) = (HashMap::new(), Counts::default());
        let seen = Seen::in_temp_dir();
        let mut past = Past { root, runs, last: root, seen, done, end: 0, lines: 0 };
        past.read_on(file, end)?;
        Ok(Some(past))
    }

    /// Reads what has been appended since, up to `end`.
    ///
    /// # Errors
    /// As [`Past::read`].
    pub(super) fn read_on(&mut self, file: &File, end: u64) -> Result<(), Stop> {
        let mut lines = Lines::new(file, self.end, end);
        while let Some(line) = lines.next().map_err(|error| unreadable(&error))? {
            self.lines += 1;
            self.take(line)?;
        }
        self.end = end;
        Ok(())
    }

    /// By what the new run is tied to this past, and what it need not do again.
    pub(super) fn into_origin(self) -> (Option<Origin>, Resumed) {
        let Past { root, runs, last, seen, done, .. } = self;
        let origin = runs.get(&last).and_then(|Run { strand, .. }| {
            let n = strand.next.checked_sub(1)?;
            Some(Origin { root, run: last, n, sum: strand.sum })
        });
        (origin, Resumed { seen, root: Some(root), done })
    }

    /// Takes what a line says, if it goes on where its run was.
    fn take(&mut self, line: Line<'_>) -> Result<(), Stop> {
        let number = self.lines;
        let damaged = || damaged(number);
        let record = Record::read(line.bytes).filter(|_| line.whole).ok_or_else(damaged)?;
        if let Kind::Start { origin, .. } = &record.kind {
            self.start(record.run, origin.as_ref())?;
        }
        let run = self.runs.get_mut(&record.run).ok_or_else(damaged)?;
        if run.ended || run.continued {
            return Err(damaged());
        }
        run.strand.follow(&record).map_err(|_| damaged())?;
        run.note(&record).ok_or_else(damaged)?;
        if let Kind::Lookup { id, outcome, .. } = record.kind
            && run.root == self.root
        {
            if !self.seen.insert(id.as_bytes()).map_err(|error| unreadable(&error))? {
                return Err(damaged());
            }
            self.done.add(outcome);
        }
        Ok(())
    }

    /// A run begins, on its own or where another was.
    fn start(&mut self, run: RunId, origin: Option<&Origin>) -> Result<(), Stop> {
        let number = self.lines;
        let damaged = || damaged(number);
        if self.runs.contains_key(&run) {
            return Err(damaged());
        }
        if let Some(origin) = origin {
            let before = self.runs.get_mut(&origin.run).ok_or_else(damaged)?;
            let end = Strand { next: origin.n.saturating_add(1), sum: origin.sum };
            if before.strand != end || before.root != origin.root || before.continued {
                return Err(damaged());
            }
            before.continued = true;
        }
        let root = origin.map_or(run, |origin| origin.root);
        if root == self.root {
            self.last = run;
        }
        let (ended, continued, counts) = (false, false, Counts::default());
        self.runs.insert(run, Run { strand: Strand::default(), root, ended, continued, counts });
        Ok(())
    }
}

impl Run {
    /// Keeps what a record says of its run; `None` when it says what can't be.
    fn note(&mut self, record: &Record<'_>) -> Option<()> {
        let can_be = match &record.kind {
            Kind::Start { .. } => true,
            Kind::Lookup { outcome, synced, .. } => {
                self.counts.add(*outcome);
                synced.is_none_or(|synced| synced < record.n)
            }
            Kind::End { counts, .. } => {
                self.ended = true;
                *counts == self.counts
            }
        };
        can_be.then_some(())
    }
}

/// A line is not what was written there.
fn damaged(line: u64) -> Stop {
    Stop::Usage("audit.damaged", line.to_string())
}

pub(super) fn unreadable(error: &io::Error) -> Stop {
    Stop::Usage("audit.open", error.to_string())
}

/// Whether a run begins in this part of a log.
///
/// # Errors
/// [`Stop::Usage`] when it can't be read.
pub(super) fn begins(file: &File, from: u64, end: u64) -> Result<bool, Stop> {
    let mut lines = Lines::new(file, from, end);
    while let Some(line) = lines.next().map_err(|error| unreadable(&error))? {
        if is_start(line.bytes) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The first run of the newest that fits.
fn newest(file: &File, end: u64, facts: &RunFacts) -> Result<Option<RunId>, Stop> {
    let mut newest = None;
    let mut lines = Lines::new(file, 0, end);
    let mut number = 0;
    while let Some(line) = lines.next().map_err(|error| unreadable(&error))? {
        number += 1;
        if !is_start(line.bytes) {
            continue;
        }
        let record = Record::read(line.bytes).ok_or_else(|| damaged(number))?;
        let Kind::Start { profile, url, origin, .. } = record.kind else { continue };
        if profile == facts.profile && url == facts.url {
            newest = Some(origin.map_or(record.run, |origin| origin.root));
        }
    }
    Ok(newest)
}
