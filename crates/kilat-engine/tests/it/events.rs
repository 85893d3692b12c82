//! The event log through the engine: verdicts, restarts, and the copy of the sale's facts.

use crate::in_stripes;
use crate::node::{Backend, PATIENCE, Way, everywhere};
use crate::sale::{open, ordered, place, with_sale};
use kilat_engine::{
    Content, Engine, EventCounters, ForgetRule, NewEvent, Outcome, StartError, StoredEvent,
    Unavailable, Verdict,
};
use std::time::{Duration, Instant};

everywhere! {
    an_event_is_stored_once_whatever_happens_between,
    who_waits_for_events_is_woken_before_the_reply,
    forgotten_bodies_are_gone_and_their_ids_stay,
    each_fact_is_copied_once_over_restarts,
}

/// Publishes `(topic, id, body)` as one publication.
async fn publish(engine: &impl Way, events: &[(&str, &str, &str)]) -> Vec<Verdict> {
    let mut publication = engine.events().publication();
    for (topic, id, body) in events {
        let content = Content::of(body.as_bytes());
        publication.push(NewEvent { topic, id, content, body: body.as_bytes() }).unwrap();
    }
    engine.events().publish(publication).await.unwrap()
}

fn read(engine: &impl Way, topic: Option<&str>) -> Vec<StoredEvent> {
    engine.events().read(topic, None, 10_000, usize::MAX).unwrap().events
}

async fn an_event_is_stored_once_whatever_happens_between(backend: Backend) {
    let mut node = backend.open();
    let events = [("a", "1", "x"), ("a", "2", "x"), ("b", "1", "x"), ("a", "1", "x")];
    let verdicts = publish(&node, &events).await;
    let expected =
        [Verdict::Stored(0), Verdict::Stored(1), Verdict::Stored(2), Verdict::Duplicate(0)];
    assert_eq!(verdicts, expected);
    node.restart();
    assert_eq!(publish(&node, &[("a", "2", "x")]).await, [Verdict::Duplicate(1)]);
    assert_eq!(publish(&node, &[("b", "1", "y")]).await, [Verdict::Conflict(2)]);
    let counters =
        EventCounters { received: 6, unique: 3, duplicates: 2, conflicts: 1, projected: 0 };
    assert_eq!(node.events().counters(), counters);
    assert_eq!(node.events().counters_at_start().received, 4);
    let topics = node.events().topics().unwrap();
    let topics: Vec<_> = topics.iter().map(|topic| (&*topic.topic, topic.events)).collect();
    assert_eq!(topics, [("a", 2), ("b", 1)]);
    assert_eq!(read(&node, Some("a")).len(), 2);
    assert_eq!(read(&node, None).len(), 3);
}

async fn who_waits_for_events_is_woken_before_the_reply(backend: Backend) {
    let node = backend.open();
    let mut ends = node.events().ends();
    assert_eq!(*ends.borrow_and_update(), 0);
    publish(&node, &[("a", "1", "x")]).await;
    assert!(ends.has_changed().unwrap());
    assert_eq!(*ends.borrow_and_update(), 1);
    publish(&node, &[("a", "1", "x")]).await;
    assert!(!ends.has_changed().unwrap(), "a duplicate is no new event");
}

async fn forgotten_bodies_are_gone_and_their_ids_stay(backend: Backend) {
    let mut node = backend.open();
    publish(&node, &[("a", "1", "x"), ("b", "1", "x")]).await;
    let rule = ForgetRule { topic: Some("a".into()), ..ForgetRule::default() };
    assert_eq!(node.events().forget(rule).await.unwrap().below, 2);
    for _ in ["before", "after a restart"] {
        let bodies: Vec<_> = read(&node, None).into_iter().map(|event| event.body).collect();
        assert_eq!(bodies, [None, Some(b"x".to_vec())]);
        assert_eq!(publish(&node, &[("a", "1", "x")]).await, [Verdict::Duplicate(0)]);
        node.restart();
    }
}

/// Waits until the copy has come to the ledger's end, which has `facts` facts.
async fn copied(node: &impl Way, facts: u64) -> Vec<StoredEvent> {
    let mut ends = node.events().ends();
    ends.wait_for(|_| node.events().counters().projected >= facts).await.unwrap();
    read(node, Some("sale.sale"))
}

/// What becomes of an order to a ledger that was just started again: the servers of a cluster may
/// need longer to agree than callers wait, and say so.
async fn placed_at_last(node: &impl Way, buyer: &str) -> Outcome {
    let since = Instant::now();
    loop {
        match place(node, buyer, false).await {
            Err(Unavailable::Away) if since.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            placed => return placed.unwrap(),
        }
    }
}

async fn each_fact_is_copied_once_over_restarts(backend: Backend) {
    let mut node = backend.with_sale(100).await;
    let mut facts = 1;
    for life in 0..3 {
        for n in 0..10 {
            let buyer = format!("buyer-{life}-{n}");
            assert!(ordered(placed_at_last(&node, &buyer).await).is_some());
            facts += 1;
        }
        let events = copied(&node, facts).await;
        let ids: Vec<_> = events.iter().map(|event| event.id.clone()).collect();
        let ids = in_stripes::as_one(&node, ids);
        let expected: Vec<_> = (1..=facts).map(|n| format!("sale/{n}")).collect();
        assert_eq!(ids, expected);
        assert_eq!(node.events().counters().received, 0, "copies are no deliveries");
        assert_eq!(node.events().projector().halted(), None);
        node.restart();
    }
}

#[tokio::test]
async fn a_lost_event_log_is_copied_anew() {
    let directory = tempfile::tempdir().unwrap();
    let engine = with_sale(directory.path(), 100).await;
    ordered(place(&engine, "buyer", false).await.unwrap());
    let before = copied(&engine, 2).await;
    engine.stop();
    for lost in ["events", "events-index"] {
        std::fs::remove_dir_all(directory.path().join(lost)).unwrap();
    }
    let engine = open(directory.path());
    let after = copied(&engine, 2).await;
    let said = |events: &[StoredEvent]| -> Vec<_> {
        events.iter().map(|event| (event.id.clone(), event.body.clone())).collect()
    };
    assert_eq!(said(&after), said(&before));
}

#[tokio::test]
async fn a_ledger_that_lost_what_was_copied_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let engine = with_sale(directory.path(), 100).await;
    ordered(place(&engine, "buyer", false).await.unwrap());
    copied(&engine, 2).await;
    engine.stop();
    for lost in ["journal", "snapshots"] {
        std::fs::remove_dir_all(directory.path().join(lost)).unwrap();
    }
    let options = kilat_engine::Options::new(directory.path().to_owned(), Box::new(drop));
    let Err(error) = Engine::start(options) else { panic!("it started") };
    assert!(matches!(error, StartError::EventsAhead { ledger: 0, .. }), "{error}");
}
