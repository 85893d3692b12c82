//! What readers need of the newest events, those that no run covers yet: the topic of each and
//! where their frames are. In memory, bounded by two generations.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::index::{Sample, TopicId};

/// Events whose topics are kept in one piece.
const CHUNK_EVENTS: usize = 4_096;

/// The newest events, from some offset on without gaps.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// The offset of the first event of the first chunk.
    first: u64,
    chunks: VecDeque<Arc<[TopicId]>>,
    /// The newest events, fewer than a chunk.
    newest: Vec<TopicId>,
    /// In order; the first is at or before the first event that is needed.
    samples: VecDeque<Sample>,
}

/// The topics of a stretch of events, to be looked through without holding a lock.
pub(crate) struct Stretch {
    first: u64,
    chunks: Vec<Arc<[TopicId]>>,
    newest: Vec<TopicId>,
}

impl Tail {
    /// A tail whose first event will be the one at `first`.
    pub(crate) fn new(first: u64) -> Self {
        Self { first, ..Self::default() }
    }

    #[cfg(test)]
    fn end(&self) -> u64 {
        self.first + (self.chunks.len() * CHUNK_EVENTS + self.newest.len()) as u64
    }

    /// Adds the topics of the next events.
    pub(crate) fn extend(&mut self, mut topics: &[TopicId]) {
        while !topics.is_empty() {
            let room = CHUNK_EVENTS - self.newest.len();
            let (now, later) = topics.split_at(room.min(topics.len()));
            self.newest.extend_from_slice(now);
            topics = later;
            if self.newest.len() == CHUNK_EVENTS {
                self.chunks.push_back(self.newest.as_slice().into());
                self.newest.clear();
            }
        }
    }

    pub(crate) fn add_sample(&mut self, sample: Sample) {
        self.samples.push_back(sample);
    }

    pub(crate) fn last_sample(&self) -> Option<&Sample> {
        self.samples.back()
    }

    /// Drops what is not needed for events from `offset` on.
    pub(crate) fn trim(&mut self, offset: u64) {
        while !self.chunks.is_empty() && self.first + CHUNK_EVENTS as u64 <= offset {
            self.chunks.pop_front();
            self.first += CHUNK_EVENTS as u64;
        }
        while self.samples.get(1).is_some_and(|second| second.offset <= offset) {
            self.samples.pop_front();
        }
    }

    /// The last sample at or before `offset`.
    pub(crate) fn sample_before(&self, offset: u64) -> Option<Sample> {
        let after = self.samples.partition_point(|sample| sample.offset <= offset);
        after.checked_sub(1).and_then(|index| self.samples.get(index)).copied()
    }

    /// The samples of frames whose first events are in `from..to`.
    pub(crate) fn samples_in(&self, from: u64, to: u64) -> Vec<Sample> {
        let start = self.samples.partition_point(|sample| sample.offset < from);
        let end = self.samples.partition_point(|sample| sample.offset < to);
        self.samples.range(start..end.max(start)).copied().collect()
    }

    /// The events from `offset` on.
    pub(crate) fn stretch(&self, offset: u64) -> Stretch {
        let skipped = offset.saturating_sub(self.first) / CHUNK_EVENTS as u64;
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX).min(self.chunks.len());
        Stretch {
            first: self.first + (skipped * CHUNK_EVENTS) as u64,
            chunks: self.chunks.range(skipped..).cloned().collect(),
            newest: self.newest.clone(),
        }
    }
}

impl Stretch {
    /// The offsets of `topic` from `from` on, up to `limit` of them.
    pub(crate) fn offsets_of(
        &self,
        topic: TopicId,
        from: u64,
        limit: usize,
    ) -> impl Iterator<Item = u64> {
        let chunks = self.chunks.iter().map(|chunk| &**chunk).chain([self.newest.as_slice()]);
        let skipped = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        (self.first..)
            .zip(chunks.flatten())
            .skip(skipped)
            .filter(move |(_, found)| **found == topic)
            .map(|(offset, _)| offset)
            .take(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kilat_journal::Place;

    fn topics(range: std::ops::Range<u64>) -> Vec<TopicId> {
        range.map(|offset| TopicId((offset % 3) as u32)).collect()
    }

    #[test]
    fn a_topic_is_found_across_chunks_and_after_trimming() {
        let mut tail = Tail::new(1);
        let end = 1 + 3 * CHUNK_EVENTS as u64 + 17;
        for step in (1..end).step_by(1_000) {
            tail.extend(&topics(step..end.min(step + 1_000)));
        }
        assert_eq!(tail.end(), end);
        for (trimmed, from) in [(0, 0), (0, 5), (5_000, 5_000), (9_000, 12_000), (end, end)] {
            tail.trim(trimmed);
            let expected: Vec<u64> = (from.max(1)..end).filter(|offset| offset % 3 == 2).collect();
            for limit in [0, 1, 100, usize::MAX] {
                let stretch = tail.stretch(from);
                let found: Vec<u64> = stretch.offsets_of(TopicId(2), from, limit).collect();
                assert_eq!(found, expected[..limit.min(expected.len())], "{trimmed} {from}");
            }
        }
    }

    #[test]
    fn the_sample_before_the_first_event_needed_stays() {
        let mut tail = Tail::new(0);
        let sample = |offset: u64| Sample { offset, place: Place { segment: 1, sector: 2 } };
        [0, 10, 20, 30].into_iter().for_each(|offset| tail.add_sample(sample(offset)));
        assert_eq!(tail.samples_in(10, 30), [sample(10), sample(20)]);
        tail.trim(15);
        assert_eq!(tail.sample_before(15), Some(sample(10)));
        assert_eq!(tail.sample_before(9), None);
        assert_eq!(tail.sample_before(u64::MAX), Some(sample(30)));
        tail.trim(20);
        assert_eq!(tail.sample_before(19), None);
        assert_eq!(tail.sample_before(20), Some(sample(20)));
    }
}
