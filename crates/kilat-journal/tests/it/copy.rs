//! Copies of a journal: taken at rest, while it grows, while bodies are forgotten, and refused.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kilat_journal::simulation::{CrashingStorage, Fault, Operation, Random};
use kilat_journal::{
    Copied, CopyError, FrameView, Journal, Options, RecoverError, copy, forget_bodies, no_frames,
    verify,
};

use crate::log::{ID, Log, append, bytes, commit, contents, journal_of, only, open, options, seed};

const FIRST: &str = "00000000000000000001.seg";

/// How much a journal may grow while a copy is taken of it: memory is fast.
const FRAMES_A_COPY: u64 = 50;

fn any_frame(_: &FrameView<'_>) -> Result<(), Infallible> {
    Ok(())
}

/// Segments of 32 sectors.
fn layout() -> Options {
    options(16_384, 3_000)
}

fn journal() -> (CrashingStorage, Log) {
    let lengths: Vec<usize> = (0..60).map(|i| i * 331 % 2_900).collect();
    journal_of(layout(), &lengths)
}

/// Copies, cuts the power of the copy, and checks that it is a sound journal, with these sums.
fn copied(storage: &CrashingStorage) -> (CrashingStorage, Copied) {
    let to = CrashingStorage::new(2);
    let copied = copy(storage, ID, &to, any_frame).expect("a copy");
    check(&to, &copied);
    (to, copied)
}

fn check(to: &CrashingStorage, copied: &Copied) {
    to.crash();
    let image = to.image();
    let names: Vec<&String> = copied.files.iter().map(|file| &file.name).collect();
    assert_eq!(names, image.keys().collect::<Vec<_>>());
    for file in &copied.files {
        let bytes = &image[&file.name];
        assert_eq!(file.bytes, bytes.len() as u64, "{}", file.name);
        assert_eq!(file.sum, *blake3::hash(bytes).as_bytes(), "{}", file.name);
    }
    let verified = verify(to, ID, no_frames).expect("a check");
    assert_eq!((verified.corruption, verified.torn_bytes), (None, 0));
    assert_eq!(verified.position, copied.position);
}

#[test]
fn a_copy_at_rest_has_every_frame_at_its_place_and_goes_on() {
    let (storage, mut log) = journal();
    let image = storage.image();
    let (to, copied) = copied(&storage);
    assert!(storage.is_image(&image), "the journal was changed");
    assert!(to.is_image(&image), "at rest a copy is the same to the byte");
    assert_eq!(copied.position, log.position(60).expect("60 frames"));
    let (mut journal, ..) = open(&to, layout(), None).expect("a sound journal");
    commit(&mut journal, &mut log, b"one more");
    drop(journal);
    assert!(contents(&to, layout()) == log);
}

#[test]
fn every_frame_is_shown_once_and_in_order() {
    let (storage, log) = journal();
    let mut seen = Vec::new();
    let see = |frame: &FrameView<'_>| {
        assert_eq!(frame.number, seen.len() as u64 + 1);
        seen.push(frame.payload.to_vec());
        Ok::<(), Infallible>(())
    };
    copy(&storage, ID, &CrashingStorage::new(2), see).expect("a copy");
    assert!(seen == log.payloads);
}

#[test]
fn an_empty_or_missing_journal_is_copied_as_it_is() {
    let (to, nothing) = copied(&CrashingStorage::new(1));
    assert_eq!((nothing.position.frame, to.image().len()), (0, 0));
    let (storage, _) = journal_of(layout(), &[]);
    let (_, new) = copied(&storage);
    assert_eq!((new.position.frame, new.files.len()), (0, 1));
}

#[test]
fn an_unfinished_frame_is_left_out() {
    let (storage, log) = journal_of(layout(), &[100, 1_800]);
    // The last frame loses its last sector: nobody was told of it.
    let bytes = storage.image()[FIRST].clone();
    let last = bytes.chunks(512).rposition(|sector| sector.iter().any(|b| *b != 0));
    let mut torn = bytes.clone();
    torn[last.expect("a frame") * 512..].fill(0);
    storage.replace(FIRST, &torn);
    let (to, copied) = copied(&storage);
    assert_eq!(copied.position.frame, 1);
    assert_eq!(contents(&to, layout()).payloads, log.payloads[..1]);
}

/// Nothing that a copy holds was not in the log, and nothing is missing that was durable before.
#[test]
fn copies_of_a_growing_journal_hold_all_that_was_acknowledged_before() {
    let storage = CrashingStorage::new(1);
    let (mut journal, _, mut log) = open(&storage, layout(), None).expect("a new journal");
    let (acknowledged, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let allowed = AtomicU64::new(FRAMES_A_COPY);
    let mut random = Random::new(seed());
    let mut copies = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                if log.payloads.len() as u64 >= allowed.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                    continue;
                }
                let length = random.below(2_900) as usize;
                commit(&mut journal, &mut log, &bytes(&mut random, length));
                acknowledged.store(log.payloads.len() as u64, Ordering::SeqCst);
            }
        });
        while copies.len() < 40 {
            let before = acknowledged.load(Ordering::SeqCst);
            let (to, copied) = copied(&storage);
            assert!(copied.position.frame >= before, "{before} were acknowledged");
            copies.push((to, copied));
            allowed.fetch_add(FRAMES_A_COPY, Ordering::Relaxed);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let frames: Vec<u64> = copies.iter().map(|(_, copied)| copied.position.frame).collect();
    println!("{frames:?} of {}", log.payloads.len());
    for (to, copied) in copies {
        let frames = copied.position.frame as usize;
        assert_eq!(contents(&to, layout()).payloads, log.payloads[..frames]);
    }
}

#[test]
fn a_log_that_grows_faster_than_it_is_copied_does_not_keep_the_copy_from_ending() {
    // Larger than what is read at once.
    let layout = options(1 << 20, 3_000);
    let (storage, _) = journal_of(layout, &[100; 200]);
    let (mut journal, ..) = open(&storage, layout, None).expect("a sound journal");
    let mut shown = 0;
    let outrun = |_: &FrameView<'_>| {
        shown += 1;
        assert!(shown < 3_000, "the end runs away");
        grow(&mut journal, 4);
        Ok::<(), Infallible>(())
    };
    let to = CrashingStorage::new(2);
    let copied = copy(&storage, ID, &to, outrun).expect("a copy");
    check(&to, &copied);
    assert!(copied.position.frame >= 200);
    assert_eq!(copied.files.len(), 2, "the segment that it began in, and a blank one");
    let (_, copied) = self::copied(&to);
    assert_eq!(copied.files.len(), 2, "a copy can be copied");
}

fn grow(journal: &mut Journal<CrashingStorage>, frames: usize) {
    for _ in 0..frames {
        append(journal, &[1; 700]).expect("an append");
        journal.sync().expect("a sync");
    }
}

/// Whatever shows that something was forgotten comes with the frame that said so.
#[test]
fn what_was_forgotten_while_a_copy_is_taken_comes_with_what_was_written_before() {
    let (storage, _) = journal_of(layout(), &[1_501; 30]);
    let (mut journal, ..) = open(&storage, layout(), None).expect("a sound journal");
    let mut rule = None;
    let forgetting = |frame: &FrameView<'_>| {
        if frame.number == 1 {
            // Segments away from where the log was when copying began.
            grow(&mut journal, 60);
            rule = Some(append(&mut journal, b"the rule").expect("an append"));
            journal.sync().expect("a sync");
            grow(&mut journal, 60);
            let done = forget_bodies(&storage, ID, 2, |_, _, bytes| only(0..bytes));
            assert!(done.expect("a sealed segment").frames > 0);
        }
        Ok::<(), Infallible>(())
    };
    let to = CrashingStorage::new(2);
    let copied = copy(&storage, ID, &to, forgetting).expect("a copy");
    check(&to, &copied);
    let rule = rule.expect("a rule");
    assert!(copied.position.frame >= rule, "ends at {}", copied.position.frame);
    assert_eq!(contents(&to, layout()).payloads[rule as usize - 1], b"the rule");
}

#[test]
fn damage_is_named_and_never_copied() {
    let (before, _) = journal();
    let image = before.image();
    for (name, bytes) in &image {
        let used = bytes.chunks(512).rposition(|sector| sector.iter().any(|b| *b != 0));
        for sector in (0..=used.expect("a header")).step_by(5) {
            let storage = CrashingStorage::from_image(&image);
            storage.damage(name, sector * 512 + 100, 1);
            let refused = copy(&storage, ID, &CrashingStorage::new(2), any_frame);
            let Err(CopyError::Source(RecoverError::Corrupt(found))) = refused else {
                panic!("{name}, sector {sector}: {refused:?}");
            };
            assert_eq!((&found.segment, found.offset / 512), (name, sector as u64));
        }
    }
}

#[test]
fn a_lost_end_that_later_segments_show_is_named() {
    let (storage, _) = journal();
    let mut bytes = storage.image()[FIRST].clone();
    let last = bytes.chunks(512).rposition(|sector| sector.iter().any(|b| *b != 0));
    bytes[last.expect("a seal") * 512..].fill(0);
    storage.replace(FIRST, &bytes);
    let refused = copy(&storage, ID, &CrashingStorage::new(2), any_frame);
    assert!(matches!(refused, Err(CopyError::Source(RecoverError::Corrupt(_)))), "{refused:?}");
}

#[test]
fn a_copy_that_can_t_be_written_is_none_and_the_journal_is_as_it_was() {
    let (storage, _) = journal();
    let image = storage.image();
    let done = CrashingStorage::new(2);
    copy(&storage, ID, &done, any_frame).expect("a copy");
    for fault in [Fault::NoSpace, Fault::Io, Fault::PowerCut] {
        for operation in 0..done.operations() {
            let to = CrashingStorage::new(2);
            to.fail_at(operation, fault);
            let refused = copy(&storage, ID, &to, any_frame);
            assert!(matches!(refused, Err(CopyError::Target(_))), "{fault:?} at {operation}");
            assert!(storage.is_image(&image));
        }
    }
}

#[test]
fn what_can_t_be_made_durable_in_the_journal_is_not_taken_for_copied() {
    let (storage, _) = journal();
    storage.fail_nth(Operation::Sync, 0, Fault::Io);
    let refused = copy(&storage, ID, &CrashingStorage::new(2), any_frame);
    assert!(matches!(refused, Err(CopyError::Source(RecoverError::Io(_)))), "{refused:?}");
}

#[test]
fn whoever_looks_at_the_frames_can_stop_the_copy() {
    let (storage, _) = journal();
    let stop = |frame: &FrameView<'_>| if frame.number == 7 { Err("enough") } else { Ok(()) };
    let refused = copy(&storage, ID, &CrashingStorage::new(2), stop);
    let Err(CopyError::Source(RecoverError::Refused { frame, error })) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((frame, error), (7, "enough"));
}
