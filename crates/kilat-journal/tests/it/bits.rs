//! Damage at rest: every bit flipped, every truncation. Either all frames come back, or the error
//! names the place and nothing on disk has changed.

use std::collections::BTreeMap;
use std::thread;

use kilat_journal::simulation::CrashingStorage;
use kilat_journal::{Corruption, LogReader, Options, Problem, RecoverError, forget_bodies};

use crate::log::{ID, Log, head_of, journal_of, only, open, options};

const SEGMENT_BYTES: usize = 32 << 10;
const THREADS: usize = 2;

/// What is on disk, what it means, and the journal's layout.
type Written = (BTreeMap<String, Vec<u8>>, Log, Options);

/// Two segments of 32 KiB, the first sealed, the second with some blank sectors left.
fn journal() -> Written {
    let options = options(SEGMENT_BYTES as u64, 3_000);
    let lengths: Vec<usize> = (0..38).map(|i| (i * 331) % 2_600).collect();
    let (storage, log) = journal_of(options, &lengths);
    let image = storage.image();
    assert_eq!(image.values().map(Vec::len).collect::<Vec<_>>(), [SEGMENT_BYTES; 2]);
    assert!(image.values().all(|bytes| bytes[SEGMENT_BYTES - 512..].iter().all(|b| *b == 0)));
    (image, log, options)
}

/// The same, after most of each body in the sealed segment was forgotten.
fn forgotten() -> Written {
    let (image, mut log, options) = journal();
    let storage = CrashingStorage::from_image(&image);
    forget_bodies(&storage, ID, 1, |frame, _, bytes| {
        let payload = &mut log.payloads[frame as usize - 1];
        let body = payload.len() - bytes;
        payload[body..body + bytes * 3 / 4].fill(0);
        only(0..bytes * 3 / 4)
    })
    .expect("a sealed segment");
    (storage.image(), log, options)
}

/// Recovers a damaged journal: `None` if it came back whole, else what was found.
fn recover(storage: &CrashingStorage, options: Options, log: &Log) -> Option<Corruption> {
    match open(storage, options, None) {
        Ok((_, _, recovered)) => {
            assert!(recovered == *log, "recovery returned something else");
            None
        }
        Err(RecoverError::Corrupt(corruption)) => Some(corruption),
        Err(error) => panic!("not a finding: {error}"),
    }
}

#[test]
fn every_flipped_bit_is_named_with_its_sector() {
    let (image, log, options) = forgotten();
    let places: Vec<(&String, usize)> = image
        .keys()
        .flat_map(|name| (0..SEGMENT_BYTES).map(move |offset| (name, offset)))
        .collect();
    assert_eq!(places.len() * 8, 524_288);
    thread::scope(|scope| {
        for part in places.chunks(places.len() / THREADS) {
            let (image, log) = (&image, &log);
            scope.spawn(move || {
                let storage = CrashingStorage::from_image(image);
                for (name, offset) in part {
                    flip_bits_of(&storage, options, log, name, *offset);
                }
                assert!(storage.is_image(image), "recovery changed something");
            });
        }
    });
}

fn flip_bits_of(storage: &CrashingStorage, options: Options, log: &Log, name: &str, offset: usize) {
    for bit in 0..8 {
        storage.damage(name, offset, 1 << bit);
        let found = recover(storage, options, log);
        storage.damage(name, offset, 1 << bit);
        let found = found.unwrap_or_else(|| panic!("bit {bit} of byte {offset} went unnoticed"));
        assert_eq!((found.segment.as_str(), found.offset as usize / 512), (name, offset / 512));
    }
}

#[test]
fn every_truncation_is_named() {
    let (image, log, options) = forgotten();
    for (name, bytes) in &image {
        let storage = CrashingStorage::from_image(&image);
        for length in (0..bytes.len()).chain([bytes.len() + 1, bytes.len() + 512]) {
            let mut other = bytes[..length.min(bytes.len())].to_vec();
            other.resize(length, 0);
            storage.replace(name, &other);
            let found = recover(&storage, options, &log).expect("a finding");
            assert_eq!(found.segment, *name);
            assert_eq!((found.offset, found.problem), (length as u64, Problem::WrongLength));
        }
    }
}

#[test]
fn lost_sectors_are_named_unless_they_are_the_last_frames() {
    check_lost_sectors(journal(), 0);
}

/// Who knows what was to be forgotten can tell a lost sector of such a body from a forgotten one,
/// the journal can't.
#[test]
fn lost_sectors_of_a_forgotten_segment_are_named_unless_they_are_all_body() {
    let (image, log, options) = forgotten();
    let reader = LogReader::open(CrashingStorage::from_image(&image), ID);
    let bodies = (1..=log.payloads.len() as u64).map(|number| {
        let frame = reader.find(number).expect("a sound journal").expect("a frame");
        let (bytes, first) = (&image[&format!("{:020}.seg", frame.place.segment)], frame.place);
        let Some(head_bytes) = frame.head_bytes.filter(|_| first.segment == 1) else {
            return 0;
        };
        let first_body = first.sector as usize + (76 + head_bytes as usize).div_ceil(496);
        let sectors = bytes.chunks(512).take(frame.next.sector as usize).skip(first_body);
        sectors.filter(|sector| sector.iter().any(|byte| *byte != 0)).count()
    });
    let bodies = bodies.sum();
    assert!(bodies > 5, "{bodies}");
    check_lost_sectors((image, log, options), bodies);
}

/// Loses each sector in turn; `bodies` are not named, since their bytes were to be forgotten.
fn check_lost_sectors((image, log, options): Written, bodies: usize) {
    let last = log.payloads.len() - 1;
    let mut shorter = log.clone();
    shorter.payloads.truncate(last);
    shorter.chains.truncate(last);
    let (mut silent, mut forgotten) = (0, 0);
    for (name, bytes) in &image {
        for sector in bytes.chunks(512).enumerate().filter(|(_, s)| s.iter().any(|b| *b != 0)) {
            let mut other = bytes.clone();
            other[sector.0 * 512..][..512].fill(0);
            let storage = CrashingStorage::from_image(&image);
            storage.replace(name, &other);
            match open(&storage, options, None) {
                Err(RecoverError::Corrupt(found)) => {
                    assert_eq!(found.segment, *name);
                    assert_eq!(found.offset, sector.0 as u64 * 512);
                    assert!(storage.image()[name] == other, "recovery changed something");
                }
                // Indistinguishable from a frame that nobody was told of.
                Ok((_, _, recovered)) if recovered == shorter => silent += 1,
                Ok((_, _, recovered)) if lost_part_of_a_body(&log, &recovered) => forgotten += 1,
                _ => panic!("sector {} of {name} was lost without a word", sector.0),
            }
        }
    }
    let last = &log.payloads[last];
    let header = if head_of(last).is_some() { 76 } else { 72 };
    let sectors_of_last = (header + last.len()).div_ceil(496);
    assert_eq!((silent, forgotten), (sectors_of_last, bodies));
}

/// Whether one frame differs, and only by zeros in its body.
fn lost_part_of_a_body(log: &Log, recovered: &Log) -> bool {
    let pairs = || log.payloads.iter().zip(&recovered.payloads);
    let is_lost = |(known, found): (&Vec<u8>, &Vec<u8>)| {
        let head = head_of(known).map_or(known.len(), |head| head as usize);
        let bytes = || known.iter().zip(found).enumerate();
        known.len() == found.len()
            && bytes().all(|(at, (known, found))| known == found || at >= head && *found == 0)
    };
    let changed = pairs().filter(|(known, found)| known != found).count();
    log.chains == recovered.chains && changed == 1 && pairs().all(is_lost)
}

#[test]
fn swapped_and_copied_sectors_are_found() {
    check_swapped_sectors(journal());
    check_swapped_sectors(forgotten());
}

fn check_swapped_sectors((image, log, options): Written) {
    let names: Vec<&String> = image.keys().collect();
    for (from, to) in [(2, 3), (3, 2), (2, 40), (40, 2), (1, 2), (2, 63), (30, 62)] {
        for (source, target) in [(0, 0), (1, 1), (0, 1), (1, 0)] {
            let storage = CrashingStorage::from_image(&image);
            let mut other = image[names[target]].clone();
            other[to * 512..][..512].copy_from_slice(&image[names[source]][from * 512..][..512]);
            if other == image[names[target]] {
                continue;
            }
            storage.replace(names[target], &other);
            let found = recover(&storage, options, &log).expect("a finding");
            assert_eq!(found.segment, *names[target], "{from} to {to}");
            assert!(storage.image()[names[target]] == other, "recovery changed something");
        }
    }
}

#[test]
fn a_missing_or_foreign_segment_is_named() {
    let (image, log, options) = journal();
    let names: Vec<&String> = image.keys().collect();
    for name in &names {
        let storage = CrashingStorage::from_image(&image);
        storage.erase(name);
        let found = recover(&storage, options, &log).expect("a finding");
        assert_eq!((&found.segment, found.problem), (*name, Problem::MissingSegment));
    }
    let storage = CrashingStorage::from_image(&image);
    storage.replace(names[1], &image[names[0]]);
    let found = recover(&storage, options, &log).expect("a finding");
    assert_eq!((&found.segment, found.problem), (names[1], Problem::ForeignSegment));
    let stranger = Options { id: kilat_journal::JournalId([9; 16]), ..options };
    let storage = CrashingStorage::from_image(&image);
    let found = recover(&storage, stranger, &log).expect("a finding");
    assert_eq!(found.problem, Problem::ForeignSegment);
}

/// The same journal with another history, as an old backup would be: all sectors are valid.
#[test]
fn frames_of_another_history_are_found() {
    let options = options(SEGMENT_BYTES as u64, 3_000);
    let (storage, log) = journal_of(options, &[900, 1_000, 1_000, 0]);
    let (other, _) = journal_of(options, &[910, 1_000, 1_000, 0]);
    let name = "00000000000000000001.seg";
    // Frames start at sectors 2, 4, 7 and 10.
    for (sectors, at, problem) in [
        (4..7, 4, Problem::BrokenChain),
        (5..6, 4, Problem::WrongDigest),
        (10..11, 10, Problem::BrokenChain),
        (2..4, 4, Problem::BrokenChain),
    ] {
        let (image, foreign) = (storage.image(), other.image());
        let mut bytes = image[name].clone();
        let range = sectors.start * 512..sectors.end * 512;
        bytes[range.clone()].copy_from_slice(&foreign[name][range]);
        let damaged = CrashingStorage::from_image(&image);
        damaged.replace(name, &bytes);
        let Some(found) = recover(&damaged, options, &log) else {
            panic!("sectors {sectors:?} went unnoticed");
        };
        assert_eq!(found.offset, at * 512, "{sectors:?}: {found}");
        assert!(found.problem == problem || sectors.start == 2, "{sectors:?}: {found}");
    }
}
