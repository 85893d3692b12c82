//! What the console knows of all processes, and the samples that it makes of it.
//!
//! Pure: told the time, asks nobody. Bounded: see the constants.

use super::message::{Beat, Node, NodeState, Sample, Stock};
use crate::ops::figures::{Figures, Histogram};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Samples that are kept: ten minutes.
pub(super) const SAMPLES_MAX: usize = 600;
/// Most processes that are known; the one that was silent longest makes room.
const NODES_MAX: usize = 64;
/// Silence after which a process is called silent: two beats while nobody looks, and a bit.
const SILENCE: Duration = Duration::from_secs(12);
/// Silence after which it is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Most sales whose stock is in a sample.
pub(crate) const STOCK_SALES_MAX: usize = 8;

/// See the module.
#[derive(Default)]
pub(super) struct Board {
    nodes: BTreeMap<String, Known>,
    samples: VecDeque<Sample>,
    number: u64,
    sampled: Option<Instant>,
}

/// What is known of one process.
struct Known {
    beat: Beat,
    heard: Instant,
    /// Its figures at the sample before.
    before: Option<Figures>,
    /// Requests to buy a second.
    rate: f64,
}

impl Board {
    /// A process said how it is.
    pub(super) fn hear(&mut self, mut beat: Beat, now: Instant) {
        beat.stock.truncate(STOCK_SALES_MAX);
        if let Some(known) = self.nodes.get_mut(&beat.node) {
            (known.beat, known.heard) = (beat, now);
            return;
        }
        if self.nodes.len() >= NODES_MAX {
            let oldest = self.nodes.iter().min_by_key(|(_, known)| known.heard);
            if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                self.nodes.remove(&name);
            }
        }
        let name = beat.node.clone();
        self.nodes.insert(name, Known { beat, heard: now, before: None, rate: 0.0 });
    }

    /// Makes the sample of what came since the last one. After a pause there is none to compare
    /// with, and the first sample has no rates.
    pub(super) fn sample(&mut self, at: i64, now: Instant) {
        self.nodes.retain(|_, known| now.saturating_duration_since(known.heard) < FORGOTTEN);
        let span = self.sampled.map(|then| now.saturating_duration_since(then).as_secs_f64());
        self.sampled = Some(now);
        self.number += 1;
        let mut sums = Sums::default();
        for known in self.nodes.values_mut() {
            sums.add(known, span.unwrap_or(0.0).max(0.001));
        }
        let mut sample = sums.sample();
        (sample.number, sample.at, sample.stock) = (self.number, at, self.stock());
        self.samples.push_back(sample);
        if self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
    }

    /// No samples are made for a while: what is counted until then belongs to no second.
    pub(super) fn pause(&mut self) {
        self.sampled = None;
        self.nodes.values_mut().for_each(|known| known.before = None);
    }

    /// The newest state of each sale that any process told.
    fn stock(&self) -> Vec<Stock> {
        let mut newest: BTreeMap<&str, &Stock> = BTreeMap::new();
        for stock in self.nodes.values().flat_map(|known| &known.beat.stock) {
            let known = newest.entry(&stock.sale).or_insert(stock);
            if known.sequence < stock.sequence {
                *known = stock;
            }
        }
        newest.into_values().take(STOCK_SALES_MAX).cloned().collect()
    }

    /// The samples after number `after`, oldest first.
    pub(super) fn after(&self, after: u64) -> Vec<Sample> {
        self.samples.iter().filter(|sample| sample.number > after).cloned().collect()
    }

    /// All processes by name.
    pub(super) fn nodes(&self, now: Instant) -> Vec<Node> {
        let node = |known: &Known| {
            let silence = now.saturating_duration_since(known.heard);
            let figures = known.beat.figures.clone().unwrap_or_default();
            let state = match &known.beat {
                _ if silence > SILENCE => NodeState::Silent,
                beat if beat.leaving => NodeState::Leaving,
                beat if !beat.live => NodeState::CutOff,
                _ => NodeState::Ready,
            };
            Node {
                name: known.beat.node.clone(),
                state,
                rate: if state == NodeState::Silent { 0.0 } else { known.rate },
                connections: figures.connections,
                queue: figures.queue,
                memory: figures.memory,
                heard: u64::try_from(silence.as_millis()).unwrap_or(u64::MAX),
            }
        };
        self.nodes.values().map(node).collect()
    }
}

/// What all processes came to together.
#[derive(Default)]
struct Sums {
    outcomes: BTreeMap<String, f64>,
    published: BTreeMap<String, f64>,
    orders: Histogram,
    fsync: Histogram,
    batch: Histogram,
    queue: u64,
    event_queue: u64,
    connections: u64,
}

impl Sums {
    /// Adds what `known` counted in the last `seconds`.
    fn add(&mut self, known: &mut Known, seconds: f64) {
        let Some(now) = &known.beat.figures else {
            known.before = None;
            return;
        };
        self.queue += now.queue;
        self.event_queue += now.event_queue;
        self.connections += now.connections;
        // Nothing is said of a process whose figures are the first that came.
        if let Some(before) = &known.before {
            known.rate = add_rates(&mut self.outcomes, &now.outcomes, &before.outcomes, seconds);
            add_rates(&mut self.published, &now.published, &before.published, seconds);
            self.orders.merge(&now.orders.since(&before.orders));
            self.fsync.merge(&now.fsync.since(&before.fsync));
            self.batch.merge(&now.batch.since(&before.batch));
        }
        known.before = Some(now.clone());
    }

    fn sample(self) -> Sample {
        let millis = |histogram: &Histogram, share| Some(histogram.quantile(share)? * 1e3);
        let latency = |share| millis(&self.orders, share);
        let fsync = |share| millis(&self.fsync, share);
        Sample {
            latency: [latency(0.5), latency(0.95), latency(0.99)]
                .into_iter()
                .collect::<Option<Vec<_>>>()
                .and_then(|all| all.try_into().ok()),
            fsync: fsync(0.5).zip(fsync(0.99)).map(|(half, most)| [half, most]),
            batch: self.batch.mean(),
            outcomes: self.outcomes,
            published: self.published,
            queue: self.queue,
            event_queue: self.event_queue,
            connections: self.connections,
            ..Sample::default()
        }
    }
}

/// Adds to `sums` what was counted since `before`, a second; gives the sum of it.
fn add_rates(
    sums: &mut BTreeMap<String, f64>,
    now: &BTreeMap<String, u64>,
    before: &BTreeMap<String, u64>,
    seconds: f64,
) -> f64 {
    let mut all = 0.0;
    for (label, count) in now {
        let then = before.get(label).copied().unwrap_or(0);
        // Fewer than before: the process began anew.
        let new = if *count < then { *count } else { count - then };
        let rate = new as f64 / seconds;
        all += rate;
        *sums.entry(label.clone()).or_default() += rate;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(node: &str, confirmed: u64, available: u64, sequence: u64) -> Beat {
        let text = format!(
            "flash_sale_requests_total{{status=\"confirmed\"}} {confirmed}\nkilat_queue_depth 2\n"
        );
        let stock = Stock { sale: "s".to_owned(), sequence, available, ..Stock::default() };
        Beat {
            node: node.to_owned(),
            live: true,
            figures: Some(Figures::read(&text)),
            stock: vec![stock],
            ..Beat::default()
        }
    }

    #[test]
    fn figures_of_all_processes_are_added_up() {
        let (mut board, begin) = (Board::default(), Instant::now());
        let second = Duration::from_secs(1);
        board.hear(beat("a", 100, 9, 1), begin);
        board.hear(beat("b", 1_000, 9, 1), begin);
        board.sample(0, begin);
        board.hear(beat("a", 150, 7, 3), begin + second);
        board.hear(beat("b", 1_010, 8, 2), begin + second);
        board.sample(1_000, begin + second);
        let samples = board.after(0);
        assert!(samples[0].outcomes.is_empty(), "nothing to compare with");
        assert_eq!(samples[1].outcomes["confirmed"], 60.0);
        assert_eq!(samples[1].queue, 4);
        assert_eq!(samples[1].stock[0].available, 7, "the newest state");
        assert_eq!(board.after(1).len(), 1);
        assert_eq!(board.nodes(begin + second)[0].rate, 50.0);
    }

    #[test]
    fn a_pause_makes_no_peak() {
        let (mut board, begin) = (Board::default(), Instant::now());
        board.hear(beat("a", 100, 9, 1), begin);
        board.sample(0, begin);
        board.pause();
        let later = begin + Duration::from_secs(100);
        board.hear(beat("a", 90_000, 9, 1), later);
        board.sample(1, later);
        assert!(board.after(1)[0].outcomes.is_empty());
    }

    #[test]
    fn a_process_that_says_nothing_is_silent_and_then_forgotten() {
        let (mut board, begin) = (Board::default(), Instant::now());
        board.hear(beat("a", 1, 1, 1), begin);
        let state =
            |board: &Board, seconds| board.nodes(begin + Duration::from_secs(seconds))[0].state;
        assert_eq!(state(&board, 11), NodeState::Ready);
        assert_eq!(state(&board, 13), NodeState::Silent);
        board.sample(0, begin + FORGOTTEN);
        assert!(board.nodes(begin + FORGOTTEN).is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let (mut board, now) = (Board::default(), Instant::now());
        for number in 0..1_000 {
            board.hear(beat(&number.to_string(), 1, 1, 1), now);
            board.sample(0, now);
        }
        assert_eq!((board.nodes.len(), board.samples.len()), (NODES_MAX, SAMPLES_MAX));
    }
}
