//! A fault at every operation on the disk: what was acknowledged is there afterwards, counters
//! are exact, a retry makes nothing twice. (FAULTS 1, 4 and 5 at this level.)

use kilat_eventlog::{ForgetRule, Origin, ReadError};
use kilat_journal::simulation::{CrashingStorage, Fault, Random};

use crate::model::{Event, Model};
use crate::rig::{Failed, Live, Rig};

enum Step {
    Publish(Origin, Vec<Event>),
    Forget(ForgetRule),
    Reclaim,
}

/// A history with seals, merges, several segments, forgetting and many duplicates.
fn history() -> Vec<Step> {
    let mut random = Random::new(7);
    let mut steps = Vec::new();
    for number in 0..60 {
        let events = (0..random.below(16)).map(|_| Event::random(&mut random, 3, 300)).collect();
        let origin = match number % 7 {
            3 => Origin::Projected { ledger_frame: number },
            _ => Origin::Published,
        };
        steps.push(Step::Publish(origin, events));
        if number % 20 == 19 {
            let topic = Some(format!("topic-{}", number % 3));
            steps.push(Step::Forget(ForgetRule { topic, received_before_ms: None }));
            steps.push(Step::Reclaim);
        }
    }
    steps
}

impl Step {
    fn run(&self, live: &mut Live) -> Result<(), Failed> {
        match self {
            Self::Publish(origin, events) => live.try_publish(*origin, events).map(drop),
            Self::Forget(rule) => live.try_forget(rule).map(drop),
            Self::Reclaim => live.reader.reclaim().map(drop).map_err(|_| Failed),
        }
    }

    fn meant(&self, model: &mut Model, now: i64) {
        match self {
            Self::Publish(origin, events) => drop(model.publish(*origin, now, events)),
            Self::Forget(rule) => model.forget(rule.topic.as_deref(), rule.received_before_ms),
            Self::Reclaim => {}
        }
    }
}

/// Goes through the history; after each failure the power goes, the log is opened again, and the
/// step that failed is tried again.
fn live_through(rig: &Rig, what: &str) {
    let mut model = Model::default();
    let mut in_flight: Option<Model> = None;
    let mut steps = history().into_iter().peekable();
    let mut lives = 0;
    loop {
        lives += 1;
        assert!(lives < 10, "{what}: it does not get on");
        let Ok(mut live) = rig.try_open() else {
            rig.crash();
            continue;
        };
        if let Some(perhaps) = in_flight.take()
            && (live.reader.counters(), live.reader.ledger_cursor())
                != (model.counters, model.ledger_cursor)
        {
            model = perhaps;
        }
        assert_eq!(live.reader.counters(), model.counters, "{what}");
        let seen = with_forgotten_as_seen(&model, &live);
        if seen.and_then(|seen| live.try_check(&seen)).is_err() {
            // The power went while a segment was made ahead.
            drop(live);
            rig.crash();
            continue;
        }
        let failed = loop {
            let Some(step) = steps.peek() else {
                break false;
            };
            let result = step.run(&mut live);
            let mut after = model.clone();
            step.meant(&mut after, live.now);
            if result.is_err() {
                in_flight = Some(after);
                break true;
            }
            model = after;
            steps.next();
        };
        if !failed && live.try_check(&model).is_ok() {
            live.close();
            rig.crash();
            let verified = rig.verify();
            assert!(verified.holds(), "{what}: {:?}", verified.findings);
            return;
        }
        drop(live);
        rig.crash();
    }
}

/// A rule in flight may be in force or not; the same step follows again, so either is right.
fn with_forgotten_as_seen(model: &Model, live: &Live) -> Result<Model, ReadError> {
    let mut model = model.clone();
    for event in live.try_read_all(None, 1_000)? {
        let was_known = model.forgotten.contains(&event.offset);
        assert!(!was_known || event.body.is_none(), "event {} was remembered", event.offset);
        if event.body.is_none() {
            model.forgotten.insert(event.offset);
        }
    }
    Ok(model)
}

/// How many operations the history takes on a disk.
fn operations(disk: fn(&Rig) -> &CrashingStorage) -> u64 {
    let rig = Rig::new(1);
    live_through(&rig, "without faults");
    disk(&rig).operations()
}

fn fail_everywhere(disk: fn(&Rig) -> &CrashingStorage, fault: Fault, step: usize) {
    let operations = operations(disk);
    for at in (0..operations).step_by(step) {
        let rig = Rig::new(at);
        disk(&rig).fail_at(at, fault);
        live_through(&rig, &format!("{fault:?} at {at} of {operations}"));
    }
}

#[test]
fn a_power_cut_at_every_operation_on_the_log() {
    fail_everywhere(|rig| &rig.log, Fault::PowerCut, 1);
}

#[test]
fn an_error_at_every_operation_on_the_log() {
    fail_everywhere(|rig| &rig.log, Fault::Io, 1);
}

#[test]
fn a_full_disk_at_every_operation_on_the_log() {
    fail_everywhere(|rig| &rig.log, Fault::NoSpace, 1);
}

#[test]
fn a_power_cut_at_every_operation_on_the_index() {
    // With its power off the index takes nothing more, and the history would wait for it.
    let operations = operations(|rig| &rig.index);
    for at in 0..operations {
        let mut rig = Rig::new(at);
        rig.generation_events_max = 90;
        rig.index.fail_at(at, Fault::PowerCut);
        until_the_index_is_full(&rig);
        rig.crash();
        live_through_again(&rig);
    }
}

/// Publishes until no more is taken.
fn until_the_index_is_full(rig: &Rig) {
    let Ok(mut live) = rig.try_open() else {
        return;
    };
    let mut model = Model::default();
    for step in history() {
        if !live.writer.has_room() {
            break;
        }
        // The runs can't be read any more, either.
        if step.run(&mut live).is_err() {
            break;
        }
        step.meant(&mut model, live.now);
    }
    assert_eq!(live.reader.counters(), model.counters);
}

/// The same events once more: nothing is stored twice.
fn live_through_again(rig: &Rig) {
    let mut live = rig.open();
    let known = live.reader.end();
    let mut seen = 0;
    for event in live.read_all(None, 1_000) {
        assert_eq!(event.offset, seen);
        seen += 1;
    }
    assert_eq!(seen, known);
    for step in history() {
        step.run(&mut live).expect("no fault");
    }
    let different: std::collections::BTreeSet<(String, String)> =
        live.read_all(None, 1_000).into_iter().map(|e| (e.topic.to_string(), e.id)).collect();
    assert_eq!(different.len() as u64, live.reader.end(), "an event is stored twice");
    live.close();
    assert!(rig.verify().holds());
}

#[test]
fn an_error_at_every_operation_on_the_index_is_made_good_meanwhile() {
    // Each failure costs the index a pause, so not every operation is struck.
    fail_everywhere(|rig| &rig.index, Fault::Io, 23);
}
