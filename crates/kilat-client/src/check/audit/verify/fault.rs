//! What can be wrong with a line, and how it is said.

use crate::Lang;
use crate::check::audit::RunId;
use std::fmt::Display;

/// A line that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Counted from 1.
    pub(super) line: u64,
    pub(super) what: What,
}

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The line is no record.
    Unreadable,
    /// The first record of its run is missing.
    NoStart(RunId),
    /// A second first record.
    StartsTwice(RunId),
    /// Records are missing, from this one to the one before the line's.
    Missing { run: RunId, from: u64, to: u64 },
    /// A record with this number was there before.
    Repeated { run: RunId, n: u64 },
    /// The sum does not fit the record and the one before it.
    Changed { run: RunId, n: u64 },
    /// Its run had ended, or was continued by another.
    Late { run: RunId, n: u64 },
    /// It continues a record that is not the last of its run.
    Loose(RunId),
    /// The id has ended before, in this run or in one that it continues.
    Doubled(String),
    /// The last record counts what is not there.
    Counts(RunId),
    /// It calls a record durable that comes later.
    Claim { run: RunId, n: u64 },
    /// A line of text that is not of the form.
    Form,
    /// A worker that ends without having begun, or without a result.
    Worker(u64),
}

impl Fault {
    /// One sentence that names the line.
    pub(super) fn text(&self, lang: Lang) -> String {
        let (key, values): (&str, Vec<(&str, &dyn Display)>) = match &self.what {
            What::Unreadable => ("audit.fault.unreadable", vec![]),
            What::NoStart(run) => ("audit.fault.no_start", vec![("run", run)]),
            What::StartsTwice(run) => ("audit.fault.starts_twice", vec![("run", run)]),
            What::Missing { run, from, to } => {
                ("audit.fault.missing", vec![("run", run), ("from", from), ("to", to)])
            }
            What::Repeated { run, n } => ("audit.fault.repeated", vec![("run", run), ("n", n)]),
            What::Changed { run, n } => ("audit.fault.changed", vec![("run", run), ("n", n)]),
            What::Late { run, n } => ("audit.fault.late", vec![("run", run), ("n", n)]),
            What::Loose(run) => ("audit.fault.loose", vec![("run", run)]),
            What::Doubled(id) => ("audit.fault.doubled", vec![("id", id)]),
            What::Counts(run) => ("audit.fault.counts", vec![("run", run)]),
            What::Claim { run, n } => ("audit.fault.claim", vec![("run", run), ("n", n)]),
            What::Form => ("audit.fault.form", vec![]),
            What::Worker(index) => ("audit.fault.worker", vec![("index", index)]),
        };
        let line = lang.number(self.line);
        let mut all: Vec<(&str, &dyn Display)> = vec![("line", &line)];
        all.extend(values);
        lang.say(key, &all)
    }
}
