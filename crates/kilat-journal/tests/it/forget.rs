//! Bodies forgotten: everything else stays, whatever dies on the way.

use std::os::unix::fs::MetadataExt;

use kilat_journal::simulation::{CrashingStorage, Fault};
use kilat_journal::{
    Directory, ForgetError, Forgotten, Journal, LogReader, Options, Problem, RecoverError,
    forget_bodies, no_frames, verify,
};

use crate::log::{ID, Log, contents, journal_of, open, options};

/// Many sealed segments of split and whole frames.
fn journal() -> (CrashingStorage, Log, Options) {
    let options = options(16_384, 3_000);
    let lengths: Vec<usize> = (0..60).map(|i| i * 331 % 2_900).collect();
    let (storage, log) = journal_of(options, &lengths);
    (storage, log, options)
}

/// Forgets every body but its last `kept` bytes.
fn forget(storage: &CrashingStorage, segment: u64, kept: usize) -> Result<Forgotten, ForgetError> {
    forget_bodies(storage, ID, segment, |_, _, bytes| vec![0..bytes.saturating_sub(kept)])
}

/// What the log is expected to be after that.
fn without_bodies(storage: &CrashingStorage, log: &Log, segment: u64, kept: usize) -> Log {
    let reader = LogReader::open(storage.clone(), ID);
    let mut log = log.clone();
    for (number, payload) in (1..).zip(&mut log.payloads) {
        let frame = reader.find(number).expect("a frame").expect("a frame");
        if let (true, Some(head)) = (frame.place.segment == segment, frame.head_bytes) {
            let end = payload.len().saturating_sub(kept).max(head as usize);
            payload[head as usize..end].fill(0);
        }
    }
    log
}

#[test]
fn heads_chain_and_places_stay_and_the_rest_is_zero() {
    let (storage, log, options) = journal();
    for (segment, kept) in [(1, 700), (2, 0), (1, 10)] {
        let forgotten = forget(&storage, segment, kept).expect("a sealed segment");
        assert!(forgotten.frames > 0 && forgotten.bytes > 0, "{forgotten:?}");
        let again = forget(&storage, segment, kept).expect("a sealed segment");
        assert_eq!(again, Forgotten::default(), "there was nothing left");
    }
    let expected = without_bodies(&storage, &log, 1, 10);
    let expected = without_bodies(&storage, &expected, 2, 0);
    assert!(expected != log);
    storage.crash();
    assert!(contents(&storage, options) == expected);
    let verified = verify(&storage, ID, no_frames).expect("a check");
    assert_eq!((verified.corruption, verified.frames), (None, 60));
    let reader = LogReader::open(storage.clone(), ID);
    for (number, payload) in (1..).zip(&expected.payloads) {
        let frame = reader.find(number).expect("a frame").expect("a frame");
        let mut read = Vec::new();
        reader.read(&frame, 0..payload.len(), &mut read).expect("a sound frame");
        assert!(read == *payload, "frame {number}");
    }
}

#[test]
fn only_segments_that_the_log_has_left_are_touched() {
    let (storage, _, _) = journal();
    let last = storage.image().len() as u64;
    let image = storage.image();
    assert!(matches!(forget(&storage, last, 0), Err(ForgetError::NotSealed)));
    assert!(storage.is_image(&image));
    storage.damage("00000000000000000001.seg", 5_000, 1);
    assert!(matches!(forget(&storage, 1, 0), Err(ForgetError::Corrupt(_))));
    storage.damage("00000000000000000001.seg", 5_000, 1);
    assert!(storage.is_image(&image));
}

#[test]
fn a_forgotten_frame_where_the_log_still_is_is_corruption() {
    let (storage, _, options) = journal();
    forget(&storage, 1, 0).expect("a sealed segment");
    let image = storage.image();
    let other = CrashingStorage::new(1);
    // The same segment as the only one: its seal is gone, so the log seems to end in it.
    let name = "00000000000000000001.seg";
    let mut bytes = image[name].clone();
    let last = bytes.chunks(512).rposition(|sector| sector.iter().any(|b| *b != 0));
    bytes[last.expect("a seal") * 512..].fill(0);
    other.replace(name, &bytes);
    let error = open(&other, options, None).err().expect("a finding");
    let RecoverError::Corrupt(found) = error else { panic!("{error}") };
    assert_eq!(found.problem, Problem::ImpossibleFrame);
}

#[test]
fn a_fault_at_any_operation_leaves_the_old_or_the_new_segment() {
    let (before, log, options) = journal();
    let image = before.image();
    let done = CrashingStorage::from_image(&image);
    let first = done.operations();
    forget(&done, 2, 0).expect("a sealed segment");
    let operations = done.operations() - first;
    assert!(operations > 10, "{operations}");
    let new = without_bodies(&before, &log, 2, 0);
    let mut seen = [0, 0];
    for fault in [Fault::PowerCut, Fault::Io, Fault::NoSpace] {
        // The last one is after the end.
        for operation in 0..=operations {
            let storage = CrashingStorage::from_image(&image);
            storage.fail_at(storage.operations() + operation, fault);
            let result = forget(&storage, 2, 0);
            storage.heal();
            storage.crash();
            let found = contents(&storage, options);
            assert!(found == log || found == new, "{fault:?} at {operation}: something else");
            assert!(result.is_err() || found == new, "{fault:?} at {operation}: it was told done");
            seen[usize::from(found == new)] += 1;
        }
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

#[test]
fn a_real_file_gives_its_blocks_back() {
    let folder = tempfile::tempdir_in(".").expect("a directory");
    let storage = Directory::new(folder.path());
    let options = options(1 << 20, 200_000);
    let (mut journal, _) =
        Journal::recover(storage.clone(), options, None, no_frames).expect("a new journal");
    while journal.last_place().segment < 2 {
        journal.append_split(&[7; 100_000], 1_000).expect("an append");
        journal.sync().expect("a sync");
    }
    let blocks = || {
        let file = std::fs::metadata(folder.path().join("00000000000000000001.seg"));
        file.expect("a segment").blocks() * 512
    };
    let before = blocks();
    let forgotten = forget_bodies(&storage, ID, 1, |_, _, bytes| vec![0..bytes]);
    let bytes = forgotten.expect("a sealed segment").bytes;
    let after = blocks();
    assert!(bytes > 800_000, "{bytes}");
    assert!(before - after > 700_000, "{before} to {after} bytes on disk");
    let verified = verify(&storage, ID, no_frames).expect("a check");
    assert_eq!(verified.corruption, None);
}
