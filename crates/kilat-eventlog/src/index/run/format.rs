//! What a run file is made of.
//!
//! A run is written once and never changed. All integers are little-endian; *relative* offsets are
//! counted from the run's first. Each page has 4,092 bytes of records and a CRC-32, which also
//! covers (page 0 excepted) the journal's id, the run's range and the page's number.
//!
//! | section | record | sorted by |
//! |---|---|---|
//! | header (page 0) | magic, version, journal, first and end offset, topics, samples, CRC-32 of all later pages' checksums | |
//! | entries | print u64, relative offset u32; one for each event | print, offset |
//! | postings | relative offset u32; one for each event | topic, offset |
//! | directory | topic u32, first posting u32, postings u32 | topic |
//! | samples | relative offset u32, segment u64, sector u32 | offset |
//! | filter | 32-byte blocks of a split-block Bloom filter over the prints | |
//! | entry fences | the first print of each page of entries | |
//! | directory fences | the first topic of each page of the directory | |
//! | sample fences | the first relative offset of each page of samples | |
//!
//! Filter and fences are read when a run is opened, all else when it is asked for.

use std::ops::Range;

use kilat_journal::JournalId;

use crate::index::filter::{BLOCK_BYTES, Filter};
use crate::index::page::{PAGE_BYTES, PageSeal, Section};
use kilat_journal::Place;

use crate::index::Sample;

/// No run has more events: relative offsets are 32 bits wide.
pub(in crate::index) const RUN_EVENTS_MAX: u64 = 1 << 31;
const MAGIC: &[u8; 8] = b"KILATRUN";
const FORMAT_VERSION: u16 = 1;
const SUFFIX: &str = ".run";

/// An event's print and its relative offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::index) struct Entry {
    pub(in crate::index) print: u64,
    pub(in crate::index) offset: u32,
}

impl Entry {
    pub(in crate::index) const BYTES: usize = 12;

    pub(super) fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.print.to_le_bytes());
        bytes[8..].copy_from_slice(&self.offset.to_le_bytes());
        bytes
    }

    #[inline]
    pub(in crate::index) fn decode(bytes: &[u8; Self::BYTES]) -> Self {
        Self { print: u64_at(bytes, 0), offset: u32_at(bytes, 8) }
    }
}

/// Where a topic's postings are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::index) struct TopicEntry {
    pub(in crate::index) topic: u32,
    pub(in crate::index) start: u32,
    pub(in crate::index) count: u32,
}

impl TopicEntry {
    pub(in crate::index) const BYTES: usize = 12;

    pub(super) fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.topic.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.start.to_le_bytes());
        bytes[8..].copy_from_slice(&self.count.to_le_bytes());
        bytes
    }

    pub(in crate::index) fn decode(bytes: &[u8; Self::BYTES]) -> Self {
        Self { topic: u32_at(bytes, 0), start: u32_at(bytes, 4), count: u32_at(bytes, 8) }
    }
}

pub(super) const SAMPLE_BYTES: usize = 16;

/// A sample of a run that begins at offset `first`.
pub(super) fn encode_sample(sample: &Sample, first: u64) -> [u8; SAMPLE_BYTES] {
    let mut bytes = [0; SAMPLE_BYTES];
    bytes[..4].copy_from_slice(&((sample.offset - first) as u32).to_le_bytes());
    bytes[4..12].copy_from_slice(&sample.place.segment.to_le_bytes());
    bytes[12..].copy_from_slice(&sample.place.sector.to_le_bytes());
    bytes
}

pub(super) fn decode_sample(bytes: &[u8; SAMPLE_BYTES], first: u64) -> Sample {
    let place = Place { segment: u64_at(bytes, 4), sector: u32_at(bytes, 12) };
    Sample { offset: first + u64::from(u32_at(bytes, 0)), place }
}

/// The file of the run that covers `offsets`.
pub(in crate::index) fn run_name(offsets: &Range<u64>) -> String {
    format!("{:016x}-{:016x}{SUFFIX}", offsets.start, offsets.end)
}

/// Whether a file is called as runs are.
pub(in crate::index) fn is_run_name(name: &str) -> bool {
    name.ends_with(SUFFIX)
}

/// What the pages of a run are sealed with.
pub(super) fn seal_of(journal: JournalId, offsets: &Range<u64>) -> PageSeal {
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(&journal.0);
    seed[16..24].copy_from_slice(&offsets.start.to_le_bytes());
    seed[24..].copy_from_slice(&offsets.end.to_le_bytes());
    PageSeal::new(&seed)
}

/// The first page of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) journal: JournalId,
    pub(super) offsets: Range<u64>,
    pub(super) topics: u64,
    pub(super) samples: u64,
    /// Sums up all other pages.
    pub(super) contents: u32,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; PAGE_BYTES] {
        let mut page = [0; PAGE_BYTES];
        page[..8].copy_from_slice(MAGIC);
        page[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        page[16..32].copy_from_slice(&self.journal.0);
        page[32..40].copy_from_slice(&self.offsets.start.to_le_bytes());
        page[40..48].copy_from_slice(&self.offsets.end.to_le_bytes());
        page[48..56].copy_from_slice(&self.topics.to_le_bytes());
        page[56..64].copy_from_slice(&self.samples.to_le_bytes());
        page[64..68].copy_from_slice(&self.contents.to_le_bytes());
        PageSeal::new(&[]).seal(0, &mut page);
        page
    }

    /// The header of a run of `journal`, or why the page is none.
    pub(super) fn decode(
        page: &[u8; PAGE_BYTES],
        journal: JournalId,
    ) -> Result<Self, &'static str> {
        let header = Self {
            journal: JournalId(array_at(page, 16)),
            offsets: u64_at(page, 32)..u64_at(page, 40),
            topics: u64_at(page, 48),
            samples: u64_at(page, 56),
            contents: u32_at(page, 64),
        };
        let events = header.offsets.end.saturating_sub(header.offsets.start);
        let fits = |count| (1..=RUN_EVENTS_MAX).contains(&count);
        match page {
            _ if !page.starts_with(MAGIC) => Err("it is not an index file"),
            _ if !PageSeal::new(&[]).holds(0, page) => Err("its header is damaged"),
            _ if array_at(page, 8) != FORMAT_VERSION.to_le_bytes() => Err("its format is unknown"),
            _ if header.journal != journal => Err("it belongs to another journal"),
            _ if !fits(events) || header.topics > events || header.samples > events => {
                Err("its header makes no sense")
            }
            _ => Ok(header),
        }
    }

    pub(super) fn events(&self) -> u64 {
        self.offsets.end - self.offsets.start
    }
}

/// Where the sections are. It follows from the header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) entries: Section<{ Entry::BYTES }>,
    pub(super) postings: Section<4>,
    pub(super) directory: Section<{ TopicEntry::BYTES }>,
    pub(super) samples: Section<SAMPLE_BYTES>,
    pub(super) filter: Section<BLOCK_BYTES>,
    pub(super) entry_fences: Section<8>,
    pub(super) directory_fences: Section<4>,
    pub(super) sample_fences: Section<4>,
}

impl Layout {
    pub(super) fn of(header: &Header) -> Self {
        let events = header.events();
        let entries = Section { first_page: 1, records: events };
        let postings = Section { first_page: entries.end(), records: events };
        let directory = Section { first_page: postings.end(), records: header.topics };
        let samples = Section { first_page: directory.end(), records: header.samples };
        let filter = Section { first_page: samples.end(), records: Filter::blocks_for(events) };
        let entry_fences = Section { first_page: filter.end(), records: entries.pages() };
        let directory_fences =
            Section { first_page: entry_fences.end(), records: directory.pages() };
        let sample_fences =
            Section { first_page: directory_fences.end(), records: samples.pages() };
        Self {
            entries,
            postings,
            directory,
            samples,
            filter,
            entry_fences,
            directory_fences,
            sample_fences,
        }
    }

    pub(super) fn pages(&self) -> u64 {
        self.sample_fences.end()
    }
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}
