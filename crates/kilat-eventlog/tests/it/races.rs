//! Two publishers with the same ids, and one committing thread between them.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Sender};
use std::thread;

use kilat_eventlog::{Origin, Publication, Verdict};
use kilat_journal::simulation::Random;

use crate::model::Event;
use crate::rig::{Rig, seed};

type Asked = (Publication, Sender<Vec<Verdict>>);

const PUBLISHERS: u64 = 2;
const PUBLICATIONS: usize = 150;

/// What a publisher was told of each event.
fn publish(
    reader: &kilat_eventlog::Reader<kilat_journal::simulation::CrashingStorage>,
    queue: &mpsc::SyncSender<Asked>,
    mut random: Random,
) -> Vec<(Event, Verdict)> {
    let mut told = Vec::new();
    for _ in 0..PUBLICATIONS {
        let events: Vec<Event> = (0..10).map(|_| Event::random(&mut random, 2, 700)).collect();
        let mut publication = reader.publication(Origin::Published);
        events.iter().for_each(|event| publication.push(event.as_new()).expect("it fits"));
        reader.look_up(&mut publication).expect("a look-up");
        let (reply, answer) = mpsc::channel();
        queue.send((publication, reply)).expect("the queue is open");
        let verdicts = answer.recv().expect("an answer");
        // What one was told of, everybody can see.
        let end = verdicts.iter().map(|verdict| match verdict {
            Verdict::Stored(at) | Verdict::Duplicate(at) | Verdict::Conflict(at) => at + 1,
        });
        assert!(reader.end() >= end.max().unwrap_or(0), "an answer ran ahead of readers");
        told.extend(events.into_iter().zip(verdicts));
    }
    told
}

#[test]
fn of_two_publishers_with_the_same_ids_one_stores_each() {
    let seed = seed();
    let rig = Rig::new(seed);
    let mut live = rig.open();
    let (queue, asked) = mpsc::sync_channel::<Asked>(8);
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|number| {
            let (reader, queue) = (live.reader.clone(), queue.clone());
            thread::spawn(move || publish(&reader, &queue, Random::new(seed ^ number)))
        })
        .collect();
    drop(queue);
    while let Ok(first) = asked.recv() {
        let mut group = vec![first];
        group.extend(asked.try_iter());
        let (publications, replies): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let verdicts = live.commit(&publications).expect("durable");
        for (reply, verdicts) in replies.into_iter().zip(verdicts) {
            reply.send(verdicts).expect("somebody waits");
        }
    }
    let told: Vec<_> = publishers.into_iter().flat_map(|p| p.join().expect("no panic")).collect();
    check(&told, &live.read_all(None, 500));
    let counters = live.reader.counters();
    assert_eq!(counters.received, told.len() as u64);
    let count = |is: fn(&Verdict) -> bool| told.iter().filter(|(_, v)| is(v)).count() as u64;
    assert_eq!(counters.unique, count(|verdict| matches!(verdict, Verdict::Stored(_))));
    assert_eq!(counters.duplicates, count(|verdict| matches!(verdict, Verdict::Duplicate(_))));
    assert_eq!(counters.conflicts, count(|verdict| matches!(verdict, Verdict::Conflict(_))));
}

/// Every event was stored by exactly one, and everybody was told the truth.
fn check(told: &[(Event, Verdict)], stored: &[kilat_eventlog::StoredEvent]) {
    let mut stored_by: BTreeMap<u64, usize> = BTreeMap::new();
    for (event, verdict) in told {
        let (offset, is_same) = match verdict {
            Verdict::Stored(offset) => {
                *stored_by.entry(*offset).or_default() += 1;
                (*offset, true)
            }
            Verdict::Duplicate(offset) => (*offset, true),
            Verdict::Conflict(offset) => (*offset, false),
        };
        let found = &stored[offset as usize];
        assert_eq!((&*found.topic, &*found.id), (&*event.topic, &*event.id));
        assert_eq!(found.body.as_deref() == Some(&event.body[..]), is_same, "{event:?}");
    }
    assert_eq!(stored_by.len(), stored.len());
    assert!(stored_by.values().all(|count| *count == 1), "an event was stored by both");
}
