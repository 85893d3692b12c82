//! Frames read by their place, also while the journal is being written.

use kilat_journal::simulation::{CrashingStorage, Random};
use kilat_journal::{
    Directory, FrameInfo, Journal, LogReader, Place, Problem, ReadError, Storage, forget_bodies,
    no_frames,
};

use crate::log::{ID, Log, bytes, commit, head_of, journal_of, only, open, options};

const SEGMENT: &str = "00000000000000000001.seg";

/// All frames from the first on.
fn walk<S: Storage>(reader: &LogReader<S>) -> Vec<FrameInfo> {
    let mut frames = Vec::new();
    let mut next = reader.find(1).expect("a sound journal");
    while let Some(frame) = next {
        frames.push(frame);
        next = reader.after(&frame).expect("a sound journal");
    }
    frames
}

fn check<S: Storage>(reader: &LogReader<S>, log: &Log, random: &mut Random) {
    let frames = walk(reader);
    assert_eq!(frames.len(), log.payloads.len());
    for (frame, payload) in frames.iter().zip(&log.payloads) {
        assert_eq!(frame.payload_bytes as usize, payload.len());
        assert_eq!(frame.head_bytes, head_of(payload));
        assert_eq!(reader.find(frame.number).expect("a frame"), Some(*frame));
        assert_eq!(reader.frame(frame.place).expect("a frame"), *frame);
        let mut ranges = vec![0..payload.len(), 0..0];
        for _ in 0..4 {
            let start = random.below(payload.len() as u64 + 1) as usize;
            let length = random.below((payload.len() - start) as u64 + 1) as usize;
            ranges.push(start..start + length);
        }
        for range in ranges {
            let mut read = b"before".to_vec();
            reader.read(frame, range.clone(), &mut read).expect("a sound frame");
            assert_eq!(read, [b"before", &payload[range]].concat());
        }
    }
    let end = log.payloads.len() as u64;
    assert_eq!(reader.find(end + 1).expect("no frame"), None);
}

#[test]
fn every_range_of_every_frame_is_read_over_segment_ends() {
    let mut lengths: Vec<usize> = (0..120).map(|i| i * 97 % 1_900).collect();
    // Exactly two sectors.
    lengths.extend([2 * 496 - 72; 2]);
    let (storage, log) = journal_of(options(8_192, 1_900), &lengths);
    assert!(storage.image().len() > 10, "{} segments", storage.image().len());
    check(&LogReader::open(storage, ID), &log, &mut Random::new(5));
}

#[test]
fn a_reader_follows_a_writer_that_goes_past_the_cache() {
    let folder = tempfile::tempdir_in(".").expect("a directory");
    let storage = Directory::new(folder.path());
    let options = options(64 << 10, 3_000);
    let (mut journal, _) =
        Journal::recover(storage.clone(), options, None, no_frames).expect("a new journal");
    let reader = LogReader::open(storage, ID);
    let mut random = Random::new(3);
    let (mut log, mut last) = (Log::default(), None);
    for number in 1..=300 {
        let payload = bytes(&mut random, number * 37 % 3_000);
        commit(&mut journal, &mut log, &payload);
        let found = match &last {
            Some(last) => reader.after(last),
            None => reader.find(1),
        };
        let found = found.expect("a sound journal").expect("a durable frame");
        assert_eq!(found.place, journal.last_place());
        let mut read = Vec::new();
        reader.read(&found, 0..payload.len(), &mut read).expect("a durable frame");
        assert!(read == payload, "frame {number}");
        assert_eq!(reader.after(&found).expect("the end"), None);
        last = Some(found);
    }
    check(&reader, &log, &mut random);
}

/// Changes a sector's bytes; expects the damage to be found in a range that is in sectors 3 and 4
/// of the frame at sectors 2 to 4.
fn check_damage(sector: usize, change: impl Fn(&mut [u8]), problem: Option<Problem>) {
    let (storage, log) = journal_of(options(16_384, 3_000), &[1_201, 1_201]);
    let reader = LogReader::open(storage.clone(), ID);
    let frame = reader.find(1).expect("a sound journal").expect("a durable frame");
    let mut bytes = storage.image()[SEGMENT].clone();
    change(&mut bytes);
    storage.replace(SEGMENT, &bytes);
    let mut read = b"before".to_vec();
    let found = match reader.read(&frame, 500..1_000, &mut read) {
        Ok(()) => {
            assert_eq!(read, [b"before", &log.payloads[0][500..1_000]].concat());
            None
        }
        Err(ReadError::Corrupt(found)) => {
            assert_eq!(found.offset, sector as u64 * 512);
            assert_eq!(read, b"before", "half a range was left behind");
            Some(found.problem)
        }
        Err(ReadError::Io(failure)) => panic!("{failure}"),
    };
    assert_eq!(found, problem, "sector {sector}");
}

#[test]
fn damage_is_named_and_never_returned() {
    for (sector, is_needed) in [(2, false), (3, true), (4, true), (5, false)] {
        let expect = |problem| is_needed.then_some(problem);
        let start = sector * 512;
        check_damage(sector, |bytes| bytes[start + 100] ^= 4, expect(Problem::DamagedSector));
        let blank = |bytes: &mut [u8]| bytes[start..start + 512].fill(0);
        check_damage(sector, blank, expect(Problem::MissingSector));
        // The same sector of the next frame, and the one before of this frame.
        for other in [sector + 3, sector - 1] {
            let swap = |bytes: &mut [u8]| bytes.copy_within(other * 512..(other + 1) * 512, start);
            check_damage(sector, swap, expect(Problem::MisplacedSector));
        }
    }
}

#[test]
fn what_is_not_there_is_damage() {
    let (storage, _) = journal_of(options(16_384, 3_000), &[1_201]);
    let reader = LogReader::open(storage, ID);
    let frame = reader.find(1).expect("a sound journal").expect("a durable frame");
    let beyond = reader.read(&frame, 0..1_202, &mut Vec::new());
    assert!(matches!(beyond, Err(ReadError::Corrupt(_))), "{beyond:?}");
    // The middle of the frame, the sector after it, and beyond the segment.
    for sector in [3, 5, 32, u32::MAX] {
        let found = reader.frame(Place { sector, ..frame.place });
        assert!(matches!(found, Err(ReadError::Corrupt(_))), "{found:?}");
    }
    let found = reader.frame(Place { segment: 2, ..frame.place });
    assert!(matches!(found, Err(ReadError::Corrupt(_))), "{found:?}");
}

#[test]
fn what_the_cache_shows_wrong_is_asked_of_the_device() {
    let (storage, log) = journal_of(options(16_384, 3_000), &[1_201, 1_200]);
    // The frames are at sectors 2 and 5; the range below is in sector 3.
    let stale = |sector: usize| {
        storage.blank_in_cache(SEGMENT, sector);
        LogReader::open(storage.clone(), ID)
    };
    let first = stale(2).find(1).expect("a sound journal").expect("a durable frame");
    assert_eq!(stale(2).frame(first.place).expect("a durable frame"), first);
    let second = stale(5).after(&first).expect("a sound journal").expect("a durable frame");
    assert_eq!(second.number, 2);
    let mut read = Vec::new();
    stale(3).read(&first, 500..700, &mut read).expect("a durable frame");
    assert_eq!(read, log.payloads[0][500..700]);
}

#[test]
fn a_frame_looked_at_before_it_was_forgotten_is_read_as_what_is_left() {
    let (storage, log) = journal_of(options(4_096, 3_000), &[1_601, 1_601]);
    let reader = LogReader::open(storage.clone(), ID);
    let frame = reader.find(1).expect("a sound journal").expect("a durable frame");
    let head = frame.head_bytes.expect("a head") as usize;
    forget_bodies(&storage, ID, 1, |_, _, body| only(0..body)).expect("a sealed segment");
    let read = |range: std::ops::Range<usize>| {
        let mut read = Vec::new();
        reader.read(&frame, range, &mut read).expect("a sound frame");
        read
    };
    assert!(read(0..1_601) == log.payloads[0], "the old file is still open");
    reader.forget_file(1);
    assert!(read(0..head) == log.payloads[0][..head]);
    assert!(read(head..1_601) == vec![0; 1_601 - head]);
    assert!(read(1_500..1_601) == [0; 101]);
    // A blank sector of a head stays damage, also at this second look.
    let mut bytes = storage.image()[SEGMENT].clone();
    bytes[3 * 512..4 * 512].fill(0);
    storage.replace(SEGMENT, &bytes);
    let lost = reader.read(&frame, 0..head, &mut Vec::new());
    assert!(matches!(lost, Err(ReadError::Corrupt(_))), "{lost:?}");
}

#[test]
fn open_files_are_bounded() {
    let folder = tempfile::tempdir_in(".").expect("a directory");
    let folder = folder.path().canonicalize().expect("a directory");
    let storage = Directory::new(&folder);
    let options = options(2_048, 400);
    let (mut journal, _) =
        Journal::recover(storage.clone(), options, None, no_frames).expect("a new journal");
    while journal.last_place().segment < 80 {
        journal.append(&[1; 400]).expect("an append");
        journal.sync().expect("a sync");
    }
    let frames = journal.position().frame;
    drop(journal);
    let reader = LogReader::open(storage, ID);
    assert_eq!(walk(&reader).len() as u64, frames);
    let open = std::fs::read_dir("/proc/self/fd").expect("this process's files");
    let targets = open.flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
    let ours = targets.filter(|target| target.starts_with(&folder)).count();
    assert!((1..=64).contains(&ours), "{ours} files are open");
}

#[test]
fn an_empty_journal_has_no_frames() {
    let storage = CrashingStorage::new(1);
    let reader = LogReader::open(storage.clone(), ID);
    assert_eq!(reader.find(1).expect("nothing"), None, "before it was made");
    open(&storage, options(4_096, 100), None).expect("a new journal");
    assert_eq!(reader.find(1).expect("nothing"), None, "after");
}
