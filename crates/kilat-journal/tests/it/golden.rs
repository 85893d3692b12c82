//! Data directories written by earlier versions are read exactly.
//!
//! `KILAT_BLESS=1 cargo test -p kilat-journal golden` writes the directory of the current format,
//! once, when a format is born.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use kilat_journal::{DataDirectory, Journal, Options, Part, SnapshotStore, no_frames, verify};

const FRAMES: u64 = 24;
const SNAPSHOT_AT: u64 = 15;
/// The chain after the last frame of `v1`.
const CHAIN: &str = "70a1e331022756f4ce99ab06bbc0933428dec97fd02806d9e9aadfe60657830b";

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

fn payload(frame: u64) -> Vec<u8> {
    format!("frame {frame}. ").repeat(frame as usize * 7 % 60).into_bytes()
}

fn small(data: &DataDirectory) -> Options {
    Options {
        first_segment_bytes: 2_048,
        segment_bytes_max: 4_096,
        payload_bytes_max: 1_024,
        ..Options::new(data.identity().journal_id("journal"))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// With `KILAT_BLESS` set and no golden directory there, writes one in the current format.
#[test]
fn the_current_format_has_a_golden_directory() {
    if std::env::var_os("KILAT_BLESS").is_some() && !golden().exists() {
        bless();
    }
    assert!(golden().join("KILAT").exists(), "make it with KILAT_BLESS=1 and commit it");
}

fn bless() {
    let data = DataDirectory::open_or_create(golden()).expect("a new directory");
    let options = small(&data);
    let storage = data.directory("journal").expect("a part");
    let (mut journal, _) =
        Journal::recover(storage, options, None, no_frames).expect("a new journal");
    let snapshots = data.directory("snapshots").expect("a part");
    let mut snapshots = SnapshotStore::open(snapshots, options.id).expect("a store");
    for frame in 1..=FRAMES {
        journal.append(&payload(frame)).expect("an append");
        journal.sync().expect("a sync");
        if frame == SNAPSHOT_AT {
            let encode = Box::new(|out: &mut dyn Write| out.write_all(b"the state"));
            let part = Part { name: "state", version: 3, encode };
            snapshots.write(journal.position(), vec![part]).expect("a snapshot");
        }
    }
    println!("CHAIN: {}", hex(&journal.position().chain));
    fs::remove_file(golden().join("LOCK")).expect("no lock in the repository");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a listing").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

#[test]
fn format_1_is_read_exactly_and_goes_on() {
    let place = tempfile::tempdir().expect("a directory");
    copy(&golden(), place.path());
    let data = DataDirectory::open_existing(place.path()).expect("a data directory");
    let options = small(&data);
    let snapshots = data.directory("snapshots").expect("a part");
    let mut snapshots = SnapshotStore::open(snapshots, options.id).expect("a store");
    let loaded = snapshots.load(|snapshot| snapshot.read("state"));
    let (position, state) = loaded.snapshot.expect("a snapshot");
    assert_eq!((position.frame, state.as_slice()), (SNAPSHOT_AT, &b"the state"[..]));
    for after in [None, Some(position)] {
        let mut next = after.map_or(1, |position| position.frame + 1);
        let storage = data.directory("journal").expect("a part");
        let (journal, recovery) = Journal::recover(storage, options, after, |frame| {
            let same = frame.number == next && frame.payload == payload(next);
            next += 1;
            if same { Ok(()) } else { Err(format!("frame {} differs", frame.number)) }
        })
        .expect("a sound journal");
        assert_eq!(journal.position().frame, FRAMES);
        assert_eq!(hex(&journal.position().chain), CHAIN);
        assert_eq!((recovery.bytes_cut, recovery.created), (0, false));
    }
    let storage = data.directory("journal").expect("a part");
    let (mut journal, _) =
        Journal::recover(storage.clone(), options, None, no_frames).expect("a sound journal");
    journal.append(b"more").expect("an append");
    journal.sync().expect("a sync");
    let verified = verify(&storage, options.id, no_frames).expect("a check");
    assert_eq!((verified.frames, verified.corruption), (FRAMES + 1, None));
}
