//! Reading frames by their place while the journal is being written.
//!
//! Only frames that are durable may be asked for: the reader takes whatever is wrong with one for
//! damage. It knows nothing of what is in a frame, and not how far the log is durable.
//!
//! It reads through the page cache, past which the writer writes (`direct`). That is sound: the
//! system drops cached pages of a range before and after each direct write to it, and waits for
//! those being read in, so once a write has returned no page shows less than it wrote. A page may
//! hold durable sectors next to sectors being written; the write leaves the former as they are,
//! and the latter are not asked for yet. Every sector carries a checksum, its frame's number and
//! its index, so that a page which is wrong all the same can't pass for right: what is damaged
//! or blank is asked of the device once more (`refresh`) before anything is said about it.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Corruption, IoFailure, Problem, RecoverError};
use crate::format::{
    FIRST_FRAME_SECTOR, FrameHeader, JournalId, MarkKind, Place, SECTOR_BYTES, SECTOR_DATA_BYTES,
    Sector, Shape,
};
use crate::segment::{Segment, number_of};
use crate::storage::{Storage, StorageFile};

/// Segment files kept open.
const FILES_MAX: usize = 64;

/// A reader of one journal. Clones share their open files.
pub struct LogReader<S: Storage> {
    shared: Arc<Shared<S>>,
}

struct Shared<S: Storage> {
    storage: S,
    journal: JournalId,
    files: Mutex<Files<S::File>>,
}

/// Open segments.
struct Files<F> {
    /// Each with its number, the last used one at the end.
    open: Vec<(u64, Arc<Segment<F>>)>,
    /// How often a file was replaced: what was opened before that is not kept.
    replaced: u64,
}

/// What a frame is, without its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameInfo {
    /// Its number, from 1.
    pub number: u64,
    /// Where it starts.
    pub place: Place,
    /// The length of its payload in bytes.
    pub payload_bytes: u32,
    /// How many of them are the head, if it was appended as head and body.
    pub head_bytes: Option<u32>,
    /// The sector after it; nothing may be there, and it may be behind the segment's last frame.
    pub next: Place,
    shape: Shape,
}

/// Why something can't be read.
#[derive(Debug)]
pub enum ReadError {
    /// Report: a durable frame is damaged.
    Corrupt(Corruption),
    /// Retry once the cause is gone: the operating system refused.
    Io(IoFailure),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt(corruption) => corruption.fmt(f),
            Self::Io(failure) => failure.fmt(f),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<IoFailure> for ReadError {
    fn from(failure: IoFailure) -> Self {
        Self::Io(failure)
    }
}

impl From<Corruption> for ReadError {
    fn from(corruption: Corruption) -> Self {
        Self::Corrupt(corruption)
    }
}

impl From<RecoverError<ReadError>> for ReadError {
    fn from(error: RecoverError<ReadError>) -> Self {
        match error {
            RecoverError::Corrupt(corruption) => Self::Corrupt(corruption),
            RecoverError::NewerFormat { segment, .. } => {
                Self::Corrupt(Corruption { segment, offset: 0, problem: Problem::DamagedHeader })
            }
            RecoverError::Io(failure) => Self::Io(failure),
            RecoverError::Refused { error, .. } => error,
        }
    }
}

impl<S: Storage> Clone for LogReader<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S: Storage> LogReader<S> {
    /// A reader of the journal `journal` in `storage`.
    pub fn open(storage: S, journal: JournalId) -> Self {
        let files = Mutex::new(Files { open: Vec::new(), replaced: 0 });
        let shared = Shared { storage, journal, files };
        Self { shared: Arc::new(shared) }
    }

    /// The frame that starts at `place`.
    ///
    /// # Errors
    /// [`ReadError`]; damage also if no frame starts there.
    pub fn frame(&self, place: Place) -> Result<FrameInfo, ReadError> {
        let segment = self.segment(place.segment)?;
        match look(&segment, place.sector)? {
            Seen::Frame(frame) => Ok(frame),
            Seen::Seal | Seen::Blank => {
                Err(segment.corrupt(place.sector, Problem::MissingSector).into())
            }
        }
    }

    /// The frame after `frame`, or `None` if there is none yet; a look at the end of the log
    /// costs a read of the device.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn after(&self, frame: &FrameInfo) -> Result<Option<FrameInfo>, ReadError> {
        self.at_or_after(frame.next)
    }

    /// Frame `number`, found by the segments' opening marks; `None` if there is none yet.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn find(&self, number: u64) -> Result<Option<FrameInfo>, ReadError> {
        let Some(segment) = self.segment_of(number)? else {
            return Ok(None);
        };
        let mut found = self.at_or_after(Place { segment, sector: FIRST_FRAME_SECTOR })?;
        while let Some(frame) = found
            && frame.number < number
        {
            found = self.after(&frame)?;
        }
        Ok(found.filter(|frame| frame.number == number))
    }

    /// Appends `range` of the frame's payload to `into`; forgotten bytes are zero.
    ///
    /// # Errors
    /// [`ReadError`]; damage also if the range reaches beyond the payload.
    pub fn read(
        &self,
        frame: &FrameInfo,
        range: Range<usize>,
        into: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        if range.is_empty() {
            return Ok(());
        }
        let segment = self.segment(frame.place.segment)?;
        if range.end > frame.payload_bytes as usize {
            return Err(segment.corrupt(frame.place.sector, Problem::ImpossibleFrame).into());
        }
        match read(&segment, frame, &range, into) {
            Err(ReadError::Corrupt(_)) => read_again(&segment, frame, &range, into),
            done => done,
        }
    }

    /// Opens the segment's file anew when it is needed next: it was replaced.
    pub fn forget_file(&self, segment: u64) {
        let mut files = self.files();
        files.replaced += 1;
        files.open.retain(|(number, _)| *number != segment);
    }

    fn at_or_after(&self, place: Place) -> Result<Option<FrameInfo>, ReadError> {
        let segment = self.segment(place.segment)?;
        match look(&segment, place.sector)? {
            Seen::Frame(frame) => Ok(Some(frame)),
            Seen::Blank => Ok(None),
            Seen::Seal => {
                let next = self.segment(place.segment + 1)?;
                match look(&next, FIRST_FRAME_SECTOR)? {
                    Seen::Frame(frame) => Ok(Some(frame)),
                    Seen::Seal | Seen::Blank => Ok(None),
                }
            }
        }
    }

    /// The last segment whose first frame is `number` or an earlier one.
    fn segment_of(&self, number: u64) -> Result<Option<u64>, ReadError> {
        let names = self.shared.storage.list();
        let names =
            names.map_err(|error| IoFailure::new("list", "the journal's directory", error))?;
        let (mut known, mut end) = (0, names.iter().filter_map(|name| number_of(name)).max());
        // Segments are numbered from 1; invariant: the one wanted is `known` or later.
        while let Some(last) = end.filter(|last| *last > known) {
            let middle = known + (last - known).div_ceil(2);
            let opening = self.segment(middle)?.opening::<ReadError>()?;
            if opening.is_some_and(|mark| mark.next_frame <= number) {
                known = middle;
            } else {
                end = Some(middle - 1);
            }
        }
        Ok((known > 0).then_some(known))
    }

    fn segment(&self, number: u64) -> Result<Arc<Segment<S::File>>, ReadError> {
        let Shared { storage, journal, .. } = &*self.shared;
        let replaced = {
            let mut files = self.files();
            if let Some(segment) = files.last_used(number) {
                return Ok(segment);
            }
            files.replaced
        };
        let opened = Segment::open_to_read::<S, ReadError>(storage, *journal, number);
        let opened = Arc::new(opened?);
        self.files().keep(number, &opened, replaced);
        Ok(opened)
    }

    /// No code panics while it holds the lock.
    fn files(&self) -> MutexGuard<'_, Files<S::File>> {
        self.shared.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> Files<F> {
    /// An open segment, which becomes the last used one.
    fn last_used(&mut self, number: u64) -> Option<Arc<Segment<F>>> {
        let at = self.open.iter().rposition(|(known, _)| *known == number)?;
        self.open[at..].rotate_left(1);
        self.open.last().map(|(_, segment)| Arc::clone(segment))
    }

    /// Keeps a segment that was opened when `replaced` files had been replaced.
    fn keep(&mut self, number: u64, segment: &Arc<Segment<F>>, replaced: u64) {
        if self.replaced != replaced || self.last_used(number).is_some() {
            return;
        }
        if self.open.len() >= FILES_MAX {
            self.open.remove(0);
        }
        self.open.push((number, Arc::clone(segment)));
    }
}

/// What starts at a sector.
enum Seen {
    Frame(FrameInfo),
    Seal,
    Blank,
}

fn look<F: StorageFile>(segment: &Segment<F>, sector: u32) -> Result<Seen, ReadError> {
    match look_once(segment, sector) {
        Ok(Seen::Blank) | Err(ReadError::Corrupt(_)) if sector < segment.sectors => {
            segment.refresh(sector..sector + 1)?;
            look_once(segment, sector)
        }
        seen => seen,
    }
}

fn look_once<F: StorageFile>(segment: &Segment<F>, sector: u32) -> Result<Seen, ReadError> {
    if sector >= segment.sectors {
        return Ok(Seen::Blank);
    }
    let mut bytes = [0; SECTOR_BYTES];
    segment.read(&mut bytes, sector)?;
    let problem = match segment.codec.read(&bytes) {
        Sector::Zero => return Ok(Seen::Blank),
        Sector::Mark { kind: MarkKind::Seal, .. } => return Ok(Seen::Seal),
        Sector::Frame { number, index: 0, data } => match FrameHeader::read(data) {
            Some(header) => {
                let place = Place { segment: segment.number, sector };
                return info(segment, number, place, &header).map(Seen::Frame);
            }
            None => Problem::ImpossibleFrame,
        },
        Sector::Damaged => Problem::DamagedSector,
        Sector::Frame { .. } | Sector::Mark { .. } => Problem::MisplacedSector,
    };
    Err(segment.corrupt(sector, problem).into())
}

fn info<F>(
    segment: &Segment<F>,
    number: u64,
    place: Place,
    header: &FrameHeader,
) -> Result<FrameInfo, ReadError>
where
    F: StorageFile,
{
    let FrameHeader { payload_bytes, shape, .. } = *header;
    let sectors = shape.sectors(payload_bytes as usize);
    if u64::from(place.sector) + sectors >= u64::from(segment.sectors) {
        return Err(segment.corrupt(place.sector, Problem::ImpossibleFrame).into());
    }
    // Within the segment, whose sectors are counted in 32 bits.
    let next = Place { sector: place.sector + sectors as u32, ..place };
    Ok(FrameInfo { number, place, payload_bytes, head_bytes: shape.head_bytes(), next, shape })
}

/// Reads what the device holds; of a frame that was looked at before parts of it were forgotten,
/// what is left.
fn read_again<F: StorageFile>(
    segment: &Segment<F>,
    frame: &FrameInfo,
    range: &Range<usize>,
    into: &mut Vec<u8>,
) -> Result<(), ReadError> {
    segment.refresh(frame.place.sector..frame.next.sector)?;
    let forgotten = FrameInfo { shape: frame.shape.forgotten(), ..*frame };
    match look_once(segment, frame.place.sector) {
        Ok(Seen::Frame(now)) if now == forgotten => read(segment, &now, range, into),
        _ => read(segment, frame, range, into),
    }
}

/// Reads a range that is not empty and lies within the payload, in one piece; all of it or
/// nothing.
fn read<F: StorageFile>(
    segment: &Segment<F>,
    frame: &FrameInfo,
    range: &Range<usize>,
    into: &mut Vec<u8>,
) -> Result<(), ReadError> {
    let header_bytes = frame.shape.header_bytes();
    let (start, end) = (range.start + header_bytes, range.end + header_bytes);
    let first = start / SECTOR_DATA_BYTES;
    let sectors = end.div_ceil(SECTOR_DATA_BYTES) - first;
    let mut bytes = Scratch::take(sectors * SECTOR_BYTES);
    segment.read(&mut bytes.0, frame.place.sector + first as u32)?;
    let before = into.len();
    into.reserve(range.len());
    for (index, sector) in (first..).zip(bytes.0.chunks_exact(SECTOR_BYTES)) {
        let from = start.saturating_sub(index * SECTOR_DATA_BYTES);
        let to = (end - index * SECTOR_DATA_BYTES).min(SECTOR_DATA_BYTES);
        let index = index as u32;
        let problem = match segment.codec.read(sector) {
            Sector::Frame { number, index: at, data } if (number, at) == (frame.number, index) => {
                into.extend_from_slice(&data[from..to]);
                continue;
            }
            Sector::Zero if frame.shape.may_be_blank(index) => {
                into.resize(into.len() + to - from, 0);
                continue;
            }
            Sector::Zero => Problem::MissingSector,
            Sector::Damaged => Problem::DamagedSector,
            Sector::Frame { .. } | Sector::Mark { .. } => Problem::MisplacedSector,
        };
        into.truncate(before);
        return Err(segment.corrupt(frame.place.sector + index, problem).into());
    }
    Ok(())
}

/// Sectors as read, in memory that the thread uses again.
struct Scratch(Vec<u8>);

/// Memory kept by a thread between two reads.
const SCRATCH_BYTES_MAX: usize = 1 << 20;

thread_local! {
    static SCRATCH: std::cell::Cell<Vec<u8>> = const { std::cell::Cell::new(Vec::new()) };
}

impl Scratch {
    fn take(bytes: usize) -> Self {
        let mut scratch = SCRATCH.take();
        scratch.resize(bytes, 0);
        Self(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.0.capacity() <= SCRATCH_BYTES_MAX {
            SCRATCH.set(std::mem::take(&mut self.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::SectorCodec;

    fn segment(number: u64) -> Arc<Segment<()>> {
        let codec = SectorCodec::new(JournalId([1; 16]), number);
        Arc::new(Segment { file: (), name: String::new(), number, sectors: 8, codec })
    }

    #[test]
    fn a_file_opened_before_it_was_replaced_is_not_kept() {
        let mut files = Files { open: Vec::new(), replaced: 1 };
        files.keep(1, &segment(1), 0);
        assert!(files.last_used(1).is_none());
        files.keep(1, &segment(1), 1);
        assert!(files.last_used(1).is_some());
    }

    #[test]
    fn the_files_used_last_are_kept() {
        let mut files = Files { open: Vec::new(), replaced: 0 };
        for number in 1..=FILES_MAX as u64 {
            files.keep(number, &segment(number), 0);
        }
        assert!(files.last_used(1).is_some());
        files.keep(100, &segment(100), 0);
        let kept = [1, 2, 3, 100].map(|number| files.last_used(number).is_some());
        assert_eq!(kept, [true, false, true, true]);
    }
}
