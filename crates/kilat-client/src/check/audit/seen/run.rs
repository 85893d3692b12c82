//! Sorted prints in a file without a name.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes of a print in the file, big-endian.
const PRINT_BYTES: usize = 16;
/// Prints read at a time; the first of each such page is in memory, so that a look-up reads one.
const PAGE_PRINTS: usize = 256;
const PAGE_BYTES: usize = PAGE_PRINTS * PRINT_BYTES;

pub(super) struct Run {
    file: File,
    prints: u64,
    /// The upper half of the first print of each page: 8 bytes for 256 prints.
    fences: Vec<u64>,
    page: Vec<u8>,
}

impl Run {
    /// Writes so many prints, which come in order.
    pub(super) fn write(
        directory: &Path,
        prints: u64,
        in_order: impl Iterator<Item = io::Result<u128>>,
    ) -> io::Result<Run> {
        let mut writer =
            BufWriter::with_capacity(16 * PAGE_BYTES, tempfile::tempfile_in(directory)?);
        // As many as there will be: growing would take up to three times the room.
        let pages = prints.div_ceil(PAGE_PRINTS as u64);
        let mut fences = Vec::with_capacity(usize::try_from(pages).unwrap_or_default());
        for (place, print) in in_order.enumerate() {
            let print = print?;
            if place.is_multiple_of(PAGE_PRINTS) {
                fences.push((print >> 64) as u64);
            }
            writer.write_all(&print.to_be_bytes())?;
        }
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Run { file, prints, fences, page: vec![0; PAGE_BYTES] })
    }

    /// One run of two that have no print in common.
    pub(super) fn merge(directory: &Path, left: &Run, right: &Run) -> io::Result<Run> {
        let prints = left.prints + right.prints;
        let (mut left, mut right) = (left.all().peekable(), right.all().peekable());
        let merged = std::iter::from_fn(|| match (left.peek(), right.peek()) {
            (Some(Ok(l)), Some(Ok(r))) if l > r => right.next(),
            (None, _) => right.next(),
            _ => left.next(),
        });
        Run::write(directory, prints, merged)
    }

    pub(super) fn prints(&self) -> u64 {
        self.prints
    }

    pub(super) fn holds(&mut self, print: u128) -> io::Result<bool> {
        let upper = (print >> 64) as u64;
        let last = self.fences.partition_point(|fence| *fence <= upper);
        // Prints with the same upper half may begin on an earlier page.
        let first = self.fences.partition_point(|fence| *fence < upper).saturating_sub(1);
        for page in first..last {
            let length = self.read(page)?;
            let (prints, _) = self.page[..length].as_chunks::<PRINT_BYTES>();
            if prints.binary_search(&print.to_be_bytes()).is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn read(&mut self, page: usize) -> io::Result<usize> {
        let first = (page * PAGE_PRINTS) as u64;
        // At most a page.
        let length = (self.prints - first).min(PAGE_PRINTS as u64) as usize * PRINT_BYTES;
        self.file.read_exact_at(&mut self.page[..length], first * PRINT_BYTES as u64)?;
        Ok(length)
    }

    /// All prints in order.
    fn all(&self) -> impl Iterator<Item = io::Result<u128>> + '_ {
        const PAGES: u64 = 16;
        let (mut buffer, mut at, mut from) = (Vec::new(), 0, 0);
        std::iter::from_fn(move || {
            if at == buffer.len() {
                let left = (self.prints - from).min(PAGES * PAGE_PRINTS as u64);
                if left == 0 {
                    return None;
                }
                // At most 64 KiB.
                buffer.resize(left as usize * PRINT_BYTES, 0);
                if let Err(error) = self.file.read_exact_at(&mut buffer, from * PRINT_BYTES as u64)
                {
                    return Some(Err(error));
                }
                (at, from) = (0, from + left);
            }
            let mut print = [0; PRINT_BYTES];
            print.copy_from_slice(&buffer[at..at + PRINT_BYTES]);
            at += PRINT_BYTES;
            Some(Ok(u128::from_be_bytes(print)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_that_begin_alike_are_found_on_whatever_page() {
        let directory = tempfile::tempdir().unwrap();
        let alike = |upper: u128| {
            (0..3 * PAGE_PRINTS as u128).map(move |lower| (upper << 64) | (2 * lower))
        };
        let prints = alike(1).chain(alike(5)).chain(alike(u128::from(u64::MAX)));
        let mut run =
            Run::write(directory.path(), prints.clone().count() as u64, prints.clone().map(Ok))
                .unwrap();
        assert!(prints.clone().all(|print| run.holds(print).unwrap()));
        assert!(!prints.clone().any(|print| run.holds(print + 1).unwrap()));
        for other in [0, 2 << 64, u128::MAX] {
            assert!(!run.holds(other).unwrap(), "{other}");
        }
    }
}
