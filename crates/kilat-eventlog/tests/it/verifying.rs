//! The offline check finds each kind of damage, also where every checksum is right.

use kilat_eventlog::{Content, Origin, StoredEvent, Verified};
use kilat_journal::simulation::CrashingStorage;
use kilat_journal::{Committer, Frame, Journal};

use crate::model::{Event, Model};
use crate::rig::{GENERATION_EVENTS, Rig};

fn event(n: usize) -> Event {
    Event::new(&format!("t-{}", n % 3), &format!("id-{n}"), &format!("body {n}"))
}

fn filled(events: usize) -> Rig {
    let rig = Rig::new(1);
    let (mut live, mut model) = (rig.open(), Model::default());
    let events: Vec<Event> = (0..events).map(event).collect();
    for some in events.chunks(10) {
        live.publish(some);
        model.publish(Origin::Published, live.now, some);
    }
    live.check(&model);
    live.close();
    rig
}

fn finds(verified: &Verified, finding: &str) {
    assert!(!verified.holds(), "nothing was found");
    let found = verified.findings.iter().any(|found| found.contains(finding));
    assert!(found, "{finding:?} is not among {:?}", verified.findings);
}

#[test]
fn a_sound_log_is_sound_with_and_without_an_index() {
    let rig = filled(5 * GENERATION_EVENTS);
    let verified = rig.verify();
    assert!(verified.holds(), "{:?}", verified.findings);
    assert_eq!(verified.events, 5 * GENERATION_EVENTS as u64);
    assert_eq!((verified.indexed, verified.topics, verified.forgotten), (verified.events, 3, 0));
    assert_eq!(verified.counters.received, verified.events);
    let before = (rig.log.image(), rig.index.image());
    let bare = Rig { index: CrashingStorage::new(1), ..rig.clone() };
    let verified = bare.verify();
    assert!(verified.holds() && verified.indexed == 0);
    assert!(rig.log.is_image(&before.0) && rig.index.is_image(&before.1), "it changed something");
    let nothing = Rig::new(1).verify();
    assert!(nothing.holds() && nothing.events == 0);
}

#[test]
fn damaged_files_are_found() {
    let rig = filled(3 * GENERATION_EVENTS);
    rig.log.damage("00000000000000000001.seg", 3_000, 1);
    let verified = rig.verify();
    assert!(verified.corruption.is_some() && !verified.holds());

    let rig = filled(3 * GENERATION_EVENTS);
    let run = rig.index.image().into_keys().find(|name| name.ends_with(".run")).expect("a run");
    rig.index.damage(&run, 5_000, 1);
    finds(&rig.verify(), "the index");
}

#[test]
fn an_index_that_the_log_does_not_reach_is_found() {
    let rig = filled(GENERATION_EVENTS / 2);
    let other = filled(3 * GENERATION_EVENTS);
    let mixed = Rig { index: other.index, ..rig };
    finds(&mixed.verify(), "the log does not have");
}

#[test]
fn contents_that_bodies_do_not_have_are_found() {
    let rig = filled(20);
    let told = |event: &StoredEvent| match event.offset {
        7 => Some(Content::of(b"x")),
        _ => event.body.as_deref().map(Content::of),
    };
    let verified =
        kilat_eventlog::verify(&rig.log, Some(&rig.index), rig.journal.id, &crate::rig::KEY, told);
    finds(&verified.expect("a check"), "event 7 does not say what its print says");
}

/// A head as docs/formats/events.md describes it, written without the crate's help.
struct Forged {
    kind: u8,
    first: u64,
    received_ms: i64,
    ledger: u64,
    totals: [u64; 4],
    events: Vec<(Event, Content)>,
    rule: Vec<u8>,
}

impl Forged {
    fn events(first: u64, events: &[Event]) -> Self {
        let events: Vec<_> = events.iter().map(|e| (e.clone(), Content::of(&e.body))).collect();
        let received = first + events.len() as u64;
        let totals = [received, 0, 0, 0];
        Self { kind: 1, first, received_ms: 50, ledger: 0, totals, events, rule: Vec::new() }
    }

    fn encode(&self) -> (Vec<u8>, u32) {
        let mut head = vec![1, self.kind, 0, 0];
        head.extend((self.events.len() as u32).to_le_bytes());
        head.extend(self.first.to_le_bytes());
        head.extend(self.received_ms.to_le_bytes());
        head.extend(self.ledger.to_le_bytes());
        self.totals.iter().for_each(|total| head.extend_from_slice(&total.to_le_bytes()));
        let (mut table, mut bodies) = (Vec::<u8>::new(), Vec::<u8>::new());
        let start = head.len();
        for (event, content) in &self.events {
            head.extend((event.topic.len() as u16).to_le_bytes());
            head.extend((event.id.len() as u16).to_le_bytes());
            head.extend_from_slice(content.as_bytes());
            head.extend(event.topic.as_bytes());
            head.extend(event.id.as_bytes());
            bodies.extend(&event.body);
            table.extend(((head.len() - start) as u32).to_le_bytes());
            table.extend((bodies.len() as u32).to_le_bytes());
        }
        head.extend(&self.rule);
        head.extend(table);
        let head_bytes = head.len() as u32;
        head.extend(bodies);
        (head, head_bytes)
    }
}

/// A log of frames with right checksums and chain, whatever they say.
fn forge(frames: &[Forged]) -> Rig {
    let rig = Rig::new(1);
    let (journal, _) =
        Journal::recover(rig.log.clone(), rig.journal, None, |_| Ok::<(), std::fmt::Error>(()))
            .expect("a journal");
    let committer = Committer::spawn(journal, Box::new(drop)).expect("threads");
    for frame in frames {
        let (payload, head_bytes) = frame.encode();
        let frame = Frame {
            payload,
            head_bytes: Some(head_bytes),
            begins_segment: false,
            done: Box::new(drop),
        };
        committer.submit(frame).expect("taken");
    }
    drop(committer.close());
    rig
}

#[test]
fn frames_as_documented_are_sound() {
    let events: Vec<Event> = (0..6).map(event).collect();
    let rule = Forged {
        kind: 2,
        rule: [&4_u64.to_le_bytes()[..], &[1], b"t-1"].concat(),
        ..Forged::events(6, &[])
    };
    let rig = forge(&[Forged::events(0, &events[..4]), Forged::events(4, &events[4..]), rule]);
    let verified = rig.verify();
    assert!(verified.holds(), "{:?}", verified.findings);
    let live = rig.open();
    let bodies: Vec<bool> = live.read_all(None, 10).iter().map(|e| e.body.is_some()).collect();
    assert_eq!(bodies, [true, false, true, true, true, true]);
}

#[test]
fn whole_frames_that_make_no_sense_are_found_and_not_opened() {
    let good = || Forged::events(0, &[event(0), event(1)]);
    let next = || Forged::events(2, &[event(2)]);
    let rule = |bytes: &[u8]| Forged { kind: 2, rule: bytes.to_vec(), ..Forged::events(2, &[]) };
    let cases: Vec<(&str, Forged)> = vec![
        ("a gap in the offsets", Forged::events(3, &[event(2)])),
        ("an offset twice", Forged::events(1, &[event(2)])),
        ("totals that sink", Forged { totals: [1, 0, 0, 2], ..next() }),
        ("totals that contradict", Forged { totals: [4, 0, 0, 0], ..next() }),
        ("more duplicates than received", Forged { totals: [3, 4, 0, 4], ..next() }),
        ("time going back", Forged { received_ms: 49, ..next() }),
        ("an unknown kind", Forged { kind: 3, ..next() }),
        ("a rule that is cut", rule(&[0; 8])),
        ("a rule of no scope", rule(&[0, 0, 0, 0, 0, 0, 0, 0, 7])),
    ];
    for (what, forged) in cases {
        let rig = forge(&[good(), forged]);
        finds(&rig.verify(), "frame 2 makes no sense");
        assert!(rig.try_open().is_err(), "{what}");
    }
}

#[test]
fn an_event_that_is_stored_twice_is_found() {
    let rig = forge(&[Forged::events(0, &[event(0), event(1)]), Forged::events(2, &[event(0)])]);
    finds(&rig.verify(), "event 2 is stored already, at 0");
}

#[test]
fn a_blank_body_that_no_rule_speaks_of_is_found() {
    let blank = Event { body: vec![0; 9], ..event(1) };
    let rig = forge(&[Forged::events(0, &[event(0), blank.clone(), event(2)])]);
    finds(&rig.verify(), "the body of event 1 is blank and no rule says so");
    // A reader may meet one whose rule it has not seen yet.
    assert_eq!(rig.open().read_all(None, 10)[1].body, None);
    let half = Event { body: b"\0\0rest".to_vec(), ..event(1) };
    let rig = forge(&[Forged::events(0, &[event(0), half])]);
    finds(&rig.verify(), "the body of event 1 in frame 1 is damaged");
    // A rule for it, and for another topic.
    for (topic, holds) in [("t-1", true), ("t-2", false)] {
        let rule = Forged {
            kind: 2,
            rule: [&2_u64.to_le_bytes()[..], &[1], topic.as_bytes()].concat(),
            ..Forged::events(3, &[])
        };
        let rig = forge(&[Forged::events(0, &[event(0), blank.clone(), event(2)]), rule]);
        assert_eq!(rig.verify().holds(), holds, "{topic}");
    }
}
