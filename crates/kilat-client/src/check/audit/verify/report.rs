//! What was found in a log, for people and for machines.

use super::fault::{Fault, What};
use crate::Lang;
use crate::check::audit::{Counts, RunId};
use std::collections::VecDeque;

/// Faults that are named; the others are counted.
const FAULTS_NAMED_MAX: usize = 20;
/// Runs that are named: the newest.
const RUNS_NAMED_MAX: usize = 20;

/// How far a run got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// It has an end and did all that was asked.
    Complete,
    /// It has an end, but something was left to do.
    Incomplete,
    /// It has no end: it goes on still, or its process died.
    Open,
    /// It has no end, and another run goes on with it.
    Continued,
}

impl RunState {
    /// Its name in machine output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            RunState::Complete => "complete",
            RunState::Incomplete => "incomplete",
            RunState::Open => "open",
            RunState::Continued => "continued",
        }
    }
}

/// One run of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunChecked {
    /// The run.
    pub run: RunId,
    /// The run that it goes on with, from its very beginning; itself if it is new.
    pub root: RunId,
    /// How far it got.
    pub state: RunState,
    /// Its records.
    pub records: u64,
    /// How its ids ended.
    pub counts: Counts,
    /// Sum of its last record, 16 bytes; the seal if it has ended.
    pub(super) sum: crate::check::audit::chain::Sum,
}

impl RunChecked {
    /// Sum of its last record; its seal once it has ended.
    #[must_use]
    pub fn seal(&self) -> String {
        self.sum.to_string()
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Whole lines.
    pub lines: u64,
    /// Runs.
    pub runs: u64,
    /// Runs without an end that no other goes on with.
    pub open_runs: u64,
    /// How all ids ended.
    pub counts: Counts,
    /// Bytes at the end that are no whole line: somebody died there. They were never reported as
    /// durable, and the next run removes them.
    pub torn_bytes: u64,
    /// The newest runs, the newest last; none for the seed's text.
    pub newest: VecDeque<RunChecked>,
    /// The seal that was asked for is that of a run.
    pub sealed: Option<bool>,
    /// It is the seed's text, whose lines carry no sums: a change can't be seen in it.
    pub is_text: bool,
    /// Lines that do not hold.
    pub faults: u64,
    pub(super) named: Vec<Fault>,
}

impl Checked {
    /// Something is there, and nothing of it is missing, changed, added or doubled, as far as can
    /// be told.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.faults == 0 && self.sealed != Some(false) && !self.is_void()
    }

    /// There is no run that could hold.
    fn is_void(&self) -> bool {
        self.runs == 0 && !self.is_text
    }

    pub(super) fn fault(&mut self, line: u64, what: What) {
        self.faults += 1;
        if self.named.len() < FAULTS_NAMED_MAX {
            self.named.push(Fault { line, what });
        }
    }

    pub(super) fn keeps(&self) -> bool {
        self.newest.len() < RUNS_NAMED_MAX
    }

    /// What was found, for people: several lines, each with its newline.
    #[must_use]
    pub fn text(&self, lang: Lang) -> String {
        let number = |number| lang.number(number);
        let mut lines = vec![lang.say(
            "audit.verify.read",
            &[("lines", &number(self.lines)), ("runs", &number(self.runs))],
        )];
        lines.extend(self.counts_text(lang));
        lines.extend(self.newest.iter().map(|run| run.text(lang)));
        let faults = self.named.iter().map(|fault| format!("  ✗ {}", fault.text(lang)));
        lines.extend(faults);
        let unnamed = self.faults - self.named.len() as u64;
        if unnamed > 0 {
            lines.push(format!(
                "  ✗ {}",
                lang.say("audit.verify.more", &[("count", &number(unnamed))])
            ));
        }
        if self.open_runs > 0 {
            lines.push(lang.say("audit.verify.open", &[("runs", &number(self.open_runs))]));
        }
        if self.torn_bytes > 0 {
            lines.push(lang.say("audit.verify.torn", &[("bytes", &number(self.torn_bytes))]));
        }
        lines.push(lang.say(self.verdict(), &[("faults", &number(self.faults))]));
        lines.join("\n") + "\n"
    }

    /// How the ids ended, as the lines say; the seed's text does not say it in one way.
    fn counts_text(&self, lang: Lang) -> Option<String> {
        let Counts { found, not_found, unknown } = self.counts;
        let key = match self.faults {
            _ if self.is_text => return None,
            0 => "audit.verify.counts",
            _ => "audit.verify.counts_damaged",
        };
        let [found, not_found, unknown] = [found, not_found, unknown].map(|n| lang.number(n));
        let values: [(&str, &dyn std::fmt::Display); 3] =
            [("found", &found), ("not_found", &not_found), ("unknown", &unknown)];
        Some(lang.say(key, &values))
    }

    fn verdict(&self) -> &'static str {
        match self.sealed {
            _ if self.faults > 0 => "audit.verify.damaged",
            Some(false) => "audit.verify.other_seal",
            Some(true) => "audit.verify.sealed",
            None if self.is_void() => "audit.verify.void",
            None if self.is_text => "audit.verify.text",
            // An end that was cut off looks like a process that died.
            None if self.open_runs > 0 => "audit.verify.holds_so_far",
            None => "audit.verify.holds",
        }
    }

    /// What was found, for machines.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let runs: Vec<_> = self.newest.iter().map(RunChecked::json).collect();
        let faults: Vec<_> = self
            .named
            .iter()
            .map(|fault| {
                serde_json::json!({ "line": fault.line, "message": fault.text(Lang::English) })
            })
            .collect();
        // Of the seed's text it is not known how ids ended.
        let known = |count: u64| (!self.is_text).then_some(count);
        serde_json::json!({
            "holds": self.holds(), "lines": self.lines, "runs": self.runs,
            "open_runs": self.open_runs, "found": known(self.counts.found),
            "not_found": known(self.counts.not_found), "unknown": known(self.counts.unknown),
            "torn_bytes": self.torn_bytes, "sealed": self.sealed, "newest": runs,
            "faults": self.faults, "named": faults,
        })
    }
}

impl RunChecked {
    fn text(&self, lang: Lang) -> String {
        let state = lang.say(&format!("audit.state.{}", self.state.name()), &[]);
        let seal = self.seal();
        let seal: &dyn std::fmt::Display = &seal;
        format!(
            "  {}",
            lang.say(
                "audit.verify.run",
                &[
                    ("run", &self.run),
                    ("state", &state),
                    ("records", &lang.number(self.records)),
                    ("ids", &lang.number(self.counts.total())),
                    ("seal", seal),
                ],
            )
        )
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "run": self.run.to_string(), "root": self.root.to_string(),
            "state": self.state.name(), "records": self.records, "found": self.counts.found,
            "not_found": self.counts.not_found, "unknown": self.counts.unknown,
            "seal": self.seal(),
        })
    }
}
