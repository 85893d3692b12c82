//! Snapshots: a crash at any step leaves the one before, damage falls back, nothing is written
//! twice.

use std::cell::Cell;
use std::io::Write;

use kilat_journal::simulation::{CrashingStorage, Fault};
use kilat_journal::{
    JournalId, Loaded, Part, PartError, Position, Snapshot, SnapshotError, SnapshotStore, Storage,
    Written,
};

use crate::log::ID;

/// The parts of the snapshots in these tests: name and version. The content follows from both.
type Parts = &'static [(&'static str, u64)];

const FIRST: Parts = &[("orders-0", 1), ("orders-1", 1), ("sales", 1)];
const SECOND: Parts = &[("orders-0", 1), ("orders-1", 2), ("sales", 2)];
const THIRD: Parts = &[("orders-0", 1), ("orders-1", 3), ("sales", 2)];

const FAULTS: [Fault; 3] = [Fault::PowerCut, Fault::Io, Fault::NoSpace];

fn position(frame: u64) -> Position {
    Position { frame, chain: [frame as u8; 32] }
}

fn content(name: &str, version: u64) -> Vec<u8> {
    format!("{name} at {version}. ").repeat(100 * version as usize).into_bytes()
}

fn store<S: Storage>(storage: &S) -> SnapshotStore<S> {
    SnapshotStore::open(storage.clone(), ID).expect("a listing")
}

fn write<S: Storage>(
    store: &mut SnapshotStore<S>,
    frame: u64,
    parts: Parts,
) -> Result<Written, SnapshotError> {
    let parts = parts.iter().map(|(name, version)| Part {
        name,
        version: *version,
        encode: Box::new(|out: &mut dyn Write| out.write_all(&content(name, *version))),
    });
    store.write(position(frame), parts.collect())
}

/// Reads all parts and checks that they are what was written.
fn read<S: Storage>(snapshot: &Snapshot<'_, S>) -> Result<u64, PartError> {
    for part in snapshot.parts() {
        assert!(snapshot.read_part(part)? == content(&part.name, part.version));
    }
    assert_eq!(snapshot.position(), position(snapshot.position().frame));
    Ok(snapshot.position().frame)
}

fn load<S: Storage>(storage: &S) -> Loaded<u64> {
    store(storage).load(read)
}

fn frame(loaded: &Loaded<u64>) -> Option<u64> {
    loaded.snapshot.as_ref().map(|(_, frame)| *frame)
}

#[test]
fn unchanged_parts_are_not_written_again_and_two_snapshots_are_kept() {
    let storage = CrashingStorage::new(0);
    let mut snapshots = store(&storage);
    for (number, parts, written, kept) in [(10, FIRST, 3, 0), (20, SECOND, 2, 1), (30, THIRD, 1, 2)]
    {
        let done = write(&mut snapshots, number, parts).expect("a snapshot");
        assert_eq!((done.parts_written, done.parts_kept), (written, kept), "snapshot {number}");
        assert_eq!(frame(&load(&storage)), Some(number));
    }
    let files: Vec<String> = storage.image().into_keys().collect();
    assert_eq!(
        files,
        [
            "orders-0-0000000000000001.part",
            "orders-1-0000000000000002.part",
            "orders-1-0000000000000003.part",
            "sales-0000000000000002.part",
            "snapshot-00000000000000000020.manifest",
            "snapshot-00000000000000000030.manifest",
        ]
    );
}

#[test]
fn a_fault_at_any_step_leaves_a_snapshot_that_can_be_read() {
    for (fault, seed) in FAULTS.into_iter().flat_map(|fault| (0..16).map(move |s| (fault, s))) {
        for step in 0.. {
            let storage = CrashingStorage::new(seed);
            let mut snapshots = store(&storage);
            write(&mut snapshots, 10, FIRST).expect("a snapshot");
            write(&mut snapshots, 20, SECOND).expect("a snapshot");
            storage.fail_at(storage.operations() + step, fault);
            let result = write(&mut snapshots, 30, THIRD);
            if storage.is_fault_pending() {
                assert!(step > 5 && result.is_ok());
                break;
            }
            storage.crash();
            let loaded = load(&storage);
            let allowed: &[u64] = if result.is_ok() { &[30] } else { &[20, 30] };
            let found = frame(&loaded).expect("a snapshot");
            assert!(allowed.contains(&found), "{fault:?} at step {step}: {found}");
            assert_eq!(loaded.skipped, [""; 0], "{fault:?} at step {step}");
            let mut snapshots = store(&storage);
            snapshots.load(read).snapshot.expect("a snapshot");
            write(&mut snapshots, 40, THIRD).expect("it goes on");
            storage.crash();
            assert_eq!(frame(&load(&storage)), Some(40));
            assert!(storage.image().keys().all(|name| !name.ends_with(".tmp")));
        }
    }
}

#[test]
fn damage_falls_back_to_the_older_snapshot_and_then_to_the_log() {
    let storage = CrashingStorage::new(0);
    let mut snapshots = store(&storage);
    write(&mut snapshots, 10, FIRST).expect("a snapshot");
    write(&mut snapshots, 20, SECOND).expect("a snapshot");
    let image = storage.image();
    let cases: [(&str, Option<u64>, usize); 5] = [
        ("sales-0000000000000002.part", Some(10), 1),
        ("snapshot-00000000000000000020.manifest", Some(10), 1),
        ("sales-0000000000000001.part", Some(20), 0),
        ("snapshot-00000000000000000010.manifest", Some(20), 1),
        ("orders-0-0000000000000001.part", None, 2),
    ];
    for (file, expected, skipped) in cases {
        let length = image[file].len();
        let damages: [&dyn Fn(&CrashingStorage); 4] = [
            &|storage| storage.damage(file, length / 2, 1),
            &|storage| storage.replace(file, &image[file][..length - 1]),
            &|storage| storage.replace(file, b""),
            &|storage| storage.replace(file, &[&image[file][..], b"\n"].concat()),
        ];
        for damage in damages {
            let storage = CrashingStorage::from_image(&image);
            damage(&storage);
            let loaded = load(&storage);
            assert_eq!(frame(&loaded), expected, "{file}");
            assert_eq!(loaded.skipped.len(), skipped, "{file}: {:?}", loaded.skipped);
        }
    }
    let storage = CrashingStorage::from_image(&image);
    storage.erase("sales-0000000000000002.part");
    assert_eq!(frame(&load(&storage)), Some(10));
}

#[test]
fn every_flipped_bit_of_a_manifest_is_noticed() {
    let storage = CrashingStorage::new(0);
    write(&mut store(&storage), 10, FIRST).expect("a snapshot");
    let file = "snapshot-00000000000000000010.manifest";
    for offset in 0..storage.image()[file].len() {
        for bit in 0..8 {
            storage.damage(file, offset, 1 << bit);
            assert_eq!(frame(&load(&storage)), None, "bit {bit} of byte {offset}");
            storage.damage(file, offset, 1 << bit);
        }
    }
    assert_eq!(frame(&load(&storage)), Some(10));
}

/// The log leads to the same version again, but what is on disk under that name is bad.
#[test]
fn a_damaged_part_is_written_anew() {
    let storage = CrashingStorage::new(0);
    let mut snapshots = store(&storage);
    write(&mut snapshots, 10, FIRST).expect("a snapshot");
    write(&mut snapshots, 20, SECOND).expect("a snapshot");
    storage.damage("sales-0000000000000002.part", 3, 1);
    let mut snapshots = store(&storage);
    assert_eq!(frame(&snapshots.load(read)), Some(10));
    let written = write(&mut snapshots, 20, SECOND).expect("a snapshot");
    assert_eq!((written.parts_written, written.parts_kept), (2, 1));
    let loaded = load(&storage);
    assert_eq!((frame(&loaded), loaded.skipped.len()), (Some(20), 0));
}

#[test]
fn snapshots_of_another_journal_are_not_used() {
    let storage = CrashingStorage::new(0);
    write(&mut store(&storage), 10, FIRST).expect("a snapshot");
    let mut other = SnapshotStore::open(storage, JournalId([3; 16])).expect("a listing");
    assert_eq!(frame(&other.load(read)), None);
}

#[test]
fn parts_are_read_from_several_threads() {
    let place = tempfile::tempdir().expect("a directory");
    let storage = kilat_journal::Directory::new(place.path());
    write(&mut store(&storage), 10, FIRST).expect("a snapshot");
    let loaded: Loaded<usize> = store(&storage).load(|snapshot| {
        std::thread::scope(|scope| {
            let readers =
                snapshot.parts().iter().map(|p| scope.spawn(move || snapshot.read_part(p)));
            let readers: Vec<_> = readers.collect();
            readers.into_iter().map(|r| r.join().expect("no panic").map(|c| c.len())).sum()
        })
    });
    let expected: usize = FIRST.iter().map(|(name, version)| content(name, *version).len()).sum();
    assert_eq!(loaded.snapshot.expect("a snapshot").1, expected);
}

#[test]
fn names_that_are_no_plain_names_are_refused() {
    let storage = CrashingStorage::new(0);
    for name in ["", "../escape", "a/b", "A", "a.b", &"a".repeat(65)] {
        let called = Cell::new(false);
        let encode = |_: &mut dyn Write| {
            called.set(true);
            Ok(())
        };
        let part = Part { name, version: 1, encode: Box::new(encode) };
        let error = store(&storage).write(position(1), vec![part]).expect_err("a refusal");
        assert!(matches!(error, SnapshotError::BadName(_)), "{error}");
        assert!(!called.get() && storage.image().is_empty());
    }
}
