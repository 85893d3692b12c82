//! Bodies forgotten: everything else stays, whatever dies on the way.

use std::os::unix::fs::MetadataExt;

use kilat_journal::simulation::{CrashingStorage, Fault, Operation};
use kilat_journal::{
    Directory, ForgetError, Forgotten, Journal, LogReader, Options, Problem, RecoverError,
    forget_bodies, no_frames, verify,
};

use crate::log::{ID, Log, contents, journal_of, only, open, options};

const FIRST: &str = "00000000000000000001.seg";
const SECOND: &str = "00000000000000000002.seg";

/// Many sealed segments of split and whole frames.
fn journal() -> (CrashingStorage, Log, Options) {
    let options = options(16_384, 3_000);
    let lengths: Vec<usize> = (0..60).map(|i| i * 331 % 2_900).collect();
    let (storage, log) = journal_of(options, &lengths);
    (storage, log, options)
}

/// Forgets every body but its last `kept` bytes.
fn forget(storage: &CrashingStorage, segment: u64, kept: usize) -> Result<Forgotten, ForgetError> {
    forget_bodies(storage, ID, segment, |_, _, bytes| only(0..bytes.saturating_sub(kept)))
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
}

#[test]
fn a_forgotten_frame_where_the_log_still_is_is_corruption() {
    let (storage, _, options) = journal();
    forget(&storage, 1, 0).expect("a sealed segment");
    let image = storage.image();
    let other = CrashingStorage::new(1);
    // The same segment as the only one: its seal is gone, so the log seems to end in it.
    let mut bytes = image[FIRST].clone();
    let last = bytes.chunks(512).rposition(|sector| sector.iter().any(|b| *b != 0));
    bytes[last.expect("a seal") * 512..].fill(0);
    other.replace(FIRST, &bytes);
    let error = open(&other, options, None).err().expect("a finding");
    let RecoverError::Corrupt(found) = error else { panic!("{error}") };
    assert_eq!(found.problem, Problem::ImpossibleFrame);
}

/// A journal of two segments, one frame in each; the first frame's body is forgotten. Its head is
/// in sectors 2 and 3, nothing but body in 4 and 5, then comes the seal.
fn one_forgotten_frame() -> (CrashingStorage, Log, Options) {
    let options = options(4_096, 3_000);
    let (storage, log) = journal_of(options, &[1_601, 1_601]);
    forget(&storage, 1, 0).expect("a sealed segment");
    let log = without_bodies(&storage, &log, 1, 0);
    (storage, log, options)
}

fn blank(storage: &CrashingStorage, name: &str, sectors: std::ops::Range<usize>) {
    let mut bytes = storage.image()[name].clone();
    bytes[sectors.start * 512..sectors.end * 512].fill(0);
    storage.replace(name, &bytes);
}

/// The log is in the forgotten segment again, which is torn at these sectors.
fn check_unsealed(torn: std::ops::Range<usize>) {
    let (storage, _, options) = one_forgotten_frame();
    storage.erase(SECOND);
    blank(&storage, FIRST, 6..7);
    blank(&storage, FIRST, torn.clone());
    let image = storage.image();
    let error = open(&storage, options, None).err().expect("a finding");
    let RecoverError::Corrupt(found) = error else { panic!("{error}") };
    assert_eq!((found.offset, found.problem), (2 * 512, Problem::ImpossibleFrame), "{torn:?}");
    assert!(storage.is_image(&image));
}

#[test]
fn a_forgotten_frame_is_never_taken_for_a_torn_one() {
    check_unsealed(0..0);
    check_unsealed(3..4);
    check_unsealed(3..6);
}

/// The next segment is opened after the seal: a power cut may come between the two.
#[test]
fn forgotten_frames_in_a_sealed_segment_are_sound_also_before_the_next_is_opened() {
    let (storage, log, options) = one_forgotten_frame();
    blank(&storage, SECOND, 1..8);
    let found = contents(&storage, options);
    assert_eq!(found.payloads, log.payloads[..1]);
}

#[test]
fn a_lost_seal_of_a_forgotten_segment_is_named() {
    let (storage, _, options) = one_forgotten_frame();
    blank(&storage, FIRST, 6..7);
    let error = open(&storage, options, None).err().expect("a finding");
    let RecoverError::Corrupt(found) = error else { panic!("{error}") };
    assert_eq!((found.segment.as_str(), found.offset), (FIRST, 6 * 512));
    assert_eq!(found.problem, Problem::MissingSector);
}

#[test]
fn the_damage_in_a_segment_is_not_wiped_out() {
    let (before, _, _) = journal();
    let image = before.image();
    let end = image[FIRST].chunks(512).rposition(|sector| sector.iter().any(|b| *b != 0));
    let behind_the_seal = (end.expect("a seal") + 1) * 512;
    assert!(behind_the_seal < image[FIRST].len() - 512, "there is nothing behind it");
    for offset in [700, 2 * 512 + 8, 5_000, behind_the_seal, behind_the_seal + 100] {
        let storage = CrashingStorage::from_image(&image);
        storage.damage(FIRST, offset, 1);
        let image = storage.image();
        let refused = forget(&storage, 1, 0);
        let Err(ForgetError::Corrupt(found)) = refused else { panic!("{offset}: {refused:?}") };
        assert_eq!(found.offset as usize / 512, offset / 512);
        assert!(storage.is_image(&image));
    }
}

#[test]
fn sectors_of_other_frames_are_not_carried_over() {
    let (before, _, _) = journal();
    // The first frames are at sectors 2, 3, and 4 to 5.
    for (from, to) in [(3, 2), (4, 5), (1, 3), (5, 1)] {
        let storage = CrashingStorage::from_image(&before.image());
        let mut bytes = before.image()[FIRST].clone();
        bytes.copy_within(from * 512..(from + 1) * 512, to * 512);
        storage.replace(FIRST, &bytes);
        let refused = forget(&storage, 1, 0);
        let Err(ForgetError::Corrupt(found)) = refused else { panic!("{from}: {refused:?}") };
        assert_eq!((found.offset, found.problem), (to as u64 * 512, Problem::MisplacedSector));
    }
}

#[test]
fn what_is_told_done_after_a_failed_attempt_is_durable() {
    let (before, log, options) = journal();
    let expected = without_bodies(&before, &log, 1, 0);
    // Whether a rename that was not made durable survives is drawn by chance.
    for seed in 0..16 {
        let storage = CrashingStorage::new(seed);
        for (name, bytes) in &before.image() {
            storage.replace(name, bytes);
        }
        storage.fail_nth(Operation::SyncDirectory, 0, Fault::Io);
        assert!(matches!(forget(&storage, 1, 0), Err(ForgetError::Io(_))));
        assert_eq!(forget(&storage, 1, 0).expect("a sealed segment"), Forgotten::default());
        storage.crash();
        assert!(contents(&storage, options) == expected, "{seed}: the old segment came back");
    }
}

#[test]
fn a_fault_at_any_operation_leaves_the_old_or_the_new_segment() {
    let mut seen = [0, 0];
    for kept in [0, 10, 700] {
        for fault in [Fault::PowerCut, Fault::Io, Fault::NoSpace] {
            strike_each_operation(fault, kept, &mut seen);
        }
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

/// Counts how often the old segment was there afterwards, and how often the new one.
fn strike_each_operation(fault: Fault, kept: usize, seen: &mut [usize; 2]) {
    let (before, log, options) = journal();
    let image = before.image();
    let done = CrashingStorage::from_image(&image);
    let first = done.operations();
    forget(&done, 2, kept).expect("a sealed segment");
    let operations = done.operations() - first;
    assert!(operations > 5, "{operations}");
    let new = without_bodies(&before, &log, 2, kept);
    // The last one is after the end.
    for operation in 0..=operations {
        let storage = CrashingStorage::from_image(&image);
        storage.fail_at(storage.operations() + operation, fault);
        let result = forget(&storage, 2, kept);
        storage.heal();
        storage.crash();
        let found = contents(&storage, options);
        let case = format!("{fault:?} at {operation}, {kept} bytes kept");
        assert!(found == log || found == new, "{case}: something else");
        assert!(result.is_err() || found == new, "{case}: it was told done");
        seen[usize::from(found == new)] += 1;
        forget(&storage, 2, kept).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert!(contents(&storage, options) == new, "{case}: the next attempt");
    }
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
    let forgotten = forget_bodies(&storage, ID, 1, |_, _, bytes| only(0..bytes));
    let bytes = forgotten.expect("a sealed segment").bytes;
    let after = blocks();
    assert!(bytes > 800_000, "{bytes}");
    assert!(before - after > 700_000, "{before} to {after} bytes on disk");
    let verified = verify(&storage, ID, no_frames).expect("a check");
    assert_eq!(verified.corruption, None);
}
