//! Copying a journal, also while it is being written: whole frames with the bytes and at the
//! places that they have, each checked on its way, up to an end that never moves away.
//!
//! The end is the end of the log when it is reached, or of the segment that the log was in when
//! copying began, whichever comes first: so a copy ends however fast the log grows. Everything
//! that was durable when copying began is in it. Where something was forgotten, the rule that
//! says so was durable before: a segment that shows it moves the end to where the log is then.
//!
//! Knows nothing of what is in a frame, and never writes to the log.

use std::fmt;
use std::thread;

use crate::error::{Corruption, IoFailure, RecoverError};
use crate::format::{
    JournalId, Mark, MarkKind, OPENING_SECTOR, Position, SECTOR_BYTES, SectorCodec, SegmentHeader,
};
use crate::output::Output;
use crate::recovery::Listing;
use crate::segment::{Segment, name_of};
use crate::storage::{Storage, StorageFile};
use crate::verify::{LOOK_PAUSE, LOOKS, begin};
use crate::walk::{End, FrameView, Walk};

/// What failures of the copy say was being done.
const COPY: &str = "copy to";

/// A copy that is complete and durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The last frame copied, and its chain.
    pub position: Position,
    /// The files written, in order.
    pub files: Vec<CopiedFile>,
}

/// A file of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedFile {
    /// Its name in the journal's directory.
    pub name: String,
    /// Its length in bytes, holes included.
    pub bytes: u64,
    /// The BLAKE3 of what was written, holes included as zeros.
    pub sum: [u8; 32],
}

/// Why there is no copy. What was written of it is of no use.
#[derive(Debug)]
pub enum CopyError<E> {
    /// The journal can't be read, is damaged, or the callback refused a frame.
    Source(RecoverError<E>),
    /// Retry once the cause is gone: the copy could not be written.
    Target(IoFailure),
}

impl<E: fmt::Display> fmt::Display for CopyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(error) => error.fmt(f),
            Self::Target(failure) => failure.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for CopyError<E> {}

impl<E> From<Stopped<E>> for CopyError<E> {
    fn from(stopped: Stopped<E>) -> Self {
        match stopped {
            RecoverError::Refused { error: Stop::Target(failure), .. } => Self::Target(failure),
            RecoverError::Refused { frame, error: Stop::Refused(error) } => {
                Self::Source(RecoverError::Refused { frame, error })
            }
            RecoverError::Corrupt(corruption) => Self::Source(corruption.into()),
            RecoverError::Io(failure) => Self::Source(failure.into()),
            RecoverError::NewerFormat { segment, found, supported } => {
                Self::Source(RecoverError::NewerFormat { segment, found, supported })
            }
        }
    }
}

/// Why a frame was not copied.
enum Stop<E> {
    Refused(E),
    Target(IoFailure),
}

type Stopped<E> = RecoverError<Stop<E>>;

/// Copies the journal `journal` from `from` into the empty directory `to`, and hands every frame
/// to `on_frame` before it is written. The copy is durable when this returns, and so is, in `from`,
/// every frame of it. A journal that does not exist yet is copied as none.
///
/// # Errors
/// [`CopyError`]
pub fn copy<S: Storage, T: Storage, E>(
    from: &S,
    journal: JournalId,
    to: &T,
    on_frame: impl FnMut(&FrameView<'_>) -> Result<(), E>,
) -> Result<Copied, CopyError<E>> {
    let listing = Listing::of::<S, Stop<E>>(from)?;
    if listing.segments == 0 {
        let position = Position { frame: 0, chain: journal.genesis() };
        return Ok(Copied { position, files: Vec::new() });
    }
    let end = last_opened(from, journal, listing.segments)?;
    let walk = patiently(|| begin(from, journal))?.keeping_sectors();
    let mut copying = Copying { from, to, journal, walk, end, on_frame, files: Vec::new() };
    while copying.segment()? {}
    let Copying { walk, files, .. } = copying;
    walk.segment().sync().map_err(Stopped::Io)?;
    to.sync_directory()
        .map_err(|error| CopyError::Target(IoFailure::new(COPY, "the directory", error)))?;
    Ok(Copied { position: walk.position(), files })
}

/// The segment that the log is in, or was a moment ago.
fn last_opened<S: Storage, E>(
    storage: &S,
    journal: JournalId,
    segments: u64,
) -> Result<u64, Stopped<E>> {
    for number in (2..=segments).rev() {
        let segment = patiently(|| Segment::open_to_read(storage, journal, number))?;
        if patiently(|| segment.opening())?.is_some() {
            return Ok(number);
        }
    }
    Ok(1)
}

/// Looks again before it takes anything for damage: a writer may be seen at work.
fn patiently<R, E>(
    mut look: impl FnMut() -> Result<R, RecoverError<E>>,
) -> Result<R, RecoverError<E>> {
    for _ in 0..LOOKS {
        match look() {
            Err(RecoverError::Corrupt(_)) => thread::sleep(LOOK_PAUSE),
            done => return done,
        }
    }
    look()
}

struct Copying<'a, S: Storage, T, C> {
    from: &'a S,
    to: &'a T,
    journal: JournalId,
    walk: Walk<S>,
    /// The last segment to be copied.
    end: u64,
    on_frame: C,
    files: Vec<CopiedFile>,
}

impl<S: Storage, T: Storage, C> Copying<'_, S, T, C> {
    /// Copies the segment that the walk is at the beginning of; says whether there is another.
    fn segment<E>(&mut self) -> Result<bool, CopyError<E>>
    where
        C: FnMut(&FrameView<'_>) -> Result<(), E>,
    {
        let (number, sectors) = (self.walk.segment().number, self.walk.segment().sectors);
        let mut sheet = Sheet::new(self.to, self.journal, number, sectors)?;
        sheet.mark(MarkKind::Opening, &self.walk.mark(), OPENING_SECTOR)?;
        let sealed = self.frames(&mut sheet)?;
        if sealed {
            sheet.mark(MarkKind::Seal, &self.walk.mark(), self.walk.sector())?;
        }
        self.files.push(sheet.finish()?);
        if !sealed {
            return Ok(false);
        }
        if self.walk.has_met_forgotten() {
            self.end = self.end.max(self.newest()?);
        }
        let goes_on = number < self.end && self.enter_next()?;
        if !goes_on {
            self.blank(number + 1)?;
        }
        Ok(goes_on)
    }

    /// Copies the frames of this segment; whether the log has left it.
    fn frames<E>(&mut self, sheet: &mut Sheet<T::File>) -> Result<bool, CopyError<E>>
    where
        C: FnMut(&FrameView<'_>) -> Result<(), E>,
    {
        let Self { from, walk, on_frame, .. } = self;
        let mut take = |frame: FrameView<'_>| {
            on_frame(&frame).map_err(Stop::Refused)?;
            sheet.write(frame.sectors, frame.place.sector).map_err(Stop::Target)
        };
        let mut looks = 0;
        loop {
            let before = walk.position().frame;
            let last = Listing::of::<S, Stop<E>>(*from)?.segments;
            let corruption = match walk.rest_of_segment(last, &mut take) {
                Ok(end) => return Ok(matches!(end, End::Sealed)),
                Err(RecoverError::Corrupt(corruption)) => corruption,
                Err(other) => return Err(other.into()),
            };
            looks = if walk.position().frame == before { looks + 1 } else { 0 };
            if looks == LOOKS {
                return Err(damaged(corruption));
            }
            thread::sleep(LOOK_PAUSE);
        }
    }

    fn newest<E>(&self) -> Result<u64, CopyError<E>> {
        let segments = Listing::of::<S, Stop<E>>(self.from)?.segments;
        Ok(last_opened(self.from, self.journal, segments)?)
    }

    fn enter_next<E>(&mut self) -> Result<bool, CopyError<E>> {
        Ok(patiently::<_, Stop<E>>(|| self.walk.enter_next())?)
    }

    /// A sealed segment has a next one; this one the log has not come to in the copy.
    fn blank<E>(&mut self, number: u64) -> Result<(), CopyError<E>> {
        let next = Segment::open_to_read::<S, Stop<E>>(self.from, self.journal, number)?;
        let blank = Sheet::new(self.to, self.journal, number, next.sectors)?;
        self.files.push(blank.finish()?);
        Ok(())
    }
}

fn damaged<E>(corruption: Corruption) -> CopyError<E> {
    CopyError::Source(RecoverError::Corrupt(corruption))
}

/// A segment of the copy.
struct Sheet<F> {
    name: String,
    sectors: u32,
    codec: SectorCodec,
    output: Output<F>,
    hasher: blake3::Hasher,
    /// The sector up to which the sum goes.
    summed: u32,
}

impl<F: StorageFile> Sheet<F> {
    /// With its header. It has its full length in the end, as any segment under its own name.
    fn new<T: Storage<File = F>, E>(
        to: &T,
        journal: JournalId,
        number: u64,
        sectors: u32,
    ) -> Result<Self, CopyError<E>> {
        let name = name_of(number);
        let file = to.create(&name);
        let file = file.map_err(|error| CopyError::Target(IoFailure::new(COPY, &name, error)))?;
        let codec = SectorCodec::new(journal, number);
        let (output, hasher) = (Output::new(file, &name, COPY), blake3::Hasher::new());
        let mut sheet = Self { name, sectors, codec, output, hasher, summed: 0 };
        let header = SegmentHeader { journal, segment: number, sectors };
        sheet.write(&header.encode(), 0).map_err(CopyError::Target)?;
        Ok(sheet)
    }

    fn mark<E>(&mut self, kind: MarkKind, at: &Mark, sector: u32) -> Result<(), CopyError<E>> {
        let mark = self.codec.mark(kind, at);
        self.write(&mark, sector).map_err(CopyError::Target)
    }

    /// Writes sectors that follow those written before; blank ones become holes.
    fn write(&mut self, bytes: &[u8], sector: u32) -> Result<(), IoFailure> {
        self.sum_blanks_up_to(sector);
        self.hasher.update(bytes);
        self.summed = sector + (bytes.len() / SECTOR_BYTES) as u32;
        self.output.write_filled(bytes, sector)
    }

    fn sum_blanks_up_to(&mut self, sector: u32) {
        for _ in self.summed..sector {
            self.hasher.update(&[0; SECTOR_BYTES]);
        }
        self.summed = sector;
    }

    fn finish<E>(mut self) -> Result<CopiedFile, CopyError<E>> {
        let blank = [0; SECTOR_BYTES];
        let last = self.sectors - 1;
        // A seal may stand in the last sector already.
        if self.summed < self.sectors {
            self.sum_blanks_up_to(self.sectors);
            let written = self.output.write(&blank, last);
            written.map_err(CopyError::Target)?;
        }
        self.output.sync().map_err(CopyError::Target)?;
        let bytes = u64::from(self.sectors) * SECTOR_BYTES as u64;
        let sum = *self.hasher.finalize().as_bytes();
        Ok(CopiedFile { name: self.name, bytes, sum })
    }
}
