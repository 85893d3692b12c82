//! Damaged files: whatever is wrong is noticed, and never becomes a wrong answer.

use std::sync::atomic::AtomicBool;

use kilat_journal::Storage;
use kilat_journal::simulation::{Fault, Operation};

use super::*;
use crate::index::error::IndexError;
use crate::index::filter::Probe;
use crate::index::run::Run;

/// A shelf with one run, and the run's name.
fn one_run(events: u64) -> (CrashingStorage, String, Model) {
    let model = Model::new(21, &[events], 12);
    let (storage, name) = one_run_of(&model);
    (storage, name, model)
}

fn one_run_of(model: &Model) -> (CrashingStorage, String) {
    let (storage, shelf) = empty_shelf();
    shelf.seal(&model.sealing(0)).unwrap();
    let name = shelf.runs().list()[0].name().to_owned();
    (storage, name)
}

fn open(storage: &CrashingStorage, name: &str) -> Result<Run, IndexError> {
    Run::open(storage, name, name, JOURNAL)
}

fn candidates(run: &Run, print: u64) -> Result<Vec<u64>, IndexError> {
    let mut found = Vec::new();
    if run.passes(&Probe::of(print)) {
        run.entries_of(print, |offset| found.push(offset))?;
    }
    Ok(found)
}

/// Whether opening it or reading all of it notices something. What it still answers is right.
fn is_noticed(storage: &CrashingStorage, name: &str, model: &Model) -> bool {
    let Ok(run) = open(storage, name) else {
        return true;
    };
    for offset in [0, model.prints.len() / 2, model.prints.len() - 1] {
        let (offset, print, topic) = (offset as u64, model.prints[offset], model.topics[offset]);
        if let Ok(found) = candidates(&run, print) {
            assert!(found.contains(&offset), "an event is missed");
        }
        let mut found = Vec::new();
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
    let error = candidates(&run, least).unwrap_err();
    assert!(error.is_damage());
    assert!(error.to_string().contains(&name), "{error}");
    storage.damage(&name, 4096, 1);
    storage.fail_nth(Operation::Create, 0, Fault::PowerCut);
    assert!(storage.create("x").is_err());
    assert!(!candidates(&run, least).unwrap_err().is_damage());
}

/// As many generations, merged; the storage as it is afterwards.
fn recorded(generations: usize) -> (Model, CrashingStorage) {
    let model = Model::new(22, &vec![30; generations], 5);
    let (storage, shelf) = empty_shelf();
    for number in 0..generations {
        shelf.seal(&model.sealing(number)).unwrap();
        while shelf.merge().unwrap() {}
    }
    (model, storage)
}

/// The files of the newest snapshot that the older one does without.
fn newest_files(storage: &CrashingStorage) -> Vec<String> {
    let files: Vec<String> = storage.image().into_keys().collect();
    let newest =
        |like: &dyn Fn(&str) -> bool| files.iter().rfind(|name| like(name)).unwrap().clone();
    let manifest = newest(&|name| name.ends_with(".manifest"));
    let parts = ["runs-", "state-"].map(|part| newest(&|name| name.starts_with(part)));
    let older = CrashingStorage::from_image(&storage.image());
    older.erase(&manifest);
    let runs = load(&older).0.runs();
    let is_needed = |name: &&String| runs.list().iter().any(|run| run.name() == *name);
    let others = files.iter().filter(|name| name.ends_with(".run") && !is_needed(name));
    others.cloned().chain(parts).chain([manifest]).collect()
}

#[test]
fn an_older_state_answers_for_what_is_wrong_with_the_newest() {
    // The fourth generation is merged at once: nothing of the older state is in the newest.
    for count in [4, 6] {
        let (model, storage) = recorded(count);
        let image = storage.image();
        let files = newest_files(&storage);
        assert_eq!(files.len(), 4, "{files:?}");
        for name in files {
            let missing = CrashingStorage::from_image(&image);
            missing.erase(&name);
            let damaged = CrashingStorage::from_image(&image);
            damaged.damage(&name, 9, 4);
            for storage in [missing, damaged] {
                let (shelf, found, _) = load(&storage);
                assert_eq!(generations(found.as_ref()), count - 1, "without {name}");
                model.check(&shelf.runs());
            }
        }
    }
}

#[test]
fn without_a_whole_state_there_is_none() {
    let (_, storage) = recorded(6);
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
    let (_, storage) = recorded(6);
    let (shelf, found, skipped) = Shelf::load(storage, JournalId([9; 16])).unwrap();
    assert_eq!((found, shelf.runs().end()), (None, 0));
    assert!(skipped.iter().all(|why| why.contains("another journal")), "{skipped:?}");
    assert_eq!(skipped.len(), 2);
}

#[test]
fn a_whole_run_that_is_not_the_one_recorded_is_refused() {
    let (storage, name, _) = one_run(50);
    let other = one_run_of(&Model::new(99, &[50], 12)).0;
    assert_eq!(load(&storage).2, Vec::<String>::new());
    storage.replace(&name, &other.image()[&name]);
    let (_, found, skipped) = load(&storage);
    assert_eq!(found, None);
    assert!(skipped[0].contains("not the file that was recorded"), "{skipped:?}");
}

#[test]
fn an_index_made_anew_leaves_nothing_of_the_old_one() {
    let (model, storage) = recorded(6);
    let shelf = Shelf::anew(storage.clone(), JOURNAL).unwrap();
    assert_eq!(storage.image().len(), 0);
    shelf.seal(&model.sealing(0)).unwrap();
    assert_eq!(generations(load(&storage).1.as_ref()), 1);
}

#[test]
fn a_condemned_index_is_not_loaded_again() {
    let (model, storage) = recorded(6);
    let (shelf, ..) = load(&storage);
    shelf.condemn().unwrap();
    assert_eq!(load(&storage).1, None);
    let longer = Model { ends: vec![30, 60, 90, 120, 150, 180, 180], ..model };
    shelf.seal(&longer.sealing(6)).unwrap();
    longer.check(&shelf.runs());
    assert_eq!(load(&storage).1, None);
}
