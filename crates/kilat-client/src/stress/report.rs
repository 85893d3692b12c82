//! The result of a stress run as data. Its JSON is stable: fields are added,
//! never renamed or removed, and no language changes it.

use super::flood::Aftermath;
use super::options::Plan;
use super::verify::Verdict;
use crate::attack::{Check, CheckResult};
use crate::events::Stats;
use crate::events::courier::Meter;
use serde::Serialize;

/// Version of the report's form.
const VERSION: u32 = 1;

/// Everything that a run found out.
#[derive(Clone, Debug, Serialize)]
pub struct StressReport {
    /// Version of this form, 1.
    pub version: u32,
    /// Every check passed.
    pub verified: bool,
    /// The run was stopped early; what was delivered until then is verified.
    pub cancelled: bool,
    /// Others published at the same time: the totals are held against lower bounds only.
    pub others_published: bool,
    /// When the first batch was sent.
    pub started_at: jiff::Timestamp,
    /// From the first batch to the last answer.
    pub seconds: f64,
    /// Acknowledged deliveries a second.
    pub events_per_second: f64,
    /// What was asked for.
    pub setup: Setup,
    /// What became of the deliveries.
    pub deliveries: Deliveries,
    /// Events of the run that were read back, each counted once.
    pub events_found: u64,
    /// What went over the wire.
    pub traffic: Traffic,
    /// From the first attempt of a batch to its answer.
    pub latency_us: Latency,
    /// The counters before the first batch.
    pub before: Stats,
    /// The counters after the last one; `null` when they could not be read.
    pub after: Option<Stats>,
    /// What was verified.
    pub checks: Vec<Check>,
}

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub struct Setup {
    /// Base address of the server.
    pub url: String,
    /// The topic of all events.
    pub topic: String,
    /// Marks this run's events (`<run>-<number>`).
    pub run: String,
    /// What order, duplicates and payloads followed from.
    pub seed: u64,
    /// Deliveries, duplicates included.
    pub events: u64,
    /// Different events among them.
    pub unique: u64,
    /// Part of the deliveries that repeat an event, in percent.
    pub duplicates: f64,
    /// Events of a batch.
    pub batch: u64,
    /// Connections.
    pub connections: u32,
    /// Replies carried counts only.
    pub minimal: bool,
}

/// What became of the deliveries.
#[derive(Clone, Debug, Serialize)]
pub struct Deliveries {
    /// Deliveries with an answer.
    pub acknowledged: u64,
    /// Told to be new.
    pub stored: u64,
    /// Told to be known.
    pub duplicates: u64,
    /// Told to have other content than the stored event.
    pub conflicts: u64,
    /// Attempted deliveries that may have been taken although no answer came.
    pub lost: u64,
}

/// What went over the wire.
#[derive(Clone, Debug, Serialize)]
pub struct Traffic {
    /// Requests sent.
    pub requests: u64,
    /// Answers of any kind.
    pub replies: u64,
    /// Batches that were sent again.
    pub retries: u64,
    /// Requests without an answer.
    pub silences: u64,
    /// 408, 429 and 5xx.
    pub not_now: u64,
}

/// Latencies of batches in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// Half of the batches were answered within this.
    pub p50: u64,
    /// 99 %.
    pub p99: u64,
    /// All of them.
    pub max: u64,
}

impl StressReport {
    /// The report as one JSON document on several lines, with a newline at its end.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists only: nothing in it can fail to be written.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// Puts the result together.
pub(crate) fn write(
    plan: &Plan,
    started_at: jiff::Timestamp,
    before: Stats,
    aftermath: &Aftermath,
    verdict: Verdict,
) -> StressReport {
    let seconds = aftermath.elapsed.as_secs_f64();
    let rate = if seconds > 0.0 { aftermath.acknowledged as f64 / seconds } else { 0.0 };
    StressReport {
        version: VERSION,
        verified: verdict.checks.iter().all(|check| check.result == CheckResult::Passed),
        cancelled: aftermath.cancelled,
        others_published: verdict.others,
        started_at,
        seconds,
        events_per_second: rate,
        setup: setup(plan),
        deliveries: Deliveries {
            acknowledged: aftermath.acknowledged,
            stored: aftermath.stored,
            duplicates: aftermath.duplicates,
            conflicts: aftermath.conflicts,
            lost: aftermath.lost,
        },
        events_found: verdict.found,
        traffic: Traffic {
            requests: Meter::read(&aftermath.meter.requests),
            replies: Meter::read(&aftermath.meter.replies),
            retries: Meter::read(&aftermath.meter.retries),
            silences: Meter::read(&aftermath.meter.silences),
            not_now: Meter::read(&aftermath.meter.not_now),
        },
        latency_us: Latency {
            p50: aftermath.latency_us.value_at_quantile(0.5),
            p99: aftermath.latency_us.value_at_quantile(0.99),
            max: aftermath.latency_us.max(),
        },
        before,
        after: verdict.after,
        checks: verdict.checks,
    }
}

fn setup(plan: &Plan) -> Setup {
    Setup {
        url: plan.url.clone(),
        topic: plan.topic.clone(),
        run: plan.run.clone(),
        seed: plan.seed,
        events: plan.deck.deliveries(),
        unique: plan.deck.events(),
        duplicates: plan.duplicates,
        batch: plan.batch,
        connections: plan.connections,
        minimal: plan.minimal,
    }
}
