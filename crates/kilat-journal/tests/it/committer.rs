//! Group commit: order, acknowledgement only when durable, full disks, failures.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use kilat_journal::simulation::{CrashingStorage, Fault, Operation};
use kilat_journal::{
    Committed, Committer, Directory, Frame, Journal, JournalFailure, Options, ReserveError,
    Storage, SubmitError, forget_bodies,
};

use crate::log::{ID, Log, contents, head_of, open, options};

/// Far longer than anything here takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

struct Running<S: Storage> {
    committer: Committer<S>,
    failures: mpsc::Receiver<JournalFailure>,
}

fn run<S: Storage>(journal: Journal<S>) -> Running<S> {
    let (report, failures) = mpsc::channel();
    let on_failure = Box::new(move |failure| report.send(failure).expect("a listener"));
    Running { committer: Committer::spawn(journal, on_failure).expect("threads"), failures }
}

fn start<S: Storage>(storage: &S, options: Options) -> (Running<S>, Log) {
    let (journal, _, log) = open(storage, options, None).expect("a sound journal");
    (run(journal), log)
}

impl<S: Storage> Running<S> {
    fn commit(&self, payload: &[u8]) -> Option<Committed> {
        commit(&self.committer, payload)
    }
}

/// Submits and waits for the answer; `None` if it was let go.
fn commit<S: Storage>(committer: &Committer<S>, payload: &[u8]) -> Option<Committed> {
    let (answer, answers) = mpsc::channel();
    let done = Box::new(move |committed| answer.send(committed).expect("a waiting caller"));
    committer
        .submit(Frame {
            payload: payload.to_vec(),
            head_bytes: head_of(payload),
            begins_segment: false,
            done,
        })
        .ok()?;
    answers.recv_timeout(PATIENCE).ok()
}

#[test]
fn many_threads_on_real_files_are_acknowledged_in_order_and_found_again() {
    const THREADS: u64 = 8;
    const FRAMES: u64 = 60;
    let place = tempfile::tempdir().expect("a directory");
    let storage = Directory::new(place.path());
    let options = options(64 << 10, 8 << 10);
    let (running, _) = start(&storage, options);
    let (send, receive) = mpsc::channel();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (send, committer) = (send.clone(), &running.committer);
            scope.spawn(move || {
                for i in 0..FRAMES {
                    let length = 1 + (number * 997 + i * 131) as usize % (8 << 10);
                    let payload = vec![number as u8; length];
                    let copy = payload.clone();
                    let send = send.clone();
                    let done = move |committed: Committed| {
                        send.send((committed.position, copy)).expect("a listener");
                    };
                    let head_bytes = head_of(&payload);
                    let frame =
                        Frame { payload, head_bytes, begins_segment: false, done: Box::new(done) };
                    committer.submit(frame).expect("a running committer");
                }
            });
        }
    });
    drop(send);
    running.committer.close().expect("a sound journal");
    let mut acknowledged = Log::default();
    for (position, payload) in receive {
        acknowledged.push(&payload, position.chain);
        assert_eq!(position.frame, acknowledged.payloads.len() as u64, "out of order");
    }
    assert_eq!(acknowledged.payloads.len() as u64, THREADS * FRAMES);
    assert!(contents(&storage, options) == acknowledged);
    assert!(running.failures.try_recv().is_err());
}

#[test]
fn a_barrier_waits_for_earlier_frames_and_writes_nothing() {
    let storage = CrashingStorage::new(0);
    let (running, _) = start(&storage, options(8_192, 2_000));
    let frames = AtomicU64::new(0);
    for _ in 0..3 {
        frames.fetch_add(1, Ordering::Relaxed);
        running
            .committer
            .submit(Frame {
                payload: vec![1; 50],
                head_bytes: None,
                begins_segment: false,
                done: Box::new(|_| {}),
            })
            .unwrap();
    }
    let (answer, answers) = mpsc::channel();
    let barrier = Box::new(move |committed| answer.send(committed).unwrap());
    running.committer.submit_barrier(barrier).unwrap();
    let committed = answers.recv_timeout(PATIENCE).expect("an answer");
    assert_eq!(committed.position.frame, frames.into_inner());
    assert!(committed.payload.is_empty());
    let journal = running.committer.close().expect("a sound journal");
    assert_eq!(journal.position().frame, 3);
}

#[test]
fn the_payload_buffer_comes_back_empty_with_its_capacity() {
    let (running, _) = start(&CrashingStorage::new(0), options(8_192, 2_000));
    let committed = running.commit(&[5; 1_000]).expect("an answer");
    assert!(committed.payload.is_empty() && committed.payload.capacity() >= 1_000);
}

#[test]
fn close_commits_what_was_taken_and_the_journal_can_go_on() {
    let storage = CrashingStorage::new(0);
    let (running, _) = start(&storage, options(8_192, 2_000));
    let (answer, answers) = mpsc::channel();
    for _ in 0..20 {
        let answer = answer.clone();
        let done = Box::new(move |committed: Committed| answer.send(committed.position).unwrap());
        running
            .committer
            .submit(Frame {
                payload: vec![9; 1_500],
                head_bytes: None,
                begins_segment: false,
                done,
            })
            .unwrap();
    }
    let journal = running.committer.close().expect("a sound journal");
    drop(answer);
    assert_eq!(answers.iter().count(), 20);
    let again = run(journal);
    assert_eq!(again.commit(b"more").expect("an answer").position.frame, 21);
    drop(again.committer);
    storage.crash();
    assert_eq!(contents(&storage, options(8_192, 2_000)).payloads.len(), 21);
}

#[test]
fn a_failed_write_or_sync_of_a_frame_answers_nobody_again_and_tells_once() {
    for (kind, frames_before) in [(Operation::Write, 0), (Operation::Sync, 0), (Operation::Sync, 2)]
    {
        let storage = CrashingStorage::new(1);
        let options = options(1 << 20, 2_000);
        let (running, _) = start(&storage, options);
        // The fault is for the frame, so the segment made ahead must be there.
        while !storage.image().contains_key("00000000000000000002.seg") {
            thread::yield_now();
        }
        storage.sync_directory().expect("a settled directory");
        let mut acknowledged = 0;
        for _ in 0..frames_before {
            acknowledged += u64::from(running.commit(b"before").is_some());
        }
        storage.fail_nth(kind, 0, Fault::Io);
        assert!(running.commit(b"lost").is_none(), "{kind:?} failed and was acknowledged");
        let failure = running.failures.recv_timeout(PATIENCE).expect("a report");
        assert!(matches!(failure, JournalFailure::Append(_)), "{failure}");
        assert!(running.commit(b"later").is_none(), "a poisoned journal took a frame");
        assert_eq!(running.committer.reserve(10), Err(ReserveError::Stopped));
        running.committer.wait_ready();
        assert!(running.committer.close().is_none());
        assert!(running.failures.recv().is_err(), "told twice");
        storage.crash();
        let found = contents(&storage, options).payloads.len() as u64;
        assert!((acknowledged..=acknowledged + 1).contains(&found));
    }
}

#[test]
fn a_panicking_completion_stops_the_journal_and_is_told() {
    let (running, _) = start(&CrashingStorage::new(0), options(8_192, 2_000));
    let done = Box::new(|_: Committed| panic!("on purpose"));
    running
        .committer
        .submit(Frame { payload: vec![1], head_bytes: None, begins_segment: false, done })
        .unwrap();
    let failure = running.failures.recv_timeout(PATIENCE).expect("a report");
    assert!(matches!(failure, JournalFailure::Panicked));
    assert!(running.commit(b"later").is_none());
}

#[test]
fn a_full_disk_refuses_reservations_and_heals_by_itself() {
    let storage = CrashingStorage::new(0);
    let options = options(8_192, 2_000);
    let (journal, _, _) = open(&storage, options, None).expect("a new journal");
    storage.fill_up();
    let running = run(journal);
    let mut committed = 0;
    let cause = loop {
        match running.committer.reserve(2_000) {
            Ok(()) => {
                // Shorter than reserved, as a batch usually is.
                running.commit(&[3; 1_200]).expect("reserved frames are written");
                committed += 1;
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(cause, ReserveError::StorageFull(_)), "{cause}");
    assert!(committed > 0);
    assert!(storage.image().keys().all(|name| name.ends_with(".seg")), "a half segment stayed");
    storage.heal();
    let healed = Instant::now();
    while running.committer.reserve(2_000).is_err() {
        assert!(healed.elapsed() < PATIENCE, "it never healed");
        thread::yield_now();
    }
    running.commit(&[4; 2_000]).expect("an answer");
    running.committer.close().expect("a sound journal");
    storage.crash();
    assert_eq!(contents(&storage, options).payloads.len(), committed + 1);
}

#[test]
fn a_frame_that_was_not_reserved_waits_for_room() {
    let storage = CrashingStorage::new(0);
    let (journal, _, _) = open(&storage, options(4_096, 2_000), None).expect("a new journal");
    storage.fill_up();
    let running = run(journal);
    running.commit(&[1; 2_000]).expect("it still fits");
    thread::scope(|scope| {
        let committer = &running.committer;
        let waiting = scope.spawn(|| commit(committer, &[2; 2_000]));
        while !matches!(committer.reserve(2_000), Err(ReserveError::StorageFull(_))) {
            thread::yield_now();
        }
        assert!(!waiting.is_finished());
        storage.heal();
        let committed = waiting.join().expect("no panic").expect("an answer");
        assert_eq!(committed.position.frame, 2);
    });
}

#[test]
fn too_long_payloads_are_refused() {
    let (running, _) = start(&CrashingStorage::new(0), options(8_192, 2_000));
    let frame = Frame {
        payload: vec![0; 2_001],
        head_bytes: None,
        begins_segment: false,
        done: Box::new(|_| {}),
    };
    assert_eq!(running.committer.submit(frame), Err(SubmitError::TooLarge { bytes_max: 2_000 }));
    assert_eq!(running.committer.reserve(2_001), Err(ReserveError::TooLarge { bytes_max: 2_000 }));
    assert!(running.commit(&[0; 2_000]).is_some());
}

#[test]
fn a_frame_that_begins_a_segment_lets_all_before_it_be_forgotten() {
    let storage = CrashingStorage::new(0);
    let (running, _) = start(&storage, options(8_192, 2_000));
    let begin = |payload: Vec<u8>| {
        running.committer.reserve_segment(payload.len()).expect("room");
        let (answer, answers) = mpsc::channel();
        let done = Box::new(move |committed| answer.send(committed).expect("a waiting caller"));
        let frame = Frame { payload, head_bytes: None, begins_segment: true, done };
        running.committer.submit(frame).expect("a running committer");
        answers.recv_timeout(PATIENCE).expect("an answer")
    };
    for segment in 2..6 {
        assert_eq!(running.commit(&[1; 700]).expect("an answer").place.segment, segment - 1);
        assert_eq!(begin(vec![segment as u8; 300]).place.segment, segment);
        let forgotten = forget_bodies(&storage, ID, segment - 1, |_, _, _| Vec::new());
        assert!(forgotten.is_ok(), "segment {} is not sealed", segment - 1);
    }
    running.committer.close().expect("a sound journal");
    storage.crash();
    assert_eq!(start(&storage, options(8_192, 2_000)).1.payloads.len(), 8);
}

#[test]
fn without_room_for_another_segment_none_is_reserved_and_frames_go_on() {
    let storage = CrashingStorage::new(0);
    let (journal, _, _) = open(&storage, options(8_192, 2_000), None).expect("a new journal");
    storage.fill_up();
    let running = run(journal);
    let refused = running.committer.reserve_segment(300);
    assert!(matches!(refused, Err(ReserveError::StorageFull(_))), "{refused:?}");
    running.committer.reserve(300).expect("it still fits");
    running.commit(&[1; 300]).expect("an answer");
}
