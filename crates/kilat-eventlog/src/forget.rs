//! Forgetting: a rule drops the bodies of events and keeps their ids, so that dedup stays exact.
//!
//! A rule is a frame of the log. Readers honour it from the moment it is durable; the bytes are
//! given back when a sealed segment is rewritten, which can be repeated or cut short at any point
//! without harm, since the rules stay. A rule about events in the newest segment begins another
//! one, so that there is nothing that can't be rewritten at once.

use std::sync::PoisonError;

use kilat_journal::{Storage, forget_bodies};

use crate::error::{ReadError, ReclaimError};
use crate::locate::Locator;
use crate::reader::Reader;
use crate::rules::{Rules, forgotten};
use crate::shared::Shared;

/// Which bodies to forget: of the events that are durable when the rule is decided, those that
/// meet all of its conditions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForgetRule {
    /// Only events of this topic.
    pub topic: Option<String>,
    /// Only events received before this time, in milliseconds since 1970.
    pub received_before_ms: Option<i64>,
}

impl ForgetRule {
    /// The offset below which the rule holds.
    pub(crate) fn resolve<S: Storage>(&self, shared: &Shared<S>) -> Result<u64, ReadError> {
        let end = shared.end();
        match self.received_before_ms {
            None => Ok(end),
            Some(time) => first_received_at(shared, time, end),
        }
    }
}

/// The offset of the first event received at `time` or later: times never go back in the log.
fn first_received_at<S: Storage>(
    shared: &Shared<S>,
    time: i64,
    end: u64,
) -> Result<u64, ReadError> {
    let mut locator = Locator::new(shared, shared.index.runs());
    let (mut low, mut high) = (0, end);
    while low < high {
        let middle = low + (high - low) / 2;
        let frame = *locator.seek(middle)?;
        if frame.received_ms < time {
            low = frame.end();
        } else {
            high = frame.first;
        }
    }
    Ok(low.min(end))
}

/// Whether the last event before `below` is in the segment that the log is in.
pub(crate) fn is_in_newest_segment<S: Storage>(
    shared: &Shared<S>,
    below: u64,
) -> Result<bool, ReadError> {
    let newest = shared.visible().last.map(|(_, place)| place.segment);
    Ok(below > 0 && segment_before(shared, below)? >= newest.unwrap_or_default())
}

/// The segment of the last event before `below`; 0 if there is none.
fn segment_before<S: Storage>(shared: &Shared<S>, below: u64) -> Result<u64, ReadError> {
    let Some(last) = below.checked_sub(1) else {
        return Ok(0);
    };
    let mut locator = Locator::new(shared, shared.index.runs());
    locator.seek(last)?;
    Ok(locator.segment())
}

/// What giving space back came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reclaimed {
    /// Bytes given back.
    pub bytes: u64,
    /// Where to go on when the log has left the segment that it is in now; `None` if there are no
    /// forgotten bodies in it.
    pub next: Option<u64>,
}

impl<S: Storage> Reader<S> {
    /// Gives back the space of forgotten bodies in segments that nothing is written to any more.
    /// Returns the bytes given back. One call works at a time; it is safe to stop at any point.
    ///
    /// # Errors
    /// [`ReclaimError`]: what was given back so far stays so.
    pub fn reclaim(&self) -> Result<u64, ReclaimError> {
        Ok(self.reclaim_from(1)?.bytes)
    }

    /// As [`Reader::reclaim`], from segment `from` (1 or more) on: those before it are done.
    ///
    /// # Errors
    /// [`ReclaimError`]: what was given back so far stays so.
    pub fn reclaim_from(&self, from: u64) -> Result<Reclaimed, ReclaimError> {
        let shared = &self.shared;
        let _one_at_a_time = shared.reclaiming.lock().unwrap_or_else(PoisonError::into_inner);
        let visible = shared.visible();
        let (rules, topics) = (visible.rules.clone(), visible.topics.clone());
        let active = visible.last.map_or(0, |(_, place)| place.segment);
        drop(visible);
        let last = last_concerned(shared, &rules)?;
        let mut bytes = 0;
        for segment in from..=last.min(active.saturating_sub(1)) {
            let ranges = |_frame, head: &[u8], body: usize| forgotten(head, body, &rules, &topics);
            let forgotten = forget_bodies(&shared.storage, shared.journal, segment, ranges);
            bytes += forgotten.map_err(|error| ReclaimError::Rewrite(error.to_string()))?.bytes;
            shared.log.forget_file(segment);
        }
        let next = (last > 0 && last >= active).then(|| active.max(from));
        Ok(Reclaimed { bytes, next })
    }

    /// Whether any rule is in force, so that there may be space to be given back.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        self.shared.visible().rules.end() > 0
    }
}

/// The last segment that may hold forgotten bodies; 0 if none does.
fn last_concerned<S: Storage>(shared: &Shared<S>, rules: &Rules) -> Result<u64, ReclaimError> {
    segment_before(shared, rules.end()).map_err(ReclaimError::Read)
}
