//! Damaged files: whatever is wrong is noticed, and never becomes a wrong answer.

use std::sync::atomic::AtomicBool;

use kilat_journal::Storage;
use kilat_journal::simulation::{Fault, Operation};

use super::*;
use crate::index::error::IndexError;
use crate::index::run::Run;

/// A shelf with one run, and the run's name.
fn one_run(events: u64) -> (CrashingStorage, String, Model) {
    let model = Model::new(21, &[events], 12);
    let (storage, shelf) = empty_shelf();
    shelf.seal(&model.sealing(0)).unwrap();
    let name = shelf.runs().list()[0].name().to_owned();
    (storage, name, model)
}

fn open(storage: &CrashingStorage, name: &str) -> Result<Run, IndexError> {
    Run::open(storage, name, name, JOURNAL)
}

/// Whether opening it or reading all of it notices something. What it still answers is right.
fn is_noticed(storage: &CrashingStorage, name: &str, model: &Model) -> bool {
    let Ok(run) = open(storage, name) else {
        return true;
    };
    for offset in [0, model.prints.len() / 2, model.prints.len() - 1] {
        let (offset, print, topic) = (offset as u64, model.prints[offset], model.topics[offset]);
        let mut found = Vec::new();
        if run.candidates(print, &mut found).is_ok() {
            assert!(found.contains(&offset), "an event is missed");
        }
        found.clear();
        if run.of_topic(topic, offset.checked_sub(1), 1, &mut found).is_ok() {
            assert_eq!(found, [offset]);
        }
        if let Ok(found) = run.place_before(offset) {
            assert_eq!(found, Some(sample(offset / 3 * 3)));
        }
    }
    run.check_pages(&AtomicBool::new(false)).is_err()
}

#[test]
fn a_change_of_any_byte_is_noticed() {
    let (storage, name, model) = one_run(400);
    assert!(!is_noticed(&storage, &name, &model));
    let mut random = Random::new(1);
    for offset in 0..storage.image()[&name].len() {
        let bits = 1 << random.below(8);
        storage.damage(&name, offset, bits);
        assert!(is_noticed(&storage, &name, &model), "byte {offset}, bits {bits}");
        storage.damage(&name, offset, bits);
    }
    assert!(!is_noticed(&storage, &name, &model));
}

#[test]
fn a_file_of_another_length_is_noticed() {
    let (storage, name, model) = one_run(50);
    let whole = storage.image()[&name].clone();
    for length in 0..whole.len() {
        storage.replace(&name, &whole[..length]);
        assert!(is_noticed(&storage, &name, &model), "{length} bytes");
    }
    for extra in [1, 4096] {
        storage.replace(&name, &[whole.clone(), vec![0; extra]].concat());
        assert!(is_noticed(&storage, &name, &model), "{extra} bytes more");
    }
}

#[test]
fn pages_that_changed_places_are_noticed() {
    let (storage, name, model) = one_run(1_200);
    let whole = storage.image()[&name].clone();
    for (one, other) in [(1, 2), (0, 1), (2, 5), (3, 8)] {
        let mut swapped = whole.clone();
        let (front, back) = swapped.split_at_mut(other * 4096);
        front[one * 4096..][..4096].swap_with_slice(&mut back[..4096]);
        storage.replace(&name, &swapped);
        assert!(is_noticed(&storage, &name, &model), "pages {one} and {other}");
    }
}

#[test]
fn damage_is_told_from_what_may_pass() {
    let (storage, name, model) = one_run(400);
    let run = open(&storage, &name).unwrap();
    storage.damage(&name, 4096, 1);
    let least = model.prints.iter().min().copied().unwrap();
    let error = run.candidates(least, &mut Vec::new()).unwrap_err();
    assert!(error.is_damage());
    assert!(error.to_string().contains(&name), "{error}");
    storage.damage(&name, 4096, 1);
    storage.fail_nth(Operation::Create, 0, Fault::PowerCut);
    assert!(storage.create("x").is_err());
    assert!(!run.candidates(least, &mut Vec::new()).unwrap_err().is_damage());
}

/// Six generations, merged; the storage as it is afterwards.
fn recorded() -> (Model, CrashingStorage) {
    let model = Model::new(22, &[30; 6], 5);
    let (storage, shelf) = empty_shelf();
    for number in 0..6 {
        shelf.seal(&model.sealing(number)).unwrap();
        while shelf.merge().unwrap() {}
    }
    (model, storage)
}

#[test]
fn an_older_state_answers_for_what_is_wrong_with_the_newest() {
    let (model, storage) = recorded();
    let image = storage.image();
    let newest: Vec<&String> = {
        let older = CrashingStorage::from_image(&image);
        let manifests = image.keys().filter(|name| name.ends_with(".manifest"));
        older.erase(manifests.max().unwrap());
        let (shelf, found, _) = load(&older);
        assert_eq!(generations(found.as_ref()), 5);
        let needed: Vec<String> = shelf.runs().list().iter().map(|run| run.name().into()).collect();
        image.keys().filter(|name| name.contains("60") || is_only_newest(name, &needed)).collect()
    };
    assert!(newest.len() >= 2, "{newest:?}");
    for name in newest {
        for (what, hurt) in [("damaged", true), ("missing", false)] {
            let storage = CrashingStorage::from_image(&image);
            if hurt {
                storage.damage(name, 9, 4)
            } else {
                storage.erase(name)
            }
            let (shelf, found, skipped) = load(&storage);
            assert_eq!(generations(found.as_ref()), 5, "{name} is {what}");
            assert!(hurt == skipped.is_empty() || skipped.len() <= 1, "{name}: {skipped:?}");
            model.check(&shelf.runs());
        }
    }
}

fn is_only_newest(name: &str, needed: &[String]) -> bool {
    name.ends_with(".run") && !needed.iter().any(|run| run == name)
}

#[test]
fn without_a_whole_state_there_is_none() {
    let (_, storage) = recorded();
    for (name, bytes) in storage.image() {
        if name.ends_with(".run") {
            storage.damage(&name, bytes.len() - 1, 1);
        }
    }
    let (shelf, found, skipped) = load(&storage);
    assert_eq!((found, shelf.runs().end(), skipped.len()), (None, 0, 2));
    assert!(skipped[0].contains(".run"), "{skipped:?}");
}

#[test]
fn the_index_of_another_journal_is_passed_over() {
    let (_, storage) = recorded();
    let (shelf, found, skipped) = Shelf::load(storage, JournalId([9; 16])).unwrap();
    assert_eq!((found, shelf.runs().end()), (None, 0));
    assert!(skipped.iter().all(|why| why.contains("another journal")), "{skipped:?}");
    assert_eq!(skipped.len(), 2);
}

#[test]
fn an_index_made_anew_leaves_nothing_of_the_old_one() {
    let (model, storage) = recorded();
    let shelf = Shelf::anew(storage.clone(), JOURNAL).unwrap();
    assert_eq!(storage.image().len(), 0);
    shelf.seal(&model.sealing(0)).unwrap();
    assert_eq!(generations(load(&storage).1.as_ref()), 1);
}

#[test]
fn a_condemned_index_is_not_loaded_again() {
    let (model, storage) = recorded();
    let (shelf, ..) = load(&storage);
    shelf.condemn().unwrap();
    assert_eq!(load(&storage).1, None);
    let longer = Model { ends: vec![30, 60, 90, 120, 150, 180, 180], ..model };
    shelf.seal(&longer.sealing(6)).unwrap();
    longer.check(&shelf.runs());
    assert_eq!(load(&storage).1, None);
}
