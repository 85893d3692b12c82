//! The result of a check as data. Its JSON is stable: fields are added, never renamed or
//! removed, and no language changes it but for the sentences in it.

use super::tally::{Counts, Tally};
use crate::latency::{Latency, LatencyBucket, classes};
use jiff::Timestamp;
use serde::Serialize;

/// Version of the report's form.
pub(crate) const REPORT_VERSION: u32 = 1;

/// What one run of a check came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this form, 1.
    pub version: u32,
    /// The profile's name.
    pub profile: String,
    /// Where it was asked.
    pub url: String,
    /// Marks this run in the log.
    pub run: String,
    /// When the run began.
    pub started_at: Timestamp,
    /// Every id has ended.
    pub complete: bool,
    /// It was interrupted.
    pub cancelled: bool,
    /// Why it ended before every id had; `null` when it did not.
    pub reason: Option<String>,
    /// What to do when nobody was there to be asked; `null` when somebody was.
    pub hint: Option<String>,
    /// How to go on; `null` when there is nothing left.
    pub next: Option<String>,
    /// Ids that ended in this run.
    pub ids: u64,
    /// Of these: the API knows it.
    pub found: u64,
    /// Of these: the API does not know it.
    pub not_found: u64,
    /// Of these: nobody can say.
    pub unknown: u64,
    /// Of these: the profile says that people should see it.
    pub notable: u64,
    /// Ids that had ended in earlier runs.
    pub resumed: Resumed,
    /// Ids that were passed over: they came again, or had ended in earlier runs.
    pub skipped: u64,
    /// From the first id to the last record on disk.
    pub seconds: f64,
    /// The least that it could have taken: the slowest reply, or the time of all replies
    /// divided by how many were awaited at once.
    pub floor_seconds: f64,
    /// What went over the wire.
    pub traffic: Traffic,
    /// Times of the replies that decided, in microseconds; `null` when none came.
    pub latency_us: Option<Latency>,
    /// The audit log.
    pub log: String,
    /// Pins every record of this run; `kilat verify` prints it again. `null` for a log
    /// without checksums.
    pub seal: Option<String>,
    /// It ended because of something in its input, which has to be mended before it can go on.
    #[serde(skip)]
    pub(crate) usage: bool,
    /// Latencies by class, for the chart.
    #[serde(skip)]
    pub(crate) latency_buckets: Vec<LatencyBucket>,
}

/// Ids that had ended in earlier runs of the same check.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Resumed {
    /// The API knows it.
    pub found: u64,
    /// The API does not know it.
    pub not_found: u64,
    /// Nobody could say.
    pub unknown: u64,
}

/// What went over the wire.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Traffic {
    /// Requests sent.
    pub requests: u64,
    /// Requests sent again after a setback.
    pub retries: u64,
    /// Requests sent a second time because the first was slow.
    pub hedges: u64,
    /// Replies that asked for less: 429, 503 and the like.
    pub pushbacks: u64,
    /// Most requests under way at once.
    pub in_flight_most: u64,
}

impl Resumed {
    /// All of them.
    #[must_use]
    pub fn all(self) -> u64 {
        self.found + self.not_found + self.unknown
    }
}

impl Report {
    /// Puts the figures of `tally` into the report.
    pub(crate) fn count(&mut self, tally: &Tally) {
        let Counts { found, not_found, unknown, notable } = tally.counts();
        self.ids = tally.counts().all();
        (self.found, self.not_found, self.unknown) = (found, not_found, unknown);
        self.notable = notable;
        let replies = tally.replies_us();
        if !replies.is_empty() {
            self.latency_us = Some(Latency::of(replies));
            self.latency_buckets = classes(replies);
        }
    }

    /// 0 when every id ended and is known, 130 when interrupted, 2 when something in the input
    /// has to be mended, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            _ if self.cancelled => 130,
            _ if self.usage => 2,
            _ => u8::from(!self.complete || self.unknown + self.resumed.unknown > 0),
        }
    }

    /// The last line of `--json`: `{"summary":{…}}`.
    pub(crate) fn to_json_line(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            summary: &'a Report,
        }
        // Strings, numbers and lists only: nothing in it can fail to be written.
        serde_json::to_string(&Line { summary: self }).unwrap_or_default()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A report of `tally`.
    pub(crate) fn report(tally: &Tally) -> Report {
        let mut report = Report {
            version: REPORT_VERSION,
            profile: "stock".to_owned(),
            url: "http://127.0.0.1:5000/get_stock?sku={id}".to_owned(),
            run: "r".to_owned(),
            started_at: Timestamp::UNIX_EPOCH,
            complete: true,
            cancelled: false,
            reason: None,
            hint: None,
            next: None,
            ids: 0,
            found: 0,
            not_found: 0,
            unknown: 0,
            notable: 0,
            resumed: Resumed::default(),
            skipped: 0,
            seconds: 4.41,
            floor_seconds: 4.4,
            traffic: Traffic::default(),
            latency_us: None,
            log: "kilat-check-stock.jsonl".to_owned(),
            seal: Some("5ea1".to_owned()),
            usage: false,
            latency_buckets: Vec::new(),
        };
        report.count(tally);
        report
    }

    #[test]
    fn unknown_or_incomplete_or_interrupted_shows_in_the_exit_code() {
        let base = report(&Tally::new(0));
        for (expected, report) in [
            (0, base.clone()),
            (0, Report { found: 1, not_found: 1, notable: 1, ..base.clone() }),
            (1, Report { unknown: 1, ..base.clone() }),
            (1, Report { complete: false, ..base.clone() }),
            (1, Report { resumed: Resumed { unknown: 1, ..Resumed::default() }, ..base.clone() }),
            (2, Report { complete: false, usage: true, ..base.clone() }),
            (130, Report { complete: false, cancelled: true, unknown: 1, ..base.clone() }),
        ] {
            assert_eq!(report.exit_code(), expected, "{report:?}");
        }
    }
}
