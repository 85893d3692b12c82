//! A segment file written from its beginning to its end, in pieces as long as possible and with
//! holes for what is blank.

use crate::error::IoFailure;
use crate::format::SECTOR_BYTES;
use crate::segment::offset_of;
use crate::storage::StorageFile;

/// Bytes written at once.
const PIECE_BYTES: usize = 1 << 20;

/// A file being written. What was not synced may be lost with it.
pub(crate) struct Output<F> {
    file: F,
    name: String,
    /// What a failure says was being done.
    doing: &'static str,
    /// Where the bytes not written yet belong.
    first: u32,
    bytes: Vec<u8>,
}

impl<F: StorageFile> Output<F> {
    pub(crate) fn new(file: F, name: &str, doing: &'static str) -> Self {
        Self { file, name: name.to_owned(), doing, first: 0, bytes: Vec::new() }
    }

    /// Writes the sectors that are not blank; the others become holes.
    pub(crate) fn write_filled(&mut self, bytes: &[u8], first: u32) -> Result<(), IoFailure> {
        for (sector, one) in (first..).zip(bytes.chunks_exact(SECTOR_BYTES)) {
            if !is_blank(one) {
                self.write(one, sector)?;
            }
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, bytes: &[u8], sector: u32) -> Result<(), IoFailure> {
        let end = self.first as usize + self.bytes.len() / SECTOR_BYTES;
        if end != sector as usize || self.bytes.len() + bytes.len() > PIECE_BYTES {
            self.flush()?;
            self.first = sector;
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), IoFailure> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let written = self.file.write_at(&self.bytes, offset_of(self.first));
        self.bytes.clear();
        written.map_err(|error| IoFailure::new(self.doing, &self.name, error))
    }

    /// Makes all of it durable.
    pub(crate) fn sync(&mut self) -> Result<(), IoFailure> {
        self.flush()?;
        let synced = self.file.sync_data();
        synced.map_err(|error| IoFailure::new(self.doing, &self.name, error))
    }
}

pub(crate) fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}
