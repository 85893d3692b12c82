//! An index that is lost, stale, torn, damaged or of another log is noticed and made again, and
//! the answers are the same afterwards; a log that lost frames halts. (FAULTS 7 for the index.)

use kilat_eventlog::{OpenError, Origin, Verdict};
use kilat_journal::simulation::{CrashingStorage, Random};
use kilat_journal::{JournalId, Part, Problem, RecoverError, SnapshotStore};

use crate::model::{Event, Model};
use crate::rig::{GENERATION_EVENTS, Live, Rig};

const EVENTS: usize = 9 * GENERATION_EVENTS + 10;

fn fill(rig: &Rig, events: usize) -> Model {
    let (mut live, mut model) = (rig.open(), Model::default());
    let mut random = Random::new(3);
    while model.events.len() < events {
        let count = 1 + random.below(20);
        let some: Vec<Event> = (0..count).map(|_| Event::random(&mut random, 4, 2_000)).collect();
        live.publish(&some);
        model.publish(Origin::Published, live.now, &some);
    }
    live.close();
    model
}

/// Opens the log and compares all answers, also those to publishers.
fn check(rig: &Rig, model: &Model) -> Live {
    let mut live = rig.open();
    live.check(model);
    for (some, first) in model.events.chunks(100).zip((0..).step_by(100)) {
        let expected: Vec<Verdict> = (first..).take(some.len()).map(Verdict::Duplicate).collect();
        assert_eq!(live.publish(some), expected);
    }
    live
}

fn runs(rig: &Rig) -> Vec<String> {
    let names = rig.index.image().into_keys();
    names.filter(|name| name.ends_with(".run")).collect()
}

#[test]
fn an_index_in_good_order_is_used() {
    let rig = Rig::new(1);
    let model = fill(&rig, EVENTS);
    let live = check(&rig, &model);
    assert!(live.recovery.index_frame.is_some());
    assert_eq!(live.recovery.index_skipped, Vec::<String>::new());
    assert_eq!(live.recovery.frames, 0);
}

#[test]
fn an_index_is_used_after_a_kill() {
    let rig = Rig::new(1);
    let mut live = rig.open();
    let events: Vec<Event> =
        (0..5 * GENERATION_EVENTS).map(|n| Event::new("t", &format!("{n}"), "b")).collect();
    for some in events.chunks(7) {
        live.publish(some);
    }
    drop(live);
    rig.crash();
    let live = rig.open();
    assert_eq!(live.recovery.index_skipped, Vec::<String>::new());
    assert!(live.recovery.index_frame.is_some());
    let two_generations = 2 * GENERATION_EVENTS as u64 / 7 + 3;
    assert!(live.recovery.frames <= two_generations, "{:?}", live.recovery);
}

#[test]
fn an_index_made_with_another_key_is_made_again() {
    let rig = Rig::new(1);
    let model = fill(&rig, EVENTS);
    let bare = Rig { index: CrashingStorage::new(2), ..rig.clone() };
    let other = kilat_eventlog::Options { fingerprint_key: [1; 16], ..bare.options() };
    kilat_eventlog::open(other).expect("opened").writer.close();
    let verified = bare.verify();
    let found = |finding: &str| verified.findings.iter().any(|found| found.contains(finding));
    assert!(found("another key") && found("does not find event 0"), "{:?}", verified.findings);
    let live = check(&bare, &model);
    assert_eq!(live.recovery.index_frame, None);
    assert!(live.recovery.index_skipped[0].contains("another key"));
}

#[test]
fn a_lost_index_is_made_again() {
    let rig = Rig::new(1);
    let model = fill(&rig, EVENTS);
    let bare = Rig { index: CrashingStorage::new(2), ..rig };
    let live = check(&bare, &model);
    assert_eq!(live.recovery.index_frame, None);
    live.close();
    assert!(!runs(&bare).is_empty());
    assert!(bare.verify().holds());
}

#[test]
fn a_missing_or_torn_file_of_the_index_is_noticed_and_made_again() {
    let rig = Rig::new(1);
    let model = fill(&rig, EVENTS);
    let image = rig.index.image();
    for (name, bytes) in &image {
        for torn in [None, Some(0), Some(bytes.len() / 2), Some(bytes.len() - 1)] {
            let index = CrashingStorage::from_image(&image);
            match torn {
                None => index.erase(name),
                Some(length) => index.replace(name, &bytes[..length]),
            }
            let rig = Rig { index, log: CrashingStorage::from_image(&rig.log.image()), ..rig };
            let mut live = check(&rig, &model);
            // What was passed over goes when the next state is recorded.
            live.publish(&[Event::new("new", "new", "b")]);
            live.close();
            let verified = rig.verify();
            assert!(verified.holds(), "{name} {torn:?}: {:?}", verified.findings);
        }
    }
}

#[test]
fn a_stale_index_is_brought_up_to_date() {
    let rig = Rig::new(1);
    fill(&rig, EVENTS / 3);
    let old = rig.index.image();
    let mut live = rig.open();
    let mut model = Model::default();
    for event in live.read_all(None, 1_000) {
        let body = String::from_utf8(event.body.expect("a body")).expect("text");
        let event = Event::new(&event.topic, &event.id, &body);
        live.publish(std::slice::from_ref(&event));
        model.events.push(event);
    }
    let more: Vec<Event> =
        (0..3 * GENERATION_EVENTS).map(|n| Event::new("new", &format!("{n}"), "b")).collect();
    more.chunks(10).for_each(|some| drop(live.publish(some)));
    let all = live.read_all(None, 100);
    let (counters, topics) = (live.reader.counters(), live.reader.topics());
    live.close();
    let stale = Rig { index: CrashingStorage::from_image(&old), ..rig };
    let mut live = stale.open();
    assert!(live.recovery.frames > 0 && live.recovery.index_frame.is_some());
    assert_eq!(live.read_all(None, 100), all);
    assert_eq!((live.reader.counters(), live.reader.topics()), (counters, topics));
    assert!(live.publish(&more[..50]).iter().all(|v| matches!(v, Verdict::Duplicate(_))));
}

#[test]
fn an_index_of_another_log_is_made_again() {
    let (rig, mut other) = (Rig::new(1), Rig::new(2));
    other.journal.id = JournalId(*b"another log's id");
    let model = fill(&rig, EVENTS);
    fill(&other, EVENTS);
    let mixed = Rig { index: CrashingStorage::from_image(&other.index.image()), ..rig };
    let live = check(&mixed, &model);
    assert_eq!(live.recovery.index_frame, None);
    assert!(!live.recovery.index_skipped.is_empty(), "it has to be named");
}

#[test]
fn an_index_that_knows_more_than_the_log_halts() {
    let rig = Rig::new(1);
    fill(&rig, EVENTS / 4);
    let old = rig.log.image();
    let model = fill(&rig, 0);
    assert_eq!(model.events.len(), 0);
    let mut live = rig.open();
    let more: Vec<Event> =
        (0..4 * GENERATION_EVENTS).map(|n| Event::new("new", &format!("{n}"), "b")).collect();
    more.chunks(10).for_each(|some| drop(live.publish(some)));
    live.close();
    let (log, index) = (rig.log.image(), rig.index.image());
    // The log as it was once: frames are missing that the index was made from.
    let lost = Rig { log: CrashingStorage::from_image(&old), ..rig.clone() };
    match lost.try_open().err() {
        Some(OpenError::Log(RecoverError::Corrupt(corruption))) => {
            assert_eq!(corruption.problem, Problem::EndsTooEarly);
        }
        other => panic!("frames are missing, and opening says {:?}", other.map(|e| e.to_string())),
    }
    assert!(lost.log.is_image(&old) && lost.index.is_image(&index), "something was changed");
    // The whole log opens.
    Rig { log: CrashingStorage::from_image(&log), ..rig }.open();
}

#[test]
fn a_flipped_bit_anywhere_in_the_index_never_changes_an_answer() {
    let rig = Rig::new(1);
    let model = fill(&rig, 5 * GENERATION_EVENTS);
    let (log, index) = (rig.log.image(), rig.index.image());
    let mut random = Random::new(5);
    for (name, bytes) in &index {
        let step = (bytes.len() / 40).max(1);
        for at in (0..bytes.len()).step_by(step) {
            let at = (at + random.below(step as u64) as usize).min(bytes.len() - 1);
            let rig = Rig {
                log: CrashingStorage::from_image(&log),
                index: CrashingStorage::from_image(&index),
                ..rig.clone()
            };
            rig.index.damage(name, at, 1 << random.below(8));
            check_damaged(&rig, &model, &format!("{name} at {at}"));
        }
    }
}

/// Damage that opening does not see is met by a read: that fails, and the next start is sound.
fn check_damaged(rig: &Rig, model: &Model, what: &str) {
    let mut live = rig.open();
    let read = read_everything(&live, model);
    let asked = live.try_publish(Origin::Published, &model.events[..100]);
    if let (true, Ok(verdicts)) = (read, asked) {
        let expected: Vec<Verdict> = (0..100).map(Verdict::Duplicate).collect();
        assert_eq!(verdicts, expected, "{what}");
    }
    drop(live);
    rig.crash();
    let mut live = rig.open();
    assert!(read_everything(&live, model), "{what}: it was not made again");
    assert!(live.try_publish(Origin::Published, &model.events[..100]).is_ok(), "{what}");
}

/// Whether all could be read. What is read must be right.
fn read_everything(live: &Live, model: &Model) -> bool {
    let topics = model.topics.iter().map(|(topic, _)| Some(&**topic));
    for topic in topics.chain([None]) {
        let mut after = None;
        let mut offsets = Vec::new();
        loop {
            let Ok(page) = live.reader.read(topic, after, 60, usize::MAX) else {
                return false;
            };
            for event in &page.events {
                let meant = &model.events[event.offset as usize];
                assert_eq!((&*event.topic, &event.id), (&*meant.topic, &meant.id));
                offsets.push(event.offset);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(offsets, model.offsets(topic));
    }
    true
}

/// Rewrites the state that the index keeps, with right checksums.
fn forge_state(rig: &Rig, change: impl Fn(&mut Vec<u8>)) {
    let mut store = SnapshotStore::open(rig.index.clone(), rig.journal.id).expect("a store");
    let loaded = store.load(|snapshot| {
        let runs = snapshot.read("runs")?;
        Ok((runs, snapshot.read("state")?))
    });
    let (position, (runs, mut state)) = loaded.snapshot.expect("a snapshot");
    change(&mut state);
    let part = |name, bytes: Vec<u8>| Part {
        name,
        version: 1 << 40,
        encode: Box::new(move |out| out.write_all(&bytes)),
    };
    store.write(position, vec![part("runs", runs), part("state", state)]).expect("written");
}

/// Changes a state's bytes.
type Change = dyn Fn(&mut Vec<u8>);

fn more(state: &mut [u8], at: usize) {
    state[at] = state[at].wrapping_add(1);
}

#[test]
fn a_state_that_the_log_contradicts_is_not_believed() {
    // One duplicate more; another end; another time; another ledger's frame; bytes behind it.
    let cases: [(&str, &Change); 5] = [
        ("counters", &|state| {
            more(state, 40);
            more(state, 48);
        }),
        ("end", &|state| more(state, 16)),
        ("time", &|state| more(state, 32)),
        ("ledger's frame", &|state| more(state, 24)),
        ("length", &|state| state.push(0)),
    ];
    for (what, change) in cases {
        let rig = Rig::new(1);
        let model = fill(&rig, 3 * GENERATION_EVENTS);
        forge_state(&rig, change);
        assert!(!rig.verify().holds(), "{what}");
        let live = check(&rig, &model);
        assert_eq!(live.recovery.index_frame, None, "{what}");
        assert_eq!(live.recovery.index_skipped.len(), 1, "{what}");
    }
}
