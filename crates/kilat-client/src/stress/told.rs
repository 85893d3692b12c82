//! What the server told about each event: one or two bits an event, and four
//! bytes more where replies name offsets.

use crate::attack::Promises;
use crate::events::receipt::{EventResult, EventStatus};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A set of events.
pub(crate) struct Bits(Vec<AtomicU64>);

impl Bits {
    pub(crate) fn new(count: u64) -> Bits {
        Bits((0..count.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    /// Adds an event; whether it was in before.
    pub(crate) fn set(&self, event: u64) -> bool {
        let mask = 1 << (event % 64);
        self.0[(event / 64) as usize].fetch_or(mask, Ordering::Relaxed) & mask != 0
    }

    pub(crate) fn has(&self, event: u64) -> bool {
        self.0[(event / 64) as usize].load(Ordering::Relaxed) >> (event % 64) & 1 == 1
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.load(Ordering::Relaxed).count_ones())).sum()
    }
}

/// No offset was told yet.
const UNTOLD: u32 = u32::MAX;

/// What was told about the events of a run.
pub(crate) struct Told {
    /// Acknowledged at least once.
    pub acknowledged: Bits,
    offsets: Option<Offsets>,
}

struct Offsets {
    /// No event of the run can be stored below this.
    base: u64,
    /// Told to be stored just now.
    stored: Bits,
    /// Offset of each event, from `base`.
    told: Vec<AtomicU32>,
}

/// What one reply said that can't be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lie {
    pub fault: &'static str,
    pub event: u64,
}

impl Told {
    /// For `events` events, none of them stored below offset `base`.
    pub(crate) fn new(events: u64, base: u64, with_offsets: bool) -> Told {
        let offsets = with_offsets.then(|| Offsets {
            base,
            stored: Bits::new(events),
            told: (0..events).map(|_| AtomicU32::new(UNTOLD)).collect(),
        });
        Told { acknowledged: Bits::new(events), offsets }
    }

    /// Takes down what a reply told about `event`.
    pub(crate) fn hear(&self, event: u64, outcome: &EventResult) -> Result<(), Lie> {
        let lie = |fault| Err(Lie { fault, event });
        match outcome.status {
            EventStatus::Conflict => return lie("conflict_without_reason"),
            EventStatus::Invalid => return lie("refused_without_reason"),
            EventStatus::Stored | EventStatus::Duplicate => {}
        }
        let Some(offsets) = &self.offsets else {
            return Ok(());
        };
        if outcome.status == EventStatus::Stored && offsets.stored.set(event) {
            return lie("stored_twice");
        }
        match offsets.tell(event, outcome.offset) {
            true => Ok(()),
            false => lie("another_offset"),
        }
    }

    /// Whether `offset` is what replies told about `event`, if they told anything.
    pub(crate) fn agrees(&self, event: u64, offset: u64) -> bool {
        let Some(offsets) = &self.offsets else {
            return true;
        };
        let told = offsets.told[event as usize].load(Ordering::Relaxed);
        told == UNTOLD || offsets.base + u64::from(told) == offset
    }
}

impl Offsets {
    /// Whether `offset` is possible and the same as before.
    fn tell(&self, event: u64, offset: Option<u64>) -> bool {
        let above = offset.and_then(|offset| offset.checked_sub(self.base));
        let Some(above) =
            above.and_then(|above| u32::try_from(above).ok()).filter(|&a| a != UNTOLD)
        else {
            return false;
        };
        let first = self.told[event as usize].compare_exchange(
            UNTOLD,
            above,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        first.is_ok() || first == Err(above)
    }
}

/// Promises that several threads look at, put together.
pub(crate) fn join(into: &mut Promises, part: Promises) {
    into.checked += part.checked;
    into.broken += part.broken;
    let room = crate::attack::EXAMPLES_MAX.saturating_sub(into.examples.len());
    into.examples.extend(part.examples.into_iter().take(room));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: EventStatus, offset: u64) -> EventResult {
        EventResult { status, offset: Some(offset), errors: Vec::new(), more: 0 }
    }

    #[test]
    fn an_event_has_one_offset_and_is_stored_once() {
        let told = Told::new(100, 1_000, true);
        let hear = |event, status, offset| {
            told.hear(event, &outcome(status, offset)).map_err(|lie| lie.fault)
        };
        assert_eq!(
            hear(7, EventStatus::Duplicate, 1_003),
            Ok(()),
            "a duplicate may be told before its original"
        );
        assert_eq!(hear(7, EventStatus::Stored, 1_003), Ok(()));
        assert_eq!(hear(7, EventStatus::Stored, 1_003), Err("stored_twice"));
        assert_eq!(hear(7, EventStatus::Duplicate, 1_004), Err("another_offset"));
        assert_eq!(hear(8, EventStatus::Stored, 999), Err("another_offset"));
        assert_eq!(hear(9, EventStatus::Conflict, 1_000), Err("conflict_without_reason"));
        assert_eq!(hear(9, EventStatus::Invalid, 1_000), Err("refused_without_reason"));
        assert!(told.agrees(7, 1_003) && !told.agrees(7, 1_004));
        assert!(told.agrees(50, 5), "nothing was told about it");
    }

    #[test]
    fn bits() {
        let bits = Bits::new(130);
        assert!(!bits.set(129) && bits.set(129));
        assert!(!bits.set(0));
        assert!(bits.has(129) && !bits.has(128));
        assert_eq!(bits.count(), 2);
    }
}
