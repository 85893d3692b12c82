//! Writes a run from front to back, in one pass over what it is to hold.
//!
//! Beside one piece of pages, only the filter and the fences are in memory, however large the run.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use kilat_journal::{JournalId, StorageFile};

use crate::index::Sample;
use crate::index::error::BuildError;
use crate::index::filter::Filter;
use crate::index::page::PageWriter;

use super::format::{Entry, Header, Layout, TopicEntry, encode_sample, run_name, seal_of};

/// Takes one record of a section.
pub(in crate::index) type Put<'a, T> = &'a mut dyn FnMut(T) -> Result<(), BuildError>;

/// What a run is made from: each section is asked for once, in this order.
pub(in crate::index) trait Contents {
    /// The offsets that the run is to cover, at least one.
    fn offsets(&self) -> Range<u64>;
    /// One entry for each offset, by print and offset.
    fn entries(
        &mut self,
        put: impl FnMut(Entry) -> Result<(), BuildError>,
    ) -> Result<(), BuildError>;
    /// The relative offsets of each topic's events, by topic and offset.
    fn postings(
        &mut self,
        put: impl FnMut(u32) -> Result<(), BuildError>,
    ) -> Result<(), BuildError>;
    /// Where each topic's postings are, by topic.
    fn directory(&mut self, put: Put<'_, TopicEntry>) -> Result<(), BuildError>;
    /// By offset.
    fn samples(&mut self, put: Put<'_, Sample>) -> Result<(), BuildError>;
}

/// Writes a run into an empty file and makes it durable. Raising `stop` ends it early.
pub(in crate::index) fn write_run(
    file: &dyn StorageFile,
    journal: JournalId,
    contents: &mut impl Contents,
    stop: &AtomicBool,
) -> Result<(), BuildError> {
    let offsets = contents.offsets();
    let pages = PageWriter::new(file, seal_of(journal, &offsets), 1);
    let mut writer = RunWriter { name: run_name(&offsets), pages, stop };
    let mut header = Header { journal, offsets, topics: 0, samples: 0, contents: 0 };
    let (filter, entry_fences) = writer.entries(&header, contents)?;
    writer.postings(contents)?;
    let directory_fences = writer.directory(&mut header, contents)?;
    let sample_fences = writer.samples(&mut header, contents)?;
    writer.section(filter.blocks().iter().map(|block| block.encode()))?;
    writer.section(entry_fences.iter().map(|print| print.to_le_bytes()))?;
    writer.section(directory_fences.iter().map(|topic| topic.to_le_bytes()))?;
    writer.section(sample_fences.iter().map(|offset| offset.to_le_bytes()))?;
    writer.finish(file, header)
}

struct RunWriter<'a> {
    name: String,
    pages: PageWriter<'a>,
    stop: &'a AtomicBool,
}

impl RunWriter<'_> {
    fn entries(
        &mut self,
        header: &Header,
        contents: &mut impl Contents,
    ) -> Result<(Filter, Vec<u64>), BuildError> {
        let mut filter = Filter::with_room_for(header.events());
        let mut fences = Vec::with_capacity(Layout::of(header).entries.pages() as usize);
        contents.entries(|entry| {
            filter.insert(entry.print);
            if self.push(&entry.encode())? {
                fences.push(entry.print);
            }
            Ok(())
        })?;
        self.end_section()?;
        Ok((filter, fences))
    }

    fn postings(&mut self, contents: &mut impl Contents) -> Result<(), BuildError> {
        contents.postings(|offset| self.push(&offset.to_le_bytes()).map(drop))?;
        self.end_section()
    }

    /// Returns the fences.
    fn directory(
        &mut self,
        header: &mut Header,
        contents: &mut impl Contents,
    ) -> Result<Vec<u32>, BuildError> {
        let mut fences = Vec::new();
        contents.directory(&mut |entry| {
            header.topics += 1;
            if self.push(&entry.encode())? {
                fences.push(entry.topic);
            }
            Ok(())
        })?;
        self.end_section()?;
        Ok(fences)
    }

    /// Returns the fences.
    fn samples(
        &mut self,
        header: &mut Header,
        contents: &mut impl Contents,
    ) -> Result<Vec<u32>, BuildError> {
        let mut fences = Vec::new();
        let first = header.offsets.start;
        contents.samples(&mut |sample| {
            header.samples += 1;
            if self.push(&encode_sample(&sample, first))? {
                fences.push((sample.offset - first) as u32);
            }
            Ok(())
        })?;
        self.end_section()?;
        Ok(fences)
    }

    fn section<const N: usize>(
        &mut self,
        mut records: impl Iterator<Item = [u8; N]>,
    ) -> Result<(), BuildError> {
        records.try_for_each(|record| self.push(&record).map(drop))?;
        self.end_section()
    }

    fn finish(self, file: &dyn StorageFile, mut header: Header) -> Result<(), BuildError> {
        let run = self.name;
        let finish = || {
            let (pages, contents) = self.pages.finish()?;
            debug_assert_eq!(pages, Layout::of(&header).pages(), "a section of {run} is not whole");
            header.contents = contents;
            file.write_at(&header.encode(), 0)?;
            file.sync_data()
        };
        finish().map_err(|error| BuildError::Write { run: run.clone(), error })
    }

    #[inline]
    fn push<const N: usize>(&mut self, record: &[u8; N]) -> Result<bool, BuildError> {
        let first = self.pages.push(record).map_err(|error| self.refused(error))?;
        if first && self.stop.load(Ordering::Relaxed) {
            return Err(BuildError::Stopped);
        }
        Ok(first)
    }

    fn end_section(&mut self) -> Result<(), BuildError> {
        self.pages.end_page().map_err(|error| self.refused(error))
    }

    #[cold]
    fn refused(&self, error: io::Error) -> BuildError {
        BuildError::Write { run: self.name.clone(), error }
    }
}
