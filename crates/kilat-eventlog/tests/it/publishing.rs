//! What becomes of an event: stored, duplicate or conflict, within a publication, across those of
//! a group, in memory and in runs.

use Verdict::{Conflict, Duplicate, Stored};
use kilat_eventlog::{Counters, Origin, PushError, Verdict};

use crate::model::{Event, Model};
use crate::rig::{GENERATION_EVENTS, Live, Rig};

fn event(id: &str, body: &str) -> Event {
    Event::new("orders", id, body)
}

fn numbered(topic: &str, range: std::ops::Range<usize>) -> Vec<Event> {
    range.map(|number| Event::new(topic, &format!("n-{number}"), &format!("b {number}"))).collect()
}

#[test]
fn the_earlier_event_wins_within_a_publication_and_across_a_group() {
    let mut live = Rig::new(1).open();
    let first = live.publication(
        Origin::Published,
        &[event("a", "1"), event("b", "1"), event("a", "1"), event("a", "2")],
    );
    let second = live.publication(
        Origin::Published,
        &[event("b", "1"), event("b", "2"), event("c", "1"), Event::new("other", "a", "2")],
    );
    let verdicts = live.commit(&[first, second]).expect("durable");
    assert_eq!(verdicts[0], [Stored(0), Stored(1), Duplicate(0), Conflict(0)]);
    assert_eq!(verdicts[1], [Duplicate(1), Conflict(1), Stored(2), Stored(3)]);
    let counters = Counters { received: 8, unique: 4, duplicates: 2, conflicts: 2, projected: 0 };
    assert_eq!(live.reader.counters(), counters);
}

#[test]
fn topic_and_id_are_told_apart_wherever_the_border_lies() {
    let mut live = Rig::new(1).open();
    let events =
        [Event::new("ab", "c", "x"), Event::new("a", "bc", "x"), Event::new("abc", "x", "x")];
    assert_eq!(live.publish(&events), [Stored(0), Stored(1), Stored(2)]);
    assert_eq!(live.publish(&events), [Duplicate(0), Duplicate(1), Duplicate(2)]);
}

#[test]
fn duplicates_are_found_however_old_they_are() {
    let rig = Rig::new(1);
    let mut live = rig.open();
    let events = numbered("orders", 0..10 * GENERATION_EVENTS);
    for some in events.chunks(50) {
        live.publish(some);
    }
    let expected: Vec<Verdict> = (0..events.len() as u64).map(Duplicate).collect();
    for (some, expected) in events.chunks(100).zip(expected.chunks(100)) {
        assert_eq!(live.publish(some), expected);
    }
    let changed = event("n-3", "another body");
    assert_eq!(live.publish(&[changed]), [Conflict(3)]);
    live.close();
    let mut live = rig.open();
    assert_eq!(live.recovery.frames, 0, "a log that was closed in good order is read at once");
    assert_eq!(live.publish(&events[..3]), [Duplicate(0), Duplicate(1), Duplicate(2)]);
}

#[test]
fn a_publication_that_was_looked_up_long_ago_is_decided_right() {
    let mut live = Rig::new(1).open();
    let events = numbered("orders", 0..6 * GENERATION_EVENTS);
    // Looked up when nothing was stored, and never looked up at all.
    let mut stale = live.publication(Origin::Published, &events[..10]);
    live.reader.look_up(&mut stale).expect("a look-up");
    let fresh = live.publication(Origin::Published, &events[10..20]);
    for some in events.chunks(40) {
        live.publish(some);
    }
    let verdicts = live.commit(&[stale, fresh]).expect("durable");
    assert_eq!(verdicts[0], (0..10).map(Duplicate).collect::<Vec<_>>());
    assert_eq!(verdicts[1], (10..20).map(Duplicate).collect::<Vec<_>>());
}

#[test]
fn a_duplicate_of_an_event_in_flight_is_one() {
    let mut live = Rig::new(1).open();
    let events = [event("a", "1"), event("b", "1")];
    let publication = live.publication(Origin::Published, &events);
    let mut decided = Vec::new();
    live.writer.begin(1, Vec::new());
    live.writer.decide(&publication, &mut decided).expect("decided");
    let first = live.writer.finish();
    live.writer.begin(2, Vec::new());
    live.writer.decide(&publication, &mut decided).expect("decided");
    let second = live.writer.finish();
    assert_eq!(decided, [Stored(0), Stored(1), Duplicate(0), Duplicate(1)]);
    assert_eq!(live.reader.end(), 0, "readers must not see what is not durable");
    assert_eq!(live.reader.counters(), Counters::default());
    assert!(live.read_all(Some("orders"), 10).is_empty());
    live.store(first).expect("durable");
    assert_eq!(live.reader.counters().duplicates, 0);
    live.store(second).expect("durable");
    assert_eq!(live.reader.counters().duplicates, 2);
}

#[test]
fn copies_of_facts_count_as_projected_only_and_move_the_ledgers_frame() {
    let rig = Rig::new(1);
    let mut live = rig.open();
    let facts = numbered("sale.phone", 0..3);
    let origin = Origin::Projected { ledger_frame: 7 };
    assert_eq!(live.try_publish(origin, &facts), Ok(vec![Stored(0), Stored(1), Stored(2)]));
    assert_eq!(live.try_publish(origin, &facts[..1]), Ok(vec![Duplicate(0)]));
    let nothing = Origin::Projected { ledger_frame: 9 };
    assert_eq!(live.try_publish(nothing, &[]), Ok(vec![]));
    live.publish(&[event("a", "1")]);
    let check = |live: &Live| {
        let counters =
            Counters { received: 1, unique: 1, duplicates: 0, conflicts: 0, projected: 3 };
        assert_eq!(live.reader.counters(), counters);
        assert_eq!(live.reader.ledger_cursor(), 9);
    };
    check(&live);
    // Its threads make segments as long as it lives.
    drop(live);
    check(&rig.open());
}

#[test]
fn a_group_of_duplicates_only_is_counted_for_ever() {
    let rig = Rig::new(1);
    let mut live = rig.open();
    let mut model = Model::default();
    for _ in 0..5 {
        let events = [event("a", "1"), event("a", "2")];
        let verdicts = live.publish(&events);
        assert_eq!(verdicts, model.publish(Origin::Published, live.now, &events));
    }
    drop(live);
    rig.log.crash();
    rig.open().check(&model);
}

#[test]
fn what_can_not_be_stored_is_not_taken() {
    let live = Rig::new(1).open();
    let mut publication = live.reader.publication(Origin::Published);
    let long = "x".repeat(1_025);
    let cases = [
        (Event::new("", "a", "b"), PushError::Topic),
        (Event::new(&long, "a", "b"), PushError::Topic),
        (Event::new("t", "", "b"), PushError::Id),
        (Event::new("t", &long, "b"), PushError::Id),
        (Event::new("t", "a", ""), PushError::Body),
        (Event::new("t", "a", "\0b"), PushError::Body),
        (Event::new("t", "a", &"x".repeat(8 << 20)), PushError::Full),
    ];
    for (event, expected) in cases {
        assert_eq!(publication.push(event.as_new()), Err(expected));
        assert!(publication.is_empty() && publication.frame_bytes_max() == 0);
    }
    assert_eq!(publication.push(event(&long[1..], "b").as_new()), Ok(()));
    assert_eq!(publication.len(), 1);
    publication.clear();
    assert_eq!((publication.len(), publication.frame_bytes_max()), (0, 0));
}

#[test]
fn a_publication_tells_many_topics_apart() {
    let mut live = Rig::new(1).open();
    let mut model = Model::default();
    for round in 0..2 {
        let events: Vec<Event> = (0..60)
            .map(|number| Event::new(&format!("t-{}", number * 7 % 20), &format!("{number}"), "b"))
            .collect();
        let verdicts = live.publish(&events);
        assert_eq!(verdicts, model.publish(Origin::Published, live.now, &events), "{round}");
    }
    live.check(&model);
}
