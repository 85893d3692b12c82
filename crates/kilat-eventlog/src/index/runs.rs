//! All runs: the index of everything but the newest events.

use std::ops::Range;
use std::sync::Arc;

use super::error::IndexError;
use super::filter::Probe;
use super::run::Run;
use super::{Sample, TopicId};

/// Prints that are looked up together: as many as one mask has bits.
const TOGETHER: usize = 64;

/// Runs in the order of their offsets, without gaps, from offset 0 on.
#[derive(Clone, Default)]
pub(crate) struct Runs(Vec<Arc<Run>>);

/// An event that may be the one that was looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Candidate {
    /// The print's place in the slice that was asked about.
    pub(crate) print: usize,
    /// The event's offset.
    pub(crate) offset: u64,
}

impl Runs {
    /// `None` unless they follow each other from offset 0 on.
    pub(super) fn of(runs: Vec<Arc<Run>>) -> Option<Self> {
        let mut end = 0;
        let follow = runs.iter().all(|run| {
            let follows = run.offsets().start == end;
            end = run.offsets().end;
            follows
        });
        follow.then_some(Self(runs))
    }

    /// These, with `run` in the place of those that it covers; `None` if that leaves a gap.
    pub(super) fn with(&self, run: Run) -> Option<Self> {
        let offsets = run.offsets();
        let covered = |other: &Run| {
            offsets.start <= other.offsets().start && other.offsets().end <= offsets.end
        };
        let mut runs = self.0.clone();
        runs.retain(|other| !covered(other));
        let at = runs.partition_point(|other| other.offsets().start < offsets.start);
        runs.insert(at, Arc::new(run));
        Self::of(runs)
    }

    /// All offsets below this one are covered.
    pub(crate) fn end(&self) -> u64 {
        self.0.last().map_or(0, |run| run.offsets().end)
    }

    /// The runs, oldest first.
    pub(crate) fn list(&self) -> &[Arc<Run>] {
        &self.0
    }

    /// Those that cover any of `offsets`, to be searched for candidates only.
    pub(crate) fn of_offsets(&self, offsets: &Range<u64>) -> Self {
        let touches = |run: &&Arc<Run>| {
            run.offsets().start < offsets.end && offsets.start < run.offsets().end
        };
        Self(self.0.iter().filter(touches).cloned().collect())
    }

    /// Appends all events with one of these prints. The more prints, the less time for each: the
    /// cache misses of many filters are waited for at once.
    pub(crate) fn candidates_of(
        &self,
        prints: &[u64],
        found: &mut Vec<Candidate>,
    ) -> Result<(), IndexError> {
        let mut probes = [Probe::default(); TOGETHER];
        for (chunk, prints) in prints.chunks(TOGETHER).enumerate() {
            for (probe, print) in probes.iter_mut().zip(prints) {
                *probe = Probe::of(*print);
            }
            for run in &self.0 {
                let mut passed = passing(run, &probes[..prints.len()]);
                while passed != 0 {
                    let at = passed.trailing_zeros() as usize;
                    passed &= passed - 1;
                    let print = chunk * TOGETHER + at;
                    run.entries_of(prints[at], |offset| found.push(Candidate { print, offset }))?;
                }
            }
        }
        Ok(())
    }

    /// Appends at most `limit` offsets of a topic's events, in order, those beyond `after` only.
    pub(crate) fn of_topic(
        &self,
        topic: TopicId,
        after: Option<u64>,
        limit: usize,
        into: &mut Vec<u64>,
    ) -> Result<(), IndexError> {
        let end = into.len().saturating_add(limit);
        let next = after.map_or(0, |after| after.saturating_add(1));
        for run in &self.0[self.0.partition_point(|run| run.offsets().end <= next)..] {
            if into.len() >= end {
                break;
            }
            run.of_topic(topic, after, end - into.len(), into)?;
        }
        Ok(())
    }

    /// The newest sample at or before `offset`, which is below [`Runs::end`]; `None` if no frame
    /// at or before it was sampled.
    pub(crate) fn place_before(&self, offset: u64) -> Result<Option<Sample>, IndexError> {
        let count = self.0.partition_point(|run| run.offsets().start <= offset);
        for run in self.0[..count].iter().rev() {
            if let Some(sample) = run.place_before(offset)? {
                return Ok(Some(sample));
            }
        }
        Ok(None)
    }
}

/// A bit for each probe: whether the run's filter lets it through.
#[inline(never)]
fn passing(run: &Run, probes: &[Probe]) -> u64 {
    let bits = probes.iter().enumerate().map(|(at, probe)| u64::from(run.passes(probe)) << at);
    bits.fold(0, |all, bit| all | bit)
}
