//! Charts of a report's page, as bars of an SVG.
//!
//! Numbers in, coordinates out: it knows no page.

use crate::Lang;
use crate::latency::LatencyBucket;

/// Size of a chart's drawing area, in its own units.
pub(crate) const CHART_WIDTH: f64 = 720.0;
/// See [`CHART_WIDTH`].
const CHART_HEIGHT: f64 = 180.0;

/// One bar of a chart, in the chart's units.
#[derive(Debug)]
pub(crate) struct Bar {
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) width: String,
    pub(crate) height: String,
    pub(crate) title: String,
}

/// Orders or lookups by class of latency.
pub(crate) fn latency_bars(buckets: &[LatencyBucket], lang: Lang) -> Vec<Bar> {
    let most = buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0);
    let width = CHART_WIDTH / buckets.len().max(1) as f64;
    buckets
        .iter()
        .enumerate()
        .map(|(at, bucket)| {
            let title =
                format!("≤ {}: {}", lang.micros(bucket.up_to_us), lang.number(bucket.count));
            bar(at, width, 0, bucket.count, most, title)
        })
        .collect()
}

/// The least and the largest class, to write below the chart.
pub(crate) fn latency_ends(buckets: &[LatencyBucket], lang: Lang) -> (String, String) {
    let end =
        |bucket: Option<&LatencyBucket>| bucket.map_or(String::new(), |b| lang.micros(b.up_to_us));
    (end(buckets.first()), end(buckets.last()))
}

/// The bar number `at` of a chart whose highest is `most`, on top of `below`.
pub(crate) fn bar(at: usize, width: f64, below: u64, count: u64, most: u64, title: String) -> Bar {
    let scale = CHART_HEIGHT / most.max(1) as f64;
    let top = CHART_HEIGHT - (below + count) as f64 * scale;
    let text = |value: f64| format!("{value:.2}");
    Bar {
        x: text(at as f64 * width),
        y: text(top),
        width: text(width * 0.9),
        height: text(count as f64 * scale),
        title,
    }
}
