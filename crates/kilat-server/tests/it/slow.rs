//! Peers that are slow, large, many or broken: they are cut, others are not affected.

use crate::http::request;
use crate::world::World;
use kilat_server::{LaneOptions, Limits};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(200);

#[test]
fn slow_headers_are_cut() {
    let world = World::full_lane(Limits { header_timeout: SHORT, ..Limits::default() });
    assert!(world.connect().read_to_end().is_empty());
    for (before, begun) in [
        ("", "G"),
        ("", "GET /livez HTTP/1.1\r\nhost: h\r\n\r"),
        ("GET /livez HTTP/1.1\r\nhost: h\r\n\r\n", "GET /livez HTTP/1.1\r\nhost: h\r\n"),
    ] {
        let mut connection = world.connect();
        connection.send(format!("{before}{begun}"));
        if !before.is_empty() {
            assert_eq!(connection.read_reply().status, 200);
        }
        let mut trickle = connection.clone_for_sending();
        std::thread::scope(|scope| {
            // Each byte is in time by itself.
            scope.spawn(move || {
                while begun.ends_with("h\r\n") && trickle.try_send(b"x") {
                    std::thread::sleep(SHORT / 20);
                }
            });
            let reply = connection.read_reply();
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (408, "request_timeout"),
                "{begun:?}"
            );
            assert_eq!(reply.header("connection"), Some("close"));
            for name in ["x-request-id", "x-kilat-node"] {
                assert!(reply.header(name).is_some(), "{name}");
            }
            assert!(connection.read_to_end().is_empty());
        });
    }
    let mut idle = world.connect();
    assert_eq!(idle.call("GET", "/livez", &[], "").status, 200);
    assert!(idle.read_to_end().is_empty(), "silence between requests has an end too");
}

/// The engine answers a little later than the connection asks whether there is more.
#[test]
fn silence_behind_a_slow_reply_has_an_end_too() {
    let world = World::full_lane(Limits { header_timeout: SHORT, ..Limits::default() });
    world.make_sale(&[]);
    for number in 0..3 {
        let mut idle = world.connect();
        let headers =
            [("content-type", "application/json"), ("idempotency-key", &format!("k{number}"))];
        let body = format!(r#"{{"customer":"c{number}","quantity":1}}"#);
        assert_eq!(idle.call("POST", "/v1/sales/s/orders", &headers, &body).status, 201);
        assert!(idle.read_to_end().is_empty());
    }
}

#[test]
fn who_ends_sending_gets_a_reply_that_takes_a_while() {
    let world = World::full_lane(Limits::default());
    world.make_sale(&[("\"supply\":10", "\"supply\":1000")]);
    for number in 0..50 {
        let mut connection = world.connect();
        let headers =
            [("content-type", "application/json"), ("idempotency-key", &format!("k{number}"))];
        let body = format!(r#"{{"customer":"c{number}","quantity":1}}"#);
        connection.send(request("POST", "/v1/sales/s/orders", &headers, &body));
        connection.end_sending();
        assert_eq!(connection.read_reply().status, 201);
        assert!(connection.read_to_end().is_empty());
    }
    // More than the system keeps for who takes nothing for a while.
    let mut slow = world.connect();
    let many = 400;
    slow.send(request("GET", "/assets/kilat.css", &[], "").repeat(many));
    slow.end_sending();
    assert!(slow.has_more_soon());
    (0..many).for_each(|_| assert_eq!(slow.read_reply().status, 200));
    assert!(slow.read_to_end().is_empty());
    // A stream is of no use to who does not listen, and nobody can tell whether it does.
    let mut stream = world.connect();
    stream.send(request("GET", "/events/stream", &[], ""));
    stream.end_sending();
    stream.read_to_end();
}

/// Else the end would take replies with it that the system still has to deliver.
#[test]
fn a_stop_with_unread_requests_resets_nothing() {
    let mut world = World::full_lane(Limits::default());
    let mut connection = world.connect();
    connection.send(request("GET", "/assets/kilat.css", &[], "").repeat(1_000));
    // Until the system takes no more of the replies, and until the connection has heard of the end.
    std::thread::sleep(SHORT);
    let stopped = world.spawn_shutdown(Duration::from_secs(10));
    std::thread::sleep(SHORT);
    connection.await_end();
    while connection.has_unread() {
        assert_eq!(connection.read_reply().status, 200);
    }
    world.finish(stopped);
}

#[test]
fn a_body_that_trickles_is_cut_at_a_deadline_for_all_of_it() {
    let world = World::full_lane(Limits { body_timeout: SHORT, ..Limits::default() });
    world.make_sale(&[]);
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "k"),
        ("content-length", "10000"),
    ];
    let mut connection = world.connect();
    connection.send(request("POST", "/v1/sales/s/orders", &headers, ""));
    let reply = std::thread::scope(|scope| {
        let mut trickle = connection.clone_for_sending();
        // Each byte is in time by itself; only a deadline for the whole ends this.
        scope.spawn(move || {
            while trickle.try_send(b" ") {
                std::thread::sleep(SHORT / 20);
            }
        });
        let reply = connection.read_reply();
        connection.read_to_end();
        reply
    });
    assert_eq!(
        (reply.code().as_str(), reply.header("connection")),
        ("request_timeout", Some("close"))
    );
}

#[test]
fn a_peer_that_takes_nothing_is_cut() {
    let world = World::full_lane(Limits { write_timeout: SHORT, ..Limits::default() });
    let mut connection = world.connect();
    let one = request("GET", "/assets/kilat.css", &[], "");
    // More than both sides' buffers can hold, and never read. The end shows as a failed write.
    let many = one.repeat(500);
    let mut sent = 0;
    while connection.try_send(many.as_bytes()) {
        sent += 1;
        assert!(sent < 10_000, "the server took requests without end");
    }
}

#[test]
fn heads_that_are_too_large_are_refused() {
    let world = World::open();
    for headers in [
        vec![("x-large", "x".repeat(32 * 1024))],
        (0..100).map(|_| ("x-many", "1".to_owned())).collect(),
    ] {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut connection = world.connect();
        connection.try_send(request("GET", "/livez", &headers, "").as_bytes());
        let reply = connection.read_reply();
        assert_eq!((reply.status, reply.code().as_str()), (431, "headers_too_large"));
        assert_eq!(reply.header("connection"), Some("close"));
        for name in ["x-request-id", "x-kilat-node"] {
            assert!(reply.header(name).is_some(), "{name}");
        }
    }
}

#[test]
fn one_connection_too_many_is_told_so() {
    let limits = Limits { connections_max: 2, ..Limits::default() };
    for world in [World::full_lane(limits), World::fast_lane(limits, LaneOptions::default())] {
        let mut seats = [world.connect(), world.connect()];
        for seat in &mut seats {
            assert_eq!(seat.call("GET", "/livez", &[], "").status, 200);
        }
        let refused = world.connect().read_reply();
        assert_eq!(
            (refused.code().as_str(), refused.header("retry-after")),
            ("overloaded", Some("1"))
        );
        for name in ["x-request-id", "x-kilat-node"] {
            assert!(refused.header(name).is_some(), "{name}");
        }
        assert_eq!(seats[0].call("GET", "/livez", &[], "").status, 200, "others are not affected");
    }
}

/// In either lane: else who keeps a connection only in case it is needed keeps buyers out.
#[test]
fn the_silent_make_room_when_there_is_hardly_any() {
    let limits = Limits { connections_max: 1, silence_when_full: SHORT, ..Limits::default() };
    for world in [World::full_lane(limits), World::fast_lane(limits, LaneOptions::default())] {
        let mut silent = world.connect();
        assert_eq!(silent.call("GET", "/livez", &[], "").status, 200);
        assert!(silent.read_to_end().is_empty());
        // Its seat is free a little after it was closed.
        let once = request("GET", "/livez", &[("connection", "close")], "");
        while !{
            let mut next = world.connect();
            next.try_send(once.as_bytes());
            next.read_to_end().starts_with(b"HTTP/1.1 200")
        } {
            std::thread::yield_now();
        }
    }
}

#[test]
fn what_is_not_http_ends_the_connection() {
    let world = World::open();
    let broken: [&[u8]; 6] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /livez\r\n\r\n",
        b"GET /livez HTTP/9.9\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nbad header\r\n\r\n",
        b"POST /v1/sales HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST /v1/sales HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked, identity\r\n\r\n",
    ];
    for bytes in broken {
        let mut connection = world.connect();
        connection.send(bytes);
        assert_eq!(connection.read_reply().code(), "malformed", "{bytes:?}");
        assert!(connection.read_to_end().is_empty(), "{bytes:?}");
    }
    assert_eq!(world.get("/livez").status, 200);
}

/// Another reader might see another host, or another end.
#[test]
fn what_could_be_read_in_two_ways_is_refused_and_the_connection_closed() {
    let world = World::open();
    let order = |headers: &str| {
        let plain = "idempotency-key: k\r\ncontent-type: application/json\r\n";
        format!("POST /v1/sales/s/orders HTTP/1.1\r\n{plain}{headers}\r\n")
    };
    for head in [
        "GET /livez HTTP/1.1\r\n\r\n".to_owned(),
        "GET /nowhere HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".to_owned(),
        "GET /livez HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n".to_owned(),
        order("host: a\r\nhost: a\r\ncontent-length: 0\r\n"),
        order("host: a\r\ntransfer-encoding: gzip, chunked\r\n"),
        order("host: a\r\ntransfer-encoding: identity\r\ntransfer-encoding: chunked\r\n"),
    ] {
        let mut connection = world.connect();
        connection.send(&head);
        let reply = connection.read_reply();
        assert_eq!((reply.status, reply.code().as_str()), (400, "malformed"), "{head}");
        assert!(reply.header("x-request-id").is_some(), "{head}");
        assert!(connection.read_to_end().is_empty(), "{head}");
    }
    for head in [
        "GET /livez HTTP/1.0\r\nconnection: close\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    ] {
        let mut connection = world.connect();
        connection.send(head);
        assert_eq!(connection.read_reply().status, 200, "{head}");
    }
}

#[test]
fn the_fast_lane_cuts_slow_requests_and_silent_connections() {
    let lanes =
        LaneOptions { request_timeout: SHORT, idle_timeout: SHORT, ..LaneOptions::default() };
    let world = World::fast_lane(Limits::default(), lanes);
    let mut slow = world.connect();
    slow.send("POST /v1/sales/s/orders HTTP/1.1\r\nhost: h\r\n");
    assert_eq!(slow.read_reply().code(), "request_timeout");
    assert!(slow.read_to_end().is_empty());
    assert!(world.connect().read_to_end().is_empty());
}
