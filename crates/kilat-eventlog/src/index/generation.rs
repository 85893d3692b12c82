//! The index of the newest events, in memory: exact, bounded, cheap to miss in.
//!
//! Open addressing with linear probing over 8-byte slots, so that a miss costs one cache line and
//! a hit two. It grows with what it holds. Knows nothing of files.

use std::hint::black_box;
use std::ops::Range;

use crate::content::Content;

use super::records::{Record, RecordAt, Records};
use super::{Known, TopicId};

/// Events in a generation, unless told otherwise.
pub(crate) const GENERATION_EVENTS_MAX: usize = 1 << 19;
/// Bytes of ids in a generation.
pub(crate) const GENERATION_ID_BYTES_MAX: usize = 64 << 20;
const SLOTS_MIN: usize = 1 << 10;
/// The high half of a print, as kept in a slot.
const TAG: u64 = !0 << 32;
const EMPTY: u64 = 0;

/// The index of a range of offsets, growing at its end.
pub(crate) struct Generation {
    first: u64,
    events_max: usize,
    id_bytes: usize,
    /// A power of two of them. [`EMPTY`], or the print's high half and the
    /// record's place. A print's home is given by its low half.
    slots: Vec<u64>,
    prints: Vec<u64>,
    topics: Vec<TopicId>,
    records: Records,
}

impl Generation {
    /// An empty one for the events from offset `first` on, full at `events_max` of them (at least
    /// 1). It takes next to no memory.
    pub(crate) fn with_events_max(first: u64, events_max: usize) -> Self {
        Self::with_slots(first, events_max, SLOTS_MIN)
    }

    /// The one that follows `previous`, made for as many events, so that it need not grow again.
    pub(crate) fn after(previous: &Self) -> Self {
        let slots = previous.slots.len().min(slots_when_full(previous.events_max));
        Self::with_slots(previous.offsets().end, previous.events_max, slots)
    }

    fn with_slots(first: u64, events_max: usize, slots: usize) -> Self {
        Self {
            first,
            events_max,
            id_bytes: 0,
            slots: vec![EMPTY; slots],
            prints: Vec::with_capacity(slots / 2),
            topics: Vec::with_capacity(slots / 2),
            records: Records::default(),
        }
    }

    /// The offsets that it covers.
    pub(crate) fn offsets(&self) -> Range<u64> {
        self.first..self.first + self.prints.len() as u64
    }

    /// Whether it is to be sealed before the next group. The limits are soft: a group that was
    /// begun below them is taken whole.
    pub(crate) fn is_full(&self) -> bool {
        self.prints.len() >= self.events_max || self.id_bytes >= GENERATION_ID_BYTES_MAX
    }

    /// The prints of its events, in the order of their offsets.
    pub(crate) fn prints(&self) -> &[u64] {
        &self.prints
    }

    /// The topics of its events, in the order of their offsets.
    pub(crate) fn topics(&self) -> &[TopicId] {
        &self.topics
    }

    /// Brings a print's slot into the processor's cache: several in a row overlap their waits,
    /// which [`Generation::find`] would take one after the other.
    #[inline]
    pub(crate) fn warm(&self, print: u64) {
        black_box(self.slots[self.home(print)]);
    }

    /// Does so with the record that a warmed print may be found in.
    #[inline]
    pub(crate) fn warm_record(&self, print: u64) {
        let mut at = self.home(print);
        while self.slots[at] != EMPTY {
            if (self.slots[at] ^ print) & TAG == 0 {
                return self.records.warm(RecordAt(self.slots[at] as u32));
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// What is known of an event. `print` must be the print of `topic` and `id`.
    pub(crate) fn find(&self, print: u64, topic: TopicId, id: &[u8]) -> Option<Known> {
        let mut at = self.home(print);
        loop {
            let slot = self.slots[at];
            if slot == EMPTY {
                return None;
            }
            if (slot ^ print) & TAG == 0 {
                let record = self.records.at(RecordAt(slot as u32));
                if record.topic == topic && record.id == id {
                    let offset = self.first + u64::from(record.number);
                    return Some(Known { offset, content: record.content });
                }
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// Adds an event that [`Generation::find`] did not know and returns its offset. `id` has at
    /// most 65,535 bytes.
    pub(crate) fn insert(
        &mut self,
        print: u64,
        topic: TopicId,
        id: &[u8],
        content: Content,
    ) -> u64 {
        if self.prints.len() >= self.room() {
            self.grow();
        }
        let number = self.prints.len() as u32;
        let at = self.records.push(&Record { number, content, topic, id });
        self.place(print, at);
        self.prints.push(print);
        self.topics.push(topic);
        self.id_bytes += id.len();
        self.first + u64::from(number)
    }

    fn home(&self, print: u64) -> usize {
        print as usize & (self.slots.len() - 1)
    }

    fn place(&mut self, print: u64, record: RecordAt) {
        let mask = self.slots.len() - 1;
        let mut at = self.home(print);
        while self.slots[at] != EMPTY {
            at = (at + 1) & mask;
        }
        self.slots[at] = print & TAG | u64::from(record.0);
    }

    /// How many events the table takes before it grows: a half-full table is fast, and the group
    /// that overfills a generation is not worth a larger one.
    fn room(&self) -> usize {
        let slots = self.slots.len();
        if slots < slots_when_full(self.events_max) { slots / 2 } else { slots / 4 * 3 }
    }

    /// Makes the table four times as large, but not larger than a full generation needs.
    fn grow(&mut self) {
        let full = slots_when_full(self.events_max);
        let slots = (self.slots.len() * 4).min(full).max(self.slots.len() * 2);
        self.slots = vec![EMPTY; slots];
        self.prints.reserve_exact(slots / 2 - self.prints.len());
        self.topics.reserve_exact(slots / 2 - self.topics.len());
        let records = std::mem::take(&mut self.records);
        for (at, record) in records.iter() {
            self.place(self.prints[record.number as usize], at);
        }
        self.records = records;
    }
}

fn slots_when_full(events_max: usize) -> usize {
    (events_max * 2).next_power_of_two().max(SLOTS_MIN)
}
