//! Clients that are slow, large or many, and the end of a gateway.

use super::world::World;
use crate::http::request;
use kilat_server::gateway::Limits;
use kilat_server::gateway::limits::{BODY_BYTES_MAX, HEAD_BYTES_MAX, HEADERS_MAX};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(60);

#[test]
fn slow_heads_and_silence_are_cut() {
    let world = World::single(Limits { header_timeout: SHORT, ..Limits::default() });
    assert!(world.connect().read_to_end().is_empty());
    for begun in ["G", "GET / HTTP/1.1\r\nhost: h\r\n", "GET / HTTP/1.1\r\nhost: h\r\n\r"] {
        let mut client = world.connect();
        client.send(begun);
        assert_eq!(client.read_reply().code(), "request_timeout");
        assert!(client.read_to_end().is_empty());
    }
    let mut idle = world.connect();
    assert_eq!(idle.call("GET", "/x", &[], "").status, 200);
    assert!(idle.read_to_end().is_empty());
    assert_eq!(world.seen_at("/"), 1);
}

#[test]
fn a_head_that_trickles_is_read_when_it_is_whole() {
    let world = World::single(Limits::default());
    let mut client = world.connect();
    for byte in request("POST", "/trickle", &[], "abc").bytes() {
        client.send([byte]);
    }
    assert_eq!(client.read_reply().text(), "3");
}

#[test]
fn slow_bodies_are_cut_at_a_deadline_for_all_of_it() {
    let world = World::single(Limits { body_timeout: SHORT, ..Limits::default() });
    for length in ["10000", "100000"] {
        let mut client = world.connect();
        client.send(request("POST", "/slow", &[("content-length", length)], ""));
        let reply = std::thread::scope(|scope| {
            let mut trickle = client.clone_for_sending();
            // Each byte is in time by itself.
            scope.spawn(move || {
                while trickle.try_send(b" ") {
                    std::thread::sleep(SHORT / 20);
                }
            });
            let reply = client.read_reply();
            client.read_to_end();
            reply
        });
        assert_eq!(
            (reply.code().as_str(), reply.header("connection")),
            ("request_timeout", Some("close")),
            "{length}"
        );
    }
    assert!(world.replicas[0].seen_at("/slow").iter().all(|seen| seen.body.is_none()));
    assert_eq!(world.get("/x").status, 200);
}

#[test]
fn a_client_that_takes_nothing_is_cut() {
    let world = World::single(Limits { write_timeout: SHORT, ..Limits::default() });
    let mut client = world.connect();
    let many = request("GET", "/large", &[], "").repeat(100);
    let mut sent = 0;
    while client.try_send(many.as_bytes()) {
        sent += 1;
        assert!(sent < 10_000, "requests are taken without end");
    }
    world.replicas[0].await_closed();
}

#[test]
fn what_is_too_large_is_refused() {
    let world = World::single(Limits::default());
    let large = BODY_BYTES_MAX + 1;
    let chunk = format!("{large:x}\r\n{}", "x".repeat(large as usize));
    let many = "x: y\r\n".repeat(HEADERS_MAX);
    let long = "x".repeat(HEAD_BYTES_MAX);
    for (head, body, code) in [
        (format!("content-length: {large}"), "", "too_large"),
        ("transfer-encoding: chunked".into(), chunk.as_str(), "too_large"),
        (format!("{many}y: z"), "", "headers_too_large"),
        (format!("x: {long}"), "", "headers_too_large"),
    ] {
        let mut client = world.connect();
        let text = format!("POST /large-one HTTP/1.1\r\nhost: h\r\n{head}\r\n\r\n{body}");
        client.try_send(text.as_bytes());
        let reply = client.read_reply();
        assert_eq!((reply.code().as_str(), reply.header("connection")), (code, Some("close")));
    }
    assert!(world.replicas[0].seen_at("/large-one").iter().all(|seen| seen.body.is_none()));
}

#[test]
fn more_than_can_be_in_flight_is_told_so_at_once() {
    let world = World::single(Limits { in_flight_max: 2, ..Limits::default() });
    let mut waiting = [world.connect(), world.connect()];
    for client in &mut waiting {
        client.send(request("GET", "/wait", &[], ""));
    }
    while world.seen_at("/wait") < 2 {
        std::thread::yield_now();
    }
    let mut client = world.connect();
    for _ in 0..3 {
        let refused = client.call("GET", "/x", &[], "");
        assert_eq!(
            (refused.code().as_str(), refused.header("retry-after")),
            ("overloaded", Some("1"))
        );
    }
    world.replicas[0].permit("/wait");
    world.replicas[0].permit("/wait");
    for client in &mut waiting {
        assert_eq!(client.read_reply().status, 200);
    }
    assert_eq!(client.call("GET", "/x", &[], "").status, 200);
}

/// A connection for each of thousands would cost more than the work.
#[test]
fn more_than_a_replica_should_be_busy_with_wait_their_turn() {
    let world = World::single(Limits { replica_busy_max: 2, ..Limits::default() });
    let mut stream = world.connect();
    stream.send(request("GET", "/events", &[], ""));
    assert_eq!(stream.read_head().status, 200);
    let mut waiting: Vec<_> = (0..6).map(|_| world.connect()).collect();
    for client in &mut waiting {
        client.send(request("GET", "/wait", &[], ""));
    }
    for served in 0..waiting.len() {
        while world.seen_at("/wait") < (served + 2).min(waiting.len()) {
            std::thread::yield_now();
        }
        let with_it = world.seen_at("/wait") - served;
        assert!(with_it <= 2, "{with_it} are with a replica that takes two, and a stream");
        world.replicas[0].permit("/wait");
        while world.replicas[0].has_permits() {
            std::thread::yield_now();
        }
    }
    for client in &mut waiting {
        assert_eq!(client.read_reply().status, 200);
    }
}

#[test]
fn who_waits_for_a_busy_replica_for_too_long_is_told_so() {
    let world = World::single(Limits { replica_busy_max: 1, ..Limits::default() });
    let mut first = world.connect();
    first.send(request("GET", "/wait", &[], ""));
    world.replicas[0].await_request("/wait");
    let late = world.get("/late");
    assert_eq!((late.code().as_str(), late.header("retry-after")), ("overloaded", Some("1")));
    assert_eq!(world.seen_at("/late"), 0);
    world.replicas[0].permit("/wait");
    assert_eq!(first.read_reply().status, 200);
    assert_eq!(world.get("/x").status, 200);
}

#[test]
fn streams_and_uploads_have_limits_of_their_own() {
    let world = World::single(Limits {
        in_flight_max: 2,
        streams_max: 1,
        uploads_max: 1,
        ..Limits::default()
    });
    let mut stream = world.connect();
    stream.send(request("GET", "/events", &[], ""));
    assert_eq!(stream.read_head().status, 200);
    assert_eq!(world.get("/x").status, 200, "a stream is not in flight");
    assert_eq!(world.get("/events").code(), "overloaded");
    let mut upload = world.connect();
    upload.send(request("POST", "/upload", &[("content-length", "100000")], ""));
    upload.send("x".repeat(70_000));
    world.replicas[0].await_request("/upload");
    let refused = world.call("POST", "/upload-2", &[], &"x".repeat(100_000));
    assert_eq!(
        (refused.code().as_str(), refused.header("connection")),
        ("overloaded", Some("close"))
    );
    upload.send("x".repeat(30_000));
    assert_eq!(upload.read_reply().text(), "100000");
}

#[test]
fn one_connection_too_many_is_told_so() {
    let world = World::single(Limits { connections_max: 2, ..Limits::default() });
    let mut seats = [world.connect(), world.connect()];
    for seat in &mut seats {
        assert_eq!(seat.call("GET", "/x", &[], "").status, 200);
    }
    let refused = world.connect().read_reply();
    assert_eq!((refused.code().as_str(), refused.header("retry-after")), ("overloaded", Some("1")));
    assert_eq!(seats[0].call("GET", "/x", &[], "").status, 200);
}

/// Else who keeps a connection only in case it is needed keeps others out.
#[test]
fn the_silent_make_room_when_there_is_hardly_any() {
    let limits = Limits { connections_max: 3, silence_when_full: SHORT, ..Limits::default() };
    let world = World::single(limits);
    let mut stream = world.connect();
    stream.send(request("GET", "/events", &[], ""));
    assert_eq!(stream.read_head().status, 200);
    let mut waiting = world.connect();
    waiting.send(request("GET", "/wait", &[], ""));
    world.replicas[0].await_request("/wait");
    let mut silent = world.connect();
    assert_eq!(silent.call("GET", "/x", &[], "").status, 200);
    assert!(silent.read_to_end().is_empty());
    world.replicas[0].permit("/wait");
    assert_eq!(waiting.read_reply().status, 200, "whoever waits for a reply is not silent");
    world.replicas[0].permit("/events");
    assert!(!stream.read_until(b"\n\n").is_empty(), "nor is a stream");
}

#[test]
fn what_is_in_flight_is_finished_before_the_end() {
    let mut world = World::single(Limits::default());
    let mut waiting = world.connect();
    waiting.send(request("GET", "/wait", &[], ""));
    world.replicas[0].await_request("/wait");
    let mut stream = world.connect();
    stream.send(request("GET", "/events", &[], ""));
    stream.read_head();
    let mut idle = world.connect();
    assert_eq!(idle.call("GET", "/x", &[], "").status, 200);
    let ended = world.spawn_shutdown(LONG);
    // A stream ends in good order, and what is idle is closed, before what is in flight has ended.
    assert_eq!(stream.read_to_end(), b"0\r\n\r\n");
    assert!(idle.read_to_end().is_empty());
    // Each thread hears of the end by itself: the one that accepts may be the last.
    let since = std::time::Instant::now();
    while std::net::TcpStream::connect(world.address).is_ok() {
        assert!(since.elapsed() < LONG, "somebody is still accepted");
        std::thread::yield_now();
    }
    world.replicas[0].permit("/wait");
    let reply = waiting.read_reply();
    assert_eq!((reply.text(), reply.header("connection")), ("a", Some("close")));
    world.finish(ended);
}

#[test]
fn who_is_still_busy_at_the_deadline_is_cut_off() {
    let mut world = World::single(Limits::default());
    let mut waiting = world.connect();
    waiting.send(request("GET", "/wait", &[], ""));
    world.replicas[0].await_request("/wait");
    let ended = world.spawn_shutdown(SHORT);
    assert!(waiting.read_to_end().is_empty());
    world.finish(ended);
}
