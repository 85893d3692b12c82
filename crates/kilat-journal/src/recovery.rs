//! Opening a journal: find where to start, read, judge the tail, and make durable what was read.
//!
//! Nothing on disk is changed before the whole log has been judged sound.

use std::collections::VecDeque;

use crate::error::{Corruption, IoFailure, Problem, RecoverError};
use crate::format::{JournalId, Mark, OPENING_SECTOR, Place, Position, SECTOR_BYTES};
use crate::journal::{Journal, Options, write_opening};
use crate::segment::{Segment, corruption, is_temporary, name_of, number_of, offset_of, prepare};
use crate::storage::Storage;
use crate::walk::{FrameView, Tail, Walk, count_segments};

/// What opening a journal found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// Frames handed to the callback.
    pub frames: u64,
    /// Their payload bytes.
    pub payload_bytes: u64,
    /// Bytes of an unacknowledged frame that were cut from the tail.
    pub bytes_cut: u64,
    /// Segments that exist, blank ones included.
    pub segments: u64,
    /// The journal was made just now.
    pub created: bool,
}

impl<S: Storage> Journal<S> {
    /// Opens the journal in `storage`, or makes one where there is none, and hands every frame
    /// later than `after` (all, if `None`) to `on_frame` in order.
    ///
    /// An incomplete frame at the end, which nobody was told of, is cut. Whatever was handed over
    /// is durable when this returns, also if a process that was killed had not made it so.
    /// `after` must lie in this log, else it is corruption: the log has lost frames.
    pub fn recover<E>(
        storage: S,
        options: Options,
        after: Option<Position>,
        on_frame: impl FnMut(FrameView<'_>) -> Result<(), E>,
    ) -> Result<(Self, Recovery), RecoverError<E>> {
        let listing = Listing::of(&storage)?;
        if listing.segments == 0 {
            return create(storage, options, after, &listing);
        }
        // A killed process may have left names that are not durable yet.
        storage.sync_directory().map_err(|error| IoFailure::new("sync", DIRECTORY, error))?;
        let opened = last_opened(&storage, options.id, listing.segments)?;
        let (segment, mark) = start(&storage, options.id, opened, after)?;
        let walk = Walk::new(storage.clone(), options.id, segment, mark);
        let mut frames = Frames::after(after, on_frame);
        let tail = walk.run(listing.segments, |frame| frames.take(frame));
        let tail =
            tail.map_err(|stopped| frames.explain(stopped.0, stopped.1.corruption_here()))?;
        frames.reached(&tail)?;
        listing.clean(&storage)?;
        let bytes_cut = cut(&tail)?;
        let journal = resume(storage, options, tail, listing.segments)?;
        let recovery = Recovery {
            frames: frames.taken,
            payload_bytes: frames.payload_bytes,
            bytes_cut,
            segments: listing.segments,
            created: false,
        };
        Ok((journal, recovery))
    }
}

const DIRECTORY: &str = "the journal's directory";

/// The files of a journal.
pub(crate) struct Listing {
    pub(crate) segments: u64,
    temporary: Vec<String>,
}

impl Listing {
    pub(crate) fn of<S: Storage, E>(storage: &S) -> Result<Self, RecoverError<E>> {
        let names = storage.list().map_err(|error| IoFailure::new("list", DIRECTORY, error))?;
        let segments = count_segments(names.iter().filter_map(|name| number_of(name)).collect())?;
        let temporary = names.into_iter().filter(|name| is_temporary(name)).collect();
        Ok(Self { segments, temporary })
    }

    fn clean<S: Storage>(&self, storage: &S) -> Result<(), IoFailure> {
        for name in &self.temporary {
            storage.remove(name).map_err(|error| IoFailure::new("remove", name, error))?;
        }
        Ok(())
    }
}

fn genesis(journal: JournalId) -> Mark {
    Mark { next_frame: 1, chain: journal.genesis() }
}

fn create<S: Storage, E>(
    storage: S,
    options: Options,
    after: Option<Position>,
    listing: &Listing,
) -> Result<(Journal<S>, Recovery), RecoverError<E>> {
    if after.is_some_and(|position| position.frame > 0) {
        return Err(corruption(&name_of(1), 0, Problem::MissingSegment).into());
    }
    listing.clean(&storage)?;
    let mark = genesis(options.id);
    let mut plan = options.plan(1);
    plan.opening = Some(mark);
    let active = prepare(&storage, &plan)?;
    let position = Position { frame: 0, chain: mark.chain };
    let sector = crate::format::FIRST_FRAME_SECTOR;
    let journal = assemble(storage, options, active, sector, position, VecDeque::new());
    let recovery =
        Recovery { frames: 0, payload_bytes: 0, bytes_cut: 0, segments: 1, created: true };
    Ok((journal, recovery))
}

/// The last segment that the log has come to, showing what the device holds of it.
///
/// Only this one can hold bytes that are not durable: the one before was made durable before
/// this one was opened.
fn last_opened<S: Storage, E>(
    storage: &S,
    journal: JournalId,
    segments: u64,
) -> Result<(Segment<S::File>, Mark), RecoverError<E>> {
    for number in (1..=segments).rev() {
        let segment = Segment::open(storage, journal, number)?;
        if segment.opening()?.is_some() {
            segment.settle()?;
            if let Some(mark) = segment.opening()? {
                return Ok((segment, mark));
            }
        }
    }
    Err(corruption(&name_of(1), offset_of(OPENING_SECTOR), Problem::MissingSector).into())
}

/// The segment to start reading at: the last one opened at or before the frame after `after`.
pub(crate) fn start<S: Storage, E>(
    storage: &S,
    journal: JournalId,
    opened: (Segment<S::File>, Mark),
    after: Option<Position>,
) -> Result<(Segment<S::File>, Mark), RecoverError<E>> {
    let first_wanted = after.map_or(1, |position| position.frame + 1);
    let (mut segment, mut mark) = opened;
    let wanted = |mark: &Mark, number: u64| match after {
        Some(_) => mark.next_frame <= first_wanted,
        None => number == 1,
    };
    while !wanted(&mark, segment.number) && segment.number > 1 {
        segment = Segment::open(storage, journal, segment.number - 1)?;
        let missing = || segment.corrupt(OPENING_SECTOR, Problem::MissingSector);
        mark = segment.opening()?.ok_or_else(missing)?;
    }
    let corrupt = |problem| Err(segment.corrupt(OPENING_SECTOR, problem).into());
    if segment.number == 1 && mark != genesis(journal) {
        return corrupt(Problem::BrokenChain);
    }
    match after {
        Some(position) if mark.next_frame == first_wanted && mark.chain != position.chain => {
            corrupt(Problem::OtherHistory)
        }
        _ => Ok((segment, mark)),
    }
}

/// Hands frames on, once the position to start after is passed.
struct Frames<C> {
    after: Option<Position>,
    on_frame: C,
    taken: u64,
    payload_bytes: u64,
}

/// Why a frame stops the reading.
enum Stop<E> {
    OtherHistory,
    Refused(E),
}

impl<C, E> Frames<C>
where
    C: FnMut(FrameView<'_>) -> Result<(), E>,
{
    fn after(after: Option<Position>, on_frame: C) -> Self {
        Self { after, on_frame, taken: 0, payload_bytes: 0 }
    }

    fn take(&mut self, frame: FrameView<'_>) -> Result<(), Stop<E>> {
        if let Some(after) = self.after
            && frame.number <= after.frame
        {
            let other = frame.number == after.frame && *frame.chain != after.chain;
            return if other { Err(Stop::OtherHistory) } else { Ok(()) };
        }
        self.taken += 1;
        self.payload_bytes += frame.payload.len() as u64;
        (self.on_frame)(frame).map_err(Stop::Refused)
    }

    fn explain(&self, error: RecoverError<Stop<E>>, here: Corruption) -> RecoverError<E> {
        match error {
            RecoverError::Corrupt(corruption) => corruption.into(),
            RecoverError::NewerFormat { segment, found, supported } => {
                RecoverError::NewerFormat { segment, found, supported }
            }
            RecoverError::Io(failure) => failure.into(),
            RecoverError::Refused { frame, error: Stop::Refused(error) } => {
                RecoverError::Refused { frame, error }
            }
            RecoverError::Refused { error: Stop::OtherHistory, .. } => {
                Corruption { problem: Problem::OtherHistory, ..here }.into()
            }
        }
    }

    /// The log must reach the position it is known to have had.
    fn reached<F: crate::storage::StorageFile>(&self, tail: &Tail<F>) -> Result<(), Corruption> {
        match self.after {
            Some(after) if after.frame > tail.position.frame => {
                Err(tail.segment.corrupt(tail.sector, Problem::EndsTooEarly))
            }
            _ => Ok(()),
        }
    }
}

/// Blanks what is left of an incomplete frame, durably, so that it can never be taken for a part
/// of the frame that will be written there.
fn cut<F: crate::storage::StorageFile>(tail: &Tail<F>) -> Result<u64, IoFailure> {
    let sectors = tail.torn_end - tail.sector;
    if sectors == 0 {
        return Ok(0);
    }
    let zeros = vec![0; sectors as usize * SECTOR_BYTES];
    tail.segment.write(&zeros, tail.sector)?;
    tail.segment.sync()?;
    Ok(zeros.len() as u64)
}

/// The journal ready to be appended to at `tail`.
fn resume<S: Storage, E>(
    storage: S,
    options: Options,
    tail: Tail<S::File>,
    segments: u64,
) -> Result<Journal<S>, RecoverError<E>> {
    let mut spares = VecDeque::new();
    for number in tail.segment.number + 1..=segments {
        spares.push_back(Segment::open(&storage, options.id, number)?);
    }
    let Tail { mut segment, mut sector, position, sealed, .. } = tail;
    if sealed && let Some(next) = spares.pop_front() {
        write_opening(&next, &Mark { next_frame: position.frame + 1, chain: position.chain })?;
        segment = next;
        sector = crate::format::FIRST_FRAME_SECTOR;
    }
    Ok(assemble(storage, options, segment, sector, position, spares))
}

fn assemble<S: Storage>(
    storage: S,
    options: Options,
    active: Segment<S::File>,
    sector: u32,
    position: Position,
    spares: VecDeque<Segment<S::File>>,
) -> Journal<S> {
    let active_number = active.number;
    Journal {
        storage,
        options,
        active,
        sector,
        last_place: Place { segment: active_number, sector },
        position,
        spares,
        unsynced: false,
        poisoned: false,
        buffer: Vec::new(),
    }
}
