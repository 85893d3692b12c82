//! The event log through the engine: verdicts, restarts, and the copy of the sale's facts.

use crate::sale::{open, ordered, place, with_sale};
use kilat_engine::{
    Content, Engine, EventCounters, ForgetRule, NewEvent, StartError, StoredEvent, Verdict,
};

/// Publishes `(topic, id, body)` as one publication.
async fn publish(engine: &Engine, events: &[(&str, &str, &str)]) -> Vec<Verdict> {
    let mut publication = engine.events().publication();
    for (topic, id, body) in events {
        let content = Content::of(body.as_bytes());
        publication.push(NewEvent { topic, id, content, body: body.as_bytes() }).unwrap();
    }
    engine.events().publish(publication).await.unwrap()
}

fn read(engine: &Engine, topic: Option<&str>) -> Vec<StoredEvent> {
    engine.events().read(topic, None, 10_000, usize::MAX).unwrap().events
}

#[tokio::test]
async fn an_event_is_stored_once_whatever_happens_between() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path());
    let events = [("a", "1", "x"), ("a", "2", "x"), ("b", "1", "x"), ("a", "1", "x")];
    let verdicts = publish(&engine, &events).await;
    let expected =
        [Verdict::Stored(0), Verdict::Stored(1), Verdict::Stored(2), Verdict::Duplicate(0)];
    assert_eq!(verdicts, expected);
    engine.stop();
    let engine = open(directory.path());
    assert_eq!(publish(&engine, &[("a", "2", "x")]).await, [Verdict::Duplicate(1)]);
    assert_eq!(publish(&engine, &[("b", "1", "y")]).await, [Verdict::Conflict(2)]);
    let counters =
        EventCounters { received: 6, unique: 3, duplicates: 2, conflicts: 1, projected: 0 };
    assert_eq!(engine.events().counters(), counters);
    assert_eq!(engine.events().counters_at_start().received, 4);
    let topics = engine.events().topics();
    let topics: Vec<_> = topics.iter().map(|topic| (&*topic.topic, topic.events)).collect();
    assert_eq!(topics, [("a", 2), ("b", 1)]);
    assert_eq!(read(&engine, Some("a")).len(), 2);
    assert_eq!(read(&engine, None).len(), 3);
}

#[tokio::test]
async fn who_waits_for_events_is_woken_before_the_reply() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path());
    let mut ends = engine.events().ends();
    assert_eq!(*ends.borrow_and_update(), 0);
    publish(&engine, &[("a", "1", "x")]).await;
    assert!(ends.has_changed().unwrap());
    assert_eq!(*ends.borrow_and_update(), 1);
    publish(&engine, &[("a", "1", "x")]).await;
    assert!(!ends.has_changed().unwrap(), "a duplicate is no new event");
}

#[tokio::test]
async fn forgotten_bodies_are_gone_and_their_ids_stay() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path());
    publish(&engine, &[("a", "1", "x"), ("b", "1", "x")]).await;
    let rule = ForgetRule { topic: Some("a".into()), ..ForgetRule::default() };
    assert_eq!(engine.events().forget(rule).await.unwrap().below, 2);
    let mut engine = Some(engine);
    for _ in ["before", "after a restart"] {
        let running = engine.take().unwrap_or_else(|| open(directory.path()));
        let bodies: Vec<_> = read(&running, None).into_iter().map(|event| event.body).collect();
        assert_eq!(bodies, [None, Some(b"x".to_vec())]);
        assert_eq!(publish(&running, &[("a", "1", "x")]).await, [Verdict::Duplicate(0)]);
        running.stop();
    }
}

/// Waits until the copy has come to the ledger's end, which has `facts` facts.
async fn copied(engine: &Engine, facts: u64) -> Vec<StoredEvent> {
    let mut ends = engine.events().ends();
    ends.wait_for(|_| engine.events().counters().projected >= facts).await.unwrap();
    read(engine, Some("sale.sale"))
}

#[tokio::test]
async fn each_fact_is_copied_once_over_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let engine = with_sale(directory.path(), 100).await;
    let mut facts = 1;
    let mut engine = Some(engine);
    for life in 0..3 {
        let running = engine.take().unwrap_or_else(|| open(directory.path()));
        for n in 0..10 {
            let buyer = format!("buyer-{life}-{n}");
            assert!(ordered(place(&running, &buyer, false).await.unwrap()).is_some());
            facts += 1;
        }
        let events = copied(&running, facts).await;
        let ids: Vec<_> = events.iter().map(|event| event.id.clone()).collect();
        let expected: Vec<_> = (1..=facts).map(|n| format!("sale/{n}")).collect();
        assert_eq!(ids, expected);
        assert_eq!(running.events().counters().received, 0, "copies are no deliveries");
        assert_eq!(running.events().projector().halted(), None);
        running.stop();
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
