//! Spans on their way out: a bounded queue, a thread that empties it, and what became of them.

use metrics::{Counter, counter, describe_counter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Most spans that wait or are being delivered; one more is lost.
const QUEUE_SPANS_MAX: usize = 4_096;
/// Spans delivered at once.
const BATCH_SPANS_MAX: usize = 512;
/// Longest wait of a span for others to join it.
const DELIVER_EVERY: Duration = Duration::from_secs(1);

/// Spans, by what became of them.
const SPANS: &str = "kilat_trace_spans_total";
const RESULTS: [&str; 3] = ["delivered", "failed", "dropped"];

/// Shows the figures from the start: an alert sees them rise only from zero.
pub(crate) fn describe() {
    describe_counter!(SPANS, "Spans of traces, by what became of them");
    for result in RESULTS {
        counter!(SPANS, "result" => result).absolute(0);
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Delivery {
    processor: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
    dropped: Counter,
}

impl Delivery {
    pub(super) fn start<E: SpanExporter + 'static>(
        exporter: Counted<E>,
        resource: &Resource,
    ) -> Delivery {
        let waiting = Arc::clone(&exporter.waiting);
        let limits = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE_SPANS_MAX)
            .with_max_export_batch_size(BATCH_SPANS_MAX)
            .with_scheduled_delay(DELIVER_EVERY)
            .build();
        let mut processor = BatchSpanProcessor::new(exporter, limits);
        processor.set_resource(resource);
        Delivery { processor, waiting, dropped: counter!(SPANS, "result" => "dropped") }
    }

    /// Takes a span, or counts it as lost; never waits.
    pub(super) fn take(&self, span: SpanData) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= QUEUE_SPANS_MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return self.dropped.increment(1);
        }
        self.processor.on_end(span);
    }

    /// Delivers what waits, within `wait`.
    pub(super) fn stop(&self, wait: Duration) {
        if let Err(error) = self.processor.shutdown_with_timeout(wait) {
            tracing::warn!(%error, "the last traces were not delivered");
        }
    }
}

/// An exporter of which is known what it did.
#[derive(Debug)]
pub(super) struct Counted<E> {
    exporter: E,
    waiting: Arc<AtomicUsize>,
    delivered: Counter,
    failed: Counter,
    is_failing: AtomicBool,
}

impl<E> Counted<E> {
    pub(super) fn new(exporter: E) -> Counted<E> {
        Counted {
            exporter,
            waiting: Arc::default(),
            delivered: counter!(SPANS, "result" => "delivered"),
            failed: counter!(SPANS, "result" => "failed"),
            is_failing: AtomicBool::new(false),
        }
    }

    /// Says once that it begins to fail, and once that it is over.
    fn tell(&self, result: &OTelSdkResult) {
        let was_failing = self.is_failing.swap(result.is_err(), Ordering::Relaxed);
        match result {
            Err(why) if !was_failing => {
                tracing::warn!(%why, "traces can't be delivered and are dropped");
            }
            Ok(()) if was_failing => tracing::info!("traces are delivered again"),
            _ => {}
        }
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.exporter.export(batch).await;
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        let counter = if result.is_ok() { &self.delivered } else { &self.failed };
        counter.increment(spans as u64);
        self.tell(&result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
