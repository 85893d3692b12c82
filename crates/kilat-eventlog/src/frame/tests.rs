//! What is encoded is decoded again, and whatever else comes is refused without a panic.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
struct Given {
    topic: String,
    id: String,
    content: [u8; 16],
    body: Vec<u8>,
}

fn given_event() -> impl Strategy<Value = Given> {
    ("\\PC{0,12}", "\\PC{0,12}", any::<[u8; 16]>(), vec(any::<u8>(), 0..40))
        .prop_map(|(topic, id, content, body)| Given { topic, id, content, body })
}

fn fixed(kind: Kind, count: usize, first: u32, totals: [u32; 2]) -> Fixed {
    let first = u64::from(first) + u64::from(totals[0]) + u64::from(totals[1]);
    let received = first + count as u64 - u64::from(totals[1]) + 7;
    let totals = Totals { received, duplicates: 3, conflicts: 4, projected: u64::from(totals[1]) };
    Fixed { kind, count: count as u32, first, received_ms: -5, ledger_cursor: 9, totals }
}

/// The payload of a frame with these events, and how much of it is the head.
fn encode(fixed: &Fixed, events: &[Given]) -> (Vec<u8>, usize) {
    let (mut head, mut table, mut bodies) = (vec![0; HEAD_FIXED_BYTES], Vec::new(), Vec::new());
    fixed.write(&mut head);
    for Given { topic, id, content, body } in events {
        let content = Content::from_bytes(*content);
        Record { content, topic, id }.write(&mut head);
        bodies.extend_from_slice(body);
        table.extend_from_slice(&((head.len() - HEAD_FIXED_BYTES) as u32).to_le_bytes());
        table.extend_from_slice(&(bodies.len() as u32).to_le_bytes());
    }
    head.extend(table);
    let head_bytes = head.len();
    head.extend(bodies);
    (head, head_bytes)
}

/// Decodes and looks at everything; whether it made sense.
fn look_at(payload: &[u8], head_bytes: usize) -> bool {
    let (head, body) = payload.split_at(head_bytes.min(payload.len()));
    let decoded = match Head::decode(head, body.len()) {
        Err(_) => return false,
        Ok(Head::Rule(..)) => return true,
        Ok(Head::Events(events)) => events,
    };
    let mut is_whole = true;
    for (_, record, range) in decoded.events() {
        is_whole &= record.is_ok();
        assert!(range.end <= body.len(), "a body outside of the frame");
    }
    is_whole
}

proptest! {
    #[test]
    fn events_come_back_as_they_were(
        events in vec(given_event(), 0..20),
        first in any::<u32>(),
        totals in any::<[u32; 2]>(),
    ) {
        let fixed = fixed(Kind::Events, events.len(), first, totals);
        let (payload, head_bytes) = encode(&fixed, &events);
        let (head, body) = payload.split_at(head_bytes);
        let decoded = Head::decode(head, body.len());
        let Ok(Head::Events(decoded)) = decoded else {
            panic!("{decoded:?}");
        };
        prop_assert_eq!(decoded.fixed, fixed);
        let mut count = 0;
        for ((offset, record, range), given) in decoded.events().zip(&events) {
            let content = Content::from_bytes(given.content);
            prop_assert_eq!(record, Ok(Record { content, topic: &given.topic, id: &given.id }));
            prop_assert_eq!(&body[range], &given.body[..]);
            prop_assert_eq!(offset, fixed.first + count);
            count += 1;
        }
        prop_assert_eq!(count, events.len() as u64);
        // A part of the table says the same as all of it.
        for (from, event) in events.iter().enumerate() {
            let entries = fixed.entries(head_bytes, from as u32, from as u32 + 1);
            let spans =
                Spans::read(&payload[entries], &fixed, head_bytes, payload.len(), from as u32);
            let spans = spans.expect("spans");
            prop_assert_eq!(spans.len(), 1);
            prop_assert_eq!(&payload[spans.body(0)], &event.body[..]);
            let record = Record::read(&payload[spans.record(0)]).expect("a record");
            prop_assert_eq!(record.id, &event.id);
        }
    }

    #[test]
    fn rules_come_back_as_they_were(topic in proptest::option::of("\\PC{0,12}"), below: u64) {
        let fixed = fixed(Kind::Rule, 0, 1, [2, 3]);
        let rule = RuleText { topic: topic.as_deref(), below };
        let mut head = vec![0; HEAD_FIXED_BYTES];
        fixed.write(&mut head);
        rule.write(&mut head);
        let decoded = Head::decode(&head, 0);
        prop_assert!(matches!(decoded, Ok(Head::Rule(f, r)) if f == fixed && r == rule));
        prop_assert!(Head::decode(&head, 1).is_err(), "a rule has no body");
    }

    #[test]
    fn any_bytes_are_refused_or_read(
        bytes in vec(any::<u8>(), 0..300),
        head_bytes in 0..300_usize,
    ) {
        look_at(&bytes, head_bytes);
        let _ = Record::read(&bytes);
        let _ = RuleText::decode(&bytes);
    }

    #[test]
    fn a_changed_frame_is_refused_or_read(
        events in vec(given_event(), 1..8),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        head_bytes_off in -9..10_i32,
        cut in any::<prop::sample::Index>(),
    ) {
        let fixed = fixed(Kind::Events, events.len(), 0, [0, 0]);
        let (mut payload, head_bytes) = encode(&fixed, &events);
        prop_assert!(look_at(&payload, head_bytes));
        let other = head_bytes.saturating_add_signed(head_bytes_off as isize);
        look_at(&payload, other);
        look_at(&payload[..cut.index(payload.len())], head_bytes);
        for (at, byte) in changes {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        look_at(&payload, head_bytes);
    }

    #[test]
    fn any_state_is_refused_or_read(mut bytes in vec(any::<u8>(), 0..300), is_current: bool) {
        if is_current && bytes.len() >= 16 {
            bytes[..8].copy_from_slice(&1_u64.to_le_bytes());
            bytes[8..16].copy_from_slice(&2_u64.to_le_bytes());
        }
        let position = kilat_journal::Position { frame: 1, chain: [0; 32] };
        let _ = crate::state::decode(&bytes, position, 2);
    }
}

#[test]
fn a_count_that_does_not_fit_allocates_nothing() {
    let fixed = Fixed { count: u32::MAX, ..fixed(Kind::Events, 0, 0, [0, 0]) };
    let mut head = vec![0; HEAD_FIXED_BYTES];
    fixed.write(&mut head);
    assert_eq!(
        Head::decode(&head, 0).err(),
        Some(Malformed("there is no room for so many events"))
    );
}
