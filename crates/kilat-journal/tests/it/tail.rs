//! Where a log ends: what is cut, what is corruption, and starting after a known position.

use kilat_journal::simulation::CrashingStorage;
use kilat_journal::{Position, Problem, RecoverError, no_frames, verify};

use crate::log::{ID, Log, commit, contents, journal_of, open, options};

const SEGMENT: &str = "00000000000000000001.seg";

/// Frames of 1, 3 and 3 sectors at sectors 2, 3 and 6 of one segment.
fn three_frames() -> (CrashingStorage, Log) {
    journal_of(options(16_384, 3_000), &[100, 1_200, 1_200])
}

/// The same with heads and bodies; of the larger ones, the last sector is all body.
fn three_split_frames() -> (CrashingStorage, Log) {
    journal_of(options(16_384, 3_000), &[101, 1_201, 1_201])
}

fn blank(storage: &CrashingStorage, sectors: &[usize]) {
    let mut bytes = storage.image()[SEGMENT].clone();
    for sector in sectors {
        bytes[sector * 512..][..512].fill(0);
    }
    storage.replace(SEGMENT, &bytes);
}

/// Blanks sectors; expects that many frames and that many bytes cut.
fn check_cut(sectors: &[usize], frames: usize, bytes_cut: u64) {
    for journal in [three_frames(), three_split_frames()] {
        check_cut_of(journal, sectors, frames, bytes_cut);
    }
}

fn check_cut_of(
    (storage, log): (CrashingStorage, Log),
    sectors: &[usize],
    frames: usize,
    bytes_cut: u64,
) {
    blank(&storage, sectors);
    let verified = verify(&storage, ID, no_frames).expect("a check");
    assert_eq!((verified.frames, verified.torn_bytes), (frames as u64, bytes_cut), "{sectors:?}");
    assert_eq!(verified.corruption, None);
    let options = options(16_384, 3_000);
    let (mut journal, recovery, mut found) =
        open(&storage, options, None).expect("a sound journal");
    assert_eq!(found.payloads, log.payloads[..frames], "{sectors:?}");
    assert_eq!(recovery.bytes_cut, bytes_cut, "{sectors:?}");
    commit(&mut journal, &mut found, b"next");
    storage.crash();
    assert!(contents(&storage, options) == found, "{sectors:?}");
}

/// Blanks sectors; expects corruption at that sector and an untouched disk.
fn check_corrupt(sectors: &[usize], at: u64, problem: Problem) {
    for (storage, _) in [three_frames(), three_split_frames()] {
        check_corrupt_in(&storage, sectors, at, problem);
    }
}

fn check_corrupt_in(storage: &CrashingStorage, sectors: &[usize], at: u64, problem: Problem) {
    blank(storage, sectors);
    let image = storage.image();
    let error = open(storage, options(16_384, 3_000), None).err().expect("a finding");
    let RecoverError::Corrupt(found) = error else { panic!("{error}") };
    assert_eq!((found.segment.as_str(), found.offset, found.problem), (SEGMENT, at * 512, problem));
    assert!(storage.is_image(&image));
    let verified = verify(storage, ID, no_frames).expect("a check");
    assert_eq!(verified.corruption, Some(found));
}

#[test]
fn an_incomplete_last_frame_is_cut() {
    check_cut(&[], 3, 0);
    check_cut(&[6, 7, 8], 2, 0);
    check_cut(&[8], 2, 1_024);
    check_cut(&[6], 2, 1_536);
    check_cut(&[7], 2, 1_536);
    check_cut(&[6, 7], 2, 1_536);
    check_cut(&[7, 8], 2, 512);
}

#[test]
fn a_hole_before_a_later_frame_is_corruption() {
    check_corrupt(&[2], 2, Problem::MissingSector);
    check_corrupt(&[3], 3, Problem::MissingSector);
    check_corrupt(&[4], 4, Problem::MissingSector);
    check_corrupt(&[5], 5, Problem::MissingSector);
    check_corrupt(&[3, 4, 5, 6, 7], 3, Problem::MissingSector);
    check_corrupt(&[1], 1, Problem::MissingSector);
}

#[test]
fn recovery_starts_after_any_known_position() {
    let options = options(4_096, 1_000);
    let (storage, log) = journal_of(options, &(0..40).map(|i| i * 23 % 1_000).collect::<Vec<_>>());
    for known in 1..=40 {
        let (journal, recovery, found) =
            open(&storage, options, log.position(known)).expect("a sound journal");
        assert_eq!(found.payloads, log.payloads[known..]);
        assert_eq!(recovery.frames as usize, 40 - known);
        assert_eq!(Some(journal.position()), log.position(40));
    }
}

#[test]
fn a_position_that_is_not_in_the_log_is_corruption() {
    let options = options(4_096, 1_000);
    let (storage, log) = journal_of(options, &[600; 40]);
    let beyond = Position { frame: 41, chain: [0; 32] };
    let nothing = CrashingStorage::new(0);
    let mut cases = vec![
        (&storage, beyond, Problem::EndsTooEarly),
        (&nothing, beyond, Problem::MissingSegment),
    ];
    for frame in 1..=40 {
        let chain = log.chains[frame % 40];
        cases.push((&storage, Position { frame: frame as u64, chain }, Problem::OtherHistory));
    }
    for (storage, after, problem) in cases {
        let error = open(storage, options, Some(after)).err().expect("a finding");
        let RecoverError::Corrupt(found) = error else { panic!("{error}") };
        assert_eq!(found.problem, problem, "after {}", after.frame);
    }
}

#[test]
fn what_the_caller_refuses_names_the_frame() {
    let (storage, _) = three_frames();
    let refuse_second = |frame: kilat_journal::FrameView<'_>| {
        if frame.number == 2 { Err("no such fact") } else { Ok(()) }
    };
    let options = options(16_384, 3_000);
    let result = kilat_journal::Journal::recover(storage, options, None, refuse_second);
    let error = result.err().expect("a refusal");
    assert!(matches!(error, RecoverError::Refused { frame: 2, error: "no such fact" }), "{error}");
}

#[test]
fn segments_double_and_sizes_may_change_between_starts() {
    let growing = kilat_journal::Options {
        first_segment_bytes: 2_048,
        segment_bytes_max: 8_192,
        payload_bytes_max: 700,
        ..options(0, 0)
    };
    let (storage, mut log) = journal_of(growing, &[700; 30]);
    let sizes: Vec<usize> = storage.image().values().map(Vec::len).collect();
    assert_eq!(sizes[..4], [2_048, 4_096, 8_192, 8_192]);
    let larger = kilat_journal::Options { payload_bytes_max: 9_000, ..growing };
    let (mut journal, _, _) = open(&storage, larger, None).expect("a sound journal");
    commit(&mut journal, &mut log, &[1; 9_000]);
    assert!(contents(&storage, growing) == log);
}

#[test]
fn a_blank_segment_too_small_for_a_frame_is_passed_over() {
    let small = options(2_048, 300);
    let (storage, mut log) = journal_of(small, &[300]);
    let (journal, _, _) = open(&storage, small, None).expect("a sound journal");
    let committer = kilat_journal::Committer::spawn(journal, Box::new(|_| {})).expect("threads");
    while !storage.image().contains_key("00000000000000000002.seg") {
        std::thread::yield_now();
    }
    drop(committer);
    let large = options(2_048, 9_000);
    let (mut journal, _, _) = open(&storage, large, None).expect("a sound journal");
    commit(&mut journal, &mut log, &[1; 9_000]);
    assert!(contents(&storage, large) == log);
}

/// Else a cut could leave the second without the first, which is what corruption looks like.
#[test]
fn a_frame_is_durable_before_the_next_is_written() {
    for seed in 0..50 {
        let storage = CrashingStorage::new(seed);
        let options = options(4_096, 1_000);
        let (mut journal, _, _) = open(&storage, options, None).expect("a new journal");
        for _ in 0..10 {
            journal.append(&[5; 600]).expect("an append");
        }
        storage.crash();
        assert!((9..=10).contains(&contents(&storage, options).payloads.len()));
    }
}

/// Changes a segment's bytes; expects corruption at that sector.
fn check_changed(storage: &CrashingStorage, change: impl Fn(&mut [u8]), at: u64) {
    let mut bytes = storage.image()[SEGMENT].clone();
    change(&mut bytes);
    storage.replace(SEGMENT, &bytes);
    let error = open(storage, options(16_384, 3_000), None).err().expect("a finding");
    let RecoverError::Corrupt(found) = error else { panic!("{error}") };
    assert_eq!((found.offset, found.problem), (at * 512, Problem::MisplacedSector));
}

#[test]
fn a_torn_frame_with_a_sector_in_the_wrong_place_is_corruption() {
    let (storage, _) = three_frames();
    let change = |bytes: &mut [u8]| {
        bytes.copy_within(7 * 512..8 * 512, 8 * 512);
        bytes[6 * 512..7 * 512].fill(0);
    };
    check_changed(&storage, change, 8);
}

#[test]
fn a_torn_frame_with_a_sector_behind_its_end_is_corruption() {
    let (storage, _) = three_frames();
    let (longer, _) = journal_of(options(16_384, 3_000), &[100, 1_200, 2_400]);
    let foreign = longer.image()[SEGMENT].clone();
    let change = |bytes: &mut [u8]| {
        bytes[7 * 512..8 * 512].fill(0);
        bytes[10 * 512..11 * 512].copy_from_slice(&foreign[10 * 512..11 * 512]);
    };
    check_changed(&storage, change, 10);
}

#[test]
fn a_segment_of_another_history_is_named_at_its_opening() {
    let options = options(4_096, 1_000);
    let (storage, _) = journal_of(options, &[600; 12]);
    let (other, _) = journal_of(options, &[610; 12]);
    let name = "00000000000000000002.seg";
    storage.replace(name, &other.image()[name]);
    let error = open(&storage, options, None).err().expect("a finding");
    let RecoverError::Corrupt(found) = error else { panic!("{error}") };
    assert_eq!((found.segment.as_str(), found.offset), (name, 512));
    assert_eq!(found.problem, Problem::BrokenChain);
}

#[test]
fn an_unfinished_segment_is_removed() {
    let (storage, log) = three_frames();
    storage.replace("00000000000000000002.seg.tmp", &[7; 700]);
    assert!(contents(&storage, options(16_384, 3_000)) == log);
    assert_eq!(storage.image().len(), 1);
}
