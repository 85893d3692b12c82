//! What the engine did for a traced order: spans for its stages, made afterwards.

use super::{Active, Ended, Tracer};
use kilat_engine::{Outcome, Placed, Stages, TraceContext};
use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;
use std::time::{Instant, SystemTime};

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
    let named = [("queue", queued, taken), ("decide", taken, decided), ("commit", decided, now.at)];
    for (name, from, to) in named {
        let span = Active::within(context, now.when(from), false);
        let (name, kind) = (name.into(), SpanKind::Internal);
        let ended = Ended { name, kind, attributes: Vec::new(), failed: false };
        tracer.record(&span, now.when(to), ended);
    }
}
