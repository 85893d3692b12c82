//! Power cuts and failed writes at every operation of sealing, merging and recording.

use kilat_journal::simulation::Fault;

use super::*;
use crate::index::error::BuildError;

const SIZES: [u64; 7] = [9, 20, 3, 14, 8, 30, 11];

/// Seals the generations from `from` on, and merges; `sealed` counts those that were acknowledged.
fn run(
    model: &Model,
    shelf: &Shelf<CrashingStorage>,
    from: usize,
    sealed: &mut usize,
) -> Result<(), BuildError> {
    for number in from..SIZES.len() {
        shelf.seal(&model.sealing(number))?;
        *sealed = number + 1;
        while shelf.merge()? {}
    }
    Ok(())
}

fn operations_of_a_run(model: &Model) -> u64 {
    let (storage, shelf) = empty_shelf();
    run(model, &shelf, 0, &mut 0).unwrap();
    storage.operations()
}

/// What is on disk is what the last snapshots name, and nothing else.
fn check_tidy(storage: &CrashingStorage, shelf: &Shelf<CrashingStorage>) {
    let image = storage.image();
    assert!(image.keys().all(|name| !name.ends_with(".tmp")), "{:?}", image.keys());
    let runs = image.keys().filter(|name| name.ends_with(".run")).count();
    assert!(runs <= shelf.runs().list().len() + 4, "{:?}", image.keys());
    assert!(image.keys().filter(|name| name.ends_with(".manifest")).count() <= 2);
}

#[test]
fn a_power_cut_anywhere_leaves_a_whole_index() {
    let model = Model::new(31, &SIZES, 4);
    let operations = operations_of_a_run(&model);
    println!("{operations} operations, 3 seeds");
    for (at, seed) in (0..operations).flat_map(|at| (0..3).map(move |seed| (at, seed))) {
        let storage = CrashingStorage::new(seed * 1_000 + at);
        let mut sealed = 0;
        let shelf = load(&storage).0;
        storage.fail_at(at, Fault::PowerCut);
        // The last operations remove what is not needed: the work is done, whether they fail or not.
        let done = run(&model, &shelf, 0, &mut sealed).is_ok();
        assert!(!storage.is_fault_pending() && (!done || at + 8 > operations), "cut at {at}");
        drop(shelf);
        storage.crash();
        let (shelf, found, _) = load(&storage);
        let kept = generations(found.as_ref());
        let expected = if kept == 0 { 0 } else { model.ends[kept - 1] };
        assert!((sealed..=sealed + 1).contains(&kept), "{at}/{seed}: {kept} of {sealed} are there");
        assert_eq!(shelf.runs().end(), expected, "{at}/{seed}");
        model.check(&shelf.runs());
        shelf.clean_up();
        run(&model, &shelf, kept, &mut sealed).unwrap();
        if kept < SIZES.len() {
            check_tidy(&storage, &shelf);
        }
        storage.crash();
        let (shelf, found, _) = load(&storage);
        assert_eq!(generations(found.as_ref()), SIZES.len(), "{at}/{seed}");
        model.check(&shelf.runs());
    }
}

#[test]
fn a_failed_write_anywhere_is_made_good_by_trying_again() {
    let model = Model::new(32, &SIZES, 4);
    for fault in [Fault::NoSpace, Fault::Io] {
        for at in 0..operations_of_a_run(&model) {
            let storage = CrashingStorage::new(at);
            let shelf = load(&storage).0;
            storage.fail_at(at, fault);
            let (mut sealed, mut errors) = (0, 0);
            while run(&model, &shelf, sealed, &mut sealed).is_err() {
                errors += 1;
                assert!(errors < 3, "{fault:?} at {at} goes on failing");
                model.check(&shelf.runs());
            }
            while shelf.merge().unwrap() {}
            assert_eq!(sealed, SIZES.len());
            model.check(&shelf.runs());
            check_tidy(&storage, &shelf);
            storage.crash();
            let (shelf, found, _) = load(&storage);
            assert_eq!(generations(found.as_ref()), SIZES.len(), "{fault:?} at {at}");
            model.check(&shelf.runs());
        }
    }
}

#[test]
fn a_merge_between_a_failed_seal_and_the_next_attempt_records_nothing_wrong() {
    let model = Model::new(34, &[10; 5], 4);
    let four = || {
        let (storage, shelf) = empty_shelf();
        (0..4).for_each(|number| shelf.seal(&model.sealing(number)).unwrap());
        (storage, shelf)
    };
    let (storage, shelf) = four();
    let before = storage.operations();
    shelf.seal(&model.sealing(4)).unwrap();
    let mut refused = 0;
    for at in before..storage.operations() {
        let (storage, shelf) = four();
        storage.fail_at(at, Fault::Io);
        let sealed = shelf.seal(&model.sealing(4)).is_ok();
        match shelf.merge() {
            Ok(_) => {}
            Err(BuildError::Unsettled) if !sealed => refused += 1,
            Err(error) => panic!("{error} after operation {at} failed"),
        }
        let (loaded, found, _) = load(&storage);
        assert_eq!(loaded.runs().end(), 10 * generations(found.as_ref()) as u64, "{at}");
        shelf.seal(&model.sealing(4)).map_or_else(|_| assert!(sealed), |()| assert!(!sealed));
        while shelf.merge().unwrap() {}
        storage.crash();
        let (loaded, found, _) = load(&storage);
        assert_eq!((generations(found.as_ref()), loaded.runs().list().len()), (5, 2), "{at}");
        model.check(&loaded.runs());
    }
    assert!(refused > 0);
}

#[test]
fn a_full_device_loses_nothing() {
    let model = Model::new(33, &SIZES, 4);
    let (storage, shelf) = empty_shelf();
    shelf.seal(&model.sealing(0)).unwrap();
    storage.fill_up();
    for _ in 0..3 {
        let error = shelf.seal(&model.sealing(1)).unwrap_err();
        assert!(error.to_string().contains("cannot be written"), "{error}");
    }
    assert_eq!(shelf.runs().end(), model.ends[0]);
    assert_eq!(generations(load(&storage).1.as_ref()), 1);
    storage.heal();
    shelf.seal(&model.sealing(1)).unwrap();
    model.check(&shelf.runs());
}
