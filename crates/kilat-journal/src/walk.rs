//! Reading the log in order and judging where it ends: whole, torn or corrupt.
//!
//! Read-only. It rests on three facts about the writer: frames are written and made durable
//! strictly one after the other, so a sector of a later frame proves that all earlier frames were
//! acknowledged; a segment is sealed, durably, before the next one is opened; and the device
//! writes a sector whole or not at all, so a sector that is neither blank nor valid is damage.

use crate::error::{Corruption, IoFailure, Problem, RecoverError};
use crate::format::{
    Chain, FIRST_FRAME_SECTOR, FrameHeader, JournalId, Mark, MarkKind, OPENING_SECTOR, Place,
    Position, SECTOR_BYTES, SECTOR_DATA_BYTES, Sector, Shape,
};
use crate::segment::{Segment, corruption, name_of, offset_of};
use crate::storage::{Storage, StorageFile};

/// Sectors read from the file at once.
const WINDOW_SECTORS: u32 = 512;

/// A frame on its way to the caller.
#[derive(Debug)]
pub struct FrameView<'a> {
    /// Its number, from 1 and without gaps.
    pub number: u64,
    /// What was appended; forgotten bytes of a body are zero.
    pub payload: &'a [u8],
    /// How many bytes of it are the head, if it was appended as head and body.
    pub head_bytes: Option<u32>,
    /// Where it starts.
    pub place: Place,
    /// The chain after it.
    pub chain: &'a Chain,
    /// Its sectors as they were read, if the walk keeps them.
    pub(crate) sectors: &'a [u8],
}

impl FrameView<'_> {
    /// Bytes that it takes on disk.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        Shape::of(self.head_bytes).sectors(self.payload.len()) * SECTOR_BYTES as u64
    }
}

/// A place in the log and the reading buffers; can be continued after an error.
pub(crate) struct Walk<S: Storage> {
    storage: S,
    journal: JournalId,
    segment: Segment<S::File>,
    sector: u32,
    position: Position,
    /// The last frame of this segment of which something was forgotten.
    forgotten: Option<Place>,
    window: Window,
    payload: Vec<u8>,
    /// The sectors of the frame, if they are to be kept.
    sectors: Option<Vec<u8>>,
}

/// Where the log ends.
pub(crate) struct Tail<F> {
    pub(crate) segment: Segment<F>,
    /// The sector after the last whole frame.
    pub(crate) sector: u32,
    pub(crate) position: Position,
    /// Sectors of an unacknowledged frame are found up to here; equal to `sector` if none are.
    pub(crate) torn_end: u32,
    /// The segment is sealed and the next, blank one is to be opened.
    pub(crate) sealed: bool,
}

/// An error, and the walk that can go on from before it.
pub(crate) type Stopped<S, E> = Box<(RecoverError<E>, Walk<S>)>;

/// How a segment ends.
pub(crate) enum End {
    Sealed,
    Open { torn_end: u32 },
}

impl<S: Storage> Walk<S> {
    /// Starts at the opening of `segment`.
    pub(crate) fn new(storage: S, journal: JournalId, segment: Segment<S::File>, at: Mark) -> Self {
        Self {
            storage,
            journal,
            segment,
            sector: FIRST_FRAME_SECTOR,
            position: Position { frame: at.next_frame - 1, chain: at.chain },
            forgotten: None,
            window: Window::new(),
            payload: Vec::new(),
            sectors: None,
        }
    }

    /// The same, and every frame comes with its sectors.
    pub(crate) fn keeping_sectors(mut self) -> Self {
        self.sectors = Some(Vec::new());
        self
    }

    /// The last whole frame read so far.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// The segment that is being read.
    pub(crate) fn segment(&self) -> &Segment<S::File> {
        &self.segment
    }

    /// The sector after the last whole frame read.
    pub(crate) fn sector(&self) -> u32 {
        self.sector
    }

    /// Whether a frame was read in this segment of which something was forgotten.
    pub(crate) fn has_met_forgotten(&self) -> bool {
        self.forgotten.is_some_and(|place| place.segment == self.segment.number)
    }

    /// The place where reading stands; the problem is the caller's to say.
    pub(crate) fn corruption_here(&self) -> Corruption {
        self.segment.corrupt(self.sector, Problem::OtherHistory)
    }

    /// Reads to the end of the log. `last` is the highest segment number that exists.
    pub(crate) fn run<E>(
        mut self,
        last: u64,
        mut on_frame: impl FnMut(FrameView<'_>) -> Result<(), E>,
    ) -> Result<Tail<S::File>, Stopped<S, E>> {
        match self.seek_tail(last, &mut on_frame) {
            Ok((torn_end, sealed)) => Ok(Tail {
                segment: self.segment,
                sector: self.sector,
                position: self.position,
                torn_end,
                sealed,
            }),
            Err(error) => {
                self.window.forget();
                Err(Box::new((error, self)))
            }
        }
    }

    fn seek_tail<E>(
        &mut self,
        last: u64,
        on_frame: &mut impl FnMut(FrameView<'_>) -> Result<(), E>,
    ) -> Result<(u32, bool), RecoverError<E>> {
        loop {
            match self.segment_end(on_frame)? {
                End::Open { torn_end } => {
                    self.expect_end(last)?;
                    return Ok((torn_end, false));
                }
                End::Sealed => {
                    if !self.enter_next()? {
                        let next = name_of(self.segment.number + 1);
                        let opening = offset_of(OPENING_SECTOR);
                        let missing = corruption(&next, opening, Problem::MissingSector);
                        self.expect_blank_after(last, &missing)?;
                        return Ok((self.sector, true));
                    }
                }
            }
        }
    }

    /// Reads the rest of this segment as [`Walk::run`] does, and of an open one checks that the log
    /// ends there; can be called again after an error.
    pub(crate) fn rest_of_segment<E>(
        &mut self,
        last: u64,
        on_frame: &mut impl FnMut(FrameView<'_>) -> Result<(), E>,
    ) -> Result<End, RecoverError<E>> {
        self.window.forget();
        let end = self.segment_end(on_frame)?;
        if let End::Open { .. } = end {
            self.expect_end(last)?;
        }
        Ok(end)
    }

    /// Nothing shows that the log goes on from here.
    fn expect_end<E>(&mut self, last: u64) -> Result<(), RecoverError<E>> {
        let missing = self.segment.corrupt(self.sector, Problem::MissingSector);
        self.expect_blank_after(last, &missing)?;
        Ok(self.expect_nothing_forgotten()?)
    }

    /// Goes to the next segment if the log did.
    pub(crate) fn enter_next<E>(&mut self) -> Result<bool, RecoverError<E>> {
        let next = Segment::open(&self.storage, self.journal, self.segment.number + 1)?;
        let Some(opening) = next.opening()? else {
            return Ok(false);
        };
        if opening != self.mark() {
            return Err(next.corrupt(OPENING_SECTOR, Problem::BrokenChain).into());
        }
        self.segment = next;
        self.sector = FIRST_FRAME_SECTOR;
        self.window.forget();
        Ok(true)
    }

    /// The mark that may stand where the log is now.
    pub(crate) fn mark(&self) -> Mark {
        Mark { next_frame: self.position.frame + 1, chain: self.position.chain }
    }

    /// Segments that the log has not come to hold nothing but their header. Anything valid in
    /// them proves that the log went on from here, where the proof of that is `missing`.
    fn expect_blank_after<E>(
        &mut self,
        last: u64,
        missing: &Corruption,
    ) -> Result<(), RecoverError<E>> {
        for number in self.segment.number + 1..=last {
            let segment = Segment::open(&self.storage, self.journal, number)?;
            self.window.forget();
            self.window.expect_blank(&segment, OPENING_SECTOR, Some(missing))?;
        }
        self.window.forget();
        Ok(())
    }

    /// Reads frames to the end of this segment.
    fn segment_end<E>(
        &mut self,
        on_frame: &mut impl FnMut(FrameView<'_>) -> Result<(), E>,
    ) -> Result<End, RecoverError<E>> {
        loop {
            // The last sector is kept for the seal.
            if self.sector >= self.segment.sectors {
                let last = self.segment.sectors - 1;
                return Err(self.segment.corrupt(last, Problem::MisplacedSector).into());
            }
            let expected = self.position.frame + 1;
            let data = self.window.sector(&self.segment, self.sector)?;
            let problem = match self.segment.codec.read(data) {
                Sector::Zero => return self.judge_tail(self.sector, None),
                Sector::Mark { kind: MarkKind::Seal, .. } => return self.judge_seal(),
                Sector::Frame { number, index: 0, data } if number == expected => {
                    let header = FrameHeader::read(data);
                    let place = self.place();
                    let header = header.ok_or_else(|| self.impossible())?;
                    self.note_forgotten(place, header.shape);
                    match self.frame(&header)? {
                        Some(end) => return Ok(end),
                        None => {
                            self.deliver(place, header.shape, on_frame)?;
                            continue;
                        }
                    }
                }
                Sector::Damaged => Problem::DamagedSector,
                Sector::Frame { number, .. } if number >= expected => Problem::MissingSector,
                Sector::Frame { .. } | Sector::Mark { .. } => Problem::MisplacedSector,
            };
            return Err(self.segment.corrupt(self.sector, problem).into());
        }
    }

    fn deliver<E>(
        &self,
        place: Place,
        shape: Shape,
        on_frame: &mut impl FnMut(FrameView<'_>) -> Result<(), E>,
    ) -> Result<(), RecoverError<E>> {
        let Position { frame, chain } = &self.position;
        let head_bytes = shape.head_bytes();
        let sectors = self.sectors.as_deref().unwrap_or_default();
        let payload = &self.payload;
        on_frame(FrameView { number: *frame, payload, head_bytes, place, chain, sectors })
            .map_err(|error| RecoverError::Refused { frame: *frame, error })
    }

    fn note_forgotten(&mut self, place: Place, shape: Shape) {
        if shape.is_forgotten() {
            self.forgotten = Some(place);
        }
    }

    /// Bodies are forgotten only in sealed segments; this one is not.
    fn expect_nothing_forgotten(&self) -> Result<(), Corruption> {
        match self.forgotten {
            Some(place) if place.segment == self.segment.number => {
                Err(self.segment.corrupt(place.sector, Problem::ImpossibleFrame))
            }
            _ => Ok(()),
        }
    }

    fn place(&self) -> Place {
        Place { segment: self.segment.number, sector: self.sector }
    }

    fn impossible(&self) -> Corruption {
        self.segment.corrupt(self.sector, Problem::ImpossibleFrame)
    }

    /// Reads the frame that starts here and steps over it, or says how the log ends inside it.
    fn frame<E>(&mut self, header: &FrameHeader) -> Result<Option<End>, RecoverError<E>> {
        let room = u64::from(self.segment.sectors - 1 - self.sector);
        let count = header.shape.sectors(header.payload_bytes as usize);
        if count > room {
            return Err(self.impossible().into());
        }
        let count = count as u32;
        let number = self.position.frame + 1;
        self.payload.clear();
        if let Some(sectors) = &mut self.sectors {
            sectors.clear();
        }
        for index in 0..count {
            if let Some(end) = self.frame_sector(header, number, index, count)? {
                return Ok(Some(end));
            }
        }
        let before = &self.position.chain;
        let computed = FrameHeader::of(number, before, &self.payload, header.shape);
        if computed != *header {
            let same_payload = computed.has_digest_of(header);
            let problem = if same_payload { Problem::BrokenChain } else { Problem::WrongDigest };
            return Err(self.damaged(0, problem));
        }
        self.sector += count;
        self.position = Position { frame: number, chain: header.chain };
        Ok(None)
    }

    /// Adds what sector `index` of a frame holds to the payload, or says how the log ends there.
    fn frame_sector<E>(
        &mut self,
        header: &FrameHeader,
        number: u64,
        index: u32,
        count: u32,
    ) -> Result<Option<End>, RecoverError<E>> {
        let start = if index == 0 { header.shape.header_bytes() } else { 0 };
        let left = header.payload_bytes as usize - self.payload.len();
        let end = SECTOR_DATA_BYTES.min(start + left);
        let sector = self.window.sector(&self.segment, self.sector + index)?;
        if let Some(sectors) = &mut self.sectors {
            sectors.extend_from_slice(sector);
        }
        match self.segment.codec.read(sector) {
            Sector::Frame { number: n, index: i, data } if (n, i) == (number, index) => {
                self.payload.extend_from_slice(&data[start..end]);
                Ok(None)
            }
            Sector::Zero if header.shape.may_be_blank(index) => {
                self.payload.resize(self.payload.len() + end - start, 0);
                Ok(None)
            }
            Sector::Zero => self.judge_tail(self.sector + index, Some(count)).map(Some),
            Sector::Damaged => Err(self.damaged(index, Problem::DamagedSector)),
            _ => Err(self.damaged(index, Problem::MisplacedSector)),
        }
    }

    fn damaged<E>(&self, index: u32, problem: Problem) -> RecoverError<E> {
        self.segment.corrupt(self.sector + index, problem).into()
    }

    /// The frame that would start here is not whole: `missing` is blank. All that follows must be
    /// blank or belong to that same frame, else the frame had been acknowledged.
    fn judge_tail<E>(&mut self, missing: u32, count: Option<u32>) -> Result<End, RecoverError<E>> {
        let expected = self.position.frame + 1;
        let count = count.unwrap_or(u32::MAX);
        let mut torn_end = self.sector;
        for sector in self.sector..self.segment.sectors {
            match self.segment.codec.read(self.window.sector(&self.segment, sector)?) {
                Sector::Zero => {}
                Sector::Frame { number, index, .. }
                    if number == expected && index == sector - self.sector && index < count =>
                {
                    torn_end = sector + 1;
                }
                Sector::Damaged => {
                    return Err(self.segment.corrupt(sector, Problem::DamagedSector).into());
                }
                Sector::Frame { number, .. } if number > expected => {
                    return Err(self.segment.corrupt(missing, Problem::MissingSector).into());
                }
                Sector::Mark { kind: MarkKind::Seal, .. } => {
                    return Err(self.segment.corrupt(missing, Problem::MissingSector).into());
                }
                _ => {
                    return Err(self.segment.corrupt(sector, Problem::MisplacedSector).into());
                }
            }
        }
        Ok(End::Open { torn_end })
    }

    /// A seal stands here: it must tell the same story, and nothing may follow it.
    fn judge_seal<E>(&mut self) -> Result<End, RecoverError<E>> {
        let expected = Sector::Mark { kind: MarkKind::Seal, at: self.mark() };
        let seal = self.window.sector(&self.segment, self.sector)?;
        if self.segment.codec.read(seal) != expected {
            return Err(self.segment.corrupt(self.sector, Problem::BrokenChain).into());
        }
        self.window.expect_blank(&self.segment, self.sector + 1, None)?;
        Ok(End::Sealed)
    }
}

/// A piece of a segment in memory.
struct Window {
    bytes: Vec<u8>,
    first: u32,
    sectors: u32,
}

impl Window {
    fn new() -> Self {
        Self { bytes: Vec::new(), first: 0, sectors: 0 }
    }

    /// Makes the next access read the file again.
    fn forget(&mut self) {
        self.sectors = 0;
    }

    fn sector<F: StorageFile>(
        &mut self,
        segment: &Segment<F>,
        sector: u32,
    ) -> Result<&[u8], IoFailure> {
        if sector < self.first || sector >= self.first + self.sectors {
            let sectors = WINDOW_SECTORS.min(segment.sectors - sector);
            self.sectors = 0;
            self.bytes.resize(sectors as usize * SECTOR_BYTES, 0);
            segment.read(&mut self.bytes, sector)?;
            (self.first, self.sectors) = (sector, sectors);
        }
        let start = (sector - self.first) as usize * SECTOR_BYTES;
        Ok(&self.bytes[start..start + SECTOR_BYTES])
    }

    /// Checks that `segment` is blank from `first` on. A valid sector is reported as `proof_of`
    /// if that is given, else as standing in the wrong place.
    fn expect_blank<F: StorageFile, E>(
        &mut self,
        segment: &Segment<F>,
        first: u32,
        proof_of: Option<&Corruption>,
    ) -> Result<(), RecoverError<E>> {
        for sector in first..segment.sectors {
            let found = match segment.codec.read(self.sector(segment, sector)?) {
                Sector::Zero => continue,
                Sector::Damaged => segment.corrupt(sector, Problem::DamagedSector),
                Sector::Frame { .. } | Sector::Mark { .. } => proof_of
                    .cloned()
                    .unwrap_or_else(|| segment.corrupt(sector, Problem::MisplacedSector)),
            };
            return Err(found.into());
        }
        Ok(())
    }
}

/// The segments that exist: from 1, without gaps; how many there are.
pub(crate) fn count_segments(mut numbers: Vec<u64>) -> Result<u64, Corruption> {
    numbers.sort_unstable();
    for (expected, number) in (1..).zip(&numbers) {
        if *number != expected {
            return Err(corruption(&name_of(expected), 0, Problem::MissingSegment));
        }
    }
    Ok(numbers.len() as u64)
}
