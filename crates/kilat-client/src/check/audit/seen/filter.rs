//! A Bloom filter of fixed size: tells of most prints that they are in no run. It grows less
//! useful with the number of prints, never wrong.

/// 4 MiB: at a million prints one look in about a thousand is for nothing, at ten million one in
/// five, at a hundred million nearly all are. Each costs a page for each run, from the cache of
/// the system: microseconds, where a lookup takes milliseconds.
const WORDS: usize = 1 << 19;
/// Bits set for each print, all in the same cache line. More would be better for a million
/// prints and worse for ten.
const BITS: u32 = 3;

pub(super) struct Filter {
    words: Vec<u64>,
}

impl Filter {
    pub(super) fn new() -> Filter {
        Filter { words: vec![0; WORDS] }
    }

    pub(super) fn add(&mut self, print: u128) {
        for (word, bit) in places(print) {
            self.words[word] |= bit;
        }
    }

    pub(super) fn may_hold(&self, print: u128) -> bool {
        places(print).all(|(word, bit)| self.words[word] & bit != 0)
    }
}

/// Words and bits of a print: one line of eight words, and places within it.
fn places(print: u128) -> impl Iterator<Item = (usize, u64)> {
    let line = (print >> 64) as usize % (WORDS / 8) * 8;
    // The lower half, nine bits for each place.
    let lower = print as u64;
    (0..BITS).map(move |number| {
        let place = lower >> (9 * number) & 511;
        (line + (place >> 6) as usize, 1 << (place & 63))
    })
}
