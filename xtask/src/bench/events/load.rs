//! What is published: an endless row of events in which a fixed part repeats earlier ones.
//! Every generator and every peer's driver sends the same row, so that how many of its events
//! are new is known without counting. Must never know how events are sent.

use std::fmt::Write as _;

/// A UUID as text.
pub(super) const ID_BYTES: usize = 36;
/// Of every hundred events, those that repeat an earlier one.
pub(super) const DUPLICATES_PERCENT: u64 = 20;
/// Duplicates repeat one of that many newest ids, unless a target says otherwise.
pub(super) const RECENT_IDS: u64 = 1_000_000;
/// Topics take turns by the id's number; one digit in a name.
const TOPICS: u64 = 8;
/// Odd, near 2⁶⁴ ÷ φ: the increment of splitmix64.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The row of events, and from how far back its duplicates come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// A duplicate repeats one of that many newest ids.
    pub(super) recent_ids: u64,
}

/// One event as JSON with gaps. All events have the same length.
#[derive(Debug)]
pub(super) struct Template {
    text: String,
    topic_at: usize,
    id_at: usize,
    order_at: usize,
}

impl Row {
    /// The number of the id that the event at `index` carries: ids are numbered from 0 in the
    /// order of their first coming.
    pub(super) fn id_number(self, index: u64) -> u64 {
        let new_before = new_among(index);
        if new_among(index + 1) > new_before {
            return new_before;
        }
        let back = mix(index ^ GOLDEN) % new_before.min(self.recent_ids).max(1);
        new_before.saturating_sub(1 + back)
    }
}

/// How many of the first `events` events are new.
pub(super) fn new_among(events: u64) -> u64 {
    events - events * DUPLICATES_PERCENT / 100
}

/// The fewest events that bring `ids` ids.
pub(super) fn events_for(ids: u64) -> u64 {
    let guess = ids * 100 / (100 - DUPLICATES_PERCENT);
    (guess.saturating_sub(2)..).find(|&events| new_among(events) >= ids).unwrap_or(guess)
}

/// Distinct for distinct numbers, and in no order, as UUIDs of version 4 are.
pub(super) fn id(number: u64) -> [u8; ID_BYTES] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let (high, low) = (mix(number), mix(number.wrapping_add(GOLDEN)));
    let bits = (u128::from(high) << 64) | u128::from(low);
    let mut text = [b'-'; ID_BYTES];
    let digits = (0..ID_BYTES).filter(|at| !matches!(at, 8 | 13 | 18 | 23));
    for (nibble, at) in digits.enumerate() {
        text[at] = HEX[(bits >> (124 - 4 * nibble)) as usize & 0xf];
    }
    text
}

/// The digit at the end of the topic's name.
pub(super) fn topic_digit(number: u64) -> u8 {
    b'0' + (number % TOPICS) as u8
}

/// splitmix64 (Steele, Lea, Flood 2014), which maps distinct numbers to distinct ones.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Template {
    pub(super) fn new() -> Self {
        let mut text = String::new();
        let mut gap = |before: &str, bytes: usize| {
            text.push_str(before);
            let at = text.len();
            let _ = write!(text, "{:#>bytes$}", "");
            at
        };
        let topic_at = gap(r#"{"topic":"orders."#, 1);
        let id_at = gap(r#"","event_id":""#, ID_BYTES);
        let order_at = gap(
            r#"","timestamp":"2026-11-21T09:30:00.125Z","source":"shop-1","payload":{"order":""#,
            ID_BYTES,
        );
        text.push_str(r#"","customer":"c-1000000","amount":"150000","currency":"IDR"}}"#);
        Self { text, topic_at, id_at, order_at }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Makes the event that starts at `at` in `bytes` the one with that id.
    pub(super) fn fill(&self, bytes: &mut [u8], at: usize, number: u64) {
        let id = id(number);
        bytes[at + self.topic_at] = topic_digit(number);
        for gap in [self.id_at, self.order_at] {
            bytes[at + gap..at + gap + ID_BYTES].copy_from_slice(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_number_of_new_events_is_known_without_counting() {
        let row = Row { recent_ids: 50 };
        let mut seen = BTreeSet::new();
        for index in 0..10_000 {
            let newest = seen.len() as u64;
            let number = row.id_number(index);
            assert!(number <= newest && number + 50 >= newest, "{index}: {number} of {newest}");
            seen.insert(number);
            assert_eq!(seen.len() as u64, new_among(index + 1), "{index}");
        }
        for ids in [1, 4, 5, 799, 8_000] {
            let events = events_for(ids);
            assert_eq!((new_among(events), new_among(events - 1)), (ids, ids - 1));
        }
    }

    #[test]
    fn ids_are_uuids_and_distinct() {
        let ids: BTreeSet<_> = (0..10_000).map(id).collect();
        assert_eq!(ids.len(), 10_000);
        // The drivers in Python make the same ones.
        assert_eq!(str::from_utf8(&id(0)).unwrap(), "e220a839-7b1d-cdaf-6e78-9e6aa1b965f4");
    }

    #[test]
    fn events_are_well_formed() {
        let template = Template::new();
        let mut bytes = template.text().as_bytes().to_vec();
        template.fill(&mut bytes, 0, 9);
        let event: Value = serde_json::from_slice(&bytes).unwrap();
        let id = String::from_utf8(id(9).to_vec()).unwrap();
        assert_eq!(event["topic"], "orders.1");
        assert_eq!(
            (&event["event_id"], &event["payload"]["order"]),
            (&id.clone().into(), &id.into())
        );
    }
}
