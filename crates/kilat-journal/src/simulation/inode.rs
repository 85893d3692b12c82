//! What a file and a directory of the simulated disk remember: what is seen, and what would survive.

use std::collections::{BTreeMap, BTreeSet};

use super::Random;
use crate::format::SECTOR_BYTES;

#[derive(Default)]
pub(super) struct Inode {
    pub(super) live: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// Sectors of `live` that a sync would make durable.
    pub(super) dirty: BTreeSet<usize>,
    /// Sectors that `live` shows but no sync will ever make durable.
    pub(super) lost: BTreeSet<usize>,
}

pub(super) enum Change {
    Bind { name: String, inode: usize },
    Rename { from: String, to: String, inode: usize },
    Remove { name: String },
}

impl Change {
    pub(super) fn apply(self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Bind { name, inode } => {
                names.insert(name, inode);
            }
            Self::Rename { from, to, inode } => {
                names.remove(&from);
                names.insert(to, inode);
            }
            Self::Remove { name } => {
                names.remove(&name);
            }
        }
    }
}

impl Inode {
    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.live.len() < end {
            self.live.resize(end, 0);
        }
        self.live[offset..end].copy_from_slice(bytes);
        for sector in offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            self.dirty.insert(sector);
            self.lost.remove(&sector);
        }
    }

    pub(super) fn sync(&mut self) {
        self.durable.resize(self.live.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            copy_sector(&self.live, &mut self.durable, sector);
        }
    }

    /// The device refused: pages count as clean from now on, but hold what it never took.
    pub(super) fn fail_to_sync(&mut self, random: &mut Random) {
        self.durable.resize(self.live.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            if random.coin() {
                copy_sector(&self.live, &mut self.durable, sector);
            } else {
                self.lost.insert(sector);
            }
        }
    }

    pub(super) fn forget_cache(&mut self) {
        for sector in std::mem::take(&mut self.lost) {
            copy_sector(&self.durable, &mut self.live, sector);
        }
    }

    pub(super) fn crash(&mut self, random: &mut Random) {
        if self.live.len() != self.durable.len() && random.coin() {
            self.durable.resize(self.live.len(), 0);
        }
        for sector in std::mem::take(&mut self.dirty) {
            if random.coin() {
                copy_sector(&self.live, &mut self.durable, sector);
            }
        }
        self.lost.clear();
        self.live.clone_from(&self.durable);
    }
}

/// Copies a sector as far as both files reach.
fn copy_sector(from: &[u8], to: &mut [u8], sector: usize) {
    let start = sector * SECTOR_BYTES;
    let end = (start + SECTOR_BYTES).min(from.len()).min(to.len());
    if start < end {
        to[start..end].copy_from_slice(&from[start..end]);
    }
}
