//! Data directories written by earlier versions are read exactly, and written again they come out
//! the same.
//!
//! `KILAT_BLESS=1 cargo test -p kilat-journal golden` writes the directories of the current
//! format that are missing, once, when a format is born.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use kilat_journal::{
    DataDirectory, Directory, Journal, LogReader, Options, Part, Position, SnapshotStore,
    forget_bodies, no_frames, verify,
};

use crate::log::only;

const FRAMES: u64 = 24;
const SNAPSHOT_AT: u64 = 15;

/// A directory, and what must be in it.
struct Golden {
    name: &'static str,
    /// The chain after the last frame.
    chain: &'static str,
    payload: fn(u64) -> Vec<u8>,
    /// How much of a payload is its head.
    head_bytes: fn(u64, &[u8]) -> Option<u32>,
    /// Segments whose bodies were forgotten.
    forgotten: &'static [u64],
    segment_bytes: u64,
}

/// Frames in one piece.
const WHOLE: Golden = Golden {
    name: "v1",
    chain: "70a1e331022756f4ce99ab06bbc0933428dec97fd02806d9e9aadfe60657830b",
    payload: |frame| format!("frame {frame}. ").repeat(frame as usize * 7 % 60).into_bytes(),
    head_bytes: |_, _| None,
    forgotten: &[],
    segment_bytes: 4_096,
};

/// Frames with a head and a body between some in one piece; two of the segments were forgotten.
const SPLIT: Golden = Golden {
    name: "v1-split",
    chain: "d52619ef0d2881cb38fa531ba01ed27281292973db10818450cd7569510e9b51",
    payload: |frame| format!("frame {frame}. ").repeat(frame as usize * 37 % 200).into_bytes(),
    head_bytes: |frame, payload| (frame % 4 > 0).then_some(payload.len() as u32 / 3),
    forgotten: &[2, 3],
    segment_bytes: 8_192,
};

const ALL: [Golden; 2] = [WHOLE, SPLIT];

impl Golden {
    fn path(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(self.name)
    }

    fn options(&self, data: &DataDirectory) -> Options {
        Options {
            first_segment_bytes: 2_048,
            segment_bytes_max: self.segment_bytes,
            payload_bytes_max: self.segment_bytes as usize / 4,
            ..Options::new(data.identity().journal_id("journal"))
        }
    }

    /// Writes all frames; calls `at` after each.
    fn write(&self, storage: &Directory, options: Options, mut at: impl FnMut(Position)) {
        let (mut journal, _) =
            Journal::recover(storage.clone(), options, None, no_frames).expect("a new journal");
        for frame in 1..=FRAMES {
            let payload = (self.payload)(frame);
            match (self.head_bytes)(frame, &payload) {
                Some(head_bytes) => journal.append_split(&payload, head_bytes),
                None => journal.append(&payload),
            }
            .expect("an append");
            journal.sync().expect("a sync");
            at(journal.position());
        }
        for segment in self.forgotten {
            let forgotten =
                forget_bodies(storage, options.id, *segment, |_, _, body| only(0..body));
            assert!(forgotten.expect("a sealed segment").bytes > 0, "no sector was all body");
        }
    }

    fn bless(&self) {
        let data = DataDirectory::open_or_create(self.path()).expect("a new directory");
        let options = self.options(&data);
        let storage = data.directory("journal").expect("a part");
        let snapshots = data.directory("snapshots").expect("a part");
        let mut snapshots = SnapshotStore::open(snapshots, options.id).expect("a store");
        self.write(&storage, options, |position| {
            if position.frame == SNAPSHOT_AT {
                let encode = Box::new(|out: &mut dyn Write| out.write_all(b"the state"));
                let part = Part { name: "state", version: 3, encode };
                snapshots.write(position, vec![part]).expect("a snapshot");
            }
            if position.frame == FRAMES {
                println!("the chain of {}: {}", self.name, hex(&position.chain));
            }
        });
        fs::remove_file(self.path().join("LOCK")).expect("no lock in the repository");
    }

    /// A copy that can be worked on.
    fn copied(&self) -> (tempfile::TempDir, DataDirectory, Options) {
        let place = tempfile::tempdir().expect("a directory");
        copy(&self.path(), place.path());
        let data = DataDirectory::open_existing(place.path()).expect("a data directory");
        let options = self.options(&data);
        (place, data, options)
    }

    /// Frame `number` as it is to be read in that segment.
    fn expected(&self, number: u64, segment: u64) -> (Vec<u8>, Option<u32>) {
        let mut payload = (self.payload)(number);
        let head_bytes = (self.head_bytes)(number, &payload);
        if let (Some(head), true) = (head_bytes, self.forgotten.contains(&segment)) {
            payload[head as usize..].fill(0);
        }
        (payload, head_bytes)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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

/// With `KILAT_BLESS` set, writes the directories that are missing in the current format.
#[test]
fn the_current_format_has_golden_directories() {
    for golden in ALL {
        if std::env::var_os("KILAT_BLESS").is_some() && !golden.path().exists() {
            golden.bless();
        }
        let marker = golden.path().join("KILAT");
        assert!(marker.exists(), "make {marker:?} with KILAT_BLESS=1 and commit it");
    }
}

#[test]
fn format_1_is_read_exactly_and_goes_on() {
    for golden in ALL {
        let (_place, data, options) = golden.copied();
        let snapshots = data.directory("snapshots").expect("a part");
        let mut snapshots = SnapshotStore::open(snapshots, options.id).expect("a store");
        let loaded = snapshots.load(|snapshot| snapshot.read("state"));
        let (position, state) = loaded.snapshot.expect("a snapshot");
        assert_eq!((position.frame, state.as_slice()), (SNAPSHOT_AT, &b"the state"[..]));
        for after in [None, Some(position)] {
            expect_frames(&golden, &data, options, after);
        }
        let storage = data.directory("journal").expect("a part");
        let (mut journal, _) =
            Journal::recover(storage.clone(), options, None, no_frames).expect("a sound journal");
        journal.append(b"more").expect("an append");
        journal.sync().expect("a sync");
        let verified = verify(&storage, options.id, no_frames).expect("a check");
        assert_eq!((verified.frames, verified.corruption), (FRAMES + 1, None));
    }
}

fn expect_frames(golden: &Golden, data: &DataDirectory, options: Options, after: Option<Position>) {
    let mut next = after.map_or(1, |position| position.frame + 1);
    let storage = data.directory("journal").expect("a part");
    let (journal, recovery) = Journal::recover(storage, options, after, |frame| {
        let expected = golden.expected(next, frame.place.segment);
        let found = (frame.payload.to_vec(), frame.head_bytes);
        let same = frame.number == next && found == expected;
        next += 1;
        if same { Ok(()) } else { Err(format!("frame {} differs", frame.number)) }
    })
    .expect("a sound journal");
    assert_eq!(journal.position().frame, FRAMES);
    assert_eq!(hex(&journal.position().chain), golden.chain, "{}", golden.name);
    assert_eq!((recovery.bytes_cut, recovery.created), (0, false));
}

#[test]
fn format_1_is_read_by_place() {
    for golden in ALL {
        let (_place, data, options) = golden.copied();
        let reader = LogReader::open(data.directory("journal").expect("a part"), options.id);
        for number in 1..=FRAMES {
            let frame = reader.find(number).expect("a sound journal").expect("a frame");
            let mut payload = Vec::new();
            let all = 0..frame.payload_bytes as usize;
            reader.read(&frame, all, &mut payload).expect("a sound frame");
            let expected = golden.expected(number, frame.place.segment);
            assert_eq!((payload, frame.head_bytes), expected, "{} {number}", golden.name);
        }
    }
}

#[test]
fn format_1_is_written_byte_for_byte() {
    for golden in ALL {
        let (_place, data, options) = golden.copied();
        let again = tempfile::tempdir().expect("a directory");
        golden.write(&Directory::new(again.path()), options, |_| {});
        let known = data.path().join("journal");
        let mut segments = 0;
        for entry in fs::read_dir(&known).expect("a listing").flatten() {
            let bytes = fs::read(entry.path()).expect("a segment");
            let written = fs::read(again.path().join(entry.file_name())).expect("a segment");
            assert!(written == bytes, "{} {:?} differs", golden.name, entry.file_name());
            segments += 1;
        }
        let written = fs::read_dir(again.path()).expect("a listing").count();
        assert_eq!(written, segments, "{}", golden.name);
    }
}
