//! The text log of the seed: for people who have always read it.
//!
//! It has no sums and no numbers, so nothing can be proven or resumed from it.

use super::{Ending, escape};
use crate::check::finding::{Finding, Id};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::time::Duration;

/// In the first line of every run, after the header's name.
pub(super) const STARTED: &str = " Log Started: ";
/// How the first line begins.
pub(super) const HEADER: &str = "--- ";
/// Before the address that a worker asks.
pub(super) const SENDS: &str = "Mengirim permintaan ke ";
/// How times read, in local time.
const STAMP: &str = "%Y-%m-%d %H:%M:%S.%6f";

/// What a profile calls things in the seed's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedWords {
    /// In the first line, such as `Stock Checker`.
    pub header: String,
    /// What is begun: `Memulai 5 {all} secara concurrent.`
    pub all: String,
    /// What one worker does: `Memulai {each}: SKU-001`.
    pub each: String,
    /// What is done at the end: `Semua {done} selesai dalam 0.60 detik.`
    pub done: String,
}

/// Writes the lines of one run.
pub(super) struct SeedText {
    words: SeedWords,
    zone: TimeZone,
}

impl SeedText {
    /// Lines with the times of `zone`.
    pub(super) fn new(words: SeedWords, zone: TimeZone) -> SeedText {
        SeedText { words, zone }
    }

    /// The header, and that `total` lookups begin, if their number is known.
    pub(super) fn start(&self, total: Option<u64>, at: Timestamp, out: &mut Vec<u8>) {
        let SeedWords { header, all, .. } = &self.words;
        let stamp = self.stamp(at);
        let header = format!("{header}{STARTED}{stamp}");
        out.extend_from_slice(HEADER.as_bytes());
        escape::plain(&header, out);
        out.extend_from_slice(b" ---\n");
        let number = total.map(|total| format!("{total} ")).unwrap_or_default();
        self.main(at, &format!("Memulai {number}{all} secara concurrent."), out);
    }

    /// A worker begins with an id.
    pub(super) fn began(&self, index: u64, id: &Id, at: Timestamp, out: &mut Vec<u8>) {
        let text = format!("Memulai {}: {}", self.words.each, id.as_str());
        self.worker(index, at, &text, out);
    }

    /// It sends its request.
    pub(super) fn sent(&self, index: u64, url: &str, at: Timestamp, out: &mut Vec<u8>) {
        self.worker(index, at, &format!("{SENDS}{url}"), out);
    }

    /// It is done.
    pub(super) fn ended(&self, finding: &Finding, out: &mut Vec<u8>) {
        let at = finding.began_at.checked_add(finding.elapsed).unwrap_or(finding.began_at);
        self.worker(finding.index, at, &finding.message, out);
        let text = format!("Selesai {}: {}", self.words.each, finding.id.as_str());
        self.worker(finding.index, at, &text, out);
    }

    /// All are done, or no more is done.
    pub(super) fn end(&self, ending: &Ending, at: Timestamp, out: &mut Vec<u8>) {
        let SeedWords { done, .. } = &self.words;
        let seconds = seconds(ending.elapsed);
        let text = if ending.complete {
            format!("Semua {done} selesai dalam {seconds} detik.")
        } else {
            format!("{done} berhenti setelah {seconds} detik: {}", ending.reason)
        };
        self.main(at, &text, out);
    }

    fn main(&self, at: Timestamp, text: &str, out: &mut Vec<u8>) {
        self.line(at, "MainClient", text, out);
    }

    fn worker(&self, index: u64, at: Timestamp, text: &str, out: &mut Vec<u8>) {
        self.line(at, &format!("Worker-{index}"), text, out);
    }

    fn line(&self, at: Timestamp, who: &str, text: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("[{}] [{who}] ", self.stamp(at)).as_bytes());
        escape::plain(text, out);
        out.push(b'\n');
    }

    fn stamp(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime(STAMP).to_string()
    }
}

fn seconds(elapsed: Duration) -> String {
    format!("{:.2}", elapsed.as_secs_f64())
}
