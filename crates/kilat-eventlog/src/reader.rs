//! Reading what is durable, from any thread, and looking up what is about to be published. It
//! never waits for the committing thread longer than that one shows a frame.

use std::collections::HashMap;
use std::sync::Arc;

use kilat_journal::Storage;

use crate::content::Content;
use crate::counters::{Counters, Origin};
use crate::error::ReadError;
use crate::frame::Spans;
use crate::locate::Locator;
use crate::publication::Publication;
use crate::rules::Rules;
use crate::shared::Shared;
use crate::topics::TopicCount;

/// Most events of one page.
pub const PAGE_EVENTS_MAX: usize = 65_536;

/// A way to what is stored. Clones are cheap and can be used from any thread.
pub struct Reader<S: Storage> {
    pub(crate) shared: Arc<Shared<S>>,
}

impl<S: Storage> Clone for Reader<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// Events in the order in which they were stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The events.
    pub events: Vec<StoredEvent>,
    /// There are more events: those after this offset.
    pub next: Option<u64>,
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the order of all events, from 0 and without gaps.
    pub offset: u64,
    /// Its topic.
    pub topic: Arc<str>,
    /// Its id, unique in the topic.
    pub id: String,
    /// The print of what it says.
    pub content: Content,
    /// When it was decided, in milliseconds since 1970.
    pub received_ms: i64,
    /// What was kept of it; `None` if that is forgotten.
    pub body: Option<Vec<u8>>,
}

impl<S: Storage> Reader<S> {
    /// An empty publication.
    #[must_use]
    pub fn publication(&self, origin: Origin) -> Publication {
        Publication::new(self.shared.printer.clone(), origin)
    }

    /// Looks a publication's events up in the index, so that the committing thread need not. Best
    /// done right before it is handed over; it reads files when an event may be an old one.
    ///
    /// # Errors
    /// [`ReadError`]: the publication can't be decided now.
    pub fn look_up(&self, publication: &mut Publication) -> Result<(), ReadError> {
        publication.found = self.shared.look_up(publication)?;
        Ok(())
    }

    /// How many events are durable: the offset that the next one will have, or a later one.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.shared.end()
    }

    /// Every topic in the order of its first event, with the number of its events.
    #[must_use]
    pub fn topics(&self) -> Vec<TopicCount> {
        let visible = self.shared.visible();
        let topics = visible.topics.names().iter().zip(&visible.counts);
        topics
            .map(|(topic, events)| TopicCount { topic: Arc::clone(topic), events: *events })
            .collect()
    }

    /// What was ever delivered.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.visible().figures.totals.into()
    }

    /// The last frame of the sale's ledger whose facts are all stored; 0 if there is none.
    #[must_use]
    pub fn ledger_cursor(&self) -> u64 {
        self.shared.visible().figures.ledger_cursor
    }

    /// Why the index can't be written at the moment, if so. Nothing is lost; publications are
    /// refused once two generations are full.
    #[must_use]
    pub fn index_problem(&self) -> Option<String> {
        self.shared.index.problem()
    }

    /// Durable events of one topic or of all, with offsets greater than `after`: up to `limit`
    /// (at least 1, at most [`PAGE_EVENTS_MAX`]), and no more after `bytes_max` of them were
    /// read. A topic that there is not has no events.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn read(
        &self,
        topic: Option<&str>,
        after: Option<u64>,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Page, ReadError> {
        let limit = limit.clamp(1, PAGE_EVENTS_MAX);
        let from = after.map_or(Some(0), |after| after.checked_add(1));
        let asked = match from {
            Some(from) => self.select(topic, from, limit)?,
            None => Selection::default(),
        };
        let mut filling = Filling {
            shared: &self.shared,
            locator: Locator::new(&self.shared, self.shared.index.runs()),
            rules: asked.rules,
            topics: HashMap::new(),
            events: Vec::with_capacity(asked.offsets.len().min(1_024)),
            bytes_left: bytes_max,
        };
        let has_all = filling.fill(&asked.offsets)?;
        let events = filling.events;
        let has_more = !has_all || asked.has_more;
        let next = events.last().map(|event| event.offset).filter(|_| has_more);
        Ok(Page { events, next })
    }

    /// The offsets to be read.
    fn select(&self, topic: Option<&str>, from: u64, limit: usize) -> Result<Selection, ReadError> {
        let visible = self.shared.visible();
        let (end, rules) = (visible.figures.end, Arc::clone(&visible.rules));
        let Some(topic) = topic else {
            let stop = end.min(from.saturating_add(limit as u64));
            let offsets = (from.min(stop)..stop).collect();
            return Ok(Selection { offsets, has_more: stop < end, rules });
        };
        let Some(topic) = visible.topics.find(topic) else {
            return Ok(Selection::default());
        };
        // With the lock held, so that the runs begin where the tail was cut off or later.
        let runs = self.shared.index.runs();
        let stretch = visible.tail.stretch(from.max(runs.end()));
        drop(visible);
        let wanted = limit + 1;
        let mut offsets = Vec::new();
        let after = from.checked_sub(1);
        let listed = runs.of_topic(topic, after, wanted, &mut offsets);
        listed.map_err(|error| self.shared.index_failed(&error))?;
        let left = wanted - offsets.len();
        offsets.extend(stretch.offsets_of(topic, from.max(runs.end()), left));
        let has_more = offsets.len() > limit;
        offsets.truncate(limit);
        Ok(Selection { offsets, has_more, rules })
    }
}

/// What a page is made from.
#[derive(Default)]
struct Selection {
    offsets: Vec<u64>,
    has_more: bool,
    rules: Arc<Rules>,
}

/// A page in the making.
struct Filling<'a, S: Storage> {
    shared: &'a Shared<S>,
    locator: Locator<'a, S>,
    rules: Arc<Rules>,
    /// Topics met, with the offset below which their bodies are forgotten.
    topics: HashMap<Arc<str>, u64>,
    events: Vec<StoredEvent>,
    bytes_left: usize,
}

impl<S: Storage> Filling<'_, S> {
    /// Reads these events until the page is full; whether it took them all.
    fn fill(&mut self, mut offsets: &[u64]) -> Result<bool, ReadError> {
        while let Some(first) = offsets.first().copied() {
            let fixed = *self.locator.seek(first)?;
            let in_frame = (first..fixed.end()).zip(offsets);
            let neighbours = in_frame.take_while(|(expected, offset)| expected == *offset).count();
            let from = (first - fixed.first) as u32;
            let spans = self.locator.spans(from, neighbours as u32)?;
            let taken = self.take(&spans);
            if taken == 0 {
                return Ok(false);
            }
            self.read(first, fixed.received_ms, &spans, taken)?;
            offsets = &offsets[taken..];
            if taken < neighbours {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How many of these events the page has room for; the first of a page always fits.
    fn take(&mut self, spans: &Spans) -> usize {
        for index in 0..spans.len() {
            let bytes = spans.record(index).len() + spans.body(index).len();
            let is_first = index == 0 && self.events.is_empty();
            if bytes > self.bytes_left && !is_first {
                return index;
            }
            self.bytes_left = self.bytes_left.saturating_sub(bytes);
        }
        spans.len()
    }

    /// Reads `count` neighbouring events, the first of which is at `offset`.
    fn read(
        &mut self,
        offset: u64,
        received_ms: i64,
        spans: &Spans,
        count: usize,
    ) -> Result<(), ReadError> {
        let records_start = spans.record(0).start;
        let bodies_start = spans.body(0).start;
        let (mut records, mut bodies) = (Vec::new(), Vec::new());
        self.locator.read(records_start..spans.record(count - 1).end, &mut records)?;
        self.locator.read(bodies_start..spans.body(count - 1).end, &mut bodies)?;
        for (offset, index) in (offset..).zip(0..count) {
            let record = spans.record(index);
            let record = &records[record.start - records_start..record.end - records_start];
            let record = self.locator.record(record)?;
            let body = spans.body(index);
            let body = &bodies[body.start - bodies_start..body.end - bodies_start];
            let (topic, forgotten_below) = self.topic(record.topic)?;
            // A rule newer than this page may have blanked the bytes already.
            let is_forgotten = offset < forgotten_below || body.first() == Some(&0);
            self.events.push(StoredEvent {
                offset,
                topic,
                id: record.id.to_owned(),
                content: record.content,
                received_ms,
                body: (!is_forgotten).then(|| body.to_vec()),
            });
        }
        Ok(())
    }

    /// A topic's shared name, and below which offset it is forgotten.
    fn topic(&mut self, name: &str) -> Result<(Arc<str>, u64), ReadError> {
        if let Some((name, below)) = self.topics.get_key_value(name) {
            return Ok((Arc::clone(name), *below));
        }
        let visible = self.shared.visible();
        let topic = visible.topics.find(name);
        let topic = topic.ok_or_else(|| ReadError::Index(format!("it has no topic {name}")))?;
        let name = Arc::clone(&visible.topics.names()[topic.0 as usize]);
        drop(visible);
        let below = self.rules.below(topic);
        self.topics.insert(Arc::clone(&name), below);
        Ok((name, below))
    }
}
