//! Topic names and the numbers that stand for them in memory and in the index: in the order of
//! their first event. It knows nothing of events.

use std::collections::HashMap;
use std::sync::Arc;

use crate::index::TopicId;

/// Most topics that publishers can make. A topic costs some hundred bytes of memory for ever, so
/// strangers must not be able to make any number of them. The sale's own topics always fit.
pub const TOPICS_MAX: usize = 100_000;
/// The longest name of a topic in bytes.
pub const TOPIC_BYTES_MAX: usize = 1_024;

/// A topic and how many events it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicCount {
    /// Its name.
    pub topic: Arc<str>,
    /// Events stored in it.
    pub events: u64,
}

/// The names known, numbered from 0.
#[derive(Debug, Clone, Default)]
pub(crate) struct Topics {
    names: Vec<Arc<str>>,
    /// Names come from strangers: std's hasher is keyed.
    by_name: HashMap<Arc<str>, TopicId>,
}

impl Topics {
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn find(&self, name: &str) -> Option<TopicId> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// The number of a name that is not known yet.
    pub(crate) fn add(&mut self, name: Arc<str>) -> TopicId {
        // Far fewer than 2^32 fit into memory.
        let topic = TopicId(self.names.len() as u32);
        self.names.push(Arc::clone(&name));
        self.by_name.insert(name, topic);
        topic
    }
}

/// Topics as they are after a frame that is being read.
pub(crate) struct Numbering<'a> {
    known: &'a Topics,
    new: Topics,
}

impl<'a> Numbering<'a> {
    /// Goes on after those that are known.
    pub(crate) fn after(known: &'a Topics) -> Self {
        Self { known, new: Topics::default() }
    }

    /// The number and name of a topic, a new one if it is not known.
    pub(crate) fn number(&mut self, name: &str) -> (TopicId, &Arc<str>) {
        if let Some(topic) = self.known.find(name) {
            return (topic, &self.known.names[topic.0 as usize]);
        }
        let new = self.new.find(name).unwrap_or_else(|| self.new.add(name.into()));
        (TopicId(self.known.len() as u32 + new.0), &self.new.names[new.0 as usize])
    }

    /// Those that were not known, in the order of appearance.
    pub(crate) fn into_new(self) -> Vec<Arc<str>> {
        self.new.names
    }
}
