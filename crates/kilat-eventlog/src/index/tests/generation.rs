//! A generation against a map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::index::Known;

/// Few of them, so that they collide: wholly, in the high half, and in the low half.
fn print_of(topic: u32, id: &str) -> u64 {
    let choice = id.bytes().fold(u64::from(topic), |all, byte| all * 7 + u64::from(byte));
    ((choice % 3) << 32) | (choice % 5)
}

proptest! {
    #[test]
    fn it_knows_what_was_put_in_and_nothing_else(
        first in 0..u64::MAX / 2,
        events in prop::collection::vec((0u32..3, "[a-c]{0,3}"), 0..400),
    ) {
        let mut generation = Generation::with_events_max(first, GENERATION_EVENTS_MAX);
        let mut model: BTreeMap<(u32, String), Known> = BTreeMap::new();
        for (topic, id) in events {
            let print = print_of(topic, &id);
            let key = (topic, id.clone());
            generation.warm(print);
            let known = generation.find(print, TopicId(topic), id.as_bytes());
            prop_assert_eq!(known, model.get(&key).copied());
            if known.is_none() {
                let content = Content::of(format!("{key:?}").as_bytes());
                let offset = generation.insert(print, TopicId(topic), id.as_bytes(), content);
                prop_assert_eq!(offset, first + model.len() as u64);
                model.insert(key, Known { offset, content });
            }
        }
        prop_assert_eq!(generation.offsets(), first..first + model.len() as u64);
        for ((topic, id), known) in model {
            let print = print_of(topic, &id);
            prop_assert_eq!(generation.find(print, TopicId(topic), id.as_bytes()), Some(known));
            let at = (known.offset - first) as usize;
            prop_assert_eq!((generation.prints()[at], generation.topics()[at].0), (print, topic));
        }
    }
}

#[test]
fn it_grows_over_many_pieces_and_tables() {
    let model = Model::new(11, &[60_000], 4);
    let generation = model.generation(0);
    for offset in 0..60_000 {
        let (print, topic) = (model.prints[offset], model.topics[offset]);
        let id = format!("id {offset}");
        let known = Known { offset: offset as u64, content: Content::of(id.as_bytes()) };
        assert_eq!(generation.find(print, topic, id.as_bytes()), Some(known));
        assert_eq!(generation.find(print, TopicId(topic.0 + 1), id.as_bytes()), None);
        assert_eq!(generation.find(print, topic, b"id"), None);
    }
    let next = Generation::after(&generation);
    assert_eq!(next.offsets(), 60_000..60_000);
    assert_eq!(next.find(model.prints[0], model.topics[0], b"id 0"), None);
}

#[test]
fn it_is_full_at_its_events_or_at_its_bytes_and_still_takes_a_group() {
    let fill = |mut generation: Generation, id: &[u8], at_most: u64| {
        let mut random = Random::new(5);
        while !generation.is_full() && generation.offsets().end < at_most {
            generation.insert(random.draw(), TopicId(0), id, Content::of(b""));
        }
        let events = generation.offsets().end;
        for _ in 0..5_000 {
            generation.insert(random.draw(), TopicId(0), id, Content::of(b""));
        }
        assert!(generation.is_full());
        events
    };
    assert_eq!(fill(Generation::with_events_max(0, 1), b"a", 9_000), 1);
    assert_eq!(fill(Generation::with_events_max(0, 3_000), b"a", 9_000), 3_000);
    assert_eq!(
        fill(Generation::with_events_max(0, GENERATION_EVENTS_MAX), &[b'x'; 32 << 10], 9_000),
        2 << 10
    );
}
