//! What was found out so far, shared by the reader and the senders.

use super::OnInvalid;
use crate::events::courier::Halt;
use crate::events::receipt::Published;
use crate::{ClientError, Lang};
use serde::Serialize;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most findings that are shown and kept; further ones are only counted.
pub(crate) const FINDINGS_MAX: usize = 20;

/// One event that was not stored, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Name of the input; `-` for stdin.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// Character, from 1, where known.
    pub column: Option<u64>,
    /// `invalid` or `conflict`.
    pub fault: &'static str,
    /// What is wrong, in the reader's language.
    pub message: String,
}

impl Finding {
    /// `file:line:column: message`.
    pub(crate) fn sentence(&self) -> String {
        let column = self.column.map_or(String::new(), |column| format!("{column}:"));
        format!("{}:{}:{column} {}", self.file, self.line, self.message)
    }
}

/// Why publishing ended before the end of the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stop {
    /// One sentence, ready to show.
    pub message: String,
    #[serde(skip)]
    pub(crate) exit_code: u8,
}

impl Stop {
    pub(crate) fn of_error(error: &ClientError) -> Stop {
        Stop { message: error.to_string(), exit_code: error.exit_code() }
    }
}

/// Counts of events.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Lines with something on them.
    pub read: u64,
    pub stored: u64,
    pub duplicates: u64,
    pub conflicts: u64,
    pub invalid: u64,
}

/// Everything that was found out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub counts: Counts,
    pub findings: Vec<Finding>,
    pub stop: Option<Stop>,
    /// Findings that were shown.
    shown: usize,
}

pub(crate) struct Board {
    on_invalid: OnInvalid,
    lang: Lang,
    /// Set when a batch can't be delivered.
    pub halt: Halt,
    found: Mutex<Found>,
}

impl Board {
    pub(crate) fn new(on_invalid: OnInvalid, lang: Lang) -> Board {
        Board { on_invalid, lang, halt: Halt::default(), found: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read_one(&self) {
        self.lock().counts.read += 1;
    }

    /// A line that is no event; `true` to go on with the next one.
    pub(crate) fn mistake(&self, finding: Finding) -> bool {
        self.lock().counts.read += 1;
        self.refused(finding)
    }

    /// An event that is not valid; `true` to go on with the next one.
    pub(crate) fn refused(&self, finding: Finding) -> bool {
        let sentence = finding.sentence();
        let mut found = self.lock();
        found.counts.invalid += 1;
        found.keep(finding);
        if self.on_invalid == OnInvalid::Skip {
            return true;
        }
        let message = self.lang.say("publish.stopped_at", &[("where", &sentence)]);
        found.stop_with(Stop { message, exit_code: 1 });
        false
    }

    /// A batch, or a part of one, was acknowledged.
    pub(crate) fn acknowledged(&self, receipt: &Published, findings: Vec<Finding>) {
        let mut found = self.lock();
        found.counts.stored += receipt.stored;
        found.counts.duplicates += receipt.duplicates;
        found.counts.conflicts += receipt.conflicts;
        found.counts.invalid += receipt.invalid;
        for finding in findings {
            found.keep(finding);
        }
    }

    /// Whether more findings are of use.
    pub(crate) fn wants_findings(&self) -> bool {
        self.lock().findings.len() < FINDINGS_MAX
    }

    /// Ends the run, for the first reason that comes up.
    pub(crate) fn stop(&self, stop: Stop) {
        self.lock().stop_with(stop);
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Sentences about findings that were not shown yet.
    pub(crate) fn news(&self) -> Vec<String> {
        let mut found = self.lock();
        let news = found.findings[found.shown..].iter().map(Finding::sentence).collect();
        found.shown = found.findings.len();
        news
    }

    pub(crate) fn found(&self) -> Found {
        self.lock().clone()
    }
}

impl Found {
    fn keep(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }

    fn stop_with(&mut self, stop: Stop) {
        if self.stop.is_none() {
            self.stop = Some(stop);
        }
    }
}
