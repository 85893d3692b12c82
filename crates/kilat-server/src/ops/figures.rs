//! What one process counts, read from the very text that Prometheus gets.
//!
//! So there is one set of figures, and a process without sales has the same ones as one with. Must
//! never know who adds them up.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Stands for an infinite bound; no bound comes near it.
const BEYOND: f64 = 1e9;

/// Counters and gauges of one process since its start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Figures {
    /// Requests to buy by what became of them.
    pub(super) outcomes: BTreeMap<String, u64>,
    /// Time from a request to buy to its reply.
    pub(super) orders: Histogram,
    /// Time until the device had a batch.
    pub(super) fsync: Histogram,
    /// Facts of a batch.
    pub(super) batch: Histogram,
    /// Publications by what became of them.
    pub(super) published: BTreeMap<String, u64>,
    /// Commands that wait for a batch.
    pub(super) queue: u64,
    /// Events that wait for a group.
    pub(super) event_queue: u64,
    pub(super) connections: u64,
    pub(super) streams: u64,
    /// Resident memory in bytes.
    pub(super) memory: u64,
}

/// Counts by upper bound, each with those below it, as Prometheus writes them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Histogram {
    /// Ascending; the last one is infinite, which JSON can't write, and stands as [`BEYOND`].
    bounds: Vec<f64>,
    counts: Vec<u64>,
    sum: f64,
}

impl Figures {
    /// Reads the figures out of Prometheus's text format. What is not known is passed over.
    pub(super) fn read(text: &str) -> Figures {
        let mut figures = Figures::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, labels, value)) = sample(line) {
                figures.take(name, labels, value);
            }
        }
        figures
    }

    fn take(&mut self, name: &str, labels: &str, value: f64) {
        let count = value as u64;
        let labelled = |key| label(labels, key).unwrap_or_default().to_owned();
        match name {
            "flash_sale_requests_total" => {
                *self.outcomes.entry(labelled("status")).or_default() += count;
            }
            "kilat_events_total" => {
                *self.published.entry(labelled("result")).or_default() += count;
            }
            "kilat_queue_depth" => self.queue = count,
            "kilat_event_queue_depth" => self.event_queue = count,
            "kilat_connections" => self.connections = count,
            "kilat_streams" => self.streams = count,
            "process_resident_memory_bytes" => self.memory = count,
            _ => self.take_histogram(name, labels, value),
        }
    }

    fn take_histogram(&mut self, name: &str, labels: &str, value: f64) {
        for (family, histogram) in [
            ("kilat_order_seconds", &mut self.orders),
            ("kilat_journal_fsync_seconds", &mut self.fsync),
            ("kilat_batch_facts", &mut self.batch),
        ] {
            match name.strip_prefix(family) {
                Some("_bucket") => histogram.add(label(labels, "le"), value as u64),
                Some("_sum") => histogram.sum += value,
                _ => {}
            }
        }
    }
}

/// Name, labels and value of a line.
fn sample(line: &str) -> Option<(&str, &str, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    Some((name, labels, value.parse().ok()?))
}

/// The value of a label. Values of the labels that are asked for hold no quotes.
fn label<'a>(labels: &'a str, key: &str) -> Option<&'a str> {
    labels.split(',').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name == key).then(|| value.trim_matches(['"', '}']))
    })
}

impl Histogram {
    fn add(&mut self, bound: Option<&str>, count: u64) {
        let Some(bound) = bound.and_then(|bound| match bound {
            "+Inf" => Some(BEYOND),
            bound => bound.parse().ok(),
        }) else {
            return;
        };
        match self.bounds.iter().position(|known| *known >= bound) {
            Some(place) if self.bounds[place] == bound => self.counts[place] += count,
            place => {
                let place = place.unwrap_or(self.bounds.len());
                self.bounds.insert(place, bound);
                self.counts.insert(place, count);
            }
        }
    }

    /// All that was counted.
    pub(super) fn count(&self) -> u64 {
        self.counts.last().copied().unwrap_or(0)
    }

    /// What came since `before`; a process that began anew has counted all of it since.
    pub(super) fn since(&self, before: &Histogram) -> Histogram {
        if before.bounds != self.bounds || before.count() > self.count() {
            return self.clone();
        }
        let counts = self.counts.iter().zip(&before.counts);
        Histogram {
            bounds: self.bounds.clone(),
            counts: counts.map(|(now, then)| now.saturating_sub(*then)).collect(),
            sum: (self.sum - before.sum).max(0.0),
        }
    }

    /// Adds what another process counted.
    pub(super) fn merge(&mut self, other: &Histogram) {
        if self.bounds.is_empty() {
            *self = other.clone();
        } else if self.bounds == other.bounds {
            self.counts.iter_mut().zip(&other.counts).for_each(|(all, one)| *all += one);
            self.sum += other.sum;
        }
    }

    /// The value that `share` of all stay below, within its bucket in proportion; `None` when
    /// nothing was counted.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let all = self.count();
        let wanted = share * all as f64;
        let place = self.counts.iter().position(|count| *count as f64 >= wanted && *count > 0)?;
        let (below, least) = match place.checked_sub(1) {
            Some(before) => (self.counts[before], self.bounds[before]),
            None => (0, 0.0),
        };
        let most = self.bounds[place];
        if most >= BEYOND {
            // Beyond the last bound nobody knows how far.
            return Some(least);
        }
        let within = (wanted - below as f64) / (self.counts[place] - below).max(1) as f64;
        Some(least + (most - least) * within.clamp(0.0, 1.0))
    }

    pub(super) fn mean(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.sum / self.count() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP kilat_order_seconds Time
kilat_order_seconds_bucket{answer=\"accepted\",le=\"0.001\"} 50
kilat_order_seconds_bucket{answer=\"accepted\",le=\"0.002\"} 100
kilat_order_seconds_bucket{answer=\"accepted\",le=\"+Inf\"} 100
kilat_order_seconds_sum{answer=\"accepted\"} 0.1
kilat_order_seconds_bucket{answer=\"refused\",le=\"0.001\"} 100
kilat_order_seconds_bucket{answer=\"refused\",le=\"0.002\"} 100
kilat_order_seconds_bucket{answer=\"refused\",le=\"+Inf\"} 100
kilat_order_seconds_sum{answer=\"refused\"} 0.05
flash_sale_requests_total{status=\"sold_out\"} 100
flash_sale_requests_total{status=\"confirmed\"} 99
kilat_queue_depth 7
kilat_batch_facts_bucket{le=\"+Inf\"} 0
nonsense
kilat_connections x
";

    #[test]
    fn figures_are_read_from_the_text_that_prometheus_gets() {
        let figures = Figures::read(TEXT);
        assert_eq!(figures.outcomes["sold_out"], 100);
        assert_eq!(figures.outcomes["confirmed"], 99);
        assert_eq!((figures.queue, figures.connections), (7, 0));
        assert_eq!(figures.orders.counts, [150, 200, 200]);
        assert_eq!(figures.orders.quantile(0.375), Some(0.0005));
        assert_eq!(figures.orders.quantile(1.0), Some(0.002));
        assert_eq!(figures.batch.quantile(0.5), None);
        let again: Figures =
            serde_json::from_str(&serde_json::to_string(&figures).unwrap()).unwrap();
        assert_eq!(again, figures);
    }

    #[test]
    fn differences_survive_a_new_start() {
        let figures = Figures::read(TEXT);
        let later = Figures::read(&TEXT.replace("} 100", "} 160"));
        assert_eq!(later.orders.since(&figures.orders).count(), 120);
        assert_eq!(figures.orders.since(&later.orders).count(), 200, "it began anew");
        assert_eq!(figures.orders.since(&Histogram::default()).count(), 200);
    }
}
