//! What a run is made from when adjacent runs are merged, and which are.
//!
//! Every section is a merge of sorted streams, so that memory does not grow with the runs.

use std::ops::Range;
use std::sync::Arc;

use super::Sample;
use super::error::{BuildError, IndexError};
use super::page::SectionReader;
use super::run::{Contents, Entry, Put, RUN_EVENTS_MAX, Run, TopicEntry};

/// How many runs are merged into one.
const FAN_IN: usize = 4;

/// Which of adjacent runs, given by their numbers of events, oldest first, are to be merged next.
///
/// Runs are in levels, each four times as large as the one below. There are never more than
/// three in a level for long, so an event is copied once a level, and `n` generations make at
/// most `3 log4 n` runs. A run that is older than larger ones is merged with those.
pub(super) fn next_merge(events: &[u64]) -> Option<Range<usize>> {
    let mut end = events.len();
    let mut level = 0;
    while end > 0 {
        level = level.max(level_of(events[end - 1]));
        let mut start = end;
        while start > 0 && level_of(events[start - 1]) <= level {
            start -= 1;
        }
        let merged = start..start + FAN_IN;
        if merged.end <= end && events[merged.clone()].iter().sum::<u64>() <= RUN_EVENTS_MAX {
            return Some(merged);
        }
        end = start;
    }
    None
}

fn level_of(events: u64) -> u32 {
    events.max(1).ilog2() / FAN_IN.ilog2()
}

/// Adjacent runs, oldest first; at least one.
pub(super) struct MergeContents {
    runs: Vec<Arc<Run>>,
}

impl MergeContents {
    pub(super) fn of(runs: Vec<Arc<Run>>) -> Self {
        Self { runs }
    }

    fn first(&self) -> u64 {
        self.runs.first().map_or(0, |run| run.offsets().start)
    }

    /// By how much a run's relative offsets are moved.
    fn base(&self, run: &Run) -> u32 {
        (run.offsets().start - self.first()) as u32
    }

    /// Hands over each topic's entries of all runs that have it, by topic and run.
    fn topics(
        &self,
        mut put: impl FnMut(u32, &[(usize, TopicEntry)]) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        let mut heads = Vec::with_capacity(self.runs.len());
        for run in &self.runs {
            heads.push(TopicHead::of(run)?);
        }
        let mut parts = Vec::with_capacity(heads.len());
        while let Some(topic) = heads.iter().filter_map(|head| head.topic()).min() {
            parts.clear();
            for (number, head) in heads.iter_mut().enumerate() {
                if let Some(entry) = head.take(topic)? {
                    parts.push((number, entry));
                }
            }
            put(topic, &parts)?;
        }
        Ok(())
    }
}

impl Contents for MergeContents {
    fn offsets(&self) -> Range<u64> {
        self.first()..self.runs.last().map_or(0, |run| run.offsets().end)
    }

    fn entries(
        &mut self,
        mut put: impl FnMut(Entry) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        let mut heads = Vec::with_capacity(self.runs.len());
        for run in &self.runs {
            heads.extend(EntryHead::of(run, self.base(run))?);
        }
        while !heads.is_empty() {
            let least = least(&heads);
            put(heads[least].entry)?;
            if !heads[least].advance()? {
                heads.swap_remove(least);
            }
        }
        Ok(())
    }

    fn postings(
        &mut self,
        mut put: impl FnMut(u32) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        let mut streams: Vec<_> = self.runs.iter().map(|run| run.all_postings()).collect();
        self.topics(|_, parts| {
            for (number, entry) in parts {
                let run = &self.runs[*number];
                let base = self.base(run);
                for _ in 0..entry.count {
                    let posting = streams[*number].next()?.ok_or_else(|| run.contradiction())?;
                    put(base + u32::from_le_bytes(posting))?;
                }
            }
            Ok(())
        })
    }

    fn directory(&mut self, put: Put<'_, TopicEntry>) -> Result<(), BuildError> {
        let mut start = 0;
        self.topics(|topic, parts| {
            let count = parts.iter().map(|(_, entry)| entry.count).sum();
            put(TopicEntry { topic, start, count })?;
            start += count;
            Ok(())
        })
    }

    fn samples(&mut self, put: Put<'_, Sample>) -> Result<(), BuildError> {
        self.runs.iter().try_for_each(|run| run.each_sample(&mut *put))
    }
}

/// The next of a run's entries.
struct EntryHead<'a> {
    entry: Entry,
    base: u32,
    rest: SectionReader<'a, { Entry::BYTES }>,
}

impl<'a> EntryHead<'a> {
    /// `None` for a run without entries.
    fn of(run: &'a Run, base: u32) -> Result<Option<Self>, IndexError> {
        let mut head = Self { entry: Entry { print: 0, offset: 0 }, base, rest: run.all_entries() };
        Ok(head.advance()?.then_some(head))
    }

    /// `false` at the end.
    #[inline]
    fn advance(&mut self) -> Result<bool, IndexError> {
        let Some(bytes) = self.rest.next()? else {
            return Ok(false);
        };
        let Entry { print, offset } = Entry::decode(&bytes);
        self.entry = Entry { print, offset: self.base + offset };
        Ok(true)
    }
}

/// The place of the least head. There are few, so a tree would cost more than it saves.
#[inline]
fn least(heads: &[EntryHead<'_>]) -> usize {
    let mut least = 0;
    for at in 1..heads.len() {
        if heads[at].entry < heads[least].entry {
            least = at;
        }
    }
    least
}

/// The next of a run's topics.
struct TopicHead<'a> {
    run: &'a Run,
    next: Option<TopicEntry>,
    /// Postings of the topics before it.
    postings: u64,
    rest: SectionReader<'a, { TopicEntry::BYTES }>,
}

impl<'a> TopicHead<'a> {
    fn of(run: &'a Run) -> Result<Self, IndexError> {
        let mut head = Self { run, next: None, postings: 0, rest: run.all_topics() };
        head.advance()?;
        Ok(head)
    }

    fn topic(&self) -> Option<u32> {
        self.next.map(|entry| entry.topic)
    }

    /// The entry, if it is of this topic.
    fn take(&mut self, topic: u32) -> Result<Option<TopicEntry>, IndexError> {
        let Some(entry) = self.next.filter(|entry| entry.topic == topic) else {
            return Ok(None);
        };
        self.advance()?;
        Ok(Some(entry))
    }

    /// Goes to the next topic. Topics rise and their postings follow each other, to the last.
    fn advance(&mut self) -> Result<(), IndexError> {
        let before = self.next.take();
        self.postings += before.map_or(0, |entry| u64::from(entry.count));
        self.next = self.rest.next()?.map(|bytes| TopicEntry::decode(&bytes));
        let follows = match self.next {
            Some(next) => {
                before.is_none_or(|before| before.topic < next.topic)
                    && u64::from(next.start) == self.postings
            }
            None => self.postings == self.run.events(),
        };
        if follows { Ok(()) } else { Err(self.run.contradiction()) }
    }
}
