//! The writer: one log, appended to by one thread, one frame durable before the next is written.

use std::collections::VecDeque;

use crate::error::{AppendError, IoFailure};
use crate::format::{
    FIRST_FRAME_SECTOR, JournalId, Mark, MarkKind, OPENING_SECTOR, Place, Position, SECTOR_BYTES,
    Shape, sectors_of,
};
use crate::segment::{Plan, SEGMENT_SECTORS_MIN, Segment, prepare};
use crate::storage::Storage;

/// The size of the first segment: small, so that a start on an empty directory is quick.
pub const FIRST_SEGMENT_BYTES: u64 = 8 << 20;
/// The size that segments grow to, doubling one after the other.
pub const SEGMENT_BYTES_MAX: u64 = 64 << 20;
/// The longest payload of one frame.
pub const PAYLOAD_BYTES_MAX: usize = 8 << 20;

/// How a journal is laid out. Sizes may differ from one start to the next.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The journal's identity, given once and for ever.
    pub id: JournalId,
    /// Size of the first segment in bytes.
    pub first_segment_bytes: u64,
    /// Size in bytes that segments double up to; raised if the longest payload needs more.
    pub segment_bytes_max: u64,
    /// Longest payload in bytes.
    pub payload_bytes_max: usize,
}

impl Options {
    /// The defaults for the journal called `id`.
    pub fn new(id: JournalId) -> Self {
        Self {
            id,
            first_segment_bytes: FIRST_SEGMENT_BYTES,
            segment_bytes_max: SEGMENT_BYTES_MAX,
            payload_bytes_max: PAYLOAD_BYTES_MAX,
        }
    }

    /// What segment `number` is to be like. Every segment but the first can hold the longest
    /// payload, so a frame that does not fit here fits in the next.
    pub(crate) fn plan(&self, number: u64) -> Plan {
        let doublings = u32::try_from(number - 1).unwrap_or(u32::MAX).min(32);
        let bytes = self.first_segment_bytes.saturating_mul(1 << doublings);
        let wanted = bytes.min(self.segment_bytes_max) / SECTOR_BYTES as u64;
        let smallest = match number {
            1 => u64::from(SEGMENT_SECTORS_MIN),
            _ => u64::from(FIRST_FRAME_SECTOR) + sectors_of(self.payload_bytes_max) + 1,
        };
        let sectors = u32::try_from(wanted.max(smallest)).unwrap_or(u32::MAX);
        Plan { journal: self.id, number, sectors, opening: None }
    }
}

/// The sectors that frames may take in a segment of this size when it is new.
pub(crate) fn room_in(sectors: u32) -> u32 {
    sectors - FIRST_FRAME_SECTOR - 1
}

/// An open journal. [`Journal::recover`] makes one; a [`Committer`](crate::Committer) runs it.
pub struct Journal<S: Storage> {
    pub(crate) storage: S,
    pub(crate) options: Options,
    pub(crate) active: Segment<S::File>,
    /// The next free sector of the active segment.
    pub(crate) sector: u32,
    pub(crate) position: Position,
    /// Where the last frame appended starts.
    pub(crate) last_place: Place,
    /// Blank segments that follow the active one, in order.
    pub(crate) spares: VecDeque<Segment<S::File>>,
    pub(crate) unsynced: bool,
    pub(crate) poisoned: bool,
    /// The encoded frame; kept for its allocation.
    pub(crate) buffer: Vec<u8>,
}

impl<S: Storage> Journal<S> {
    /// The last frame appended, and the chain after it.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Where the last frame appended starts; where the next one would, if there is none yet.
    pub fn last_place(&self) -> Place {
        self.last_place
    }

    /// Where the next frame starts if it fits in this segment.
    fn place(&self) -> Place {
        Place { segment: self.active.number, sector: self.sector }
    }

    /// Writes a frame and returns its number. It is not durable before [`Journal::sync`].
    ///
    /// A frame not yet synced is made durable before another one is written: recovery rests on
    /// it.
    pub fn append(&mut self, payload: &[u8]) -> Result<u64, AppendError> {
        self.append_shaped(payload, Shape::Whole)
    }

    /// As [`Journal::append`], for a payload whose first `head_bytes` are its head: the chain
    /// runs over the head alone, so the body can be forgotten later. A head is at most the whole
    /// payload.
    pub fn append_split(&mut self, payload: &[u8], head_bytes: u32) -> Result<u64, AppendError> {
        let head_bytes = head_bytes.min(payload.len() as u32);
        self.append_shaped(payload, Shape::of(Some(head_bytes)))
    }

    fn append_shaped(&mut self, payload: &[u8], shape: Shape) -> Result<u64, AppendError> {
        let bytes_max = self.options.payload_bytes_max;
        if payload.len() > bytes_max {
            return Err(AppendError::TooLarge { bytes: payload.len(), bytes_max });
        }
        self.sync()?;
        while shape.sectors(payload.len()) > u64::from(self.room()) {
            self.enter_next()?;
        }
        let frame = self.position.frame + 1;
        let (codec, before) = (&self.active.codec, &self.position.chain);
        let chain = codec.encode_frame(frame, before, payload, shape, &mut self.buffer);
        let written = self.active.write(&self.buffer, self.sector);
        self.or_poison(written)?;
        self.last_place = self.place();
        self.sector += (self.buffer.len() / SECTOR_BYTES) as u32;
        self.position = Position { frame, chain };
        self.unsynced = true;
        Ok(frame)
    }

    /// Seals the segment that the log is in, full or not, and goes on in the next: bodies in what
    /// is behind can be forgotten from now on. All appended frames are durable when this returns.
    pub fn begin_segment(&mut self) -> Result<(), AppendError> {
        self.sync()?;
        self.enter_next()
    }

    /// Makes all appended frames durable. After an error the journal takes nothing more: what is
    /// on disk is known only after a recovery.
    pub fn sync(&mut self) -> Result<(), AppendError> {
        if self.poisoned {
            return Err(AppendError::Poisoned);
        }
        if self.unsynced {
            let synced = self.active.sync();
            self.or_poison(synced)?;
            self.unsynced = false;
        }
        Ok(())
    }

    /// The sectors left for frames in the active segment; the last one is kept for the seal.
    pub(crate) fn room(&self) -> u32 {
        self.active.sectors - 1 - self.sector
    }

    /// The number of the segment after the last that exists.
    pub(crate) fn next_segment(&self) -> u64 {
        self.spares.back().map_or(self.active.number, |spare| spare.number) + 1
    }

    /// Seals the active segment and opens the next. All appended frames are durable.
    fn enter_next(&mut self) -> Result<(), AppendError> {
        let next = match self.spares.pop_front() {
            Some(spare) => spare,
            None => prepare(&self.storage, &self.options.plan(self.active.number + 1))
                .map_err(AppendError::StorageFull)?,
        };
        let at = self.mark();
        let seal = self.active.codec.mark(MarkKind::Seal, &at);
        let sealed = write_durably(&self.active, &seal, self.sector);
        self.or_poison(sealed)?;
        self.open_segment(next)
    }

    /// Goes on in `next`, which follows a sealed segment.
    pub(crate) fn open_segment(&mut self, next: Segment<S::File>) -> Result<(), AppendError> {
        let opened = write_opening(&next, &self.mark());
        self.or_poison(opened)?;
        self.active = next;
        self.sector = FIRST_FRAME_SECTOR;
        Ok(())
    }

    fn mark(&self) -> Mark {
        Mark { next_frame: self.position.frame + 1, chain: self.position.chain }
    }

    fn or_poison(&mut self, result: Result<(), IoFailure>) -> Result<(), AppendError> {
        self.poisoned |= result.is_err();
        result.map_err(AppendError::Failed)
    }
}

pub(crate) fn write_opening<F: crate::storage::StorageFile>(
    segment: &Segment<F>,
    at: &Mark,
) -> Result<(), IoFailure> {
    write_durably(segment, &segment.codec.mark(MarkKind::Opening, at), OPENING_SECTOR)
}

fn write_durably<F: crate::storage::StorageFile>(
    segment: &Segment<F>,
    bytes: &[u8],
    sector: u32,
) -> Result<(), IoFailure> {
    segment.write(bytes, sector)?;
    segment.sync()
}
