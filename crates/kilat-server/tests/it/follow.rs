//! The stream of events: no gap, no repeat, no event that its reader may not see.

use crate::events::{batch, event, publish};
use crate::http::{Connection, request};
use crate::world::{ADMIN, World};
use kilat_server::Limits;
use serde_json::Value;
use std::time::Duration;

struct Stream(Connection);

/// A block of a stream: its fields by name.
type Block = Vec<(String, String)>;

fn field<'a>(block: &'a Block, name: &str) -> Option<&'a str> {
    block.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

impl Stream {
    fn open(world: &World, path: &str, headers: &[(&str, &str)]) -> Stream {
        let mut connection = world.connect();
        connection.send(request("GET", path, headers, ""));
        let head = connection.read_head();
        assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
        assert_eq!(head.header("cache-control"), Some("no-cache"));
        Stream(connection)
    }

    /// The next block, with or without an event.
    fn block(&mut self) -> Block {
        // Chunks' sizes stand on lines of their own and between blocks.
        let text = String::from_utf8(self.0.read_until(b"\n\n")).unwrap();
        let lines = text.lines().filter(|line| line.contains(':'));
        lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// The next event, whose id must be its offset.
    fn next(&mut self) -> Value {
        loop {
            let block = self.block();
            if let Some(data) = field(&block, "data") {
                assert_eq!(field(&block, "event"), Some("event"));
                let event: Value = serde_json::from_str(data).unwrap();
                assert_eq!(field(&block, "id"), Some(event["offset"].to_string().as_str()));
                return event;
            }
        }
    }

    fn offsets(&mut self, count: usize) -> Vec<u64> {
        (0..count).map(|_| self.next()["offset"].as_u64().unwrap()).collect()
    }
}

#[test]
fn a_stream_begins_behind_the_last_event_and_follows() {
    let world = World::open();
    publish(&world, &batch("a", 0..3));
    let mut stream = Stream::open(&world, "/events/stream", &[]);
    assert_eq!(field(&stream.block(), "id"), Some("2"), "the reader knows its place at once");
    publish(&world, &batch("a", 2..5));
    let event = stream.next();
    assert_eq!(
        (&event["offset"], &event["event_id"], &event["payload"]["number"]),
        (&3.into(), &"id-3".into(), &3.into())
    );
    assert_eq!(stream.offsets(1), [4]);
    for round in 1..20 {
        publish(&world, &event_batch(round));
        assert_eq!(stream.offsets(2), [3 + 2 * round as u64, 4 + 2 * round as u64]);
    }
}

fn event_batch(round: usize) -> String {
    batch("b", round * 2..round * 2 + 2)
}

#[test]
fn a_reader_that_comes_back_goes_on_where_it_was() {
    let world = World::open();
    let mut stream = Stream::open(&world, "/events/stream", &[]);
    let first = stream.block();
    assert_eq!(field(&first, "id"), Some("-1"), "before anything is stored");
    drop(stream);
    publish(&world, &batch("a", 0..2_000));
    let mut last = "-1".to_owned();
    let mut seen = Vec::new();
    // Leaves after ever more events, always with some on the way.
    for count in [1, 7, 255, 256, 257, 700, 524] {
        let mut stream =
            Stream::open(&world, "/events/stream?after=3", &[("last-event-id", &last)]);
        seen.extend(stream.offsets(count));
        last = seen.last().unwrap().to_string();
    }
    assert_eq!(seen, (0..2_000).collect::<Vec<_>>());
}

#[test]
fn where_to_begin_can_be_asked() {
    let world = World::open();
    publish(&world, &batch("a", 0..5));
    for (path, last, first) in [
        ("/events/stream?after=-1", None, 0),
        ("/events/stream?after=0", None, 1),
        ("/events/stream?after=2", Some("3"), 4),
        ("/events/stream", Some("-1"), 0),
    ] {
        let headers: Vec<_> = last.map(|last| ("last-event-id", last)).into_iter().collect();
        assert_eq!(Stream::open(&world, path, &headers).offsets(1), [first], "{path} {last:?}");
    }
    for (path, last) in [
        ("/events/stream?after=x", None),
        ("/events/stream?after=-2", None),
        ("/events/stream?after=", None),
        ("/events/stream?after=+1", None),
        ("/events/stream?topic=a%20b", None),
        ("/events/stream?x=1", None),
        ("/events/stream", Some("x")),
        ("/events/stream", Some("18446744073709551616")),
    ] {
        let headers: Vec<_> = last.map(|last| ("last-event-id", last)).into_iter().collect();
        assert_eq!(world.call("GET", path, &headers, "").code(), "invalid", "{path} {last:?}");
    }
}

#[test]
fn a_stream_of_one_topic_has_only_that() {
    let world = World::open();
    let mut stream = Stream::open(&world, "/events/stream?topic=b&after=-1", &[]);
    for round in 0..10 {
        publish(
            &world,
            &format!("[{},{},{}]", event("a", round), event("b", round), event("c", round)),
        );
    }
    assert_eq!(stream.offsets(10), (0..10).map(|round| round * 3 + 1).collect::<Vec<_>>());
}

#[test]
fn the_sales_events_are_for_the_operator() {
    let world = World::open();
    let admin = format!("Bearer {ADMIN}");
    let mut all = Stream::open(&world, "/events/stream", &[("authorization", &admin)]);
    let mut sale =
        Stream::open(&world, "/events/stream?topic=sale.s", &[("authorization", &admin)]);
    let mut others = Stream::open(&world, "/events/stream", &[]);
    world.make_sale(&[]);
    world.buy("budi", "k", 1);
    assert_eq!(sale.next()["payload"]["type"], "sale_created");
    assert_eq!(sale.next()["payload"]["customer"], "budi");
    publish(&world, &event("a", 1));
    assert_eq!(all.offsets(3), [0, 1, 2]);
    let event = others.next();
    assert_eq!((&event["topic"], &event["offset"]), (&"a".into(), &2.into()));
}

#[test]
fn a_slow_reader_is_served_from_the_log() {
    let world = World::open();
    let mut slow = Stream::open(&world, "/events/stream?after=-1", &[]);
    slow.block();
    // More than all buffers between here and there can hold.
    let text = "x".repeat(100_000);
    for number in 0..200 {
        publish(
            &world,
            &event("a", number).replace("\"number\":", &format!("\"text\":\"{text}\",\"number\":")),
        );
    }
    let mut fast = Stream::open(&world, "/events/stream?after=-1", &[]);
    assert_eq!(fast.offsets(200), (0..200).collect::<Vec<_>>(), "others are not held up");
    assert_eq!(slow.offsets(200), (0..200).collect::<Vec<_>>());
}

#[test]
fn streams_share_their_seats_and_end_with_the_server() {
    let mut world = World::full_lane(Limits { streams_max: 1, ..Limits::default() });
    let mut stream = Stream::open(&world, "/events/stream", &[]);
    stream.block();
    let refused = world.get("/events/stream");
    assert_eq!((refused.code().as_str(), refused.header("retry-after")), ("overloaded", Some("1")));
    let stopped = world.spawn_shutdown(Duration::from_secs(10));
    assert!(stream.0.read_to_end().ends_with(b"0\r\n\r\n"), "a stream ends whole");
    world.finish(stopped);
}
