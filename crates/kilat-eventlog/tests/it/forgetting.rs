//! Forgetting bodies: gone for readers at once, gone from the disk after a while, and their ids
//! remembered for ever.

use kilat_eventlog::{ForgetRule, Origin, Verdict};
use kilat_journal::simulation::{Fault, Random};

use crate::model::{Event, Model};
use crate::rig::{Live, Rig};

fn fill(live: &mut Live, model: &mut Model, events: u64) {
    let mut random = Random::new(9);
    while model.end() < events {
        let some: Vec<Event> = (0..15)
            .map(|_| {
                let mut event = Event::random(&mut random, 3, 5_000);
                // Of several sectors, so that something can be given back.
                event.body.extend_from_slice(&[b'y'; 1_500]);
                event
            })
            .collect();
        live.publish(&some);
        model.publish(Origin::Published, live.now, &some);
    }
}

fn forget(live: &mut Live, model: &mut Model, rule: &ForgetRule) {
    model.forget(rule.topic.as_deref(), rule.received_before_ms);
    live.try_forget(rule).expect("durable");
}

#[test]
fn rules_hold_at_once_for_what_was_stored_so_far() {
    for (topic, time) in [
        (None, None),
        (Some("topic-1"), None),
        (None, Some(7)),
        (Some("topic-2"), Some(7)),
        (Some("unknown"), None),
        (None, Some(0)),
        (None, Some(i64::MAX)),
    ] {
        let rig = Rig::new(1);
        let (mut live, mut model) = (rig.open(), Model::default());
        fill(&mut live, &mut model, 150);
        let rule = ForgetRule { topic: topic.map(str::to_owned), received_before_ms: time };
        forget(&mut live, &mut model, &rule);
        live.check(&model);
        // Later ones are kept.
        fill(&mut live, &mut model, 250);
        live.check(&model);
        drop(live);
        rig.crash();
        rig.open().check(&model);
    }
}

#[test]
fn space_is_given_back_and_ids_and_contents_stay() {
    let rig = Rig::new(1);
    let (mut live, mut model) = (rig.open(), Model::default());
    fill(&mut live, &mut model, 400);
    assert_eq!(live.reader.reclaim().expect("nothing to do"), 0);
    forget(
        &mut live,
        &mut model,
        &ForgetRule { topic: Some("topic-1".into()), ..Default::default() },
    );
    live.check(&model);
    let some = live.reader.reclaim().expect("bytes");
    assert!(some > 0, "nothing was given back");
    assert_eq!(live.reader.reclaim().expect("nothing to do"), 0, "it was done already");
    live.check(&model);
    forget(&mut live, &mut model, &ForgetRule::default());
    assert!(live.reader.reclaim().expect("bytes") > some);
    live.check(&model);
    let expected: Vec<Verdict> = (0..20).map(Verdict::Duplicate).collect();
    assert_eq!(live.publish(&model.events[..20]), expected);
    let changed = Event { body: b"another".to_vec(), ..model.events[0].clone() };
    assert_eq!(live.publish(&[changed]), [Verdict::Conflict(0)]);
    live.close();
    let verified = rig.verify();
    assert!(verified.holds(), "{:?}", verified.findings);
    assert!(verified.forgotten > 0);
}

#[test]
fn no_file_holds_a_forgotten_body_also_of_the_newest_segment() {
    for topic in [None, Some("secret")] {
        let rig = Rig::new(1);
        let (mut live, mut model) = (rig.open(), Model::default());
        let event = |topic: &str, id: &str, body: &[u8]| Event {
            topic: topic.into(),
            id: id.into(),
            body: body.to_vec(),
        };
        for round in 0..3 {
            let round = format!("{round}");
            let some =
                [event("secret", &round, b"body to forget"), event("other", &round, b"kept")];
            live.publish(&some);
            model.publish(Origin::Published, live.now, &some);
            assert!(holds(&rig, b"body to forget"), "it was never there");
            let rule = ForgetRule { topic: topic.map(str::to_owned), ..Default::default() };
            forget(&mut live, &mut model, &rule);
            live.reader.reclaim().expect("bytes");
            assert!(!holds(&rig, b"body to forget"), "{topic:?}");
            assert_eq!(holds(&rig, b"kept"), topic.is_some());
            live.check(&model);
            // Asked again there is nothing to leave a segment for.
            let (_, again) = live.writer.forget(&rule, live.now).expect("a frame");
            assert!(!again.begins_segment);
            live.store(again).expect("durable");
        }
        live.close();
        let verified = rig.verify();
        assert!(verified.holds(), "{:?}", verified.findings);
        assert_eq!(verified.forgotten, if topic.is_some() { 3 } else { 6 });
        rig.crash();
        rig.open().check(&model);
    }
}

/// Whether a file of the log holds these bytes.
fn holds(rig: &Rig, bytes: &[u8]) -> bool {
    let image = rig.log.image();
    image.values().any(|file| file.windows(bytes.len()).any(|part| part == bytes))
}

#[test]
fn what_rules_forget_is_counted_before_its_bytes_are_gone() {
    for (topic, time) in [(None, None), (Some("topic-1"), None), (Some("topic-2"), Some(7))] {
        let rig = Rig::new(1);
        let (mut live, mut model) = (rig.open(), Model::default());
        fill(&mut live, &mut model, 150);
        let rule = ForgetRule { topic: topic.map(str::to_owned), received_before_ms: time };
        forget(&mut live, &mut model, &rule);
        let forgotten = model.forgotten.len() as u64;
        let found = rig.verify();
        assert_eq!((found.forgotten, found.still_stored), (forgotten, forgotten), "{rule:?}");
        live.reader.reclaim().expect("bytes");
        let found = rig.verify();
        assert_eq!((found.forgotten, found.still_stored), (forgotten, 0), "{rule:?}");
    }
}

#[test]
fn readers_go_on_while_space_is_given_back() {
    let rig = Rig::new(1);
    let (mut live, mut model) = (rig.open(), Model::default());
    fill(&mut live, &mut model, 400);
    let page = live.reader.read(None, None, 100, usize::MAX).expect("a page");
    assert!(page.events.iter().all(|event| event.body.is_some()));
    forget(
        &mut live,
        &mut model,
        &ForgetRule { topic: Some("topic-0".into()), ..Default::default() },
    );
    let reader = live.reader.clone();
    let reclaiming = std::thread::spawn(move || reader.reclaim().expect("bytes"));
    while !reclaiming.is_finished() {
        live.check(&model);
    }
    live.check(&model);
}

#[test]
fn a_fault_while_space_is_given_back_loses_nothing() {
    let prepared = Rig::new(1);
    let mut model = Model::default();
    {
        let mut live = prepared.open();
        fill(&mut live, &mut model, 300);
        let rule = ForgetRule { topic: Some("topic-1".into()), ..Default::default() };
        forget(&mut live, &mut model, &rule);
        live.close();
    }
    let image = (prepared.log.image(), prepared.index.image());
    for fault in [Fault::PowerCut, Fault::Io, Fault::NoSpace] {
        for after in 0.. {
            let rig = Rig {
                log: kilat_journal::simulation::CrashingStorage::from_image(&image.0),
                index: kilat_journal::simulation::CrashingStorage::from_image(&image.1),
                ..prepared.clone()
            };
            let live = rig.open();
            rig.log.fail_at(rig.log.operations() + after, fault);
            let result = live.reader.reclaim();
            if rig.log.is_fault_pending() {
                assert!(result.is_ok() && after > 5, "{fault:?}");
                break;
            }
            drop(live);
            rig.crash();
            let live = rig.open();
            live.check(&model);
            live.reader.reclaim().expect("bytes");
            live.check(&model);
            live.close();
            assert!(rig.verify().holds(), "{fault:?} at {after}");
        }
    }
}
