//! That the index agrees with the log: every event has its print, its place among its topic's
//! events and a frame at which it is found, and the state is the one of the frame it names.

use std::collections::HashMap;
use std::sync::Arc;

use kilat_journal::{FrameView, JournalId, Storage};

use super::Verified;
use crate::error::OpenError;
use crate::index::{Candidate, IndexError, Indexer, Runs, Sample, TopicId};
use crate::visible::{Change, Visible};

/// Events that are compared at once.
const WINDOW_EVENTS: usize = 65_536;

/// The index beside a log that is being read.
pub(super) struct IndexCheck {
    runs: Arc<Runs>,
    /// What the index remembers, until its frame is reached.
    state: Option<Visible>,
    /// The offset of the first event in the window.
    first: u64,
    prints: Vec<u64>,
    topics: Vec<TopicId>,
    /// The last sample that a frame was found for.
    sample: Option<Sample>,
}

impl IndexCheck {
    /// A check of nothing.
    pub(super) fn none() -> Self {
        Self {
            runs: Arc::default(),
            state: None,
            first: 0,
            prints: Vec::new(),
            topics: Vec::new(),
            sample: None,
        }
    }

    pub(super) fn load<S: Storage>(
        storage: &S,
        journal: JournalId,
        key_print: u64,
        found: &mut Verified,
    ) -> Result<Self, OpenError> {
        let loaded = Indexer::load(storage.clone(), journal);
        let (indexer, restored, passed_over) =
            loaded.map_err(|e| OpenError::Index(e.to_string()))?;
        passed_over.into_iter().for_each(|why| found.find(format!("the index: {why}")));
        let Some(restored) = restored else {
            return Ok(Self::none());
        };
        let runs = indexer.runs();
        found.indexed = runs.end();
        match crate::state::decode(&restored.state, restored.position, key_print) {
            Ok(state) => Ok(Self { runs, state: Some(state), ..Self::none() }),
            Err(why) => {
                found.find(format!("the index's state can't be used: {why}"));
                Ok(Self { runs, ..Self::none() })
            }
        }
    }

    /// Takes an event in.
    pub(super) fn event(&mut self, print: u64, topic: TopicId) {
        if self.first + (self.prints.len() as u64) < self.runs.end() {
            self.prints.push(print);
            self.topics.push(topic);
        }
    }

    /// Checks where the frame's events are looked for, and the window if it is full.
    pub(super) fn frame(
        &mut self,
        frame: &FrameView<'_>,
        change: &Change,
        first: u64,
        found: &mut Verified,
    ) {
        if first < self.runs.end() && !change.topics.is_empty() {
            let here = Sample { offset: first, place: frame.place };
            // A run finds all its events without help from its neighbours.
            let begins_run = self.runs.list().iter().any(|run| run.offsets().start == first);
            match self.runs.place_before(first) {
                Ok(Some(sample)) if sample == here => self.sample = Some(here),
                Ok(sample) if sample.is_some() && sample == self.sample && !begins_run => {}
                Ok(_) => found.find(format!("the index looks for event {first} elsewhere")),
                Err(error) => found.find(format!("the index: {error}")),
            }
        }
        if self.prints.len() >= WINDOW_EVENTS {
            self.window(found);
        }
    }

    /// Compares the state with that of the frame it was made after.
    pub(super) fn state_after(
        &mut self,
        frame: &FrameView<'_>,
        log: &Visible,
        found: &mut Verified,
    ) {
        let is_its_frame = |state: &mut Visible| {
            state.last.is_some_and(|(position, _)| position.frame == frame.number)
        };
        let Some(state) = self.state.take_if(is_its_frame) else {
            return;
        };
        let is_same = state.last.is_some_and(|(position, place)| {
            position.chain == *frame.chain && place == frame.place
        }) && state.figures == log.figures
            && state.topics.names() == log.topics.names()
            && state.counts == log.counts
            && state.rules == log.rules
            && self.runs.end() == log.figures.end;
        if !is_same {
            found.find(format!("the index's state is not that of frame {}", frame.number));
        }
    }

    /// Compares what is left, and that the index does not go on beyond the log.
    pub(super) fn finish(mut self, log: &Visible, found: &mut Verified) {
        self.window(found);
        if self.state.is_some() || self.runs.end() > log.figures.end {
            found.find("the index was made from frames that the log does not have".to_owned());
        }
    }

    fn window(&mut self, found: &mut Verified) {
        if let Err(error) = self.compare_prints(found).and_then(|()| self.compare_topics(found)) {
            found.find(format!("the index: {error}"));
        }
        self.first += self.prints.len() as u64;
        self.prints.clear();
        self.topics.clear();
    }

    fn compare_prints(&self, found: &mut Verified) -> Result<(), IndexError> {
        let mut candidates = Vec::new();
        self.runs.candidates_of(&self.prints, &mut candidates)?;
        candidates.sort_unstable();
        for (print, offset) in (0..self.prints.len()).zip(self.first..) {
            if candidates.binary_search(&Candidate { print, offset }).is_err() {
                found.find(format!("the index does not find event {offset}"));
            }
        }
        Ok(())
    }

    fn compare_topics(&self, found: &mut Verified) -> Result<(), IndexError> {
        let mut by_topic: HashMap<TopicId, Vec<u64>> = HashMap::new();
        for (topic, offset) in self.topics.iter().zip(self.first..) {
            by_topic.entry(*topic).or_default().push(offset);
        }
        let end = self.first + self.topics.len() as u64;
        for (topic, offsets) in by_topic {
            let mut listed = Vec::new();
            let after = self.first.checked_sub(1);
            self.runs.of_topic(topic, after, offsets.len() + 1, &mut listed)?;
            listed.retain(|offset| *offset < end);
            if listed != offsets {
                found.find(format!("the index lists other events of a topic from {}", self.first));
            }
        }
        Ok(())
    }
}
