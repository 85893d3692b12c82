//! What the engine measures. The handles are looked up once, not once a batch.
//!
//! Install the process's recorder before the engine starts, or nothing is recorded.

use kilat_journal::Committed;
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

/// The engine's counters, gauges and histograms.
pub(crate) struct Meters {
    batches: Counter,
    batch_facts: Histogram,
    write_seconds: Histogram,
    fsync_seconds: Histogram,
    queue_depth: Gauge,
    holds_expired: Counter,
    queue_expired: Counter,
}

impl Meters {
    pub(crate) fn new() -> Meters {
        describe_counter!("kilat_batches_total", "Batches committed, also those without facts");
        describe_histogram!("kilat_batch_facts", "Facts of a batch");
        describe_histogram!("kilat_journal_write_seconds", "Time to write a batch");
        describe_histogram!("kilat_journal_fsync_seconds", "Time until the device has a batch");
        describe_gauge!("kilat_queue_depth", "Commands that wait for a batch");
        describe_counter!("kilat_holds_expired_total", "Holds that ran out");
        describe_counter!(
            "kilat_queue_expired_total",
            "Commands given up because they waited too long"
        );
        Meters {
            batches: counter!("kilat_batches_total"),
            batch_facts: histogram!("kilat_batch_facts"),
            write_seconds: histogram!("kilat_journal_write_seconds"),
            fsync_seconds: histogram!("kilat_journal_fsync_seconds"),
            queue_depth: gauge!("kilat_queue_depth"),
            holds_expired: counter!("kilat_holds_expired_total"),
            queue_expired: counter!("kilat_queue_expired_total"),
        }
    }

    pub(crate) fn decided(&self, facts: u32) {
        self.batch_facts.record(f64::from(facts));
    }

    pub(crate) fn holds_expired(&self, holds: usize) {
        if holds > 0 {
            self.holds_expired.increment(holds as u64);
        }
    }

    pub(crate) fn waited_too_long(&self, commands: usize) {
        self.queue_expired.increment(commands as u64);
    }

    #[expect(clippy::cast_precision_loss, reason = "durations and depths are far below 2^52")]
    pub(crate) fn committed(&self, committed: &Committed, queue_depth: usize) {
        self.write_seconds.record(committed.write_ns as f64 / 1e9);
        self.fsync_seconds.record(committed.sync_ns as f64 / 1e9);
        self.batches.increment(1);
        self.queue_depth.set(queue_depth as f64);
    }
}
