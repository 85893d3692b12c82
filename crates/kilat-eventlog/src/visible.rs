//! What readers may see: the state after the last durable frame.
//!
//! One lock, held for moments: by the committing thread once a frame, by readers to copy what they
//! need. It knows nothing of what is decided but not durable.

use std::sync::Arc;

use kilat_journal::{Place, Position};

use crate::counters::Totals;
use crate::frame::Fixed;
use crate::index::{Sample, TopicId};
use crate::rules::Rules;
use crate::tail::Tail;
use crate::topics::Topics;

/// Frames this many bytes apart are sampled: between two samples the log is walked.
const SAMPLE_BYTES: u64 = 64 << 10;
const SECTOR_BYTES: u64 = kilat_journal::SECTOR_BYTES as u64;

/// The state after the last durable frame.
#[derive(Debug)]
pub(crate) struct Visible {
    pub(crate) figures: Figures,
    pub(crate) topics: Topics,
    /// Events of each topic, by its number.
    pub(crate) counts: Vec<u64>,
    /// Copied when a rule is added, so that readers can keep the one they have.
    pub(crate) rules: Arc<Rules>,
    /// The events that no run covers.
    pub(crate) tail: Tail,
    /// Events before this offset are in generations that are sealed, or in runs.
    pub(crate) sealed_end: u64,
    /// The last frame and where it is; `None` before the first.
    pub(crate) last: Option<(Position, Place)>,
}

/// The figures that every frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Figures {
    pub(crate) totals: Totals,
    /// How many events there are.
    pub(crate) end: u64,
    /// The last frame of the sale's ledger whose facts are all in the log.
    pub(crate) ledger_cursor: u64,
    pub(crate) received_ms: i64,
}

/// What one frame changes.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) figures: Figures,
    /// The topic of each event stored.
    pub(crate) topics: Vec<TopicId>,
    /// Topics that these events are the first of.
    pub(crate) new_topics: Vec<Arc<str>>,
    /// A rule to forget.
    pub(crate) rule: Option<(Option<TopicId>, u64)>,
}

impl Figures {
    pub(crate) fn of(fixed: &Fixed) -> Self {
        Self {
            totals: fixed.totals,
            end: fixed.end(),
            ledger_cursor: fixed.ledger_cursor,
            received_ms: fixed.received_ms,
        }
    }
}

impl Visible {
    /// The state before the first frame.
    pub(crate) fn new() -> Self {
        Self {
            figures: Figures::default(),
            topics: Topics::default(),
            counts: Vec::new(),
            rules: Arc::new(Rules::default()),
            tail: Tail::new(0),
            sealed_end: 0,
            last: None,
        }
    }

    /// Shows a frame that is durable.
    pub(crate) fn apply(&mut self, change: &Change, position: Position, place: Place) {
        if !change.topics.is_empty() && self.is_sampled(place) {
            self.tail.add_sample(Sample { offset: self.figures.end, place });
        }
        self.tail.extend(&change.topics);
        self.apply_but_tail(change);
        self.last = Some((position, place));
    }

    /// What [`Visible::apply`] does, for a state that nobody reads events from.
    pub(crate) fn apply_but_tail(&mut self, change: &Change) {
        for name in &change.new_topics {
            self.topics.add(Arc::clone(name));
            self.counts.push(0);
        }
        for topic in &change.topics {
            self.counts[topic.0 as usize] += 1;
        }
        if let Some((topic, below)) = change.rule {
            Arc::make_mut(&mut self.rules).add(topic, below);
        }
        self.figures = change.figures;
    }

    /// Whether a frame at `place` is to be sampled. The first of each generation is: a run looks
    /// its events up without help from its neighbours.
    fn is_sampled(&self, place: Place) -> bool {
        let begins_generation = self.figures.end == self.sealed_end;
        let is_far = |last: &Sample| {
            let sectors = u64::from(place.sector.saturating_sub(last.place.sector));
            last.place.segment != place.segment || sectors * SECTOR_BYTES >= SAMPLE_BYTES
        };
        begins_generation || self.tail.last_sample().is_none_or(is_far)
    }
}
