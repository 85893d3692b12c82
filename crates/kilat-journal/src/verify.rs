//! Checking a journal without the lock and without changing it, also while it is being written.

use std::convert::Infallible;
use std::thread;
use std::time::Duration;

use crate::error::{Corruption, Problem, RecoverError};
use crate::format::{JournalId, OPENING_SECTOR, Position, SECTOR_BYTES};
use crate::recovery::{Listing, start};
use crate::segment::Segment;
use crate::storage::Storage;
use crate::walk::{FrameView, Walk};

/// How often damage is looked at again: a writer at work may be seen with half a sector.
pub(crate) const LOOKS: u32 = 5;
/// The time between two looks.
pub(crate) const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Whole frames, from the first.
    pub frames: u64,
    /// Segments that exist.
    pub segments: u64,
    /// The last whole frame and its chain.
    pub position: Position,
    /// Bytes of an incomplete frame after it. That is normal after a crash and while a writer
    /// is at work.
    pub torn_bytes: u64,
    /// The damage at which the check stopped.
    pub corruption: Option<Corruption>,
}

/// Reads the whole log up to the last whole frame and hands every frame to `on_frame`.
///
/// Damage is a finding, not an error; errors are what kept the check from being done.
pub fn verify<S: Storage, E>(
    storage: &S,
    journal: JournalId,
    on_frame: impl FnMut(FrameView<'_>) -> Result<(), E>,
) -> Result<Verified, RecoverError<E>> {
    let mut check = Check { storage, journal, on_frame, walk: None, segments: 0 };
    let mut looks = 0;
    loop {
        let before = check.position();
        let corruption = match check.look() {
            Err(RecoverError::Corrupt(corruption)) => corruption,
            done => return done,
        };
        // Progress since the last look is a writer at work.
        looks = if check.position() == before { looks + 1 } else { 0 };
        if looks == LOOKS {
            return Ok(check.found(0, Some(corruption)));
        }
        thread::sleep(LOOK_PAUSE);
    }
}

/// For callers that only want the findings.
pub fn no_frames(_: FrameView<'_>) -> Result<(), Infallible> {
    Ok(())
}

struct Check<'a, S: Storage, C> {
    storage: &'a S,
    journal: JournalId,
    on_frame: C,
    /// Where the last look came to; `None` before the first frame could be looked for.
    walk: Option<Walk<S>>,
    segments: u64,
}

impl<S: Storage, C> Check<'_, S, C> {
    fn position(&self) -> Position {
        let genesis = Position { frame: 0, chain: self.journal.genesis() };
        self.walk.as_ref().map_or(genesis, Walk::position)
    }

    fn found(&self, torn_bytes: u64, corruption: Option<Corruption>) -> Verified {
        let position = self.position();
        let (frames, segments) = (position.frame, self.segments);
        Verified { frames, segments, position, torn_bytes, corruption }
    }

    /// Reads on to the end, or to an error.
    fn look<E>(&mut self) -> Result<Verified, RecoverError<E>>
    where
        C: FnMut(FrameView<'_>) -> Result<(), E>,
    {
        self.segments = Listing::of(self.storage)?.segments;
        if self.segments == 0 {
            return Ok(self.found(0, None));
        }
        let walk = match self.walk.take() {
            Some(walk) => walk,
            None => begin(self.storage, self.journal)?,
        };
        match walk.run(self.segments, &mut self.on_frame) {
            Ok(tail) => {
                let torn_sectors = u64::from(tail.torn_end - tail.sector);
                let torn_bytes = torn_sectors * SECTOR_BYTES as u64;
                let found = self.found(torn_bytes, None);
                Ok(Verified { frames: tail.position.frame, position: tail.position, ..found })
            }
            Err(stopped) => {
                let (error, walk) = *stopped;
                self.walk = Some(walk);
                Err(error)
            }
        }
    }
}

pub(crate) fn begin<S: Storage, E>(
    storage: &S,
    journal: JournalId,
) -> Result<Walk<S>, RecoverError<E>> {
    let segment = Segment::open(storage, journal, 1)?;
    let missing = || segment.corrupt(OPENING_SECTOR, Problem::MissingSector);
    let mark = segment.opening()?.ok_or_else(missing)?;
    let (segment, mark) = start(storage, journal, (segment, mark), None)?;
    Ok(Walk::new(storage.clone(), journal, segment, mark))
}
