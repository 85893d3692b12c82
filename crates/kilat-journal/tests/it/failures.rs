//! Operations that fail once, at every place where one can: a refused sync is never trusted
//! again, a full disk leaves no half record.

use kilat_journal::simulation::{CrashingStorage, Fault, Operation, Random};
use kilat_journal::{AppendError, Options, RecoverError, forget_bodies};

use crate::log::{ID, Log, append, bytes, commit, contents, only, open, options};

const FRAMES: usize = 12;
/// Frames appended before anything fails, where the first segments' bodies are forgotten.
const FRAMES_BEFORE: usize = 4;

fn small() -> Options {
    options(4_096, 2_000)
}

/// Appends up to [`FRAMES`] frames; what is acknowledged goes into the log.
fn work(storage: &CrashingStorage, log: &mut Log) -> Result<(), AppendError> {
    let mut random = Random::new(3);
    let (mut journal, _, recovered) = match open(storage, small(), None) {
        Ok(opened) => opened,
        Err(RecoverError::Io(cause)) => return Err(AppendError::Failed(cause)),
        Err(error) => panic!("{error}"),
    };
    *log = recovered;
    while log.payloads.len() < FRAMES {
        // Every second length is odd: whole and split frames take turns.
        let payload = bytes(&mut random, 151 * log.payloads.len());
        let appended = append(&mut journal, &payload).and_then(|_| journal.sync());
        if let Err(error) = appended {
            if !matches!(error, AppendError::StorageFull(_)) {
                assert!(matches!(journal.append(b"more"), Err(AppendError::Poisoned)));
                assert!(matches!(journal.sync(), Err(AppendError::Poisoned)));
            }
            return Err(error);
        }
        log.push(&payload, journal.position().chain);
    }
    Ok(())
}

/// Everything acknowledged is there, at most one more frame is, and the journal goes on.
fn expect_sound(storage: &CrashingStorage, acknowledged: &Log, case: &str) {
    let (_, _, recovered) = open(storage, small(), None).unwrap_or_else(|e| panic!("{case}: {e}"));
    let sure = acknowledged.payloads.len();
    assert!(recovered.payloads.len() <= sure + 1, "{case}: frames appeared");
    assert!(recovered.payloads[..sure] == acknowledged.payloads, "{case}: a frame is gone");
    let mut log = Log::default();
    work(storage, &mut log).unwrap_or_else(|e| panic!("{case}: {e}"));
    storage.crash();
    assert!(contents(storage, small()) == log, "{case}: what came later is gone");
}

/// A storage without a journal.
fn empty(seed: u64) -> (CrashingStorage, Log) {
    (CrashingStorage::new(seed), Log::default())
}

/// A storage with a few frames, of which bodies in a sealed segment are forgotten.
fn forgotten(seed: u64) -> (CrashingStorage, Log) {
    let storage = CrashingStorage::new(seed);
    let (mut journal, _, mut log) = open(&storage, small(), None).expect("a new journal");
    for _ in 0..FRAMES_BEFORE {
        commit(&mut journal, &mut log, &[7; 1_501]);
    }
    let forgotten = forget_bodies(&storage, ID, 1, |_, _, body| only(0..body));
    assert!(forgotten.expect("a sealed segment").frames > 0);
    let log = contents(&storage, small());
    (storage, log)
}

/// Strikes the n-th operation of a kind, for all n, and calls `after` on what is left.
fn strike_each(kind: Operation, fault: Fault, after: impl Fn(&CrashingStorage, &Log, &str)) {
    strike_each_from(empty, kind, fault, &after);
    strike_each_from(forgotten, kind, fault, &after);
}

fn strike_each_from(
    start: impl Fn(u64) -> (CrashingStorage, Log),
    kind: Operation,
    fault: Fault,
    after: impl Fn(&CrashingStorage, &Log, &str),
) {
    for n in 0.. {
        let (storage, mut log) = start(n);
        storage.fail_nth(kind, n, fault);
        let result = work(&storage, &mut log);
        if storage.is_fault_pending() {
            assert!(n > 1, "the fault never struck");
            assert!(result.is_ok());
            return;
        }
        after(&storage, &log, &format!("{kind:?} {n} {fault:?}"));
    }
}

const KINDS: [Operation; 6] = [
    Operation::Create,
    Operation::Write,
    Operation::Extend,
    Operation::Sync,
    Operation::Rename,
    Operation::SyncDirectory,
];

#[test]
fn after_any_failure_a_restart_finds_all_that_was_acknowledged() {
    for kind in KINDS {
        for fault in [Fault::Io, Fault::NoSpace] {
            strike_each(kind, fault, |storage, log, case| {
                storage.kill();
                expect_sound(storage, log, case);
            });
        }
    }
}

#[test]
fn after_any_failure_a_power_cut_loses_nothing_acknowledged() {
    for kind in KINDS {
        for fault in [Fault::Io, Fault::NoSpace] {
            strike_each(kind, fault, |storage, log, case| {
                storage.crash();
                expect_sound(storage, log, case);
            });
        }
    }
}

/// The failed sync threw pages away that the cache still shows; a recovery that believed the
/// cache would acknowledge what is not on the device.
#[test]
fn a_recovery_after_a_failed_sync_reads_the_device() {
    strike_each(Operation::Sync, Fault::Io, |storage, log, case| {
        storage.kill();
        let shown = contents(storage, small());
        storage.crash();
        let kept = contents(storage, small());
        assert!(shown == kept, "{case}: recovery showed what was not durable");
        assert!(kept.payloads.len() >= log.payloads.len(), "{case}");
    });
}

#[test]
fn a_full_disk_is_a_value_and_the_same_journal_goes_on_when_there_is_room() {
    let storage = CrashingStorage::new(0);
    let (mut journal, _, _) = open(&storage, small(), None).expect("a new journal");
    storage.fill_up();
    let mut log = Log::default();
    let full = loop {
        match journal.append(&[7; 900]) {
            Ok(_) => {
                journal.sync().expect("a sync");
                log.push(&[7; 900], journal.position().chain);
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(full, AppendError::StorageFull(_)), "{full}");
    let names: Vec<String> = storage.image().into_keys().collect();
    assert_eq!(names, ["00000000000000000001.seg"], "a half segment stayed");
    storage.heal();
    journal.append(&[8; 900]).expect("room again");
    journal.sync().expect("a sync");
    log.push(&[8; 900], journal.position().chain);
    storage.crash();
    assert!(contents(&storage, small()) == log);
}

#[test]
fn a_segment_for_which_there_is_no_room_is_not_begun() {
    let storage = CrashingStorage::new(0);
    let (mut journal, _, _) = open(&storage, small(), None).expect("a new journal");
    let segment = storage.image().values().map(|bytes| bytes.len() as u64).sum::<u64>();
    storage.say_room(segment + (1 << 20) - 1);
    storage.fail_nth(Operation::Create, 0, Fault::Io);
    let full = loop {
        match journal.append(&[7; 900]) {
            Ok(_) => journal.sync().expect("a sync"),
            Err(error) => break error,
        }
    };
    assert!(storage.is_fault_pending(), "a file was made");
    storage.heal();
    assert!(matches!(full, AppendError::StorageFull(_)), "{full}");
    storage.say_room(segment + (1 << 20));
    journal.append(&[8; 900]).expect("room again");
}
