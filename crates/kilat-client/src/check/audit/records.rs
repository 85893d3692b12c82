//! The records of a JSON Lines log, as docs/formats/audit.md has them: written by hand, because a
//! record must cost less than a microsecond.

use super::chain::{AFTER_SUM, BEFORE_SUM, Sum};
use super::{Ending, RunFacts, RunId, escape, stamp};
use crate::check::finding::{Finding, Outcome};
use jiff::Timestamp;

/// Version of the format.
pub(super) const FORMAT: u32 = 1;
/// What writes them.
pub(super) const PROGRAM: &str = concat!("kilat ", env!("CARGO_PKG_VERSION"));
/// Longest message that is written whole, in bytes; a longer one is cut and ends with `…`.
const MESSAGE_BYTES_MAX: usize = 8 * 1024;

/// The last record of the run that is resumed, by which the new one is tied to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// The first run of them all.
    pub(super) root: RunId,
    /// The run that is continued.
    pub(super) run: RunId,
    /// Its last record.
    pub(super) n: u64,
    pub(super) sum: Sum,
}

/// How many ids ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ids that the API knows.
    pub found: u64,
    /// Ids that it does not know.
    pub not_found: u64,
    /// Ids of which nobody can say.
    pub unknown: u64,
}

impl Counts {
    /// Counts one more.
    pub(crate) fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Found => self.found += 1,
            Outcome::NotFound => self.not_found += 1,
            Outcome::Unknown => self.unknown += 1,
        }
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.found + self.not_found + self.unknown
    }
}

/// Writes the records of one run, one after the other.
pub(super) struct Records {
    run: RunId,
    /// `{"run":"…","n":`, the same in each.
    opening: Vec<u8>,
    /// Number of the next record.
    n: u64,
    sum: Sum,
    counts: Counts,
    times: stamp::Utc,
}

impl Records {
    /// The records of a new run.
    pub(super) fn new(run: RunId) -> Records {
        let opening = format!("{{\"run\":\"{run}\",\"n\":").into_bytes();
        let (sum, counts, times) = (Sum::default(), Counts::default(), stamp::Utc::default());
        Records { run, opening, n: 0, sum, counts, times }
    }

    pub(super) fn run(&self) -> RunId {
        self.run
    }

    /// How many there are so far.
    pub(super) fn written(&self) -> u64 {
        self.n
    }

    /// The sum of the last one.
    pub(super) fn sum(&self) -> Sum {
        self.sum
    }

    /// The first record, written by the program `by`.
    pub(super) fn start(
        &mut self,
        by: &str,
        facts: &RunFacts,
        origin: Option<&Origin>,
        at: Timestamp,
        out: &mut Vec<u8>,
    ) {
        let from = self.open(b"start", out);
        number(b"format", u64::from(FORMAT), out);
        string(b"by", by, out);
        string(b"profile", &facts.profile, out);
        string(b"url", &facts.url, out);
        string(b"lang", facts.lang.code(), out);
        if let Some(total) = facts.total {
            number(b"ids", total, out);
        }
        self.time(at, out);
        if let Some(Origin { root, run, n, sum }) = origin {
            let origin = format!(
                ",\"resumes\":{{\"root\":\"{root}\",\"run\":\"{run}\",\"n\":{n},\"sum\":\"{sum}\"}}"
            );
            out.extend_from_slice(origin.as_bytes());
        }
        self.seal(from, out);
    }

    /// A record of one id. `synced` is the last record of this run that is known to be on the
    /// device, if that is news.
    pub(super) fn lookup(&mut self, finding: &Finding, synced: Option<u64>, out: &mut Vec<u8>) {
        self.counts.add(finding.outcome);
        let from = self.open(b"lookup", out);
        string(b"id", finding.id.as_str(), out);
        string(b"outcome", finding.outcome.name(), out);
        if let Some(status) = finding.status {
            number(b"status", u64::from(status), out);
        }
        message(&finding.message, out);
        number(b"attempts", u64::from(finding.attempts), out);
        self.time(finding.began_at, out);
        key(b"ms", out);
        stamp::millis(finding.elapsed, out);
        if let Some(reply_time) = finding.reply_time {
            key(b"reply_ms", out);
            stamp::millis(reply_time, out);
        }
        if finding.notable {
            out.extend_from_slice(b",\"notable\":true");
        }
        if let Some(synced) = synced {
            number(b"synced", synced, out);
        }
        if let Some(row) = &finding.row {
            key(b"row", out);
            escape::raw_json(row.get(), out);
        }
        self.seal(from, out);
    }

    /// The last record.
    pub(super) fn end(&mut self, ending: &Ending, at: Timestamp, out: &mut Vec<u8>) {
        let from = self.open(b"end", out);
        key(b"complete", out);
        out.extend_from_slice(if ending.complete { b"true" } else { b"false" });
        if !ending.reason.is_empty() {
            string(b"reason", &ending.reason, out);
        }
        number(b"found", self.counts.found, out);
        number(b"not_found", self.counts.not_found, out);
        number(b"unknown", self.counts.unknown, out);
        number(b"requests", ending.requests, out);
        self.time(at, out);
        key(b"ms", out);
        stamp::millis(ending.elapsed, out);
        self.seal(from, out);
    }

    fn open(&self, kind: &[u8], out: &mut Vec<u8>) -> usize {
        let from = out.len();
        out.extend_from_slice(&self.opening);
        out.extend_from_slice(itoa::Buffer::new().format(self.n).as_bytes());
        key(b"kind", out);
        out.push(b'"');
        out.extend_from_slice(kind);
        out.push(b'"');
        from
    }

    fn time(&mut self, at: Timestamp, out: &mut Vec<u8>) {
        key(b"at", out);
        out.push(b'"');
        self.times.write(at, out);
        out.push(b'"');
    }

    fn seal(&mut self, from: usize, out: &mut Vec<u8>) {
        self.sum = self.sum.next(&out[from..]);
        self.n += 1;
        out.extend_from_slice(BEFORE_SUM);
        out.extend_from_slice(&self.sum.hex());
        out.extend_from_slice(AFTER_SUM);
        out.push(b'\n');
    }
}

fn key(name: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name);
    out.extend_from_slice(b"\":");
}

fn string(name: &[u8], text: &str, out: &mut Vec<u8>) {
    key(name, out);
    out.push(b'"');
    escape::json(text, out);
    out.push(b'"');
}

fn number(name: &[u8], number: u64, out: &mut Vec<u8>) {
    key(name, out);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn message(text: &str, out: &mut Vec<u8>) {
    if text.len() <= MESSAGE_BYTES_MAX {
        return string(b"message", text, out);
    }
    let cut = &text[..text.floor_char_boundary(MESSAGE_BYTES_MAX)];
    string(b"message", &format!("{cut}…"), out);
}
