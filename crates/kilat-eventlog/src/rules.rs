//! The rules to forget that are in force, and what they come to for a frame.
//!
//! Knows no files: who reads honours them, who gives space back asks which bytes they concern.

use std::collections::HashMap;
use std::ops::Range;

use crate::frame::{Head, RuleText};
use crate::index::TopicId;
use crate::topics::Topics;

/// The rules in force: for each topic, and for all, below which offset bodies are forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Rules {
    all_below: u64,
    by_topic: HashMap<TopicId, u64>,
}

impl Rules {
    pub(crate) fn add(&mut self, topic: Option<TopicId>, below: u64) {
        let known = match topic {
            None => &mut self.all_below,
            Some(topic) => self.by_topic.entry(topic).or_default(),
        };
        *known = below.max(*known);
    }

    /// The offset below which events of `topic` are forgotten.
    pub(crate) fn below(&self, topic: TopicId) -> u64 {
        self.by_topic.get(&topic).map_or(self.all_below, |below| self.all_below.max(*below))
    }

    pub(crate) fn all_below(&self) -> u64 {
        self.all_below
    }

    pub(crate) fn by_topic(&self) -> impl Iterator<Item = (TopicId, u64)> {
        self.by_topic.iter().map(|(topic, below)| (*topic, *below))
    }

    /// No event from this offset on is forgotten.
    pub(crate) fn end(&self) -> u64 {
        self.by_topic.values().fold(self.all_below, |end, below| end.max(*below))
    }
}

/// What a rule comes to: a topic without events has nothing to be forgotten, now or later.
pub(crate) fn in_force(rule: &RuleText<'_>, topics: &Topics) -> Option<(Option<TopicId>, u64)> {
    match rule.topic {
        None => Some((None, rule.below)),
        Some(name) => topics.find(name).map(|topic| (Some(topic), rule.below)),
    }
}

/// The parts of a frame's body that are forgotten, neighbours joined.
pub(crate) fn forgotten(
    head: &[u8],
    body_bytes: usize,
    rules: &Rules,
    topics: &Topics,
) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    // A frame that makes no sense is not touched; recovery and verification report it.
    let Ok(Head::Events(events)) = Head::decode(head, body_bytes) else {
        return ranges;
    };
    for (offset, record, body) in events.events() {
        let topic = record.ok().and_then(|record| topics.find(record.topic));
        if topic.is_none_or(|topic| offset >= rules.below(topic)) {
            continue;
        }
        match ranges.last_mut() {
            Some(last) if last.end == body.start => last.end = body.end,
            _ => ranges.push(body),
        }
    }
    ranges
}
