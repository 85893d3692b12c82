//! Sealed and merged runs against the model.

use proptest::prelude::*;

use super::*;
use crate::index::merge::next_merge;
use crate::index::run::Run;

fn seal_all(model: &Model, merges: bool) -> (CrashingStorage, Shelf<CrashingStorage>) {
    let (storage, shelf) = empty_shelf();
    for number in 0..model.ends.len() {
        shelf.seal(&model.sealing(number)).unwrap();
        while merges && shelf.merge().unwrap() {
            model.check(&shelf.runs());
        }
    }
    (storage, shelf)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_was_sealed_and_merged_is_found(
        seed in any::<u64>(),
        sizes in prop::collection::vec(1u64..60, 1..20),
        topics in 1u64..30,
    ) {
        let model = Model::new(seed, &sizes, topics);
        for merges in [false, true] {
            let (storage, shelf) = seal_all(&model, merges);
            prop_assert_eq!(shelf.runs().end(), *model.ends.last().unwrap());
            model.check(&shelf.runs());
            drop(shelf);
            let (shelf, found, skipped) = load(&storage);
            prop_assert_eq!(found, Some(restored(sizes.len())));
            prop_assert_eq!(skipped, Vec::<String>::new());
            model.check(&shelf.runs());
        }
    }
}

#[test]
fn sections_of_many_pages_are_searched_and_merged() {
    let model = Model::new(2, &[4_000, 3_000, 1, 2_500, 5_000], 1_500);
    let (_, shelf) = seal_all(&model, false);
    model.check(&shelf.runs());
    let (_, shelf) = seal_all(&model, true);
    assert!(shelf.runs().list().len() < 5);
    model.check(&shelf.runs());
}

#[test]
fn a_topic_of_many_pages_is_searched() {
    let model = Model::new(3, &[9_000, 9_000], 1);
    let (_, shelf) = seal_all(&model, false);
    let runs = shelf.runs();
    let mut random = Random::new(3);
    for _ in 0..300 {
        let after = random.below(18_000);
        let limit = random.below(3_000);
        let mut found = Vec::new();
        runs.of_topic(TopicId(0), Some(after), limit as usize, &mut found).unwrap();
        let end = (after + 1 + limit).min(18_000);
        assert!(found.iter().copied().eq(after + 1..end), "{limit} after {after}");
    }
}

#[test]
fn prints_shared_by_pages_full_of_events_are_all_found() {
    let mut model = Model::new(4, &[1_000, 1_000], 2);
    model.prints.iter_mut().for_each(|print| *print %= 2);
    let (_, shelf) = seal_all(&model, false);
    model.check(&shelf.runs());
}

#[test]
fn an_empty_generation_moves_the_state_only() {
    let model = Model::new(5, &[10, 0], 2);
    let (storage, shelf) = seal_all(&model, true);
    assert_eq!(shelf.runs().list().len(), 1);
    assert_eq!(load(&storage).1, Some(restored(2)));
}

#[test]
fn runs_can_be_searched_in_part() {
    let model = Model::new(8, &[10, 10, 10], 2);
    let (_, shelf) = seal_all(&model, false);
    for (offsets, starts) in
        [(0..30, vec![0, 10, 20]), (9..10, vec![0]), (10..21, vec![10, 20]), (30..99, vec![])]
    {
        let part = shelf.runs().of_offsets(&offsets);
        let found = part.list().iter().map(|run| run.offsets().start);
        assert!(found.eq(starts.iter().copied()), "{offsets:?}");
    }
}

#[test]
fn a_generation_that_does_not_follow_is_refused() {
    let model = Model::new(6, &[10, 10, 10], 2);
    let (_, shelf) = empty_shelf();
    shelf.seal(&model.sealing(0)).unwrap();
    assert!(shelf.seal(&model.sealing(2)).is_err());
    shelf.seal(&model.sealing(1)).unwrap();
    shelf.seal(&model.sealing(2)).unwrap();
    model.check(&shelf.runs());
}

#[test]
fn a_run_of_another_journal_or_under_another_name_is_refused() {
    let model = Model::new(7, &[10], 2);
    let (storage, shelf) = seal_all(&model, true);
    let name = shelf.runs().list()[0].name().to_owned();
    let why = |name: &str, journal| {
        Run::open(&storage, name, name, journal).err().map(|error| error.to_string())
    };
    assert_eq!(why(&name, JOURNAL), None);
    let foreign = why(&name, JournalId([8; 16])).unwrap();
    assert!(foreign.contains("another journal"), "{foreign}");
    storage.replace("other.run", &storage.image()[&name]);
    let renamed = why("other.run", JOURNAL).unwrap();
    assert!(renamed.contains("wrong name"), "{renamed}");
}

#[test]
fn merges_keep_the_runs_few() {
    for (events, merged) in [
        (vec![], None),
        (vec![5, 5, 5], None),
        (vec![5, 5, 5, 5], Some(0..4)),
        (vec![5, 5, 5, 5, 5], Some(0..4)),
        (vec![99, 5, 5, 5, 5], Some(1..5)),
        (vec![99, 5, 99, 99, 99, 5], Some(0..4)),
        (vec![99, 99, 99, 99, 5, 5, 5], Some(0..4)),
        (vec![99, 99, 99, 99, 5, 5, 5, 5], Some(4..8)),
        (vec![1 << 30, 1 << 30, 1 << 30, 1 << 30], None),
    ] {
        assert_eq!(next_merge(&events), merged, "{events:?}");
    }
    let mut random = Random::new(9);
    let mut events = Vec::new();
    for sealed in 1..5_000u64 {
        let size = random.below(21);
        events.push(1 + random.below(1 << size));
        while let Some(merged) = next_merge(&events) {
            let sum = events[merged.clone()].iter().sum();
            events.splice(merged, [sum]);
        }
        assert!(events.len() < 40, "{} runs of {sealed} generations", events.len());
    }
}
