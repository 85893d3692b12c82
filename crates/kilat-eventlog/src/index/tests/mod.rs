//! Tests of the index as a whole, against a model that keeps everything in plain maps.

mod crash;
mod damage;
mod generation;
mod indexer;
mod runs;

use std::collections::BTreeMap;
use std::sync::Arc;

use kilat_journal::simulation::{CrashingStorage, Random};
use kilat_journal::{JournalId, Place, Position};

use super::shelf::Shelf;
use super::{
    Candidate, GENERATION_EVENTS_MAX, Generation, Restored, Runs, Sample, Sealing, TopicId,
};
use crate::content::Content;

const JOURNAL: JournalId = JournalId([7; 16]);

/// Events in generations, and what an index of them has to say.
struct Model {
    /// The offset at which each generation ends.
    ends: Vec<u64>,
    prints: Vec<u64>,
    topics: Vec<TopicId>,
}

impl Model {
    /// Generations of these sizes. One print in eight is another event's as well, and topics are
    /// drawn from `topics`.
    fn new(seed: u64, sizes: &[u64], topics: u64) -> Self {
        let mut random = Random::new(seed);
        let mut model = Self { ends: Vec::new(), prints: Vec::new(), topics: Vec::new() };
        for size in sizes {
            for _ in 0..*size {
                let earlier = random.below(model.prints.len().max(1) as u64) as usize;
                let shared = model.prints.get(earlier).filter(|_| random.below(8) == 0);
                let print = shared.copied().unwrap_or_else(|| random.draw());
                model.prints.push(print);
                model.topics.push(TopicId(random.below(topics) as u32 * 3));
            }
            model.ends.push(model.prints.len() as u64);
        }
        model
    }

    fn start(&self, generation: usize) -> u64 {
        generation.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    fn generation(&self, number: usize) -> Generation {
        let start = self.start(number);
        let mut generation = Generation::with_events_max(start, GENERATION_EVENTS_MAX);
        for offset in start..self.ends[number] {
            let at = offset as usize;
            let id = format!("id {offset}");
            let content = Content::of(id.as_bytes());
            let given = generation.insert(self.prints[at], self.topics[at], id.as_bytes(), content);
            assert_eq!(given, offset);
        }
        generation
    }

    fn sealing(&self, number: usize) -> Sealing {
        let offsets = self.start(number)..self.ends[number];
        Sealing {
            generation: Arc::new(self.generation(number)),
            samples: offsets.filter(|offset| self.is_sampled(*offset)).map(sample).collect(),
            position: position(number + 1),
            state: state(number + 1),
        }
    }

    fn is_sampled(&self, offset: u64) -> bool {
        offset.is_multiple_of(3) || offset == 0 || self.ends.contains(&offset)
    }

    /// Checks every answer of `runs`.
    fn check(&self, runs: &Runs) {
        let end = runs.end();
        let mut by_print: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        let mut by_topic: BTreeMap<TopicId, Vec<u64>> = BTreeMap::new();
        for offset in 0..end {
            by_print.entry(self.prints[offset as usize]).or_default().push(offset);
            by_topic.entry(self.topics[offset as usize]).or_default().push(offset);
        }
        self.check_prints(runs, &by_print);
        check_topics(runs, &by_topic);
        let mut last = None;
        for offset in 0..end {
            last = if self.is_sampled(offset) { Some(sample(offset)) } else { last };
            assert_eq!(runs.place_before(offset).unwrap(), last, "the sample before {offset}");
        }
    }

    fn check_prints(&self, runs: &Runs, by_print: &BTreeMap<u64, Vec<u64>>) {
        let mut asked: Vec<u64> = by_print.keys().copied().collect();
        asked.extend(by_print.keys().map(|print| print ^ 1));
        asked.extend([0, u64::MAX]);
        let mut expected = Vec::new();
        for (place, print) in asked.iter().enumerate() {
            let offsets = by_print.get(print).cloned().unwrap_or_default();
            let mut found = Vec::new();
            runs.candidates_of(&[*print], &mut found).unwrap();
            let found: Vec<u64> = found.iter().map(|candidate| candidate.offset).collect();
            assert_eq!(found, offsets, "events with print {print:x}");
            expected.extend(offsets.into_iter().map(|offset| Candidate { print: place, offset }));
        }
        let mut found = Vec::new();
        runs.candidates_of(&asked, &mut found).unwrap();
        found.sort_unstable();
        assert_eq!(found, expected);
    }
}

fn check_topics(runs: &Runs, by_topic: &BTreeMap<TopicId, Vec<u64>>) {
    let last = by_topic.last_key_value().map_or(0, |(topic, _)| topic.0);
    for topic in (0..last + 2).map(TopicId) {
        let offsets = by_topic.get(&topic).cloned().unwrap_or_default();
        let middle = offsets.get(offsets.len() / 2).copied();
        let cases = [(None, usize::MAX), (None, 2), (middle, 3), (middle, 0), (Some(u64::MAX), 9)];
        for (after, limit) in cases {
            let beyond = offsets.iter().copied().filter(|offset| after.is_none_or(|a| *offset > a));
            let mut found = vec![1];
            runs.of_topic(topic, after, limit, &mut found).unwrap();
            assert_eq!(found.remove(0), 1);
            assert_eq!(
                found,
                beyond.take(limit).collect::<Vec<_>>(),
                "{topic:?} {after:?} {limit}"
            );
        }
    }
}

fn sample(offset: u64) -> Sample {
    Sample { offset, place: Place { segment: offset / 10, sector: offset as u32 * 5 } }
}

fn position(generations: usize) -> Position {
    Position { frame: generations as u64 * 10, chain: [generations as u8; 32] }
}

fn state(generations: usize) -> Vec<u8> {
    format!("the state after {generations} generations").into_bytes()
}

fn restored(generations: usize) -> Restored {
    Restored { position: position(generations), state: state(generations) }
}

/// How many generations were sealed when this was recorded.
fn generations(restored: Option<&Restored>) -> usize {
    let count = restored.map_or(0, |restored| (restored.position.frame / 10) as usize);
    assert!(restored.is_none_or(|found| *found == self::restored(count)), "the state is another's");
    count
}

fn load(storage: &CrashingStorage) -> (Shelf<CrashingStorage>, Option<Restored>, Vec<String>) {
    Shelf::load(storage.clone(), JOURNAL).unwrap()
}

fn empty_shelf() -> (CrashingStorage, Shelf<CrashingStorage>) {
    let storage = CrashingStorage::new(1);
    let shelf = load(&storage).0;
    (storage, shelf)
}
