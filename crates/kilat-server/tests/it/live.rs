//! Streams, health, metrics and stopping.

use crate::http::{Connection, request};
use crate::world::World;
use kilat_server::Limits;
use serde_json::{Value, json};
use std::time::Duration;

struct Stream(Connection);

impl Stream {
    fn follow(world: &World) -> Stream {
        let mut connection = world.connect();
        connection.send(request("GET", "/v1/sales/s/stream", &[], ""));
        let head = connection.read_head();
        assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
        assert_eq!(head.header("cache-control"), Some("no-cache"));
        Stream(connection)
    }

    fn next(&mut self) -> Value {
        self.0.read_until(b"event: stock\n");
        self.0.read_until(b"data: ");
        serde_json::from_slice(&self.0.read_until(b"\n\n")).unwrap()
    }

    /// Reads events until one is as `wanted`; changes in between may be folded.
    fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.next();
            if wanted(&event) {
                return event;
            }
        }
    }
}

#[test]
fn a_stream_begins_with_the_state_and_follows_it() {
    let world = World::open();
    world.make_sale(&[(r#""per_customer":2"#, r#""per_customer":null"#)]);
    let mut stream = Stream::follow(&world);
    assert_eq!(
        stream.next(),
        json!({"supply": 10, "available": 10, "held": 0, "sold": 0, "state": "open", "opens_at": null,
            "closes_at": null})
    );
    for n in 0..10 {
        assert_eq!(world.buy("budi", &format!("k{n}"), 1).status, 201);
    }
    let last = stream.until(|event| event["available"] == 0);
    assert_eq!(
        last,
        json!({"supply": 10, "available": 0, "held": 0, "sold": 10, "state": "sold_out",
            "opens_at": null, "closes_at": null})
    );
    world.change_sale("pause", r#"{"state":"paused"}"#);
    assert_eq!(stream.next()["state"], "paused");
}

/// Follows a sale whose `field` is a moment ahead: `before` it, and then `after` it. A machine that is
/// too busy to follow in time is given twice as long.
fn check_turn(field: &str, before: &str, after: &str) {
    for millis in std::iter::successors(Some(250), |millis| Some(millis * 2)) {
        let world = World::open();
        let moment = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(millis);
        let [none, then] = ["null".to_owned(), format!("\"{moment}\"")]
            .map(|value| format!("\"{field}\":{value}"));
        world.make_sale(&[(&none, &then)]);
        let mut stream = Stream::follow(&world);
        if stream.next()["state"] == before {
            return assert_eq!(stream.next()["state"], after);
        }
    }
}

#[test]
fn a_stream_tells_that_time_opened_and_closed_a_sale() {
    check_turn("opens_at", "scheduled", "open");
    check_turn("closes_at", "open", "closed");
}

#[test]
fn a_stream_tells_that_the_opening_was_moved() {
    let world = World::open();
    world.make_sale(&[(r#""opens_at":null"#, r#""opens_at":"2031-01-01T00:00:00Z""#)]);
    let mut stream = Stream::follow(&world);
    assert_eq!(stream.next()["opens_at"], "2031-01-01T00:00:00Z");
    world.change_sale("move", r#"{"opens_at":"2030-06-01T00:00:00Z"}"#);
    assert_eq!(stream.next()["opens_at"], "2030-06-01T00:00:00Z");
}

#[test]
fn a_reader_that_knows_no_chunks_gets_none_and_is_told_the_end_by_the_close() {
    let mut world = World::open();
    world.make_sale(&[]);
    let mut old = world.connect();
    old.send("GET /v1/sales/s/stream HTTP/1.0\r\n\r\n");
    let head = old.read_head();
    assert_eq!((head.status, head.header("transfer-encoding")), (200, None));
    assert!(old.read_until(b"\n\n").starts_with(b"event: stock\ndata: {"));
    let stopped = world.spawn_shutdown(Duration::from_secs(10));
    assert!(old.read_to_end().is_empty());
    world.finish(stopped);
}

#[test]
fn everybody_who_follows_is_told_and_who_has_left_is_forgotten() {
    let world = World::open();
    world.make_sale(&[(r#""per_customer":2"#, r#""per_customer":null"#)]);
    let mut readers: Vec<Stream> = (0..50).map(|_| Stream::follow(&world)).collect();
    readers.iter_mut().for_each(|reader| assert_eq!(reader.next()["sold"], 0));
    readers.truncate(25);
    // What is sent after the request is nobody's.
    readers.iter_mut().for_each(|reader| reader.0.send("GET / HTTP/1.1\r\n\r\n"));
    assert_eq!(world.buy("budi", "k", 3).status, 201);
    readers.iter_mut().for_each(|reader| assert_eq!(reader.next()["sold"], 3));
    // The server hears of the end in its own time; each look is an answer to wait for.
    let streams = || world.get("/metrics").text().contains("kilat_streams 25\n");
    assert!((0..10_000).any(|_| streams()), "they were never forgotten");
}

#[test]
fn streams_are_bounded_and_a_place_comes_free() {
    let world = World::full_lane(Limits { streams_max: 1, ..Limits::default() });
    world.make_sale(&[]);
    let mut first = Stream::follow(&world);
    first.next();
    let refused = world.get("/v1/sales/s/stream");
    assert_eq!((refused.code().as_str(), refused.header("retry-after")), ("overloaded", Some("1")));
    drop(first);
    // The server hears of the end in its own time; each refusal is an answer to wait for.
    let mut tries = 0;
    loop {
        let mut connection = world.connect();
        connection.send(request("GET", "/v1/sales/s/stream", &[], ""));
        if connection.read_head().status == 200 {
            break;
        }
        tries += 1;
        assert!(tries < 10_000, "the place never came free");
    }
}

#[test]
fn stopping_ends_streams_and_idle_connections_and_answers_what_is_in_flight() {
    let mut world = World::open();
    world.make_sale(&[]);
    let mut stream = Stream::follow(&world);
    stream.next();
    let mut idle = world.connect();
    assert_eq!(idle.call("GET", "/readyz", &[], "").status, 200);
    let mut busy = world.connect();
    let body = r#"{"orders":[{"key":"k","customer":"budi","quantity":1}]}"#;
    let json = ("content-type", "application/json");
    let whole =
        request("POST", "/v1/sales/s/orders:batch", &[json, ("expect", "100-continue")], body);
    busy.send(whole.strip_suffix(body).unwrap());
    assert_eq!(busy.read_head().status, 100, "the request is in flight: its body is asked for");
    let stopped = world.spawn_shutdown(Duration::from_secs(10));
    assert!(stream.0.read_to_end().ends_with(b"0\r\n\r\n"), "a stream ends whole");
    assert!(idle.read_to_end().is_empty());
    busy.send(body);
    assert_eq!(busy.read_reply().json()["outcomes"][0]["status"], "confirmed");
    world.finish(stopped);
    assert!(std::net::TcpStream::connect(world.address).is_err(), "the listener is closed");
}

#[test]
fn a_node_that_leaves_says_so_and_serves_on() {
    let world = World::open();
    world.make_sale(&[]);
    assert_eq!(world.get("/readyz").json()["status"], "ok");
    world.leave();
    for probe in ["/readyz", "/healthz"] {
        let reply = world.get(probe);
        assert_eq!(reply.code(), "shutting_down", "{probe}");
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    assert_eq!(world.get("/livez").status, 200);
    assert_eq!(world.buy("budi", "k", 1).status, 201);
}

#[test]
fn metrics_count_what_became_of_requests() {
    let world = World::open();
    world.make_sale(&[]);
    let counted = |status: &str| {
        let text = world.get("/metrics").text().to_owned();
        let start = format!("flash_sale_requests_total{{status=\"{status}\"}} ");
        text.lines()
            .find_map(|line| line.strip_prefix(&start))
            .map_or(0, |count| count.parse::<u64>().unwrap())
    };
    let statuses = ["confirmed", "held", "replayed", "limit_reached", "invalid", "sale_not_found"];
    // Tests may share a process and so its recorder: count from here on.
    let before = statuses.map(counted);
    world.buy("budi", "k", 1);
    world.buy("budi", "k", 1);
    world.hold("siti", "k");
    world.buy("budi", "k2", 9);
    world.buy("budi", "k2", 0);
    world.call(
        "POST",
        "/v1/sales/x/orders",
        &[("content-type", "application/json"), ("idempotency-key", "k")],
        r#"{"customer":"a","quantity":1}"#,
    );
    for (status, before) in statuses.into_iter().zip(before) {
        assert!(counted(status) > before, "{status}");
    }
    let text = world.get("/metrics").text().to_owned();
    for name in [
        "kilat_build_info{",
        "kilat_http_request_seconds_bucket{",
        "kilat_order_seconds_bucket{answer=\"refused\",le=\"+Inf\"}",
        "kilat_sale_units{sale=\"s\",state=\"available\"} 8",
        "kilat_sale_units{sale=\"s\",state=\"held\"} 1",
        "kilat_sale_units{sale=\"s\",state=\"sold\"} 1",
        "kilat_sale_supply_units{sale=\"s\"} 10",
        "kilat_queue_depth 0",
        "kilat_streams 0",
        "process_open_fds ",
    ] {
        assert!(text.contains(name), "{name}\n{text}");
    }
}

#[test]
fn metrics_show_who_is_connected_and_who_follows() {
    let world = World::open();
    world.make_sale(&[]);
    let figure = |name: &str| {
        let text = world.get("/metrics").text().to_owned();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name}\n{text}")).parse::<u64>().unwrap()
    };
    let mut idle = world.connect();
    assert_eq!(idle.call("GET", "/livez", &[], "").status, 200);
    let mut stream = Stream::follow(&world);
    stream.next();
    // The asking connection, the idle one and the stream's; earlier ones may not be closed yet.
    assert!(figure("kilat_connections") >= 3);
    assert_eq!(figure("kilat_streams"), 1);
}

#[test]
fn durations_of_publishing_are_kept_by_answer_on_both_lanes() {
    for world in [World::open(), World::full_lane(Limits::default())] {
        let counted = |answer: &str| {
            let text = world.get("/metrics").text().to_owned();
            let start = format!("kilat_publish_seconds_count{{answer=\"{answer}\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&start)).unwrap().parse::<u64>().unwrap()
        };
        let before = ["accepted", "refused"].map(counted);
        let event = r#"{"topic":"t","event_id":"1","timestamp":"2026-11-21T12:00:00Z","source":"s","payload":{}}"#;
        let json = [("content-type", "application/json")];
        assert_eq!(world.call("POST", "/publish", &json, event).status, 200);
        assert_eq!(world.call("POST", "/publish", &json, "{}").status, 422);
        // Other tests may share the process.
        let after = ["accepted", "refused"].map(counted);
        assert!(after[0] > before[0] && after[1] > before[1], "{before:?} {after:?}");
    }
}
