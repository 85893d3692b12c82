//! The pages that a run file is made of: fixed-size records, each page with a checksum.
//!
//! A page's checksum covers the file's seed and the page's number as well, so that a page of
//! another file, or one in the wrong place, is as wrong as a damaged one. Knows nothing of what
//! records mean.

use std::io;

use crc32fast::Hasher;
use kilat_journal::StorageFile;

use super::error::IndexError;

/// The unit of reading and checking.
pub(super) const PAGE_BYTES: usize = 4096;
const CHECK_BYTES: usize = 4;
/// Bytes of a page that records can take.
pub(super) const PAGE_DATA_BYTES: usize = PAGE_BYTES - CHECK_BYTES;
/// Bytes read at once when pages are read in a row.
const READ_BYTES: usize = 32 * PAGE_BYTES;
/// Bytes written at once.
const WRITE_BYTES: usize = 256 * PAGE_BYTES;

/// Seals and checks the pages of one file.
#[derive(Clone)]
pub(super) struct PageSeal {
    seeded: Hasher,
}

impl PageSeal {
    pub(super) fn new(seed: &[u8]) -> Self {
        let mut seeded = Hasher::new();
        seeded.update(seed);
        Self { seeded }
    }

    fn check(&self, number: u64, data: &[u8]) -> u32 {
        let mut hasher = self.seeded.clone();
        hasher.update(&number.to_le_bytes());
        hasher.update(data);
        hasher.finalize()
    }

    /// Fills in the checksum of a page whose data is in place, and returns it.
    pub(super) fn seal(&self, number: u64, page: &mut [u8]) -> u32 {
        let check = self.check(number, &page[..PAGE_DATA_BYTES]);
        page[PAGE_DATA_BYTES..].copy_from_slice(&check.to_le_bytes());
        check
    }

    pub(super) fn holds(&self, number: u64, page: &[u8]) -> bool {
        let (data, check) = page.split_at(PAGE_DATA_BYTES);
        check == self.check(number, data).to_le_bytes()
    }
}

/// Records of `N` bytes in a row of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Section<const N: usize> {
    pub(super) first_page: u64,
    pub(super) records: u64,
}

impl<const N: usize> Section<N> {
    pub(super) const PER_PAGE: u64 = (PAGE_DATA_BYTES / N) as u64;

    pub(super) fn pages(&self) -> u64 {
        self.records.div_ceil(Self::PER_PAGE)
    }

    /// The page after it.
    pub(super) fn end(&self) -> u64 {
        self.first_page + self.pages()
    }

    /// How many records its n-th page has.
    pub(super) fn records_in(&self, page: u64) -> usize {
        self.records.saturating_sub(page * Self::PER_PAGE).min(Self::PER_PAGE) as usize
    }
}

/// A file of pages, for reading.
pub(super) struct PageFile {
    pub(super) name: String,
    pub(super) file: Box<dyn StorageFile>,
    pub(super) seal: PageSeal,
}

impl PageFile {
    /// Fills `pages` with whole pages from page `first` on and checks them.
    pub(super) fn read(&self, first: u64, pages: &mut [u8]) -> Result<(), IndexError> {
        let read = self.file.read_at(pages, first * PAGE_BYTES as u64);
        read.map_err(|error| unreadable(&self.name, first, error))?;
        for (number, page) in (first..).zip(pages.chunks_exact(PAGE_BYTES)) {
            if !self.seal.holds(number, page) {
                return Err(self.damaged(number));
            }
        }
        Ok(())
    }

    pub(super) fn damaged(&self, page: u64) -> IndexError {
        IndexError::Damaged { run: self.name.clone(), page }
    }
}

/// A file that ends too early is damaged; whatever else fails may work later.
fn unreadable(name: &str, page: u64, error: io::Error) -> IndexError {
    let run = name.to_owned();
    match error.kind() {
        io::ErrorKind::UnexpectedEof => IndexError::Damaged { run, page },
        _ => IndexError::Unreadable { run, error },
    }
}

/// One page of a section, for looking things up.
pub(super) struct Page<const N: usize> {
    bytes: Box<[u8; PAGE_BYTES]>,
    records: usize,
}

impl<const N: usize> Page<N> {
    /// Memory for a page; it has no records yet.
    pub(super) fn blank() -> Self {
        Self { bytes: Box::new([0; PAGE_BYTES]), records: 0 }
    }

    /// Reads the section's n-th page.
    pub(super) fn read(
        &mut self,
        file: &PageFile,
        section: &Section<N>,
        page: u64,
    ) -> Result<(), IndexError> {
        self.records = 0;
        file.read(section.first_page + page, &mut self.bytes[..])?;
        self.records = section.records_in(page);
        Ok(())
    }

    pub(super) fn records(&self) -> &[[u8; N]] {
        &self.bytes.as_chunks().0[..self.records]
    }
}

/// A section's records one after the other, read and checked in large pieces.
pub(super) struct SectionReader<'a, const N: usize> {
    file: &'a PageFile,
    section: Section<N>,
    /// The page after those in `piece`, counted from the section's start.
    next_page: u64,
    piece: Vec<u8>,
    /// Where the next record is in `piece`.
    at: usize,
    /// Records left in the page that it is in.
    left: usize,
}

impl<'a, const N: usize> SectionReader<'a, N> {
    pub(super) fn new(file: &'a PageFile, section: Section<N>) -> Self {
        Self { file, section, next_page: 0, piece: Vec::new(), at: 0, left: 0 }
    }

    /// The next record, or `None` at the end.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<[u8; N]>, IndexError> {
        if self.left == 0 && !self.turn()? {
            return Ok(None);
        }
        let mut record = [0; N];
        record.copy_from_slice(&self.piece[self.at..self.at + N]);
        self.at += N;
        self.left -= 1;
        Ok(Some(record))
    }

    /// Goes to the next page; `false` at the end.
    fn turn(&mut self) -> Result<bool, IndexError> {
        self.at = self.at.next_multiple_of(PAGE_BYTES);
        if self.at == self.piece.len() && !self.fetch()? {
            return Ok(false);
        }
        let ahead = ((self.piece.len() - self.at) / PAGE_BYTES) as u64;
        self.left = self.section.records_in(self.next_page - ahead);
        Ok(true)
    }

    fn fetch(&mut self) -> Result<bool, IndexError> {
        let pages = (self.section.pages() - self.next_page).min((READ_BYTES / PAGE_BYTES) as u64);
        if pages == 0 {
            return Ok(false);
        }
        self.piece.resize(pages as usize * PAGE_BYTES, 0);
        self.file.read(self.section.first_page + self.next_page, &mut self.piece)?;
        self.next_page += pages;
        self.at = 0;
        Ok(true)
    }
}

/// Writes a file's pages one after the other, in large pieces.
pub(super) struct PageWriter<'a> {
    file: &'a dyn StorageFile,
    seal: PageSeal,
    piece: Vec<u8>,
    /// Pages before those in `piece`.
    written: u64,
    /// The checksums of all pages so far.
    contents: Hasher,
}

impl<'a> PageWriter<'a> {
    /// Writes from page `first` on.
    pub(super) fn new(file: &'a dyn StorageFile, seal: PageSeal, first: u64) -> Self {
        let piece = Vec::with_capacity(WRITE_BYTES);
        Self { file, seal, piece, written: first, contents: Hasher::new() }
    }

    /// The number of the page that the next record goes to, once its page is full or ended.
    fn page(&self) -> u64 {
        self.written + (self.piece.len() / PAGE_BYTES) as u64
    }

    /// Appends a record; returns whether it is the first of its page.
    #[inline]
    pub(super) fn push<const N: usize>(&mut self, record: &[u8; N]) -> io::Result<bool> {
        if self.piece.len() % PAGE_BYTES + N > PAGE_DATA_BYTES {
            self.end_page()?;
        }
        let first = self.piece.len().is_multiple_of(PAGE_BYTES);
        self.piece.extend_from_slice(record);
        Ok(first)
    }

    /// Ends a page that was begun: the next record begins another.
    pub(super) fn end_page(&mut self) -> io::Result<()> {
        let start = self.piece.len() / PAGE_BYTES * PAGE_BYTES;
        if start == self.piece.len() {
            return Ok(());
        }
        let number = self.page();
        self.piece.resize(start + PAGE_BYTES, 0);
        let check = self.seal.seal(number, &mut self.piece[start..]);
        self.contents.update(&check.to_le_bytes());
        if self.piece.len() == WRITE_BYTES { self.put() } else { Ok(()) }
    }

    fn put(&mut self) -> io::Result<()> {
        self.file.write_at(&self.piece, self.written * PAGE_BYTES as u64)?;
        self.written = self.page();
        self.piece.clear();
        Ok(())
    }

    /// Writes what is left, and returns the page after the last and a checksum of all pages.
    pub(super) fn finish(mut self) -> io::Result<(u64, u32)> {
        self.end_page()?;
        self.put()?;
        Ok((self.written, self.contents.finalize()))
    }
}
