//! A run: the index of a contiguous range of offsets in one immutable file.
//!
//! The filter and the fences are in memory; a page of entries, postings, directory or samples is
//! read, and checked, when it is asked for. It knows nothing of other runs.

mod format;
mod write;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use kilat_journal::{JournalId, Storage, StorageFile};

use super::error::IndexError;
use super::filter::{Block, Filter, Probe};
use super::page::{PAGE_BYTES, PAGE_DATA_BYTES, Page, PageFile, Section, SectionReader};
use super::{Sample, TopicId};

pub(super) use format::{Entry, RUN_EVENTS_MAX, TopicEntry, is_run_name, run_name};
use format::{Header, Layout, SAMPLE_BYTES, decode_sample, seal_of};
pub(super) use write::{Contents, Put, write_run};

/// Pages read at once when a run is checked.
const CHECK_PAGES: u64 = 64;

/// An open run.
pub(crate) struct Run {
    file: PageFile,
    header: Header,
    layout: Layout,
    filter: Filter,
    entry_fences: Vec<u64>,
    directory_fences: Vec<u32>,
    sample_fences: Vec<u32>,
    /// Sums up the header, and by it the whole file.
    check: u32,
}

impl Run {
    /// Opens the run of `journal` that is, or will be, called `name` and is in `file` now. Checks
    /// what is loaded: header, length, filter, fences.
    pub(super) fn open<S: Storage>(
        storage: &S,
        file: &str,
        name: &str,
        journal: JournalId,
    ) -> Result<Self, IndexError> {
        let unreadable = |error| IndexError::Unreadable { run: name.to_owned(), error };
        let unusable = |why| IndexError::Unusable { run: name.to_owned(), why };
        let file = storage.open(file).map_err(unreadable)?;
        let bytes = file.len().map_err(unreadable)?;
        if bytes < PAGE_BYTES as u64 {
            return Err(unusable("it is cut short"));
        }
        let mut page = [0; PAGE_BYTES];
        file.read_at(&mut page, 0).map_err(unreadable)?;
        let header = Header::decode(&page, journal).map_err(unusable)?;
        if run_name(&header.offsets) != name {
            return Err(unusable("it is another file under a wrong name"));
        }
        let layout = Layout::of(&header);
        if bytes != layout.pages() * PAGE_BYTES as u64 {
            return Err(unusable("it does not have its length"));
        }
        let seal = seal_of(journal, &header.offsets);
        let file = PageFile { name: name.to_owned(), file: Box::new(file), seal };
        // Without its own checksum: a sum over that is the same for all pages.
        let check = crc32fast::hash(&page[..PAGE_DATA_BYTES]);
        Self::load(file, header, layout, check)
    }

    fn load(
        file: PageFile,
        header: Header,
        layout: Layout,
        check: u32,
    ) -> Result<Self, IndexError> {
        let filter = Filter::of(load(&file, layout.filter, Block::decode)?);
        let entry_fences = load(&file, layout.entry_fences, u64::from_le_bytes)?;
        let directory_fences = load(&file, layout.directory_fences, u32::from_le_bytes)?;
        let sample_fences = load(&file, layout.sample_fences, u32::from_le_bytes)?;
        Ok(Self {
            file,
            header,
            layout,
            filter,
            entry_fences,
            directory_fences,
            sample_fences,
            check,
        })
    }

    /// The offsets that it covers.
    pub(crate) fn offsets(&self) -> Range<u64> {
        self.header.offsets.clone()
    }

    pub(super) fn events(&self) -> u64 {
        self.header.events()
    }

    pub(super) fn name(&self) -> &str {
        &self.file.name
    }

    /// A checksum of its header, which holds one of all pages: names the content.
    pub(super) fn check(&self) -> u32 {
        self.check
    }

    /// `false`: no event of this run has the print.
    #[inline]
    pub(super) fn passes(&self, probe: &Probe) -> bool {
        self.filter.may_hold(probe)
    }

    /// Hands over the offsets of all events with this print. Worth asking only if its probe
    /// [passes](Run::passes).
    pub(super) fn entries_of(
        &self,
        print: u64,
        mut found: impl FnMut(u64),
    ) -> Result<(), IndexError> {
        // A page that begins with the print may have been preceded by one that ends with it.
        let first = self.entry_fences.partition_point(|fence| *fence < print).saturating_sub(1);
        let end = self.entry_fences.partition_point(|fence| *fence <= print);
        let mut page = Page::blank();
        for number in first..end {
            page.read(&self.file, &self.layout.entries, number as u64)?;
            let entries = page.records();
            let start = entries.partition_point(|entry| Entry::decode(entry).print < print);
            let entries = entries[start..].iter().map(Entry::decode);
            for entry in entries.take_while(|entry| entry.print == print) {
                found(self.header.offsets.start + u64::from(entry.offset));
            }
        }
        Ok(())
    }

    /// Appends at most `limit` offsets of a topic's events, in order, those beyond `after` only.
    pub(crate) fn of_topic(
        &self,
        topic: TopicId,
        after: Option<u64>,
        limit: usize,
        into: &mut Vec<u64>,
    ) -> Result<(), IndexError> {
        let Some(postings) = self.postings_of(topic)? else {
            return Ok(());
        };
        let skipped = after.and_then(|after| after.checked_sub(self.header.offsets.start));
        let start = match skipped {
            Some(after) => self.first_beyond(after, &postings)?,
            None => postings.start,
        };
        let end = postings.end.min(start.saturating_add(limit as u64));
        self.copy_postings(start..end, into)
    }

    /// The newest sample at or before `offset`; `None` if there is none in this run.
    pub(crate) fn place_before(&self, offset: u64) -> Result<Option<Sample>, IndexError> {
        let first = self.header.offsets.start;
        let Some(relative) = offset.checked_sub(first) else {
            return Ok(None);
        };
        let pages = self.sample_fences.partition_point(|fence| u64::from(*fence) <= relative);
        let Some(number) = pages.checked_sub(1) else {
            return Ok(None);
        };
        let mut page = Page::<SAMPLE_BYTES>::blank();
        page.read(&self.file, &self.layout.samples, number as u64)?;
        let samples = page.records();
        let count = samples.partition_point(|sample| decode_sample(sample, first).offset <= offset);
        Ok(count.checked_sub(1).map(|last| decode_sample(&samples[last], first)))
    }

    /// The numbers of a topic's postings.
    fn postings_of(&self, topic: TopicId) -> Result<Option<Range<u64>>, IndexError> {
        let pages = self.directory_fences.partition_point(|fence| *fence <= topic.0);
        let Some(number) = pages.checked_sub(1) else {
            return Ok(None);
        };
        let directory = &self.layout.directory;
        let mut page = Page::blank();
        page.read(&self.file, directory, number as u64)?;
        let topic_of = |entry| TopicEntry::decode(entry).topic;
        let Ok(found) = page.records().binary_search_by_key(&topic.0, topic_of) else {
            return Ok(None);
        };
        let entry = TopicEntry::decode(&page.records()[found]);
        let start = u64::from(entry.start);
        let end = start + u64::from(entry.count);
        if end > self.events() {
            return Err(self.file.damaged(directory.first_page + number as u64));
        }
        Ok(Some(start..end))
    }

    /// The number of the first of these postings whose relative offset is beyond `after`.
    fn first_beyond(&self, after: u64, postings: &Range<u64>) -> Result<u64, IndexError> {
        let mut page = Page::<4>::blank();
        let Range { mut start, mut end } = postings.clone();
        while start < end {
            let number = (start + (end - start) / 2) / Section::<4>::PER_PAGE;
            page.read(&self.file, &self.layout.postings, number)?;
            let (from, records) = within(&page, number, start..end);
            let count = records.partition_point(|offset| relative(offset) <= after) as u64;
            match count {
                0 => end = from,
                _ if count == records.len() as u64 => start = from + count,
                _ => return Ok(from + count),
            }
        }
        Ok(start)
    }

    fn copy_postings(&self, postings: Range<u64>, into: &mut Vec<u64>) -> Result<(), IndexError> {
        let first = self.header.offsets.start;
        let mut page = Page::<4>::blank();
        let Range { mut start, end } = postings;
        while start < end {
            let number = start / Section::<4>::PER_PAGE;
            page.read(&self.file, &self.layout.postings, number)?;
            let (_, records) = within(&page, number, start..end);
            into.extend(records.iter().map(|offset| first + relative(offset)));
            start += records.len() as u64;
        }
        Ok(())
    }

    /// Reads and checks the pages that [`Run::open`] did not. It also leaves them in the page
    /// cache, which writing past it did not.
    pub(super) fn check_pages(&self, stop: &AtomicBool) -> Result<(), IndexError> {
        let mut pages = Vec::new();
        let mut next = self.layout.entries.first_page;
        while next < self.layout.filter.first_page && !stop.load(Ordering::Relaxed) {
            let count = (self.layout.filter.first_page - next).min(CHECK_PAGES);
            pages.resize(count as usize * PAGE_BYTES, 0);
            self.file.read(next, &mut pages)?;
            next += count;
        }
        Ok(())
    }

    pub(super) fn all_entries(&self) -> SectionReader<'_, { Entry::BYTES }> {
        SectionReader::new(&self.file, self.layout.entries)
    }

    pub(super) fn all_postings(&self) -> SectionReader<'_, 4> {
        SectionReader::new(&self.file, self.layout.postings)
    }

    pub(super) fn all_topics(&self) -> SectionReader<'_, { TopicEntry::BYTES }> {
        SectionReader::new(&self.file, self.layout.directory)
    }

    /// Hands each sample to `put`.
    pub(super) fn each_sample<E: From<IndexError>>(
        &self,
        mut put: impl FnMut(Sample) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut samples = SectionReader::new(&self.file, self.layout.samples);
        while let Some(sample) = samples.next()? {
            put(decode_sample(&sample, self.header.offsets.start))?;
        }
        Ok(())
    }

    /// A directory and postings that do not belong together.
    pub(super) fn contradiction(&self) -> IndexError {
        self.file.damaged(self.layout.directory.first_page)
    }
}

/// The records of page `number` that are among `wanted`, and the number of the first of them.
fn within(page: &Page<4>, number: u64, wanted: Range<u64>) -> (u64, &[[u8; 4]]) {
    let before = number * Section::<4>::PER_PAGE;
    let from = wanted.start.max(before);
    let records = page.records();
    let end = (wanted.end - before).min(records.len() as u64) as usize;
    (from, &records[(from - before) as usize..end])
}

fn relative(offset: &[u8; 4]) -> u64 {
    u64::from(u32::from_le_bytes(*offset))
}

fn load<const N: usize, T>(
    file: &PageFile,
    section: Section<N>,
    decode: fn([u8; N]) -> T,
) -> Result<Vec<T>, IndexError> {
    let mut reader = SectionReader::new(file, section);
    let mut loaded = Vec::with_capacity(section.records as usize);
    while let Some(record) = reader.next()? {
        loaded.push(decode(record));
    }
    Ok(loaded)
}
