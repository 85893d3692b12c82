//! What was found in a log, for people and for machines.

use super::fault::{Fault, What};
use crate::Lang;
use crate::check::audit::{Counts, RunId, escape};
use crate::lang::utc;
use jiff::Timestamp;
use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::Arc;

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

/// Most characters of an address that are shown.
const URL_CHARS_MAX: usize = 200;

/// What a run asked, as its first record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The profile's name.
    pub profile: String,
    /// The address, with the place of the id.
    pub url: String,
}

/// One run of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunChecked {
    /// The run.
    pub run: RunId,
    /// The run that it goes on with, from its very beginning; itself if it is new.
    pub root: RunId,
    /// How far it got.
    pub state: RunState,
    /// A line of it does not hold, so that nothing that it says can be trusted.
    pub damaged: bool,
    /// What it asked; `None` when its first record is missing.
    pub asked: Option<Arc<Asked>>,
    /// When it began, by its first record.
    pub at: Option<Timestamp>,
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
        let values: [(&str, &dyn Display); 3] =
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
    /// How far it got; then what it asked, when, and what came of it.
    fn text(&self, lang: Lang) -> String {
        let state = if self.damaged { "damaged" } else { self.state.name() };
        let [state, records, ids] = [
            lang.say(&format!("audit.state.{state}"), &[]),
            lang.number(self.records),
            lang.number(self.counts.total()),
        ];
        let seal = self.seal();
        let values: [(&str, &dyn Display); 5] = [
            ("run", &self.run),
            ("state", &state),
            ("records", &records),
            ("ids", &ids),
            ("seal", &seal),
        ];
        let asked = self.asked_text(lang).map(|text| format!("\n      {text}"));
        format!("  {}{}", lang.say("audit.verify.run", &values), asked.unwrap_or_default())
    }

    fn asked_text(&self, lang: Lang) -> Option<String> {
        let asked = self.asked.as_ref()?;
        let url: String = asked.url.chars().take(URL_CHARS_MAX).collect();
        let [profile, url] = [asked.profile.as_str(), &url].map(shown);
        let at = self.at.map(utc).unwrap_or_default();
        let Counts { found, not_found, unknown } = self.counts;
        let [found, not_found, unknown] = [found, not_found, unknown].map(|n| lang.number(n));
        let values: [(&str, &dyn Display); 6] = [
            ("profile", &profile),
            ("url", &url),
            ("at", &at),
            ("found", &found),
            ("not_found", &not_found),
            ("unknown", &unknown),
        ];
        Some(lang.say("audit.verify.asked", &values))
    }

    fn json(&self) -> serde_json::Value {
        let asked = self.asked.as_ref();
        serde_json::json!({
            "run": self.run.to_string(), "root": self.root.to_string(),
            "profile": asked.map(|asked| &asked.profile), "url": asked.map(|asked| &asked.url),
            "at": self.at.map(|at| at.to_string()), "state": self.state.name(),
            "damaged": self.damaged, "records": self.records, "found": self.counts.found,
            "not_found": self.counts.not_found, "unknown": self.counts.unknown,
            "seal": self.seal(),
        })
    }
}

/// Text from a log, as no terminal obeys it.
fn shown(text: &str) -> String {
    let mut plain = Vec::new();
    escape::plain(text, &mut plain);
    String::from_utf8_lossy(&plain).into_owned()
}
