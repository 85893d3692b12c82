//! Room for frames that are not written yet: which segments exist ahead of the writer, and when
//! another one must be made.
//!
//! It repeats the writer's placing of frames exactly, one step ahead of it: a frame goes where it
//! fits, else to the next segment; one that begins a segment always goes to the next. A smaller
//! frame never ends later than a larger one would have, so room for `n` bytes is room for anything
//! shorter.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::error::IoFailure;
use crate::journal::room_in;
use crate::segment::Segment;

/// How long a failed attempt to make a segment is left alone.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Space<F> {
    /// Sectors left in the segment that the last placed frame goes to.
    left: u32,
    /// Blank segments that no placed frame needs.
    ready: VecDeque<Segment<F>>,
    /// Blank segments that placed frames need; on their way to the writer.
    promised: VecDeque<Segment<F>>,
    making: Making,
}

/// What the maker of segments is at.
enum Making {
    Idle,
    Wanted,
    Busy,
    Failed { at: Instant, cause: String },
}

/// What a frame takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) sectors: u64,
    /// Whatever room the segment before it has left stays unused.
    pub(crate) begins_segment: bool,
}

/// Whether a frame can be placed.
pub(crate) enum Room {
    Yes,
    /// A segment is being made; ask again when it is done.
    Soon,
    /// The last attempt to make a segment failed a moment ago.
    No {
        cause: String,
    },
}

impl<F> Space<F> {
    pub(crate) fn new(left: u32, ready: VecDeque<Segment<F>>) -> Self {
        let making = if ready.is_empty() { Making::Wanted } else { Making::Idle };
        Self { left, ready, promised: VecDeque::new(), making }
    }

    /// Whether a frame has room, asking for another segment if it has not.
    pub(crate) fn room_for(&mut self, wanted: Extent) -> Room {
        let fits = |left: u32| wanted.sectors <= u64::from(left);
        let fits_here = !wanted.begins_segment && fits(self.left);
        let placeable = fits_here || self.ready.iter().any(|s| fits(room_in(s.sectors)));
        if !placeable || self.ready.is_empty() {
            self.want();
        }
        match &self.making {
            _ if placeable => Room::Yes,
            Making::Failed { cause, .. } => Room::No { cause: cause.clone() },
            _ => Room::Soon,
        }
    }

    fn want(&mut self) {
        match &self.making {
            Making::Idle => self.making = Making::Wanted,
            Making::Failed { at, .. } if at.elapsed() >= RETRY_PAUSE => {
                self.making = Making::Wanted;
            }
            _ => {}
        }
    }

    /// Places a frame for which [`Space::room_for`] said yes.
    pub(crate) fn place(&mut self, extent: Extent) {
        if extent.begins_segment {
            self.promise_next();
        }
        while extent.sectors > u64::from(self.left) && self.promise_next() {}
        self.left -= (extent.sectors as u32).min(self.left);
        if self.ready.is_empty() {
            self.want();
        }
    }

    fn promise_next(&mut self) -> bool {
        let Some(next) = self.ready.pop_front() else {
            return false;
        };
        self.left = room_in(next.sectors);
        self.promised.push_back(next);
        true
    }

    /// The segments that the writer will need next.
    pub(crate) fn take_promised(&mut self) -> VecDeque<Segment<F>> {
        std::mem::take(&mut self.promised)
    }

    /// All blank segments, in order; the end.
    pub(crate) fn take_all(&mut self) -> VecDeque<Segment<F>> {
        let mut all = self.take_promised();
        all.append(&mut self.ready);
        all
    }

    pub(crate) fn is_wanted(&self) -> bool {
        matches!(self.making, Making::Wanted)
    }

    /// The maker starts.
    pub(crate) fn start_making(&mut self) {
        self.making = Making::Busy;
    }

    /// The maker is done.
    pub(crate) fn made(&mut self, result: Result<Segment<F>, IoFailure>) -> bool {
        match result {
            Ok(segment) => {
                self.ready.push_back(segment);
                self.making = Making::Idle;
                true
            }
            Err(failure) => {
                self.making = Making::Failed { at: Instant::now(), cause: failure.to_string() };
                false
            }
        }
    }
}
