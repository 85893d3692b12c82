//! How far a run is, for whoever shows it from another thread. Each number is true for
//! itself; together they are of nearly the same moment.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a run keeps up to date; it alone writes.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    /// Requests under way.
    pub(crate) in_flight: Gauge,
    /// Requests that may be under way; of several servers, all together.
    pub(crate) limit: Gauge,
    /// Ids that wait to be asked again.
    pub(crate) waiting: Gauge,
    /// Servers that fail and get probes only.
    pub(crate) troubled: Gauge,
    /// Requests sent, retries and hedges included.
    pub(crate) requests: Gauge,
    /// Requests sent again.
    pub(crate) retries: Gauge,
    /// Requests sent beside a slow one.
    pub(crate) hedges: Gauge,
    /// Answers that asked for less.
    pub(crate) pushbacks: Gauge,
}

/// One number.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    /// What it is now.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// One more; of any thread.
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// What it is from now on.
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}
