//! What is known so far, between the thread that writes the log and whoever shows it.
//!
//! Takes a finding only once it is on disk: what a user sees or counts is never ahead of the log.

use super::change::{Change, Memory};
use super::rows::Rows;
use super::tally::{Counts, Tally};
use crate::Lang;
use crate::check::Finding;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What programs read of the findings, as they become durable.
pub(crate) type Out = Rows<Box<dyn Write + Send>>;

/// Shared by a run's threads.
pub(crate) struct Board {
    state: Mutex<State>,
    /// Under a lock of its own: who writes may have to wait for a reader, and who counts may not.
    written: Mutex<Written>,
    lang: Lang,
}

struct Written {
    rows: Out,
    /// Why no more is written.
    failed: Option<io::Error>,
}

struct State {
    tally: Tally,
    kept_max: usize,
    memory: Option<Memory>,
    changes: Vec<(u64, Change)>,
}

impl Board {
    /// Keeps the first `kept_max` findings of each kind; with `watches`, how each id ended.
    pub(crate) fn new(kept_max: usize, rows: Out, watches: bool, lang: Lang) -> Board {
        let state = State {
            tally: Tally::new(kept_max),
            kept_max,
            memory: watches.then(Memory::default),
            changes: Vec::new(),
        };
        Board {
            state: Mutex::new(state),
            written: Mutex::new(Written { rows, failed: None }),
            lang,
        }
    }

    /// Takes findings that are on disk. `false` when it turns out, once, that nobody reads the
    /// rows any more: what is checked from then on would be for nobody.
    pub(crate) fn take(&self, findings: &[Finding]) -> bool {
        self.count(findings);
        let mut written = self.written();
        let had_failed = written.failed.is_some();
        written.write(|rows| rows.write(findings));
        had_failed || written.failed.is_none()
    }

    fn count(&self, findings: &[Finding]) {
        let mut state = self.lock();
        let State { tally, memory, changes, .. } = &mut *state;
        for finding in findings {
            tally.add(finding);
            let change = memory.as_mut().and_then(|memory| memory.compare(finding, self.lang));
            changes.extend(change.map(|change| (finding.index, change)));
        }
    }

    /// Findings by outcome, so far.
    pub(crate) fn counts(&self) -> Counts {
        self.lock().tally.counts()
    }

    /// Ends a round: its findings, and the changes in it in the order of the ids.
    pub(crate) fn end_round(&self) -> (Tally, Vec<Change>) {
        let mut state = self.lock();
        let fresh = Tally::new(state.kept_max);
        let tally = std::mem::replace(&mut state.tally, fresh);
        let mut changes = std::mem::take(&mut state.changes);
        changes.sort_by_key(|(index, _)| *index);
        (tally, changes.into_iter().map(|(_, change)| change).collect())
    }

    /// Text for people; nothing where programs read.
    pub(crate) fn text(&self, text: &str) {
        self.written().write(|rows| rows.text(text));
    }

    /// One line of JSON after the findings; nothing in other forms.
    pub(crate) fn line(&self, text: &str) {
        self.written().write(|rows| rows.line(text));
    }

    /// Why nothing more can be written to `out`.
    pub(crate) fn failure(&self) -> Option<String> {
        self.written().failed.as_ref().map(io::Error::to_string)
    }

    /// The same, unless the reader went away, who has what it wanted.
    pub(crate) fn loss(&self) -> Option<String> {
        let written = self.written();
        let is_loss = |error: &&io::Error| error.kind() != io::ErrorKind::BrokenPipe;
        written.failed.as_ref().filter(is_loss).map(io::Error::to_string)
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere does not make counts wrong.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Written {
    /// Writes, unless that has failed before.
    fn write(&mut self, write: impl FnOnce(&mut Out) -> io::Result<()>) {
        if self.failed.is_none() {
            self.failed = write(&mut self.rows).err();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Outcome;
    use crate::check::show::sample::finding;

    /// A pipe whose reader went away.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_ends_the_rows_and_not_the_counts() {
        let rows = Rows::json(Box::new(Closed) as Box<dyn Write + Send>);
        let board = Board::new(0, rows, false, Lang::English);
        let found = finding(0, "a", Outcome::Found, "m");
        assert!(!board.take(std::slice::from_ref(&found)));
        assert!(board.take(&[found]), "told once");
        assert_eq!(board.counts().found, 2);
        assert!(board.failure().is_some());
    }

    #[test]
    fn changes_come_in_the_order_of_the_ids() {
        let board = Board::new(0, Rows::Text(Box::new(io::sink())), true, Lang::English);
        let round = |message: &str| {
            for (index, id) in [(1, "b"), (0, "a")] {
                assert!(board.take(&[finding(index, id, Outcome::Found, message)]));
            }
            board.end_round()
        };
        assert!(round("1").1.is_empty());
        let (tally, changes) = round("2");
        assert_eq!(tally.counts().found, 2, "each round counts anew");
        let ids: Vec<&str> = changes.iter().map(|change| change.id.as_str()).collect();
        assert_eq!(ids, ["a", "b"]);
    }
}
