//! The result of publishing as data and as text. The JSON is stable: fields
//! are added, never renamed or removed.

use super::board::{Finding, Found, Stop};
use crate::Lang;
use crate::events::courier::Meter;
use serde::Serialize;
use std::time::Duration;

/// Version of the report's form.
const VERSION: u32 = 1;

/// What became of the events.
#[derive(Clone, Debug, Serialize)]
pub struct PublishReport {
    /// Version of this form, 1.
    pub version: u32,
    /// Everything was read, and every event is stored.
    pub complete: bool,
    /// Publishing was interrupted.
    pub cancelled: bool,
    /// Lines with something on them.
    pub read: u64,
    /// Events that are new in the log.
    pub stored: u64,
    /// Events that the log had already.
    pub duplicates: u64,
    /// Events whose id the log has with other content.
    pub conflicts: u64,
    /// Lines that are no event.
    pub invalid: u64,
    /// Batches that were sent again.
    pub retries: u64,
    /// From start to end.
    pub seconds: f64,
    /// Acknowledged events a second.
    pub events_per_second: f64,
    /// Why it ended before the end of the input.
    pub stop: Option<Stop>,
    /// Events that were not stored, the first 20.
    pub findings: Vec<Finding>,
    /// How to go on; `null` when there is nothing left.
    pub next: Option<String>,
}

impl PublishReport {
    pub(crate) fn new(
        found: Found,
        meter: &Meter,
        elapsed: Duration,
        cancelled: bool,
        next: Option<String>,
    ) -> Self {
        let counts = found.counts;
        let acknowledged = counts.stored + counts.duplicates + counts.conflicts;
        let seconds = elapsed.as_secs_f64();
        let complete =
            found.stop.is_none() && !cancelled && counts.conflicts == 0 && counts.invalid == 0;
        PublishReport {
            version: VERSION,
            complete,
            cancelled,
            read: counts.read,
            stored: counts.stored,
            duplicates: counts.duplicates,
            conflicts: counts.conflicts,
            invalid: counts.invalid,
            retries: Meter::read(&meter.retries),
            seconds,
            events_per_second: if seconds > 0.0 { acknowledged as f64 / seconds } else { 0.0 },
            stop: found.stop,
            findings: found.findings,
            next,
        }
    }

    /// 0 when every event is stored, 130 when interrupted, 2 for a mistake in
    /// the command, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match &self.stop {
            Some(stop) => stop.exit_code,
            None if self.cancelled => 130,
            None => u8::from(!self.complete),
        }
    }

    /// The report as one JSON document on several lines, with a newline at its end.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists only: nothing in it can fail to be written.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// The report for people, with a newline at its end.
    #[must_use]
    pub fn to_text(&self, lang: Lang) -> String {
        let number = |n: u64| lang.number(n);
        let summary = lang.say(
            "publish.summary",
            &[
                ("read", &number(self.read)),
                ("stored", &number(self.stored)),
                ("duplicates", &number(self.duplicates)),
                ("conflicts", &number(self.conflicts)),
                ("invalid", &number(self.invalid)),
                ("retries", &number(self.retries)),
                ("seconds", &lang.decimal(self.seconds)),
                ("rate", &number(self.events_per_second as u64)),
            ],
        );
        let stop = self.stop.as_ref().map(|stop| stop.message.clone());
        let lines = [Some(summary), stop, self.next.clone()];
        lines.into_iter().flatten().map(|line| line + "\n").collect()
    }
}
