//! What was done for a traced request: spans for its stages, made afterwards.

use super::{Active, Ended, Tracer, current};
use kilat_engine::{Outcome, Placed, Stages, TraceContext};
use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;
use std::time::{Instant, SystemTime};

/// The stage of events: from the queue to the disk.
pub(crate) const STORE: &str = "store events";

/// One instant by both clocks, so that spans made from it agree with each other.
struct Now {
    at: Instant,
    wall: SystemTime,
}

impl Now {
    fn read() -> Now {
        Now { at: Instant::now(), wall: SystemTime::now() }
    }

    /// The wall clock's time at `instant`, which was before.
    fn when(&self, instant: Instant) -> SystemTime {
        self.wall - self.at.saturating_duration_since(instant)
    }
}

impl Tracer {
    /// Records the stages of a group within the span at `context`, if the ledger is here.
    pub(crate) fn stages(&self, context: TraceContext, placed: &Placed) {
        let Some(stages) = placed.stages.filter(|_| self.is_on()) else {
            return;
        };
        record(self, context, &stages, &Now::read());
    }
}

impl Tracer {
    /// Records that the event of the request whose span this is was stored.
    pub(crate) fn stored(&self, request: &Active) {
        let span = Active::within(request.context(), request.began, false);
        self.end(&span, stage(STORE, false));
    }

    /// Awaits `work` as a stage of the request that this task serves.
    ///
    /// # Errors
    /// What `work` ends with.
    pub(crate) async fn stage<T, E>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let Some(context) = current().filter(|_| self.is_on()) else {
            return work.await;
        };
        let span = Active::within(context, SystemTime::now(), false);
        let done = work.await;
        self.end(&span, stage(name, done.is_err()));
        done
    }
}

/// Records what a core did for each traced order of a group: a span of its own, and its stages.
pub(super) fn core(tracer: &Tracer, placed: &Placed) {
    let (Some(stages), now) = (placed.stages, Now::read()) else {
        return;
    };
    for traced in placed.orders.traced() {
        let span = Active::within(traced.context, now.when(stages.queued), true);
        let mut attributes = vec![KeyValue::new("kilat.group.orders", placed.orders.len() as i64)];
        if let Some(outcome) = placed.outcomes().get(traced.order as usize) {
            attributes.push(KeyValue::new("kilat.outcome", label(outcome)));
        }
        let (name, kind) = ("place orders".into(), SpanKind::Server);
        tracer.record(&span, now.wall, Ended { name, kind, attributes, failed: false });
        record(tracer, span.context(), &stages, &now);
    }
}

fn label(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Order { order, replayed } => crate::problem::order_label(order.status, *replayed),
        Outcome::Refused(refusal) => crate::problem::code(*refusal).as_str(),
        _ => "other",
    }
}

fn record(tracer: &Tracer, context: TraceContext, stages: &Stages, now: &Now) {
    let Stages { queued, taken, decided } = *stages;
    let decide = decided.map(|decided| ("decide", taken, decided));
    let commit = ("commit", decided.unwrap_or(taken), now.at);
    for (name, from, to) in [("queue", queued, taken)].into_iter().chain(decide).chain([commit]) {
        let span = Active::within(context, now.when(from), false);
        tracer.record(&span, now.when(to), stage(name, false));
    }
}

fn stage(name: &'static str, failed: bool) -> Ended {
    Ended { name: name.into(), kind: SpanKind::Internal, attributes: Vec::new(), failed }
}
