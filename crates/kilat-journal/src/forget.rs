//! Forgetting bodies: a sealed segment is written again without them, with every frame at its
//! place.
//!
//! Nothing that the chain runs over changes, so the log stays verifiable. What is forgotten is
//! zero; sectors that held nothing else are not written at all, and the file system keeps no
//! blocks for them. The new file takes the place of the old one by a rename: after a crash one
//! of the two is there, whole. Knows nothing of what is forgotten, or why.

use std::fmt;
use std::ops::Range;

use crate::error::{Corruption, IoFailure, Problem, RecoverError};
use crate::format::{
    FIRST_FRAME_SECTOR, FrameHeader, JournalId, Mark, MarkKind, OPENING_SECTOR, SECTOR_BYTES,
    SECTOR_DATA_BYTES, SECTOR_HEADER_BYTES, Sector,
};
use crate::output::{Output, is_blank};
use crate::segment::{Segment, TEMPORARY_SUFFIX, name_of};
use crate::storage::{Storage, StorageFile};

/// Bytes written, or looked at, at once.
const PIECE_BYTES: usize = 1 << 20;

/// What forgetting in one segment came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// Frames of which something more was forgotten. With none the file was left alone.
    pub frames: u64,
    /// Bytes that the file no longer holds.
    pub bytes: u64,
}

/// Why it is not known to be forgotten. The segment is as it was, or, after a failed sync of the
/// directory, as it was to be.
#[derive(Debug)]
pub enum ForgetError {
    /// Wait: the log is still in this segment.
    NotSealed,
    /// Report: the segment is damaged.
    Corrupt(Corruption),
    /// Retry once the cause is gone: the operating system refused.
    Io(IoFailure),
}

impl fmt::Display for ForgetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSealed => f.write_str("the log is still in this segment; wait for the next"),
            Self::Corrupt(corruption) => corruption.fmt(f),
            Self::Io(failure) => failure.fmt(f),
        }
    }
}

impl std::error::Error for ForgetError {}

impl From<IoFailure> for ForgetError {
    fn from(failure: IoFailure) -> Self {
        Self::Io(failure)
    }
}

impl From<Corruption> for ForgetError {
    fn from(corruption: Corruption) -> Self {
        Self::Corrupt(corruption)
    }
}

impl From<RecoverError<ForgetError>> for ForgetError {
    fn from(error: RecoverError<ForgetError>) -> Self {
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

/// Forgets parts of bodies in a sealed segment. `ranges` is asked for each split frame, with its
/// number, its head and the length of its body, which ranges of that body to forget; it may be
/// asked twice, and has to answer the same.
///
/// What was forgotten before stays so. A reader that has the file open goes on with the old one
/// until [`LogReader::forget_file`](crate::LogReader::forget_file).
///
/// # Errors
/// [`ForgetError`]
pub fn forget_bodies<S: Storage>(
    storage: &S,
    journal: JournalId,
    segment: u64,
    mut ranges: impl FnMut(u64, &[u8], usize) -> Vec<Range<usize>>,
) -> Result<Forgotten, ForgetError> {
    let old = Segment::open_to_read::<S, ForgetError>(storage, journal, segment)?;
    if !is_sealed(storage, journal, segment)? {
        return Err(ForgetError::NotSealed);
    }
    // A look first: most segments have nothing to forget, and writing is what costs.
    let mut look = Copy { old: &old, new: None, forgotten: Forgotten::default() };
    look.run(&mut ranges)?;
    if look.forgotten.frames == 0 {
        // It may have been forgotten by an attempt whose last sync failed.
        sync_directory(storage, &old.name)?;
        return Ok(look.forgotten);
    }
    let name = name_of(segment);
    let temporary = format!("{name}{TEMPORARY_SUFFIX}");
    let rewritten = rewrite(storage, &old, &temporary, &mut ranges);
    if rewritten.is_err() {
        // What stays is removed at the next start.
        let _ = storage.remove(&temporary);
    }
    rewritten
}

/// Writes the segment again and puts the new file in the place of the old one.
fn rewrite<S: Storage>(
    storage: &S,
    old: &Segment<S::File>,
    temporary: &str,
    ranges: &mut impl FnMut(u64, &[u8], usize) -> Vec<Range<usize>>,
) -> Result<Forgotten, ForgetError> {
    let failed = |error| IoFailure::new(REWRITE, &old.name, error);
    let file = storage.create(temporary).map_err(failed)?;
    let new = Output::new(file, &old.name, REWRITE);
    let mut copy = Copy { old, new: Some(new), forgotten: Forgotten::default() };
    copy.run(ranges)?;
    let forgotten = copy.forgotten;
    storage.rename(temporary, &old.name).map_err(failed)?;
    sync_directory(storage, &old.name)?;
    Ok(forgotten)
}

const REWRITE: &str = "rewrite";

fn sync_directory<S: Storage>(storage: &S, name: &str) -> Result<(), IoFailure> {
    storage.sync_directory().map_err(|error| IoFailure::new(REWRITE, name, error))
}

/// The log has left a segment when it has come to the next. The seal may not be durable yet: the
/// new file will have it.
fn is_sealed<S: Storage>(
    storage: &S,
    journal: JournalId,
    segment: u64,
) -> Result<bool, ForgetError> {
    match Segment::open_to_read::<S, ForgetError>(storage, journal, segment + 1) {
        Ok(next) => Ok(next.opening::<ForgetError>()?.is_some()),
        Err(RecoverError::Corrupt(Corruption { problem: Problem::MissingSegment, .. })) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

struct Copy<'a, F> {
    old: &'a Segment<F>,
    /// `None` for a look at what there would be to forget.
    new: Option<Output<F>>,
    forgotten: Forgotten,
}

impl<F: StorageFile> Copy<'_, F> {
    fn run(
        &mut self,
        ranges: &mut impl FnMut(u64, &[u8], usize) -> Vec<Range<usize>>,
    ) -> Result<(), ForgetError> {
        let opening = self.old.opening::<ForgetError>()?;
        let missing = || self.old.corrupt(OPENING_SECTOR, Problem::MissingSector);
        let Mark { mut next_frame, .. } = opening.ok_or_else(missing)?;
        self.copy(0, FIRST_FRAME_SECTOR)?;
        let mut sector = FIRST_FRAME_SECTOR;
        while let Some(header) = self.header(sector, next_frame)? {
            sector = self.frame(sector, next_frame, &header, ranges)?;
            next_frame += 1;
        }
        self.copy(sector, 1)?;
        self.expect_blank(sector + 1)?;
        // The length is part of what a segment is.
        self.copy(self.old.sectors - 1, 1)?;
        self.new.as_mut().map_or(Ok(()), Output::sync)?;
        Ok(())
    }

    /// The header of frame `number` at `sector`, or `None` if the seal is there.
    fn header(&self, sector: u32, number: u64) -> Result<Option<FrameHeader>, ForgetError> {
        let mut first = [0; SECTOR_BYTES];
        self.old.read(&mut first, sector)?;
        let problem = match self.old.codec.read(&first) {
            Sector::Frame { number: n, index: 0, data } if n == number => {
                match FrameHeader::read(data) {
                    Some(header) => return Ok(Some(header)),
                    None => Problem::ImpossibleFrame,
                }
            }
            Sector::Mark { kind: MarkKind::Seal, at } if at.next_frame == number => {
                return Ok(None);
            }
            other => problem_with(&other),
        };
        Err(self.old.corrupt(sector, problem).into())
    }

    /// Copies sectors as they are.
    fn copy(&mut self, first: u32, sectors: u32) -> Result<(), IoFailure> {
        let mut bytes = vec![0; sectors as usize * SECTOR_BYTES];
        self.old.read(&mut bytes, first)?;
        self.new.as_mut().map_or(Ok(()), |new| new.write(&bytes, first))
    }

    /// Damage behind the seal must not be lost from sight in the new file.
    fn expect_blank(&self, first: u32) -> Result<(), ForgetError> {
        let mut bytes = vec![0; PIECE_BYTES];
        let piece_sectors = (PIECE_BYTES / SECTOR_BYTES) as u32;
        for piece in (first..self.old.sectors).step_by(piece_sectors as usize) {
            bytes.truncate((self.old.sectors - piece) as usize * SECTOR_BYTES);
            self.old.read(&mut bytes, piece)?;
            if let Some(at) = bytes.chunks_exact(SECTOR_BYTES).position(|one| !is_blank(one)) {
                return Err(self.old.corrupt(piece + at as u32, Problem::DamagedSector).into());
            }
        }
        Ok(())
    }

    /// Copies a frame without what is to be forgotten; the sector after it.
    fn frame(
        &mut self,
        sector: u32,
        number: u64,
        header: &FrameHeader,
        ranges: &mut impl FnMut(u64, &[u8], usize) -> Vec<Range<usize>>,
    ) -> Result<u32, ForgetError> {
        let sectors = header.shape.sectors(header.payload_bytes as usize);
        if u64::from(sector) + sectors >= u64::from(self.old.sectors) {
            return Err(self.old.corrupt(sector, Problem::ImpossibleFrame).into());
        }
        let mut bytes = vec![0; sectors as usize * SECTOR_BYTES];
        self.old.read(&mut bytes, sector)?;
        let mut data = self.data(sector, number, header, &bytes)?;
        if let Some(head_bytes) = header.shape.head_bytes() {
            let body = header.shape.header_bytes() + head_bytes as usize;
            let body_bytes = header.payload_bytes as usize - head_bytes as usize;
            let head = &data[header.shape.header_bytes()..body];
            let wanted = ranges(number, head, body_bytes);
            if forget(&mut data[body..body + body_bytes], &wanted) {
                self.forgotten.frames += 1;
                header.forgotten().write(&mut data[..header.shape.header_bytes()]);
                self.seal(&mut bytes, number, &header.forgotten(), &data);
            }
        }
        if let Some(new) = &mut self.new {
            new.write_filled(&bytes, sector)?;
        }
        Ok(sector + sectors as u32)
    }

    /// The frame's data stream, its sectors checked.
    fn data(
        &self,
        sector: u32,
        number: u64,
        header: &FrameHeader,
        bytes: &[u8],
    ) -> Result<Vec<u8>, Corruption> {
        let mut stream = Vec::with_capacity(bytes.len());
        for (index, one) in (0..).zip(bytes.chunks_exact(SECTOR_BYTES)) {
            match self.old.codec.read(one) {
                Sector::Frame { number: n, index: i, data } if (n, i) == (number, index) => {
                    stream.extend_from_slice(data);
                }
                Sector::Zero if header.shape.may_be_blank(index) => {
                    stream.resize(stream.len() + SECTOR_DATA_BYTES, 0);
                }
                other => return Err(self.old.corrupt(sector + index, problem_with(&other))),
            }
        }
        Ok(stream)
    }

    /// Puts the changed stream back into sectors; those with nothing left become blank.
    fn seal(&mut self, bytes: &mut [u8], number: u64, header: &FrameHeader, stream: &[u8]) {
        let sectors = bytes.chunks_exact_mut(SECTOR_BYTES).zip(stream.chunks(SECTOR_DATA_BYTES));
        for (index, (sector, data)) in (0..).zip(sectors) {
            if header.shape.may_be_blank(index) && is_blank(data) {
                self.forgotten.bytes += if is_blank(sector) { 0 } else { SECTOR_BYTES as u64 };
                sector.fill(0);
            } else if sector[SECTOR_HEADER_BYTES..] != *data {
                sector.copy_from_slice(&self.old.codec.frame_sector(number, index, data));
            }
        }
    }
}

/// What is wrong with a sector that is not the one expected.
fn problem_with(found: &Sector<'_>) -> Problem {
    match found {
        Sector::Zero => Problem::MissingSector,
        Sector::Damaged => Problem::DamagedSector,
        Sector::Frame { .. } | Sector::Mark { .. } => Problem::MisplacedSector,
    }
}

/// Zeroes the ranges; says whether anything was left to zero.
fn forget(body: &mut [u8], ranges: &[Range<usize>]) -> bool {
    let mut changed = false;
    for range in ranges {
        let end = range.end.min(body.len());
        let part = &mut body[range.start.min(end)..end];
        changed |= !is_blank(part);
        part.fill(0);
    }
    changed
}
