//! Index tables: from 128 hashed bits to a record's number.
//!
//! Open addressing with linear probing (Knuth, TAOCP 6.4, algorithm L) by buckets of one cache
//! line of 8-byte slots, a 32-bit tag and a number each; whoever looks up compares the whole
//! 128 bits with the record.
//! The top bits of the hash choose one of `SEGMENTS` small tables that grow on their own: a
//! growth moves one segment only (about 80 KB at 10 million entries), so no insertion stalls.
//! The tag holds the bits that place an entry in its segment, so growth reads no record.
//! Nothing is ever removed.

use std::hint::black_box;

const SEGMENT_BITS: u32 = 10;
const SEGMENTS: usize = 1 << SEGMENT_BITS;
/// Slots of a cache line.
const BUCKET_SLOTS: usize = 8;
/// Numbers are stored plus one, so that no entry looks empty.
const EMPTY: u32 = 0;
/// How many entries are touched ahead of their insertion when a table is filled: enough for the
/// misses to overlap, few enough to stay in the first-level cache.
const TOUCH_AHEAD: usize = 64;

/// What places an entry: 64 of its 128 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(u64);

impl Place {
    /// Of a fingerprint: its bits are as good as random already.
    #[inline]
    pub(crate) const fn of_print(print: u128) -> Self {
        Self(print as u64)
    }

    /// Of an order id. Ids are meant to be random, but a caller that counts or puts a time in
    /// front must not end up in one segment: multiply and fold.
    #[inline]
    pub(crate) const fn of_id(id: u128) -> Self {
        let (high, low) = ((id >> 64) as u64, id as u64);
        let left = low ^ 0x9e37_79b9_7f4a_7c15;
        let right = high ^ 0xd1b5_4a32_d192_ed03;
        let product = (left as u128 * 0xa076_1d64_78bd_642f)
            .wrapping_add(right as u128 * 0xe703_7ed1_a0b4_28db);
        let folded = (product >> 64) as u64 ^ product as u64;
        Self(folded.wrapping_mul(0x8ebc_6af0_9c88_c6e3).rotate_left(32))
    }

    const fn segment(self) -> usize {
        (self.0 >> (64 - SEGMENT_BITS)) as usize
    }

    const fn tag(self) -> u32 {
        self.0 as u32
    }
}

/// From places to record numbers.
#[derive(Debug)]
pub(crate) struct Table {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, Default)]
struct Segment {
    buckets: Vec<Bucket>,
    used: usize,
}

/// One cache line of slots, filled from the front. Tags lie together, so that comparing them
/// takes a few vector instructions.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Bucket {
    tags: [u32; BUCKET_SLOTS],
    /// Numbers plus one.
    numbers: [u32; BUCKET_SLOTS],
}

const _: () = assert!(size_of::<Bucket>() == 64);

impl Table {
    pub(crate) fn new() -> Self {
        Self { segments: vec![Segment::default(); SEGMENTS] }
    }

    /// With numbers 0, 1, 2 … for the places given. `None` if `same` says that a number's whole
    /// 128 bits equal those of an earlier one.
    pub(crate) fn filled(
        count: u32,
        places: impl Iterator<Item = Place>,
        same: impl Fn(u32, u32) -> bool,
    ) -> Option<Self> {
        let mut table = Self::with_room_for(count as usize);
        let mut ahead = Vec::with_capacity(TOUCH_AHEAD);
        let mut places = places.fuse();
        let mut number = 0;
        loop {
            ahead.clear();
            ahead.extend(places.by_ref().take(TOUCH_AHEAD));
            if ahead.is_empty() {
                return Some(table);
            }
            black_box(ahead.iter().fold(0, |sum, place| sum ^ table.touch(*place)));
            for place in &ahead {
                if table.find(*place, |other| same(number, other)).is_some() {
                    return None;
                }
                table.insert(*place, number);
                number += 1;
            }
        }
    }

    fn with_room_for(count: usize) -> Self {
        let mut table = Self::new();
        let mean = count / SEGMENTS;
        // Entries spread like coin tosses: 4 standard deviations above the mean, and the few
        // segments beyond that grow by themselves.
        let expected = mean + 4 * mean.isqrt() + 1;
        let buckets = (expected * 4 / 3 / BUCKET_SLOTS + 1).next_power_of_two();
        if count > 0 {
            for segment in &mut table.segments {
                segment.buckets = vec![Bucket::EMPTY; buckets];
            }
        }
        table
    }

    /// Reads the first slot of a place, so that its cache line is there when it is needed. The
    /// value only serves to keep the read from being optimised away.
    #[inline]
    pub(crate) fn touch(&self, place: Place) -> u64 {
        self.bucket(place).map_or(0, |bucket| bucket.tags[0].into())
    }

    /// A number with the tag of a place: most likely the one sought.
    #[inline]
    pub(crate) fn likely(&self, place: Place) -> Option<u32> {
        let bucket = self.bucket(place)?;
        let found = bucket.matches(place.tag());
        (found != 0).then(|| bucket.number(found.trailing_zeros()))
    }

    #[inline]
    fn bucket(&self, place: Place) -> Option<&Bucket> {
        let buckets = &self.segments[place.segment()].buckets;
        let mask = buckets.len().wrapping_sub(1);
        buckets.get(place.tag() as usize & mask)
    }

    /// The number for which `same` holds among those with this place.
    #[inline]
    pub(crate) fn find(&self, place: Place, same: impl Fn(u32) -> bool) -> Option<u32> {
        let buckets = self.segments[place.segment()].buckets.as_slice();
        if buckets.is_empty() {
            return None;
        }
        let (tag, mask) = (place.tag(), buckets.len() - 1);
        let mut at = tag as usize;
        loop {
            let bucket = &buckets[at & mask];
            let mut found = bucket.matches(tag);
            while found != 0 {
                let number = bucket.number(found.trailing_zeros());
                if same(number) {
                    return Some(number);
                }
                found &= found - 1;
            }
            if bucket.has_room() {
                return None;
            }
            at += 1;
        }
    }

    /// Adds a number that `find` does not find.
    #[inline]
    pub(crate) fn insert(&mut self, place: Place, number: u32) {
        let segment = &mut self.segments[place.segment()];
        // At most 3/4 full: then nearly every look-up reads one cache line.
        if (segment.used + 1) * 4 > segment.buckets.len() * BUCKET_SLOTS * 3 {
            segment.grow();
        }
        segment.used += 1;
        segment.put(place.tag(), number + 1);
    }
}

impl Segment {
    #[inline]
    fn put(&mut self, tag: u32, stored: u32) {
        let mask = self.buckets.len() - 1;
        let mut at = tag as usize;
        while !self.buckets[at & mask].has_room() {
            at += 1;
        }
        let bucket = &mut self.buckets[at & mask];
        let used = bucket.used();
        bucket.tags[used] = tag;
        bucket.numbers[used] = stored;
    }

    #[cold]
    fn grow(&mut self) {
        let len = (self.buckets.len() * 2).max(1);
        let old = std::mem::replace(&mut self.buckets, vec![Bucket::EMPTY; len]);
        for bucket in &old {
            for slot in 0..bucket.used() {
                self.put(bucket.tags[slot], bucket.numbers[slot]);
            }
        }
    }
}

impl Bucket {
    const EMPTY: Self = Self { tags: [0; BUCKET_SLOTS], numbers: [EMPTY; BUCKET_SLOTS] };

    #[inline]
    const fn has_room(&self) -> bool {
        self.numbers[BUCKET_SLOTS - 1] == EMPTY
    }

    #[inline]
    fn used(&self) -> usize {
        let taken = self.numbers.iter().map(|number| u32::from(*number != EMPTY));
        taken.sum::<u32>() as usize
    }

    /// One bit for each entry with this tag. Without branches: how full a bucket is can't be
    /// predicted.
    #[inline]
    fn matches(&self, tag: u32) -> u32 {
        let mut found = 0;
        for slot in 0..BUCKET_SLOTS {
            let same = (self.tags[slot] == tag) & (self.numbers[slot] != EMPTY);
            found |= u32::from(same) << slot;
        }
        found
    }

    /// The number in a slot that `matches` has found.
    #[inline]
    const fn number(&self, slot: u32) -> u32 {
        self.numbers[slot as usize % BUCKET_SLOTS] - 1
    }
}
