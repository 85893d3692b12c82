//! What Prometheus sees, and the cheap counters of the storming call.
//!
//! The recorder is the process's; a second server in the same process shares it.

use metrics::{Counter, counter, describe_counter, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Requests to buy, by what became of them. The name is a contract.
const REQUESTS: &str = "flash_sale_requests_total";
/// Duration of a request in the full lane, by route.
pub(crate) const HTTP_SECONDS: &str = "kilat_http_request_seconds";
/// Replies of the full lane, by class of status.
pub(crate) const HTTP_REPLIES: &str = "kilat_http_replies_total";
/// Events that came through `/publish`, by what became of them.
pub(crate) const EVENTS: &str = "kilat_events_total";
/// How often recorded samples are folded into buckets, so that they don't pile up.
pub(crate) const UPKEEP_EVERY: Duration = Duration::from_secs(1);

const SECONDS: [f64; 15] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0,
];
const FACTS: [f64; 9] = [1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 2_048.0, 4_096.0, 8_192.0];

/// The process's metrics.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Installs the recorder on the first call; later calls share it.
    ///
    /// # Errors
    /// When another recorder is installed in this process.
    pub fn install() -> Result<Metrics, BuildError> {
        static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = &*installed {
            return Ok(Metrics { handle: handle.clone() });
        }
        let handle = PrometheusBuilder::new()
            .set_buckets(&SECONDS)?
            .set_buckets_for_metric(Matcher::Full("kilat_batch_facts".to_owned()), &FACTS)?
            .install_recorder()?;
        describe();
        *installed = Some(handle.clone());
        Ok(Metrics { handle })
    }

    /// Everything in Prometheus's text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = self.handle.render();
        ORDER_SECONDS.render(&mut text);
        text
    }

    /// Folds samples into buckets.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn describe() {
    describe_counter!(REQUESTS, "Requests to buy, by what became of them");
    describe_counter!(HTTP_REPLIES, "Replies of the full lane, by class of status");
    describe_histogram!(HTTP_SECONDS, "Duration of a request in the full lane, by route");
    describe_counter!(EVENTS, "Events that came through /publish, by what became of them");
    gauge!("kilat_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    // A panel shows a series only once it exists.
    for status in ["confirmed", "held", "replayed", "sold_out", "limit_reached"] {
        counter!(REQUESTS, "status" => status).absolute(0);
    }
    for result in ["stored", "duplicate", "conflict", "invalid"] {
        counter!(EVENTS, "result" => result).absolute(0);
    }
}

/// Counts of one thread, passed on in one go so that threads don't meet on every order.
#[derive(Default)]
pub(crate) struct OrderCounts {
    labels: Vec<(&'static str, Counter, u64)>,
    seconds: Tally,
}

impl OrderCounts {
    /// Notes a request that came `since` and became `label`: a status, `replayed` or a code.
    pub(crate) fn note(&mut self, label: &'static str, since: Instant) {
        self.count(label);
        self.seconds.note(since.elapsed());
    }

    /// Notes a request of a batch, whose duration is the batch's.
    pub(crate) fn count(&mut self, label: &'static str) {
        match self
            .labels
            .iter_mut()
            .find(|(known, ..)| std::ptr::eq(*known, label) || *known == label)
        {
            Some((_, _, count)) => *count += 1,
            None => self.labels.push((label, counter!(REQUESTS, "status" => label), 1)),
        }
    }

    /// Passes on what was noted.
    pub(crate) fn flush(&mut self) {
        for (_, counter, count) in self.labels.iter_mut().filter(|(.., count)| *count > 0) {
            counter.increment(std::mem::take(count));
        }
        ORDER_SECONDS.add(&mut self.seconds);
    }
}

/// Upper bounds of the buckets of [`ORDER_SECONDS`], in microseconds.
const ORDER_MICROS: [u64; 12] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_500_000];
const ORDER_BUCKETS: usize = ORDER_MICROS.len() + 1;

/// One thread's share of [`ORDER_SECONDS`].
#[derive(Default)]
struct Tally {
    buckets: [u64; ORDER_BUCKETS],
    micros: u64,
}

impl Tally {
    fn note(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket =
            ORDER_MICROS.iter().position(|bound| micros <= *bound).unwrap_or(ORDER_MICROS.len());
        self.buckets[bucket] += 1;
        self.micros = self.micros.saturating_add(micros);
    }
}

/// Time from a whole request to its reply. Counted here and not through the
/// recorder, which would keep every sample until the next upkeep.
static ORDER_SECONDS: OrderSeconds = OrderSeconds {
    buckets: [const { AtomicU64::new(0) }; ORDER_BUCKETS],
    micros: AtomicU64::new(0),
};

struct OrderSeconds {
    buckets: [AtomicU64; ORDER_BUCKETS],
    micros: AtomicU64,
}

impl OrderSeconds {
    fn add(&self, tally: &mut Tally) {
        let tally = std::mem::take(tally);
        for (total, count) in self.buckets.iter().zip(tally.buckets).filter(|(_, count)| *count > 0)
        {
            total.fetch_add(count, Ordering::Relaxed);
        }
        self.micros.fetch_add(tally.micros, Ordering::Relaxed);
    }

    /// Writing to a `String` can't fail.
    fn render(&self, text: &mut String) {
        let name = "kilat_order_seconds";
        let _ = writeln!(
            text,
            "# HELP {name} Time from a whole request to buy to its reply\n# TYPE {name} histogram"
        );
        let mut total = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            total += bucket.load(Ordering::Relaxed);
            let _ = match ORDER_MICROS.get(index) {
                Some(bound) => writeln!(
                    text,
                    "{name}_bucket{{le=\"{}\"}} {total}",
                    Duration::from_micros(*bound).as_secs_f64()
                ),
                None => writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {total}"),
            };
        }
        let seconds = Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64();
        let _ = writeln!(text, "{name}_sum {seconds}\n{name}_count {total}");
    }
}
