//! A split-block Bloom filter: says of most absent prints, for one cache line, that they are absent.
//!
//! The algorithm and its constants are those of the Parquet format's specification. A print's block
//! grows with the print, so that a filter filled in the order of prints is written from front to
//! back, however large it is. Knows nothing of files.

/// Bits for each print. At 16, about one absent print in a thousand is let through.
const BITS_EACH: u64 = 16;
const BLOCK_WORDS: usize = 8;
/// Bytes of an encoded block.
pub(super) const BLOCK_BYTES: usize = 4 * BLOCK_WORDS;
const SALTS: [u32; BLOCK_WORDS] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// A block, never astride two cache lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(align(32))]
pub(super) struct Block([u32; BLOCK_WORDS]);

/// A set of prints that may hold a few more than were put in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filter {
    blocks: Vec<Block>,
}

impl Block {
    pub(super) fn encode(&self) -> [u8; BLOCK_BYTES] {
        let mut bytes = [0; BLOCK_BYTES];
        for (place, word) in bytes.chunks_exact_mut(4).zip(self.0) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: [u8; BLOCK_BYTES]) -> Self {
        let mut block = Self::default();
        for (word, bytes) in block.0.iter_mut().zip(bytes.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        block
    }
}

/// What is asked of each filter: computed once, however many filters there are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Probe {
    place: u32,
    bits: Block,
}

impl Probe {
    pub(super) fn of(print: u64) -> Self {
        let low = print as u32;
        let bits = SALTS.map(|salt| 1 << (low.wrapping_mul(salt) >> 27));
        Self { place: (print >> 32) as u32, bits: Block(bits) }
    }

    #[inline]
    fn block(&self, blocks: usize) -> usize {
        ((u64::from(self.place) * blocks as u64) >> 32) as usize
    }
}

impl Filter {
    /// How many blocks a filter of `prints` has; never 0.
    pub(super) fn blocks_for(prints: u64) -> u64 {
        (prints * BITS_EACH).div_ceil(8 * BLOCK_BYTES as u64).max(1)
    }

    /// An empty one.
    pub(super) fn with_room_for(prints: u64) -> Self {
        Self { blocks: vec![Block::default(); Self::blocks_for(prints) as usize] }
    }

    /// One made of the blocks of another, at least one.
    pub(super) fn of(blocks: Vec<Block>) -> Self {
        Self { blocks }
    }

    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    pub(super) fn insert(&mut self, print: u64) {
        let probe = Probe::of(print);
        let at = probe.block(self.blocks.len());
        let block = &mut self.blocks[at];
        for (word, bits) in block.0.iter_mut().zip(probe.bits.0) {
            *word |= bits;
        }
    }

    /// `false`: the print was not put in. Free of branches, so that a processor overlaps the
    /// cache misses of several.
    #[inline]
    pub(super) fn may_hold(&self, probe: &Probe) -> bool {
        let block = &self.blocks[probe.block(self.blocks.len())];
        let missing =
            block.0.iter().zip(probe.bits.0).fold(0, |all, (word, bits)| all | (bits & !word));
        missing == 0
    }
}

#[cfg(test)]
mod tests {
    use kilat_journal::simulation::Random;

    use super::*;

    fn filter_of(prints: impl Iterator<Item = u64>, count: u64) -> Filter {
        let mut filter = Filter::with_room_for(count);
        prints.for_each(|print| filter.insert(print));
        filter
    }

    #[test]
    fn what_was_put_in_is_held_and_little_else() {
        for count in [1, 10, 1_000, 200_000] {
            let mut random = Random::new(count);
            let inside: Vec<u64> = (0..count).map(|_| random.draw()).collect();
            let filter = filter_of(inside.iter().copied(), count);
            assert!(inside.iter().all(|print| filter.may_hold(&Probe::of(*print))));
            let absent = 200_000;
            let passed = (0..absent).filter(|_| filter.may_hold(&Probe::of(random.draw()))).count();
            println!("{count} prints: {passed} of {absent} absent ones pass");
            assert!(passed < absent / 400, "{count} prints: {passed} of {absent} pass");
        }
    }

    #[test]
    fn a_filter_is_what_it_was_encoded_from() {
        let mut random = Random::new(7);
        let filter = filter_of((0..1000).map(|_| random.draw()), 1000);
        let blocks = filter.blocks().iter().map(|block| Block::decode(block.encode())).collect();
        assert_eq!(Filter::of(blocks), filter);
    }

    #[test]
    fn blocks_follow_the_order_of_prints() {
        let mut random = Random::new(3);
        let mut prints: Vec<u64> = (0..10_000).map(|_| random.draw()).collect();
        prints.sort_unstable();
        let blocks: Vec<usize> = prints.iter().map(|print| Probe::of(*print).block(625)).collect();
        assert!(blocks.is_sorted() && blocks[0] < 5 && blocks[9_999] >= 620);
    }
}
