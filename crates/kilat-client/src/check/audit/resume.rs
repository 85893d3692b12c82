//! Which run of a log is continued, and what it has done already.
//!
//! The log is read twice: for the newest run that fits, then from its beginning for its ids. Most
//! of that needs no lock; what was appended meanwhile is read under it.

use super::lines::{Line, Lines};
use super::open::Stop;
use super::record::{Kind, Record, is_start, run_bytes};
use super::records::{Counts, Origin};
use super::strand::Strand;
use super::{Resumed, RunFacts, RunId, Seen};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;

/// What has been read of a log so far.
pub(super) struct Past {
    root: RunId,
    /// The runs that go on with one another; there are as many as there were resumes, plus one.
    runs: HashMap<RunId, Strand>,
    /// The one that went on last.
    last: RunId,
    seen: Seen,
    done: Counts,
    /// Everything before it has been read, in bytes and lines.
    end: u64,
    lines: u64,
}

/// Where a run begins.
#[derive(Clone, Copy)]
struct Begin {
    offset: u64,
    line: u64,
}

impl Past {
    /// Reads the first `end` bytes of a log; `None` when no run in it fits.
    ///
    /// # Errors
    /// [`Stop::Usage`] when the log can't be read, or when what is to be continued is damaged.
    pub(super) fn read(
        file: &File,
        end: u64,
        facts: &RunFacts,
        directory: &Path,
    ) -> Result<Option<Past>, Stop> {
        let Some((root, begin)) = newest(file, end, facts)? else { return Ok(None) };
        let mut past = Past {
            root,
            runs: HashMap::new(),
            last: root,
            seen: Seen::new(directory),
            done: Counts::default(),
            end: begin.offset,
            lines: begin.line,
        };
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
            if self.is_ours(line.bytes) {
                self.take(line)?;
            }
        }
        self.end = end;
        Ok(())
    }

    /// By what the new run is tied to this past, and what it need not do again.
    pub(super) fn into_origin(self) -> (Option<Origin>, Resumed) {
        let Past { root, runs, last, seen, done, .. } = self;
        let origin = runs.get(&last).and_then(|strand| {
            let n = strand.next.checked_sub(1)?;
            Some(Origin { root, run: last, n, sum: strand.sum })
        });
        (origin, Resumed { seen, root: Some(root), done })
    }

    /// Whether a line belongs to one of the runs, or may be the first of another.
    fn is_ours(&self, line: &[u8]) -> bool {
        let run =
            run_bytes(line).and_then(|(run, _)| RunId::from_text(std::str::from_utf8(run).ok()?));
        run.is_some_and(|run| self.runs.contains_key(&run)) || is_start(line)
    }

    /// Takes what a line says, if it goes on where its run was.
    fn take(&mut self, line: Line<'_>) -> Result<(), Stop> {
        let damaged = || damaged(self.lines);
        let record = Record::read(line.bytes).ok_or_else(damaged)?;
        if let Kind::Start { origin, .. } = &record.kind {
            let fits = match origin {
                Some(origin) if origin.root == self.root => self.ends_with(origin),
                _ if record.run == self.root => origin.is_none(),
                _ => return Ok(()),
            };
            if !fits || self.runs.contains_key(&record.run) {
                return Err(damaged());
            }
            self.last = record.run;
        } else if record.run != self.last {
            // It was superseded and must have written nothing more.
            return Err(damaged());
        }
        let strand = self.runs.entry(record.run).or_default();
        strand.follow(&record).map_err(|_| damaged())?;
        if let Kind::Lookup { id, outcome, .. } = record.kind
            && self.seen.insert(id.as_bytes()).map_err(|error| unreadable(&error))?
        {
            self.done.add(outcome);
        }
        Ok(())
    }

    fn ends_with(&self, origin: &Origin) -> bool {
        origin.run == self.last
            && self.runs.get(&origin.run) == Some(&Strand { next: origin.n + 1, sum: origin.sum })
    }
}

/// A line is not what was written there.
fn damaged(line: u64) -> Stop {
    Stop::Usage("audit.damaged", line.to_string())
}

fn unreadable(error: &io::Error) -> Stop {
    Stop::Usage("audit.open", error.to_string())
}

/// The first run of the newest that fits, and where it begins.
fn newest(file: &File, end: u64, facts: &RunFacts) -> Result<Option<(RunId, Begin)>, Stop> {
    // As many as there are runs: nothing beside what the log itself takes.
    let mut begins = HashMap::new();
    let mut newest = None;
    let mut lines = Lines::new(file, 0, end);
    let mut number = 0;
    while let Some(line) = lines.next().map_err(|error| unreadable(&error))? {
        number += 1;
        if !is_start(line.bytes) {
            continue;
        }
        let record = Record::read(line.bytes).ok_or_else(|| damaged(number))?;
        let Kind::Start { profile, url, origin } = record.kind else { continue };
        if profile != facts.profile || url != facts.url {
            continue;
        }
        let root = origin.map_or(record.run, |origin| origin.root);
        if origin.is_none() {
            begins.insert(root, Begin { offset: line.offset, line: number - 1 });
        }
        newest = Some((root, number));
    }
    match newest {
        None => Ok(None),
        Some((root, number)) => {
            let begin = begins.get(&root).ok_or_else(|| damaged(number))?;
            Ok(Some((root, *begin)))
        }
    }
}
