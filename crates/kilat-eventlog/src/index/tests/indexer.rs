//! The threads.

use kilat_journal::simulation::{Fault, Operation};
use kilat_journal::{Directory, Storage};

use super::*;
use crate::index::{Indexer, Indexing};

fn start<S: Storage>(storage: &S) -> (Indexing<S>, usize) {
    let (indexer, found, skipped) = Indexer::load(storage.clone(), JOURNAL).unwrap();
    assert_eq!(skipped, Vec::<String>::new());
    (indexer.start().unwrap(), generations(found.as_ref()))
}

/// Waits until everything that was sealed is in the runs.
fn drain<S: Storage>(indexing: &Indexing<S>) {
    while !indexing.can_seal() || indexing.problem().is_some() {
        std::thread::yield_now();
    }
    indexing.settle();
}

#[test]
fn generations_become_few_runs_in_the_background() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Directory::new(directory.path());
    let model = Model::new(41, &[50; 40], 6);
    let (indexing, _) = start(&storage);
    for number in 0..20 {
        indexing.seal(model.sealing(number));
        let covered = indexing.runs().end();
        assert!(covered >= model.start(number), "only one may be on its way");
    }
    indexing.close();
    let (indexing, sealed) = start(&storage);
    assert_eq!(sealed, 20, "closing finished the last");
    for number in 20..40 {
        indexing.seal(model.sealing(number));
    }
    drain(&indexing);
    let runs = indexing.runs();
    assert!(runs.list().len() < 8, "{} runs", runs.list().len());
    model.check(&runs);
    indexing.close();
    let left = storage.list().unwrap();
    let files = left.iter().filter(|name| name.ends_with(".run")).count();
    // What the last two states named stays: a merge of four at each of three levels may have come
    // since. Were nothing removed, 53 would be left.
    assert!(files <= runs.list().len() + 12, "{left:?}");
}

#[test]
fn a_full_device_is_reported_and_waited_for() {
    let storage = CrashingStorage::new(1);
    let model = Model::new(42, &[20; 3], 2);
    let (indexing, _) = start(&storage);
    indexing.seal(model.sealing(0));
    drain(&indexing);
    storage.fill_up();
    indexing.seal(model.sealing(1));
    indexing.settle();
    let problem = indexing.problem().unwrap();
    assert!(problem.contains("cannot be written"), "{problem}");
    assert!(!indexing.can_seal());
    assert_eq!(indexing.runs().end(), 20);
    storage.heal();
    indexing.seal(model.sealing(2));
    drain(&indexing);
    assert_eq!(indexing.problem(), None);
    model.check(&indexing.runs());
    assert_eq!(indexing.runs().end(), 60);
}

#[test]
fn an_indexer_that_cannot_write_can_be_closed() {
    let storage = CrashingStorage::new(1);
    let model = Model::new(43, &[20; 2], 2);
    let (indexing, _) = start(&storage);
    indexing.seal(model.sealing(0));
    drain(&indexing);
    storage.fail_nth(Operation::Sync, 0, Fault::PowerCut);
    indexing.seal(model.sealing(1));
    indexing.settle();
    indexing.close();
    storage.crash();
    assert_eq!(start(&storage).1, 1);
}

#[test]
fn damage_that_a_merge_meets_condemns_the_index() {
    let storage = CrashingStorage::new(1);
    let model = Model::new(44, &[20; 4], 2);
    let (indexing, _) = start(&storage);
    for number in 0..3 {
        indexing.seal(model.sealing(number));
    }
    drain(&indexing);
    let name = indexing.runs().list()[1].name().to_owned();
    storage.damage(&name, 4096 + 10, 1);
    indexing.seal(model.sealing(3));
    while indexing.problem().is_none() {
        std::thread::yield_now();
    }
    let problem = indexing.problem().unwrap();
    assert!(problem.contains(&name) && problem.contains("damaged"), "{problem}");
    indexing.close();
    assert_eq!(start(&storage).1, 0);
}

#[test]
fn what_crashes_left_behind_is_removed_at_the_start() {
    let storage = CrashingStorage::new(1);
    let model = Model::new(45, &[20; 2], 2);
    let (indexing, _) = start(&storage);
    indexing.seal(model.sealing(0));
    indexing.close();
    let kept = storage.image();
    storage.replace("0000000000000014-0000000000000028.run", b"half");
    storage.replace("0000000000000014-0000000000000028.run.tmp", b"half");
    start(&storage).0.close();
    assert!(storage.is_image(&kept), "{:?}", storage.image().keys());
}
