//! What Prometheus sees of the gateway.

use super::replicas::Replica;
use hyper::StatusCode;
use kilat_api::problem::Code;
use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

const REPLIES: &str = "kilat_gateway_replies_total";
const FAILURES: &str = "kilat_gateway_failures_total";
const REPEATED: &str = "kilat_gateway_repeated_total";
const REFUSED: &str = "kilat_gateway_refused_total";
const UP: &str = "kilat_gateway_replica_up";
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Figures of one replica.
pub(super) struct ReplicaFigures {
    replies: [Counter; CLASSES.len()],
    failures: Counter,
    up: Gauge,
}

/// Figures of the gateway itself.
pub(super) struct Figures {
    repeated: Counter,
}

impl ReplicaFigures {
    pub(super) fn new(replica: &Replica) -> ReplicaFigures {
        let name = || replica.to_string();
        let figures = ReplicaFigures {
            replies: CLASSES.map(|class| counter!(REPLIES, "replica" => name(), "class" => class)),
            failures: counter!(FAILURES, "replica" => name()),
            up: gauge!(UP, "replica" => name()),
        };
        // A panel shows a series only once it exists.
        figures.up(false);
        figures.failures.increment(0);
        figures
    }

    pub(super) fn replied(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        self.replies.get(class).into_iter().for_each(|replies| replies.increment(1));
    }

    pub(super) fn failed(&self) {
        self.failures.increment(1);
    }

    pub(super) fn up(&self, is_up: bool) {
        self.up.set(if is_up { 1.0 } else { 0.0 });
    }
}

impl Figures {
    pub(super) fn new() -> Figures {
        describe_counter!(REPLIES, "Replies passed on, by replica and class of status");
        describe_counter!(FAILURES, "Requests to which a replica gave no whole reply");
        describe_counter!(REPEATED, "Requests that were sent once more after a failure");
        describe_counter!(REFUSED, "Requests that the gateway refused itself, by code");
        describe_gauge!(UP, "1 while a replica is ready, as the gateway sees it");
        let figures = Figures { repeated: counter!(REPEATED) };
        figures.repeated.increment(0);
        counter!(REFUSED, "code" => Code::Overloaded.as_str()).increment(0);
        figures
    }

    pub(super) fn repeated(&self) {
        self.repeated.increment(1);
    }

    pub(super) fn refused(&self, code: Code) {
        counter!(REFUSED, "code" => code.as_str()).increment(1);
    }
}
