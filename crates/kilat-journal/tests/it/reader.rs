//! Frames read by their place, also while the journal is being written.

use kilat_journal::simulation::{CrashingStorage, Random};
use kilat_journal::{
    Directory, FrameInfo, Journal, LogReader, Problem, ReadError, Storage, forget_bodies, no_frames,
};

use crate::log::{ID, Log, bytes, commit, head_of, journal_of, open, options};

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
    let lengths: Vec<usize> = (0..120).map(|i| i * 97 % 1_900).collect();
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

#[test]
fn damage_is_named_and_never_returned() {
    let (storage, _) = journal_of(options(16_384, 3_000), &[1_201, 1_200]);
    let reader = LogReader::open(storage.clone(), ID);
    let frame = reader.find(1).expect("a frame").expect("a frame");
    let name = "00000000000000000001.seg";
    // The frame is at sectors 2, 3 and 4; the range below is in the second of them.
    for (sector, is_noticed) in [(2, false), (3, true), (4, false)] {
        storage.damage(name, sector * 512 + 100, 4);
        let mut read = Vec::new();
        let result = reader.read(&frame, 500..700, &mut read);
        storage.damage(name, sector * 512 + 100, 4);
        assert_eq!(result.is_err(), is_noticed, "sector {sector}");
        if let Err(ReadError::Corrupt(found)) = result {
            assert_eq!((found.offset, found.problem), (1_536, Problem::DamagedSector));
            assert!(read.is_empty(), "half a range was left behind");
        }
    }
    let beyond = reader.read(&frame, 0..1_202, &mut Vec::new());
    assert!(matches!(beyond, Err(ReadError::Corrupt(_))), "{beyond:?}");
    let middle = kilat_journal::Place { sector: 3, ..frame.place };
    assert!(matches!(reader.frame(middle), Err(ReadError::Corrupt(_))));
}

#[test]
fn what_the_cache_shows_wrong_is_asked_of_the_device() {
    let (storage, log) = journal_of(options(16_384, 3_000), &[1_201, 1_200]);
    let name = "00000000000000000001.seg";
    // The frames are at sectors 2 and 5; the range below is in sector 3.
    let stale = |sector: usize| {
        storage.blank_in_cache(name, sector);
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
    forget_bodies(&storage, ID, 1, |_, _, body| vec![0..body]).expect("a sealed segment");
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
    let mut bytes = storage.image()["00000000000000000001.seg"].clone();
    bytes[3 * 512..4 * 512].fill(0);
    storage.replace("00000000000000000001.seg", &bytes);
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
