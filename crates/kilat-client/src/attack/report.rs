//! The result of an attack as data. Its JSON is stable: fields are added, never
//! renamed or removed, and no language changes it.

use super::generator::Aftermath;
use super::options::Plan;
use super::proof::{Check, CheckResult, Proof};
use super::tally::{Setback, Tally};
use crate::latency::{Latency, LatencyBucket, classes};
use kilat_api::audit::Audit;
use serde::Serialize;
use std::collections::BTreeMap;

/// Version of the report's form.
pub(crate) const REPORT_VERSION: u32 = 1;

/// Everything that an attack found out.
#[derive(Clone, Debug, Serialize)]
pub struct AttackReport {
    /// Version of this form, 1.
    pub version: u32,
    /// Every check passed or could not be made, the sale could be read, and there was something
    /// to prove: an order was accepted, or the sale was sold out and buyers were told so.
    pub proven: bool,
    /// The attack was stopped early; what was done until then is proven.
    pub cancelled: bool,
    /// Whether the sale that was made for the attack was closed afterwards; `null` when none was.
    pub rehearsal_closed: Option<bool>,
    /// When the first order was sent.
    pub started_at: jiff::Timestamp,
    /// From the first order to the last answer.
    pub seconds: f64,
    /// What was asked for.
    pub setup: Setup,
    /// What became of the orders.
    pub orders: Orders,
    /// What went over the wire.
    pub traffic: Traffic,
    /// From an order's intended start to its answer, retries included.
    pub latency_us: Latency,
    /// The figures before the first order.
    pub before: Audit,
    /// The figures after the last one; `null` when they could not be read.
    pub after: Option<Audit>,
    /// What was proven.
    pub checks: Vec<Check>,
    /// Latencies by class, for charts.
    pub latency_buckets: Vec<LatencyBucket>,
    /// Length of a step of `timeline`.
    pub timeline_step_ms: u64,
    /// Orders over time, for charts.
    pub timeline: Vec<TimelineStep>,
}

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub struct Setup {
    /// Base address of the server.
    pub url: String,
    /// The sale that was stormed.
    pub sale: String,
    /// The attack made the sale itself.
    pub rehearsal: bool,
    /// Marks this run's customers (`buyer-<number>-<run>`) and keys (`<run>-<number>`).
    pub run: String,
    /// What the choice of replayed and held orders followed from.
    pub seed: u64,
    /// Buyers, each a customer of its own.
    pub buyers: u32,
    /// Units of each order.
    pub quantity: u32,
    /// Connections.
    pub connections: u32,
    /// Orders per second of an open loop; `null` for a closed loop.
    pub rate: Option<f64>,
    /// Fraction of acknowledged orders sent again on purpose.
    pub replay: f64,
    /// Fraction of orders that held first.
    pub hold: f64,
}

/// What became of the orders.
#[derive(Clone, Debug, Serialize)]
pub struct Orders {
    /// Orders that were started.
    pub intended: u64,
    /// Orders with a 2xx.
    pub acknowledged: u64,
    /// Orders with a no that a buyer accepts.
    pub refused: u64,
    /// Orders without an answer, also after asking again at the end.
    pub unknown: u64,
    /// Refusals by code.
    pub refusals: BTreeMap<&'static str, u64>,
}

/// What went over the wire.
#[derive(Clone, Debug, Serialize)]
pub struct Traffic {
    /// Requests sent.
    pub requests: u64,
    /// Replies received.
    pub replies: u64,
    /// Replies per second.
    pub replies_per_second: f64,
    /// Requests that were sent again after a setback.
    pub retries: u64,
    /// Connections made.
    pub connects: u64,
    /// Attempts without a reply in time.
    pub timeouts: u64,
    /// Attempts whose connection broke.
    pub resets: u64,
    /// Attempts without a connection.
    pub connections_refused: u64,
    /// 429.
    pub throttled: u64,
    /// 408, 502, 503, 504.
    pub unavailable: u64,
    /// 500, and replies that break the contract.
    pub server_faults: u64,
    /// Replies by node.
    pub nodes: BTreeMap<String, u64>,
}

/// Orders settled, and setbacks, during one step of time.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TimelineStep {
    /// Acknowledged orders.
    pub acknowledged: u64,
    /// Refused orders.
    pub refused: u64,
    /// Attempts that failed.
    pub setbacks: u64,
}

impl AttackReport {
    /// Whether everything that could be checked holds. A command exits with 1 otherwise.
    #[must_use]
    pub fn proven(&self) -> bool {
        self.proven
    }

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
    before: Audit,
    aftermath: &Aftermath,
    proof: Proof,
) -> AttackReport {
    let tally = &aftermath.witness.tally;
    let is_whole = proof.checks.iter().all(|check| check.result != CheckResult::Failed);
    AttackReport {
        version: REPORT_VERSION,
        proven: is_whole && proof.after.is_some() && is_about_something(tally, &proof),
        cancelled: aftermath.cancelled,
        rehearsal_closed: None,
        started_at,
        seconds: aftermath.elapsed.as_secs_f64(),
        setup: setup(plan),
        orders: orders(aftermath),
        traffic: traffic(tally, aftermath.elapsed.as_secs_f64()),
        latency_us: Latency::of(&tally.latency_us),
        before,
        after: proof.after,
        checks: proof.checks,
        latency_buckets: classes(&tally.latency_us),
        timeline_step_ms: tally.timeline.step_ms,
        timeline: timeline(tally),
    }
}

/// A sale that takes no order, because it is closed or paused, proves nothing. One that was sold
/// out before is proven to stay so.
fn is_about_something(tally: &Tally, proof: &Proof) -> bool {
    let stays_sold_out = || {
        let mut checks = proof.checks.iter();
        checks.any(|c| c.name == "sold_to_the_last" && c.result == CheckResult::Passed)
    };
    tally.acknowledged > 0 || stays_sold_out()
}

fn setup(plan: &Plan) -> Setup {
    Setup {
        url: plan.url.clone(),
        sale: plan.sale.clone(),
        rehearsal: plan.is_rehearsal,
        run: plan.run.clone(),
        seed: plan.seed,
        buyers: plan.buyers,
        quantity: plan.quantity,
        connections: plan.connections,
        rate: plan.rate,
        replay: plan.replay,
        hold: plan.hold,
    }
}

fn orders(aftermath: &Aftermath) -> Orders {
    let tally = &aftermath.witness.tally;
    Orders {
        intended: aftermath.intended,
        acknowledged: tally.acknowledged,
        refused: tally.refused,
        unknown: tally.unknown,
        refusals: tally.codes().map(|(code, count)| (code.as_str(), count)).collect(),
    }
}

fn traffic(tally: &Tally, seconds: f64) -> Traffic {
    Traffic {
        requests: tally.requests,
        replies: tally.replies,
        replies_per_second: if seconds > 0.0 { tally.replies as f64 / seconds } else { 0.0 },
        retries: tally.retries,
        connects: tally.connects,
        timeouts: tally.count_of(Setback::Timeout),
        resets: tally.count_of(Setback::Reset),
        connections_refused: tally.count_of(Setback::Refused),
        throttled: tally.count_of(Setback::Throttled),
        unavailable: tally.count_of(Setback::Unavailable),
        server_faults: tally.count_of(Setback::Fault),
        nodes: tally.nodes(),
    }
}

fn timeline(tally: &Tally) -> Vec<TimelineStep> {
    let steps = tally.timeline.steps.iter();
    steps
        .map(|step| TimelineStep {
            acknowledged: step.acknowledged,
            refused: step.refused,
            setbacks: step.setbacks,
        })
        .collect()
}
