//! What the engine measures. The handles are looked up once, not once a batch.
//!
//! Install the process's recorder before the engine starts, or nothing is recorded.

use kilat_journal::Committed;
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use std::time::{Duration, Instant};

/// The engine's counters, gauges and histograms.
pub(crate) struct Meters {
    batches: Counter,
    batch_facts: Histogram,
    write_seconds: Histogram,
    fsync_seconds: Histogram,
    ledger_frame: Gauge,
    wait_seconds: Histogram,
    decide_seconds: Histogram,
    holds_expired: Counter,
    queue_expired: Counter,
}

impl Meters {
    /// Meters of a ledger whose journal ends with frame `ledger_frame`.
    pub(crate) fn starting_after(ledger_frame: u64) -> Meters {
        let meters = Meters::new();
        meters.at(ledger_frame);
        meters
    }

    fn new() -> Meters {
        describe_counter!("kilat_batches_total", "Batches committed, also those without facts");
        describe_histogram!("kilat_batch_facts", "Facts of a batch");
        describe_histogram!("kilat_journal_write_seconds", "Time to write a batch");
        describe_histogram!("kilat_journal_fsync_seconds", "Time until the device has a batch");
        describe_gauge!("kilat_ledger_frame", "Last durable frame of the ledger's journal");
        describe_histogram!("kilat_queue_wait_seconds", "Wait of a batch's oldest command");
        describe_histogram!("kilat_decide_seconds", "Time to decide a batch");
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
            ledger_frame: gauge!("kilat_ledger_frame"),
            wait_seconds: histogram!("kilat_queue_wait_seconds"),
            decide_seconds: histogram!("kilat_decide_seconds"),
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

    /// A batch was taken whose oldest command came `oldest`.
    pub(crate) fn taken(&self, oldest: Option<Instant>) {
        if let Some(since) = oldest {
            self.wait_seconds.record(since.elapsed().as_secs_f64());
        }
    }

    pub(crate) fn decided_in(&self, duration: Duration) {
        self.decide_seconds.record(duration.as_secs_f64());
    }

    #[expect(clippy::cast_precision_loss, reason = "durations are far below 2^52 nanoseconds")]
    pub(crate) fn committed(&self, committed: &Committed) {
        self.write_seconds.record(committed.write_ns as f64 / 1e9);
        self.fsync_seconds.record(committed.sync_ns as f64 / 1e9);
        self.batches.increment(1);
        self.at(committed.position.frame);
    }

    #[expect(clippy::cast_precision_loss, reason = "frames are far below 2^52")]
    fn at(&self, ledger_frame: u64) {
        self.ledger_frame.set(ledger_frame as f64);
    }
}
