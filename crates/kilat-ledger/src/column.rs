//! A vector that grows by blocks, so that no append ever copies what is there: at 10 million
//! records a doubling `Vec` would stall a batch for tens of milliseconds.

const BLOCK_RECORDS: usize = 1 << BLOCK_BITS;
const BLOCK_BITS: u32 = 14;

/// Values by number, from 0. Knows nothing about what they mean.
#[derive(Debug)]
pub(crate) struct Column<T> {
    blocks: Vec<Vec<T>>,
}

impl<T: Copy> Column<T> {
    pub(crate) const fn new() -> Self {
        Self { blocks: Vec::new() }
    }

    /// `len` times the same value.
    pub(crate) fn filled(value: T, len: u32) -> Self {
        let mut column = Self::new();
        let mut left = len as usize;
        while left > 0 {
            let mut block = Vec::with_capacity(BLOCK_RECORDS);
            block.resize(left.min(BLOCK_RECORDS), value);
            left -= block.len();
            column.blocks.push(block);
        }
        column
    }

    #[inline]
    pub(crate) fn push(&mut self, value: T) {
        match self.blocks.last_mut() {
            Some(block) if block.len() < BLOCK_RECORDS => block.push(value),
            _ => self.push_block(value),
        }
    }

    #[cold]
    fn push_block(&mut self, value: T) {
        let mut block = Vec::with_capacity(BLOCK_RECORDS);
        block.push(value);
        self.blocks.push(block);
    }

    #[inline]
    pub(crate) fn get(&self, number: u32) -> &T {
        &self.blocks[(number >> BLOCK_BITS) as usize][number as usize & (BLOCK_RECORDS - 1)]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, number: u32) -> &mut T {
        &mut self.blocks[(number >> BLOCK_BITS) as usize][number as usize & (BLOCK_RECORDS - 1)]
    }
}
