//! What a run is made from when a generation is sealed.

use std::ops::Range;

use super::error::BuildError;
use super::run::{Contents, Entry, Put, TopicEntry};
use super::{Generation, Sample};

/// A generation, sorted both ways.
pub(super) struct SealContents<'a> {
    offsets: Range<u64>,
    entries: Vec<Entry>,
    /// Topic in the high half, relative offset in the low half.
    postings: Vec<u64>,
    samples: &'a [Sample],
}

impl<'a> SealContents<'a> {
    /// Sorts `generation`. Samples outside its offsets are left out.
    pub(super) fn of(generation: &Generation, samples: &'a [Sample]) -> Self {
        let numbered = generation.prints().iter().copied().zip(0..);
        let mut entries: Vec<_> = numbered.map(|(print, offset)| Entry { print, offset }).collect();
        entries.sort_unstable();
        let numbered = generation.topics().iter().zip(0u64..);
        let mut postings: Vec<_> =
            numbered.map(|(topic, offset)| u64::from(topic.0) << 32 | offset).collect();
        postings.sort_unstable();
        Self { offsets: generation.offsets(), entries, postings, samples }
    }
}

impl Contents for SealContents<'_> {
    fn offsets(&self) -> Range<u64> {
        self.offsets.clone()
    }

    fn entries(
        &mut self,
        put: impl FnMut(Entry) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        std::mem::take(&mut self.entries).into_iter().try_for_each(put)
    }

    fn postings(
        &mut self,
        mut put: impl FnMut(u32) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        self.postings.iter().try_for_each(|posting| put(*posting as u32))
    }

    fn directory(&mut self, put: Put<'_, TopicEntry>) -> Result<(), BuildError> {
        let mut start = 0;
        for postings in self.postings.chunk_by(|one, next| one >> 32 == next >> 32) {
            let count = postings.len() as u32;
            put(TopicEntry { topic: (postings[0] >> 32) as u32, start, count })?;
            start += count;
        }
        Ok(())
    }

    fn samples(&mut self, put: Put<'_, Sample>) -> Result<(), BuildError> {
        let inside = self.samples.iter().filter(|sample| self.offsets.contains(&sample.offset));
        inside.copied().try_for_each(put)
    }
}
