//! An event log in PostgreSQL: what several processes publish is there once, in one order, and a
//! reader in any of them misses nothing, whatever ends at whatever moment.

use super::world::{Random, behind_proxy, wait_for};
use crate::node::{PATIENCE, log};
use crate::postgres::Cluster;
use crate::proxy::Weather;
use crate::sale::open;
use kilat_engine::{
    Content, EventPage, EventStore, Events, ForgetRule, NewEvent, Unavailable, Verdict,
};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::sync::watch;

type Event = (String, String, String);

/// One publication.
async fn publish(events: &Events, items: &[Event]) -> Result<Vec<Verdict>, Unavailable> {
    let mut publication = events.publication();
    for (topic, id, body) in items {
        let content = Content::of(body.as_bytes());
        publication.push(NewEvent { topic, id, content, body: body.as_bytes() }).unwrap();
    }
    events.publish(publication).await
}

fn event(topic: &str, id: u64, body: &str) -> Event {
    (topic.to_owned(), id.to_string(), body.to_owned())
}

fn join(cluster: &Cluster) -> EventStore {
    log(cluster.url().parse().unwrap())
}

/// Random publications and reads come to what the log in this process makes of them.
#[tokio::test]
async fn a_log_in_postgresql_says_what_the_embedded_one_says() {
    let mut random = Random::seeded();
    let (cluster, directory) = (Cluster::start(), tempfile::tempdir().unwrap());
    let (engine, stores) = (open(directory.path()), [join(&cluster), join(&cluster)]);
    let oracle = engine.events();
    let mut forgotten = false;
    for step in 0..120 {
        let events = stores[step % 2].events();
        let count = 1 + random.below(30);
        let items: Vec<_> = (0..count).map(|_| any_event(&mut random)).collect();
        assert_eq!(publish(events, &items).await, publish(oracle, &items).await, "step {step}");
        assert_eq!(events.counters(), oracle.counters(), "step {step}");
        assert_eq!(*events.ends().borrow(), *oracle.ends().borrow());
        assert_eq!(events.topics().unwrap(), oracle.topics().unwrap());
        if step > 60 && random.one_in(10) {
            let topic = (!random.one_in(4)).then(|| format!("t{}", random.below(6)));
            let rule = ForgetRule { topic, received_before_ms: None };
            let below = events.forget(rule.clone()).await.unwrap();
            assert_eq!(below, oracle.forget(rule).await.unwrap());
            forgotten = true;
        }
        let topic = (!random.one_in(3)).then(|| format!("t{}", random.below(6)));
        let after = (!random.one_in(3)).then(|| random.below(400));
        // Each drops forgotten bodies when it likes, so afterwards the bytes differ.
        let bytes_max = if forgotten { usize::MAX } else { random.below(600) as usize };
        let limit = 1 + random.below(40) as usize;
        let read = |events: &Events| said(events.read(topic.as_deref(), after, limit, bytes_max));
        assert_eq!(read(events), read(oracle), "{topic:?} {after:?} {limit} {bytes_max}");
    }
}

/// Few topics and ids, so that many are met again, also within one publication.
fn any_event(random: &mut Random) -> Event {
    let body = "x".repeat(1 + random.below(3) as usize * 20);
    (format!("t{}", random.below(5)), format!("\u{20ac}{}", random.below(300)), body)
}

/// A page without what no two logs share: when each event came.
fn said<E: std::fmt::Debug>(page: Result<EventPage, E>) -> EventPage {
    let mut page = page.unwrap();
    page.events.iter_mut().for_each(|event| event.received_ms = 0);
    page
}

const PUBLISHERS: u64 = 3;
const PUBLICATIONS: u64 = 100;
const IDS: u64 = 2_000;

/// Publishes random ids, each until there is an answer; what was stored at which offset.
async fn storm(store: &EventStore, mut random: Random, begun: watch::Sender<u64>) -> Vec<Verdict> {
    let mut told = Vec::new();
    for _ in 0..PUBLICATIONS {
        begun.send_modify(|count| *count += 1);
        let items: Vec<_> =
            (0..20).map(|_| random.below(IDS)).map(|id| event("t", id, "same")).collect();
        let deadline = Instant::now() + PATIENCE;
        told.extend(loop {
            match publish(store.events(), &items).await {
                Ok(verdicts) => break verdicts,
                Err(why) => assert!(Instant::now() < deadline, "{why}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        });
    }
    told
}

/// Reads events as they come, each the next of the one before, until as many were read as `done`
/// says in the end.
async fn follow(store: EventStore, mut done: watch::Receiver<Option<u64>>) -> HashMap<String, u64> {
    let (mut ends, mut place, mut seen) = (store.events().ends(), None, HashMap::new());
    loop {
        match store.events().read(None, place, 7, usize::MAX) {
            Ok(page) => {
                for event in page.events {
                    let expected = place.map_or(0, |place| place + 1);
                    assert_eq!(event.offset, expected, "an offset was skipped");
                    place = Some(event.offset);
                    assert_eq!(seen.insert(event.id, event.offset), None, "stored twice");
                }
            }
            Err(why) => println!("not read: {why}"),
        }
        if *done.borrow_and_update() == Some(place.map_or(0, |place| place + 1)) {
            return seen;
        }
        tokio::select! {
            _ = ends.wait_for(|end| place.is_none_or(|place| *end > place + 1)) => {}
            told = done.changed() => told.unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn publishers_and_the_server_are_killed_and_each_event_is_there_once_in_one_order() {
    let mut cluster = Cluster::start();
    let mut random = Random::seeded();
    let (finish, done) = watch::channel(None);
    let follower = tokio::spawn(follow(join(&cluster), done));
    let (count, mut begun) = watch::channel(0);
    let mut running = Vec::new();
    for _ in 0..PUBLISHERS {
        let (store, random, count) = (join(&cluster), random.fork(), count.clone());
        running.push(tokio::spawn(async move { storm(&store, random, count).await }));
    }
    drop(count);
    let (mut killed, mut next) = (0, 0);
    while begun.wait_for(|count| *count > next).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(random.below(10))).await;
        if random.one_in(3) {
            cluster.kill();
            cluster.resume();
            killed += 1;
        } else {
            killed += usize::from(cluster.kill_backend("test"));
        }
        next = *begun.borrow() + 5 + random.below(20);
    }
    // The last kill may have left it recovering.
    cluster.resume();
    println!("killed {killed} times");
    assert!(killed > 2, "the storm was over before it began");
    let mut stored = Vec::new();
    for one in running {
        stored.extend(one.await.unwrap());
    }
    let end: u64 = cluster.sql("SELECT next FROM kilat.event_log").trim().parse().unwrap();
    finish.send(Some(end)).unwrap();
    let seen = follower.await.unwrap();
    assert_eq!(seen.len() as u64, end);
    let mut offsets: Vec<_> = seen.into_values().collect();
    offsets.sort_unstable();
    assert_eq!(offsets, (0..end).collect::<Vec<_>>());
    for verdict in stored {
        let (Verdict::Stored(offset) | Verdict::Duplicate(offset)) = verdict else {
            panic!("{verdict:?}: all say the same");
        };
        assert!(offset < end, "an event that was acknowledged is lost");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publication_whose_verdicts_are_lost_is_counted_once_and_gets_them_again() {
    let cluster = Cluster::start();
    let (address, proxy, _directory) = behind_proxy(&cluster);
    let store = log(address.parse().unwrap());
    let items = [event("t", 1, "x"), event("t", 2, "x"), event("t", 1, "x"), event("t", 2, "y")];
    assert_eq!(publish(store.events(), &items[..1]).await.unwrap(), [Verdict::Stored(0)]);
    // Replies are lost once the server has the request, and nothing that was asked before.
    let busy = cluster.begin("SELECT FROM kilat.event_log FOR UPDATE");
    let events = store.events().clone();
    let publishing = tokio::spawn(async move { publish(&events, &items[1..]).await });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    wait_for(|| cluster.sql(waits).trim() == "1");
    proxy.set(Weather { replies_lost: true, ..Weather::default() });
    drop(busy);
    wait_for(|| cluster.sql("SELECT received FROM kilat.event_log").trim() == "4");
    proxy.cut();
    proxy.set(Weather::default());
    let expected = [Verdict::Stored(1), Verdict::Duplicate(0), Verdict::Conflict(1)];
    assert_eq!(publishing.await.unwrap().unwrap(), expected);
    let counters = store.events().counters();
    assert_eq!((counters.received, counters.unique), (4, 2));
    assert_eq!((counters.duplicates, counters.conflicts), (1, 1));
}

#[tokio::test]
async fn what_makes_too_many_topics_is_refused_alone() {
    let cluster = Cluster::start();
    let store = join(&cluster);
    let events = store.events();
    publish(events, &[event("known", 1, "x")]).await.unwrap();
    cluster.sql("UPDATE kilat.event_log SET topics = 100000");
    let (known, new) = ([event("known", 2, "x")], [event("new", 1, "x")]);
    let (taken, refused) = tokio::join!(publish(events, &known), publish(events, &new));
    assert_eq!(taken, Ok(vec![Verdict::Stored(1)]));
    assert_eq!(refused, Err(Unavailable::TooManyTopics));
    assert_eq!(events.counters().received, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forgotten_leaves_the_table_too() {
    let cluster = Cluster::start();
    let store = join(&cluster);
    let events = store.events();
    let many = |topic: &str| -> Vec<_> { (0..2_500).map(|n| event(topic, n, "x")).collect() };
    for topic in ["a", "b"] {
        publish(events, &many(topic)).await.unwrap();
    }
    let since = events.read(Some("b"), None, 1, 1).unwrap().events[0].received_ms;
    let before = |ms| ForgetRule { topic: None, received_before_ms: Some(ms) };
    assert_eq!(events.forget(before(since)).await.unwrap().below, 2_500);
    let bodies = |topic: &str| {
        cluster.sql(&format!(
            "SELECT count(e.body) FROM kilat.events e JOIN kilat.event_topics t \
             ON t.number = e.topic WHERE t.name = '{topic}'"
        ))
    };
    wait_for(|| bodies("a") == "0\n");
    assert_eq!(bodies("b"), "2500\n");
    let rule = ForgetRule { topic: Some("b".into()), received_before_ms: None };
    assert_eq!(events.forget(rule).await.unwrap().below, 5_000);
    wait_for(|| bodies("b") == "0\n");
    assert_eq!(publish(events, &[event("b", 7, "x")]).await.unwrap(), [Verdict::Duplicate(2_507)]);
}
