//! What the event log is meant to be, in the plainest words: a list and a map, forgetting nothing
//! and surviving everything.

use std::collections::{BTreeMap, BTreeSet};

use kilat_eventlog::{Content, Counters, NewEvent, Origin, Verdict};
use kilat_journal::simulation::Random;

/// An event as tests give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) topic: String,
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
}

impl Event {
    pub(crate) fn new(topic: &str, id: &str, body: &str) -> Self {
        Self { topic: topic.into(), id: id.into(), body: body.into() }
    }

    /// One of few topics and ids, so that the same come again, now and then with other content.
    pub(crate) fn random(random: &mut Random, topics: u64, ids: u64) -> Self {
        let (topic, id) = (random.below(topics), random.below(ids));
        let variant = if random.below(10) == 0 { 1 } else { 0 };
        let filler = "x".repeat((id * 37 % 300) as usize);
        let body = format!("body of {topic}/{id} variant {variant} {filler}");
        Self::new(&format!("topic-{topic}"), &format!("id-{id}"), &body)
    }

    pub(crate) fn content(&self) -> Content {
        Content::of(&self.body)
    }

    pub(crate) fn as_new(&self) -> NewEvent<'_> {
        NewEvent { topic: &self.topic, id: &self.id, content: self.content(), body: &self.body }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) events: Vec<Event>,
    pub(crate) received_ms: Vec<i64>,
    pub(crate) forgotten: BTreeSet<u64>,
    by_key: BTreeMap<(String, String), u64>,
    pub(crate) counters: Counters,
    pub(crate) ledger_cursor: u64,
    /// Events of each topic, in the order of first appearance.
    pub(crate) topics: Vec<(String, u64)>,
}

impl Model {
    pub(crate) fn end(&self) -> u64 {
        self.events.len() as u64
    }

    pub(crate) fn publish(&mut self, origin: Origin, now: i64, events: &[Event]) -> Vec<Verdict> {
        if let Origin::Projected { ledger_frame } = origin {
            self.ledger_cursor = self.ledger_cursor.max(ledger_frame);
        }
        events.iter().map(|event| self.publish_one(origin, now, event)).collect()
    }

    fn publish_one(&mut self, origin: Origin, now: i64, event: &Event) -> Verdict {
        let key = (event.topic.clone(), event.id.clone());
        let verdict = match self.by_key.get(&key) {
            Some(known) if self.events[*known as usize].body == event.body => {
                Verdict::Duplicate(*known)
            }
            Some(known) => Verdict::Conflict(*known),
            None => {
                let offset = self.end();
                self.by_key.insert(key, offset);
                self.events.push(event.clone());
                self.received_ms.push(now);
                match self.topics.iter_mut().find(|(name, _)| *name == event.topic) {
                    Some((_, count)) => *count += 1,
                    None => self.topics.push((event.topic.clone(), 1)),
                }
                Verdict::Stored(offset)
            }
        };
        self.count(origin, verdict);
        verdict
    }

    fn count(&mut self, origin: Origin, verdict: Verdict) {
        let counters = &mut self.counters;
        let is_stored = matches!(verdict, Verdict::Stored(_));
        if origin != Origin::Published {
            counters.projected += u64::from(is_stored);
            return;
        }
        counters.received += 1;
        counters.unique += u64::from(is_stored);
        counters.duplicates += u64::from(matches!(verdict, Verdict::Duplicate(_)));
        counters.conflicts += u64::from(matches!(verdict, Verdict::Conflict(_)));
    }

    pub(crate) fn forget(&mut self, topic: Option<&str>, before_ms: Option<i64>) {
        for (offset, event) in self.events.iter().enumerate() {
            let is_topic = topic.is_none_or(|topic| topic == event.topic);
            let is_old = before_ms.is_none_or(|time| self.received_ms[offset] < time);
            if is_topic && is_old {
                self.forgotten.insert(offset as u64);
            }
        }
    }

    /// The offsets of a topic, or all.
    pub(crate) fn offsets(&self, topic: Option<&str>) -> Vec<u64> {
        (0..self.end())
            .filter(|offset| topic.is_none_or(|topic| topic == self.events[*offset as usize].topic))
            .collect()
    }
}
