//! Append-only logs in chunks that a snapshot shares with the ledger.
//!
//! Full chunks sit behind an `Arc` and are copied when written while a snapshot holds them, so
//! freezing costs one pointer a chunk and at most one copied chunk (1 MiB of orders), and the
//! ledger never waits for whoever writes the snapshot. The last chunk is owned outright: an
//! append pays for no reference count.

use std::sync::Arc;

/// Records of a full chunk. A power of two: finding a record takes a shift and a mask.
pub(crate) const CHUNK_RECORDS: usize = 1 << CHUNK_BITS;
const CHUNK_BITS: u32 = 14;

/// Most records of one kind: numbers have 32 bits, and an index slot and an end-of-chain mark
/// need one value each.
pub const RECORDS_MAX: u32 = u32::MAX - 1;

/// A run of records, with the text that they point into.
#[derive(Debug)]
pub(crate) struct Chunk<T> {
    /// How often the chunk has been written. The facts alone decide it, so a replay gives the
    /// same version to the same content.
    pub(crate) version: u64,
    pub(crate) records: Vec<T>,
    pub(crate) text: String,
}

impl<T> Chunk<T> {
    pub(crate) fn new() -> Self {
        Self { version: 0, records: Vec::with_capacity(CHUNK_RECORDS), text: String::new() }
    }
}

/// Keeps the room of a chunk that is not full: records are appended to the copy too.
impl<T: Copy> Clone for Chunk<T> {
    fn clone(&self) -> Self {
        let mut records = Vec::with_capacity(CHUNK_RECORDS);
        records.extend_from_slice(&self.records);
        Self { version: self.version, records, text: self.text.clone() }
    }
}

/// Records numbered from 0. Knows nothing about what they mean.
#[derive(Debug)]
pub(crate) struct Log<T> {
    full: Vec<Arc<Chunk<T>>>,
    last: Chunk<T>,
}

impl<T: Copy> Log<T> {
    pub(crate) fn new() -> Self {
        Self {
            full: Vec::new(),
            // A ledger that holds nothing costs nothing.
            last: Chunk { version: 0, records: Vec::new(), text: String::new() },
        }
    }

    /// Takes over chunks of which all but the last are full.
    pub(crate) fn from_chunks(chunks: Vec<Chunk<T>>) -> Self {
        let mut log = Self::new();
        for chunk in chunks {
            log.last = chunk;
            log.seal_if_full();
        }
        log
    }

    pub(crate) fn len(&self) -> u32 {
        (self.full.len() * CHUNK_RECORDS + self.last.records.len()) as u32
    }

    #[inline]
    pub(crate) fn get(&self, number: u32) -> &T {
        &self.chunk(number).records[within(number)]
    }

    /// The chunk that record `number` is in.
    #[inline]
    pub(crate) fn chunk(&self, number: u32) -> &Chunk<T> {
        match self.full.get(which(number)) {
            Some(chunk) => chunk,
            None => &self.last,
        }
    }

    /// All records by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let full = self.full.iter().flat_map(|chunk| &chunk.records);
        full.chain(&self.last.records)
    }

    /// A record to write to.
    pub(crate) fn edit(&mut self, number: u32) -> &mut T {
        let chunk = match self.full.get_mut(which(number)) {
            Some(chunk) => Arc::make_mut(chunk),
            None => &mut self.last,
        };
        chunk.version += 1;
        &mut chunk.records[within(number)]
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, record: T) {
        self.push_with_text("", |_| record);
    }

    /// Appends `text` to the chunk's text, and the record made from where the text begins.
    #[inline(always)]
    pub(crate) fn push_with_text(&mut self, text: &str, record: impl FnOnce(usize) -> T) {
        if self.last.records.capacity() == 0 {
            self.last = Chunk::new();
        }
        let start = self.last.text.len();
        self.last.text.push_str(text);
        self.last.records.push(record(start));
        self.last.version += 1;
        self.seal_if_full();
    }

    /// All chunks as they are now.
    pub(crate) fn freeze(&self) -> Vec<Arc<Chunk<T>>> {
        let mut chunks = Vec::with_capacity(self.full.len() + 1);
        chunks.extend_from_slice(&self.full);
        if !self.last.records.is_empty() {
            chunks.push(Arc::new(self.last.clone()));
        }
        chunks
    }

    #[inline]
    fn seal_if_full(&mut self) {
        if self.last.records.len() == CHUNK_RECORDS {
            let full = std::mem::replace(&mut self.last, Chunk::new());
            self.full.push(Arc::new(full));
        }
    }
}

const fn which(number: u32) -> usize {
    (number >> CHUNK_BITS) as usize
}

const fn within(number: u32) -> usize {
    number as usize & (CHUNK_RECORDS - 1)
}
