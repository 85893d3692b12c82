//! How long things took: a histogram, what people read of it, and its classes for charts.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest latency that is told apart, in microseconds: one hour.
const LATENCY_US_MAX: u64 = 3_600_000_000;
/// Significant digits of a latency.
const LATENCY_DIGITS: u8 = 3;

/// Latencies in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// Half of the orders or lookups were answered within this.
    pub p50: u64,
    /// 90 %.
    pub p90: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    pub p999: u64,
    /// All of them.
    pub max: u64,
    /// The average.
    pub mean: f64,
}

/// Orders or lookups answered within one class of latency.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LatencyBucket {
    /// Longest latency of the class, in microseconds.
    pub up_to_us: u64,
    /// How many are in it.
    pub count: u64,
}

impl Latency {
    /// What people read of a histogram.
    pub(crate) fn of(latencies_us: &Histogram<u64>) -> Latency {
        let at = |quantile| latencies_us.value_at_quantile(quantile);
        Latency {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: latencies_us.max(),
            mean: latencies_us.mean(),
        }
    }
}

/// A histogram of microseconds whose bounds are constants, so that it always can be made.
#[expect(clippy::expect_used, reason = "the bounds are constants in range")]
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, LATENCY_DIGITS)
        .expect("constant bounds are in range")
}

/// Classes that grow by the square root of two, from the fastest to the slowest. Each ends where a
/// step of the histogram does, so that nothing is counted in two.
pub(crate) fn classes(latencies_us: &Histogram<u64>) -> Vec<LatencyBucket> {
    let (fastest, slowest) = (latencies_us.min().max(1), latencies_us.max().max(1));
    let mut edges = vec![0u64];
    let mut edge = fastest as f64;
    while edges.last().is_some_and(|&last| last < slowest) {
        let next = (edge.ceil() as u64).max(edges.last().copied().unwrap_or_default() + 1);
        edges.push(latencies_us.highest_equivalent(next));
        edge *= std::f64::consts::SQRT_2;
    }
    edges
        .windows(2)
        .map(|pair| LatencyBucket {
            up_to_us: pair[1],
            count: latencies_us.count_between(pair[0] + 1, pair[1]),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_latency_is_in_one_class() {
        for latencies in [&[520_390, 531_200, 545_000, 600_580, 1_220_000][..], &[1], &[1, 7, 7]] {
            let mut all = histogram();
            latencies.iter().for_each(|latency| all.saturating_record(*latency));
            let classes = classes(&all);
            let counted: u64 = classes.iter().map(|class| class.count).sum();
            assert_eq!(counted, latencies.len() as u64, "{classes:?}");
            let fastest = latencies[0].max(1);
            assert!(classes[0].up_to_us >= fastest && classes[0].count > 0, "{classes:?}");
        }
    }
}
