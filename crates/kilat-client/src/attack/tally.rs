//! Counts of an attack, in constant memory however long it runs.

use crate::latency::histogram;
use hdrhistogram::Histogram;
use kilat_api::problem::Code;
use std::collections::BTreeMap;

/// Most nodes counted by name; further ones are counted together.
const NODES_MAX: usize = 64;
/// Longest node name kept, in bytes.
const NODE_BYTES_MAX: usize = 64;
/// Most steps of the timeline. When they are used up, each two become one.
const STEPS_MAX: usize = 120;
/// First length of a step, in milliseconds.
const STEP_MS_FIRST: u64 = 10;

/// Why an attempt brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setback {
    /// No reply in time.
    Timeout,
    /// The connection broke before the reply was whole.
    Reset,
    /// No connection.
    Refused,
    /// 429.
    Throttled,
    /// 408, 502, 503, 504: not now.
    Unavailable,
    /// 500, or a reply that breaks the contract.
    Fault,
}

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Tally {
    pub requests: u64,
    pub replies: u64,
    pub connects: u64,
    pub retries: u64,
    pub setbacks: [u64; 6],
    pub acknowledged: u64,
    pub refused: u64,
    pub unknown: u64,
    codes: Vec<u64>,
    nodes: Vec<(Box<[u8]>, u64)>,
    other_nodes: u64,
    pub latency_us: Histogram<u64>,
    pub timeline: Timeline,
}

/// What became of the orders, step by step.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    pub step_ms: u64,
    pub steps: Vec<Step>,
}

/// One step of the timeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    pub acknowledged: u64,
    pub refused: u64,
    pub setbacks: u64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Tally {
            requests: 0,
            replies: 0,
            connects: 0,
            retries: 0,
            setbacks: [0; 6],
            acknowledged: 0,
            refused: 0,
            unknown: 0,
            codes: vec![0; Code::ALL.len()],
            nodes: Vec::new(),
            other_nodes: 0,
            latency_us: histogram(),
            timeline: Timeline { step_ms: STEP_MS_FIRST, steps: vec![Step::default()] },
        }
    }

    pub(crate) fn node(&mut self, name: &[u8]) {
        if name.is_empty() {
            return;
        }
        if let Some((_, count)) = self.nodes.iter_mut().find(|(known, _)| **known == *name) {
            *count += 1;
        } else if self.nodes.len() < NODES_MAX && name.len() <= NODE_BYTES_MAX {
            self.nodes.push((name.into(), 1));
        } else {
            self.other_nodes += 1;
        }
    }

    pub(crate) fn refuse(&mut self, code: Code, now_ns: u64) {
        self.codes[code as usize] += 1;
        self.refused += 1;
        self.timeline.at(now_ns).refused += 1;
    }

    pub(crate) fn acknowledge(&mut self, now_ns: u64) {
        self.acknowledged += 1;
        self.timeline.at(now_ns).acknowledged += 1;
    }

    pub(crate) fn setback(&mut self, cause: Setback, now_ns: u64) {
        self.setbacks[cause as usize] += 1;
        self.timeline.at(now_ns).setbacks += 1;
    }

    pub(crate) fn count_of(&self, cause: Setback) -> u64 {
        self.setbacks[cause as usize]
    }

    pub(crate) fn latency(&mut self, from_ns: u64, to_ns: u64) {
        self.latency_us.saturating_record(to_ns.saturating_sub(from_ns) / 1_000);
    }

    /// Refusals by code, those that occurred.
    pub(crate) fn codes(&self) -> impl Iterator<Item = (Code, u64)> + '_ {
        Code::ALL
            .iter()
            .copied()
            .map(|code| (code, self.codes[code as usize]))
            .filter(|(_, n)| *n > 0)
    }

    /// How often an order was refused for `code`.
    pub(crate) fn refusals(&self, code: Code) -> u64 {
        self.codes[code as usize]
    }

    /// Replies by node.
    pub(crate) fn nodes(&self) -> BTreeMap<String, u64> {
        let known = self.nodes.iter().map(|(name, n)| (printable(name), *n));
        let other = (self.other_nodes > 0).then(|| ("…".to_owned(), self.other_nodes));
        known.chain(other).collect()
    }
}

/// A name from a header as it can be shown: nothing that a terminal would obey.
pub(crate) fn printable(name: &[u8]) -> String {
    String::from_utf8_lossy(name)
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

impl Timeline {
    fn at(&mut self, now_ns: u64) -> &mut Step {
        let now_ms = now_ns / 1_000_000;
        while now_ms / self.step_ms >= STEPS_MAX as u64 {
            self.halve();
        }
        let index = (now_ms / self.step_ms) as usize;
        if self.steps.len() <= index {
            self.steps.resize(index + 1, Step::default());
        }
        &mut self.steps[index]
    }

    fn halve(&mut self) {
        self.step_ms *= 2;
        self.steps = self
            .steps
            .chunks(2)
            .map(|pair| {
                pair.iter().fold(Step::default(), |sum, step| Step {
                    acknowledged: sum.acknowledged + step.acknowledged,
                    refused: sum.refused + step.refused,
                    setbacks: sum.setbacks + step.setbacks,
                })
            })
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_attack_keeps_every_count_in_few_steps() {
        let mut tally = Tally::new();
        for second in 0..10_000u64 {
            tally.acknowledge(second * 1_000_000_000);
        }
        assert!(tally.timeline.steps.len() <= STEPS_MAX);
        let sum: u64 = tally.timeline.steps.iter().map(|step| step.acknowledged).sum();
        assert_eq!(sum, 10_000);
    }

    #[test]
    fn nodes_beyond_the_limit_are_counted_together() {
        let mut tally = Tally::new();
        for n in 0..1000 {
            tally.node(format!("node-{n}").as_bytes());
        }
        let nodes = tally.nodes();
        assert_eq!(nodes.len(), NODES_MAX + 1);
        assert_eq!(nodes.values().sum::<u64>(), 1000);
    }
}
