//! The arena of a generation: what is known of each event, one record after the other.
//!
//! A record lies in one piece of memory, so that confirming a hit costs one cache miss.

use std::hint::black_box;

use crate::content::Content;

use super::TopicId;

/// Records are laid down in pieces of this size, so that growth never copies what is there.
const PIECE_BYTES: usize = 1 << PIECE_BITS;
const PIECE_BITS: u32 = 18;
/// number u32, content 16, topic u32, id length u16.
const HEADER_BYTES: usize = 26;

/// Where a record lies. Never 0, so that 0 can stand for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordAt(pub(super) u32);

/// What an arena holds.
#[derive(Debug, Default)]
pub(super) struct Records {
    pieces: Vec<Vec<u8>>,
}

/// One event, as the arena holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// Counted from the generation's first event.
    pub(super) number: u32,
    pub(super) content: Content,
    pub(super) topic: TopicId,
    pub(super) id: &'a [u8],
}

impl Records {
    /// Lays a record down.
    pub(super) fn push(&mut self, record: &Record<'_>) -> RecordAt {
        let index = self.piece_for(HEADER_BYTES + record.id.len());
        let piece = &mut self.pieces[index];
        let at = (index << PIECE_BITS | piece.len()) as u32;
        piece.extend_from_slice(&record.number.to_le_bytes());
        piece.extend_from_slice(record.content.as_bytes());
        piece.extend_from_slice(&record.topic.0.to_le_bytes());
        piece.extend_from_slice(&(record.id.len() as u16).to_le_bytes());
        piece.extend_from_slice(record.id);
        RecordAt(at)
    }

    /// The index of a piece with room for `bytes`.
    fn piece_for(&mut self, bytes: usize) -> usize {
        let room = self.pieces.last().map_or(0, |piece| PIECE_BYTES - piece.len());
        if room < bytes {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            if self.pieces.is_empty() {
                piece.push(0);
            }
            self.pieces.push(piece);
        }
        self.pieces.len() - 1
    }

    /// The record at a place that [`Records::push`] returned.
    pub(super) fn at(&self, at: RecordAt) -> Record<'_> {
        let piece = &self.pieces[at.0 as usize >> PIECE_BITS];
        read(&piece[at.0 as usize % PIECE_BYTES..])
    }

    /// Brings a record into the processor's cache.
    #[inline]
    pub(super) fn warm(&self, at: RecordAt) {
        let piece = &self.pieces[at.0 as usize >> PIECE_BITS];
        black_box(piece[at.0 as usize % PIECE_BYTES]);
    }

    /// All records in the order in which they were laid down.
    pub(super) fn iter(&self) -> impl Iterator<Item = (RecordAt, Record<'_>)> {
        let mut next = 1;
        std::iter::from_fn(move || {
            let mut piece = self.pieces.get(next >> PIECE_BITS)?;
            if next % PIECE_BYTES == piece.len() {
                next = ((next >> PIECE_BITS) + 1) << PIECE_BITS;
                piece = self.pieces.get(next >> PIECE_BITS)?;
            }
            let at = RecordAt(next as u32);
            let record = read(&piece[next % PIECE_BYTES..]);
            next += HEADER_BYTES + record.id.len();
            Some((at, record))
        })
    }
}

fn read(bytes: &[u8]) -> Record<'_> {
    let (header, rest) = bytes.split_at(HEADER_BYTES);
    let mut content = [0; 16];
    content.copy_from_slice(&header[4..20]);
    Record {
        number: u32_at(header, 0),
        content: Content::from_bytes(content),
        topic: TopicId(u32_at(header, 20)),
        id: &rest[..usize::from(header[24]) | usize::from(header[25]) << 8],
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut array = [0; 4];
    array.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(array)
}
