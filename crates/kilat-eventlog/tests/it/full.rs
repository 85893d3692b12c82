//! No space: for the log, for the index, and for more topics. (FAULTS 6 at this level.)

use kilat_eventlog::{Origin, Refusal, TOPICS_MAX, Verdict};

use crate::model::{Event, Model};
use crate::rig::{Failed, GENERATION_EVENTS, Live, Rig};

fn events(range: std::ops::Range<usize>) -> Vec<Event> {
    range.map(|n| Event::new("t", &format!("{n}"), &"b".repeat(200))).collect()
}

fn publish(live: &mut Live, model: &mut Model, events: &[Event]) {
    let verdicts = live.publish(events);
    assert_eq!(verdicts, model.publish(Origin::Published, live.now, events));
}

#[test]
fn a_full_disk_refuses_publications_and_takes_them_when_there_is_space() {
    let rig = Rig::new(1);
    let (mut live, mut model) = (rig.open(), Model::default());
    publish(&mut live, &mut model, &events(0..10));
    rig.log.fill_up();
    let mut next = 10;
    while live.try_publish(Origin::Published, &events(next..next + 10)) != Err(Failed) {
        model.publish(Origin::Published, live.now, &events(next..next + 10));
        next += 10;
        assert!(next < 10_000, "the disk never fills up");
    }
    live.check(&model);
    rig.log.heal();
    while live.try_publish(Origin::Published, &events(next..next + 10)) == Err(Failed) {
        std::thread::yield_now();
    }
    model.publish(Origin::Published, live.now, &events(next..next + 10));
    live.check(&model);
}

#[test]
fn an_index_that_can_not_be_written_bounds_what_is_taken_and_reads_go_on() {
    let rig = Rig::new(1);
    let (mut live, mut model) = (rig.open(), Model::default());
    rig.index.fill_up();
    let mut next = 0;
    while live.writer.has_room() {
        publish(&mut live, &mut model, &events(next..next + 8));
        next += 8;
        assert!(next <= 3 * GENERATION_EVENTS, "memory is not bounded");
    }
    assert!(next >= 2 * GENERATION_EVENTS, "refused too early");
    live.check(&model);
    while live.reader.index_problem().is_none() {
        std::thread::yield_now();
    }
    rig.index.heal();
    live.wait_for_room();
    publish(&mut live, &mut model, &events(0..next + 8));
    live.check(&model);
    assert_eq!(live.reader.index_problem(), None);
}

#[test]
fn what_is_in_flight_is_never_let_go_before_it_is_in_a_run() {
    let mut rig = Rig::new(1);
    rig.generation_events_max = 4;
    let (mut live, mut verdicts, mut staged) = (rig.open(), Vec::new(), Vec::new());
    for start in [0, 4] {
        assert!(live.writer.has_room());
        let publication = live.publication(Origin::Published, &events(start..start + 4));
        live.writer.begin(1, Vec::new());
        live.writer.decide(&publication, &mut verdicts).expect("decided");
        staged.push(live.writer.finish());
    }
    assert!(!live.writer.has_room(), "the first four are in no run yet");
    let again = live.publication(Origin::Published, &events(0..8));
    live.writer.begin(1, Vec::new());
    live.writer.decide(&again, &mut verdicts).expect("decided");
    staged.push(live.writer.finish());
    let expected: Vec<Verdict> =
        (0..8).map(Verdict::Stored).chain((0..8).map(Verdict::Duplicate)).collect();
    assert_eq!(verdicts, expected);
    for staged in staged {
        live.store(staged).expect("durable");
    }
    live.wait_for_room();
    assert_eq!(live.publish(&events(0..8)), expected[8..]);
}

#[test]
fn a_log_that_needs_an_index_does_not_open_without_space_for_it() {
    let rig = Rig::new(1);
    let (mut live, mut model) = (rig.open(), Model::default());
    for start in (0..6 * GENERATION_EVENTS).step_by(16) {
        publish(&mut live, &mut model, &events(start..start + 16));
    }
    live.close();
    let bare = Rig { index: kilat_journal::simulation::CrashingStorage::new(1), ..rig.clone() };
    bare.index.fill_up();
    let refused = bare.try_open().err().expect("there is no space");
    assert!(matches!(refused, kilat_eventlog::OpenError::Index(_)), "{refused}");
    bare.index.heal();
    bare.open().check(&model);
}

#[test]
fn publishers_can_not_make_any_number_of_topics() {
    let mut rig = Rig::new(1);
    rig.journal.payload_bytes_max = 8 << 20;
    rig.generation_events_max = 1 << 20;
    let mut live = rig.open();
    let topic = |n: usize| Event::new(&format!("topic-{n}"), "id", "b");
    let all: Vec<Event> = (0..TOPICS_MAX - 1).map(topic).collect();
    live.publish(&all);
    let mut verdicts = Vec::new();
    live.writer.begin(1, Vec::new());
    // Two more are too many, and nothing of them is applied; one is not.
    let two =
        live.publication(Origin::Published, &[topic(0), topic(TOPICS_MAX), topic(TOPICS_MAX + 1)]);
    assert!(matches!(live.writer.fits(&two), Err(Refusal::TooManyTopics)));
    let refused = live.writer.decide(&two, &mut verdicts);
    assert!(matches!(refused, Err(Refusal::TooManyTopics)) && verdicts.is_empty());
    let one = live.publication(Origin::Published, &[topic(1), topic(TOPICS_MAX)]);
    live.writer.decide(&one, &mut verdicts).expect("there is room for one");
    // A sale's topic is always taken.
    let sale = live.publication(Origin::Projected { ledger_frame: 1 }, &[topic(TOPICS_MAX + 1)]);
    live.writer.decide(&sale, &mut verdicts).expect("a sale's topic");
    let end = TOPICS_MAX as u64 - 1;
    let expected = [Verdict::Duplicate(1), Verdict::Stored(end), Verdict::Stored(end + 1)];
    assert_eq!(verdicts, expected);
    let staged = live.writer.finish();
    live.store(staged).expect("durable");
    assert_eq!(live.reader.topics().len(), TOPICS_MAX + 1);
    assert_eq!(live.reader.counters().received, end + 2);
    live.close();
    assert_eq!(rig.open().reader.topics().len(), TOPICS_MAX + 1);
}
