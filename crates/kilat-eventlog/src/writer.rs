//! The committing thread's side: decides publications one after the other and assembles the frame
//! that records them.
//!
//! Memory runs ahead of the disk here. Nothing of it is shown to anybody before
//! [`Durable::publish`], which is called when the frame is durable.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use kilat_journal::{Committed, Place, Position, Storage};

use crate::counters::{Origin, Verdict};
use crate::error::{ReadError, Refusal};
use crate::forget::{ForgetRule, is_in_newest_segment};
use crate::frame::{ENTRY_BYTES, Fixed, HEAD_FIXED_BYTES, Kind, RuleText};
use crate::index::{Generation, Known, Sealing, TopicId};
use crate::memory::Memory;
use crate::publication::{Hit, Prepared, Publication};
use crate::rules::in_force;
use crate::shared::Shared;
use crate::topics::{TOPICS_MAX, Topics};
use crate::visible::{Change, Figures};

/// Events whose places in the index are fetched ahead of deciding them.
const WARM_EVENTS: usize = 64;
/// How often it is looked whether the index is done with the generation before the last.
const CLOSE_PAUSE: Duration = Duration::from_millis(1);

/// Decides what is stored. There is one of it, used by one thread: for each group of publications
/// [`Writer::begin`], [`Writer::decide`] for each, [`Writer::finish`].
pub struct Writer<S: Storage> {
    shared: Arc<Shared<S>>,
    memory: Memory,
    topics: Topics,
    /// As they are after the last event decided.
    figures: Figures,
    /// A generation to be handed to the index when the group at hand is durable.
    sealed: Option<Arc<Generation>>,
    group: Group,
    /// The number in the log of each of a publication's topics that has one.
    resolved: Vec<Option<TopicId>>,
}

/// A frame in the making.
#[derive(Default)]
struct Group {
    /// The fixed part's place, then records.
    head: Vec<u8>,
    table: Vec<u8>,
    bodies: Vec<u8>,
    first: u64,
    topics: Vec<TopicId>,
    new_topics: Vec<Arc<str>>,
}

/// A frame to be committed.
pub struct Staged<S: Storage> {
    /// The frame's payload.
    pub payload: Vec<u8>,
    /// How much of it is the head, over which the journal's chain runs.
    pub head_bytes: u32,
    /// Whether the frame should begin a segment: it is a rule about bodies in the newest one,
    /// which leave the disk only when the log has left it.
    pub begins_segment: bool,
    /// To be published when the frame is durable.
    pub durable: Durable<S>,
}

/// What a frame changes for readers. Frames' changes are published in the order of the frames.
pub struct Durable<S: Storage> {
    shared: Arc<Shared<S>>,
    change: Change,
    sealed: Option<Arc<Generation>>,
}

impl<S: Storage> Writer<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>, memory: Memory) -> Self {
        let visible = shared.visible();
        let (topics, figures) = (visible.topics.clone(), visible.figures);
        drop(visible);
        Self {
            shared,
            memory,
            topics,
            figures,
            sealed: None,
            group: Group::default(),
            resolved: Vec::new(),
        }
    }

    /// The time at which the last frame was decided, in milliseconds since 1970 (0 if there is
    /// none). Give no earlier one to [`Writer::begin`].
    #[must_use]
    pub fn last_received_ms(&self) -> i64 {
        self.figures.received_ms
    }

    /// Whether another group can be taken. If not, the index can't be written for now, which has
    /// to wait for space: refuse publications and go on reading.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.memory.is_full() || self.can_seal()
    }

    fn can_seal(&self) -> bool {
        self.memory.can_seal(self.shared.index.runs().end()) && self.shared.index.can_seal()
    }

    /// Begins a group, decided at `received_ms` (milliseconds since 1970). `payload` is any
    /// buffer, for its allocation.
    pub fn begin(&mut self, received_ms: i64, payload: Vec<u8>) {
        self.memory.let_go();
        if self.memory.is_full() && self.can_seal() {
            self.sealed = Some(self.memory.seal());
            self.shared.show_memory(self.memory.first());
        }
        self.figures.received_ms = received_ms.max(self.figures.received_ms);
        self.group.begin(self.memory.end(), payload);
    }

    /// Whether all topics of a publication can be taken.
    ///
    /// # Errors
    /// [`Refusal::TooManyTopics`]
    pub fn fits(&self, publication: &Publication) -> Result<(), Refusal> {
        let is_free = self.topics.len().saturating_add(publication.topics().len()) <= TOPICS_MAX;
        if is_free || !matches!(publication.origin(), Origin::Published) {
            return Ok(());
        }
        let named = publication.topics().iter();
        let more = named.filter(|name| self.topics.find(name).is_none()).count();
        if more > 0 && self.topics.len() + more > TOPICS_MAX {
            return Err(Refusal::TooManyTopics);
        }
        Ok(())
    }

    /// Decides a publication and adds what is new to the group. One verdict an event is appended
    /// to `verdicts`, in order; of the same event twice, the earlier one is stored.
    ///
    /// It reads files if the publication was not looked up, or so long ago that two generations
    /// were sealed since.
    ///
    /// # Errors
    /// [`Refusal`]: nothing of the publication was applied. The group goes on without it.
    pub fn decide(
        &mut self,
        publication: &Publication,
        verdicts: &mut Vec<Verdict>,
    ) -> Result<(), Refusal> {
        self.fits(publication)?;
        let (covered, first) = (publication.found.covered, self.memory.first_for_now());
        if covered >= first {
            self.apply(publication, &publication.found.hits, verdicts);
            return Ok(());
        }
        let found = self.shared.look_up_in(publication, covered..first);
        let mut hits = found.map_err(Refusal::LookUp)?;
        hits.extend(publication.found.hits.iter().cloned());
        hits.sort_unstable_by_key(|hit| hit.index);
        self.apply(publication, &hits, verdicts);
        Ok(())
    }

    fn apply(&mut self, publication: &Publication, hits: &[Hit], verdicts: &mut Vec<Verdict>) {
        let Self { topics, resolved, .. } = self;
        resolved.clear();
        resolved.extend(publication.topics().iter().map(|name| topics.find(name)));
        verdicts.reserve(publication.len());
        let is_old = publication.found.covered < self.memory.first();
        let mut hits = hits.iter().peekable();
        let mut stretches = publication.prints().chunks(WARM_EVENTS);
        for index in 0..publication.len() {
            if index % WARM_EVENTS == 0 {
                self.memory.warm(stretches.next().unwrap_or_default());
            }
            let hit = hits.next_if(|hit| hit.index as usize == index);
            let event = publication.event(index);
            let verdict = match hit.map(|hit| hit.known).or_else(|| self.find(&event, is_old)) {
                Some(known) if known.content == event.content => Verdict::Duplicate(known.offset),
                Some(known) => Verdict::Conflict(known.offset),
                None => Verdict::Stored(self.store(publication, &event)),
            };
            self.figures.totals.count(publication.origin(), verdict);
            verdicts.push(verdict);
        }
        if let Origin::Projected { ledger_frame } = publication.origin() {
            self.figures.ledger_cursor = self.figures.ledger_cursor.max(ledger_frame);
        }
    }

    /// An event of a topic that has no number yet can't be known.
    fn find(&self, event: &Prepared<'_>, is_old: bool) -> Option<Known> {
        let topic = self.resolved[event.topic as usize]?;
        let known = self.memory.find(event.print, topic, event.id);
        let older = || self.memory.find_older(event.print, topic, event.id);
        if is_old { known.or_else(older) } else { known }
    }

    fn store(&mut self, publication: &Publication, event: &Prepared<'_>) -> u64 {
        let topic = match self.resolved[event.topic as usize] {
            Some(topic) => topic,
            None => self.add_topic(publication, event.topic),
        };
        self.group.push(topic, event);
        self.memory.insert(event.print, topic, event.id, event.content)
    }

    fn add_topic(&mut self, publication: &Publication, number: u32) -> TopicId {
        let name: Arc<str> = Arc::from(&*publication.topics()[number as usize]);
        self.group.new_topics.push(Arc::clone(&name));
        let topic = self.topics.add(name);
        self.resolved[number as usize] = Some(topic);
        topic
    }

    /// Ends the group: the frame to be committed, also if nothing of it is new, since the counters
    /// are durable with it.
    pub fn finish(&mut self) -> Staged<S> {
        self.figures.end = self.memory.end();
        let count = self.group.topics.len() as u32;
        let fixed = self.fixed(Kind::Events, count, self.group.first);
        let (payload, head_bytes) = self.group.assemble(&fixed);
        let change = Change {
            figures: self.figures,
            topics: std::mem::take(&mut self.group.topics),
            new_topics: std::mem::take(&mut self.group.new_topics),
            rule: None,
        };
        self.staged(payload, head_bytes, change)
    }

    /// Records a rule to forget, in a frame of its own between two groups: the offset below which
    /// events are forgotten, and the frame. It reads files if the rule has a time.
    ///
    /// # Errors
    /// [`ReadError`]: nothing was done.
    pub fn forget(
        &mut self,
        rule: &ForgetRule,
        received_ms: i64,
    ) -> Result<(u64, Staged<S>), ReadError> {
        let below = rule.resolve(&self.shared)?;
        self.figures.received_ms = received_ms.max(self.figures.received_ms);
        let text = RuleText { topic: rule.topic.as_deref(), below };
        let rule = in_force(&text, &self.topics);
        let begins_segment = rule.is_some() && is_in_newest_segment(&self.shared, below)?;
        // A rule about nothing takes a frame as any other, of a length that is known beforehand.
        let text = if rule.is_some() { text } else { RuleText { topic: None, below: 0 } };
        let fixed = self.fixed(Kind::Rule, 0, self.memory.end());
        let mut payload = vec![0; HEAD_FIXED_BYTES];
        fixed.write(&mut payload);
        text.write(&mut payload);
        let head_bytes = payload.len() as u32;
        let change = Change { figures: self.figures, rule, ..Change::default() };
        let staged = self.staged(payload, head_bytes, change);
        Ok((below, Staged { begins_segment, ..staged }))
    }

    fn fixed(&self, kind: Kind, count: u32, first: u64) -> Fixed {
        let Figures { totals, ledger_cursor, received_ms, .. } = self.figures;
        Fixed { kind, count, first, received_ms, ledger_cursor, totals }
    }

    fn staged(&mut self, payload: Vec<u8>, head_bytes: u32, change: Change) -> Staged<S> {
        let (shared, sealed) = (Arc::clone(&self.shared), self.sealed.take());
        let durable = Durable { shared, change, sealed };
        Staged { payload, head_bytes, begins_segment: false, durable }
    }

    /// Gives the index what it does not have yet, so that the next start is quick, and waits for
    /// it. Everything that was staged must have been published. Whatever fails is made up for at
    /// the next start.
    pub fn close(mut self) {
        let index = &self.shared.index;
        while !self.can_seal() && index.problem().is_none() {
            thread::sleep(CLOSE_PAUSE);
        }
        if !self.memory.is_open_empty() && self.can_seal() {
            hand_over(&self.shared, self.memory.seal());
        }
        self.shared.index.close();
    }
}

impl Group {
    fn begin(&mut self, first: u64, mut payload: Vec<u8>) {
        payload.clear();
        payload.resize(HEAD_FIXED_BYTES, 0);
        self.head = payload;
        self.table.clear();
        self.bodies.clear();
        self.first = first;
        self.topics.clear();
        self.new_topics.clear();
    }

    #[inline]
    fn push(&mut self, topic: TopicId, event: &Prepared<'_>) {
        self.head.extend_from_slice(event.record);
        self.bodies.extend_from_slice(event.body);
        let mut entry = [0; ENTRY_BYTES];
        let records_end = (self.head.len() - HEAD_FIXED_BYTES) as u32;
        entry[..4].copy_from_slice(&records_end.to_le_bytes());
        entry[4..].copy_from_slice(&(self.bodies.len() as u32).to_le_bytes());
        self.table.extend_from_slice(&entry);
        self.topics.push(topic);
    }

    /// The payload, and how much of it is the head.
    fn assemble(&mut self, fixed: &Fixed) -> (Vec<u8>, u32) {
        let mut payload = std::mem::take(&mut self.head);
        fixed.write(&mut payload);
        payload.reserve(self.table.len() + self.bodies.len());
        payload.extend_from_slice(&self.table);
        let head_bytes = payload.len() as u32;
        payload.extend_from_slice(&self.bodies);
        (payload, head_bytes)
    }
}

impl<S: Storage> Durable<S> {
    /// Shows readers what the frame changed; to be called when it is durable, before replies
    /// leave. Returns how many events there are now.
    pub fn publish(self, committed: &Committed) -> u64 {
        let Self { shared, change, sealed } = self;
        publish(&shared, &change, sealed, committed.position, committed.place)
    }
}

/// Shows a durable frame, after what was sealed before it has been handed to the index.
pub(crate) fn publish<S: Storage>(
    shared: &Shared<S>,
    change: &Change,
    sealed: Option<Arc<Generation>>,
    position: Position,
    place: Place,
) -> u64 {
    if let Some(generation) = sealed {
        hand_over(shared, generation);
    }
    let covered = shared.index.runs().end();
    let mut visible = shared.visible();
    visible.apply(change, position, place);
    visible.tail.trim(covered);
    drop(visible);
    shared.show_end(change.figures.end);
    change.figures.end
}

/// Gives the index a sealed generation, all of which is durable, and with it the state after its
/// last frame.
pub(crate) fn hand_over<S: Storage>(shared: &Shared<S>, generation: Arc<Generation>) {
    let offsets = generation.offsets();
    let mut visible = shared.visible();
    let Some((position, _)) = visible.last else {
        return;
    };
    visible.sealed_end = offsets.end;
    let samples = visible.tail.samples_in(offsets.start, offsets.end);
    let state = crate::state::encode(&visible, shared.printer.key_print());
    drop(visible);
    shared.index.seal(Sealing { generation, samples, position, state });
}
