//! Orders, many of which share a connection to a replica: each gets its own reply, and what is not
//! exactly an order goes the way of all requests.

use super::fake::Fake;
use super::world::{World, check_turns};
use crate::http::{Connection, Reply, request};
use kilat_server::gateway::Limits;
use kilat_server::gateway::limits::{LANE_REQUEST_BYTES_MAX, LOSSES_MAX};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const WAIT: &str = "/v1/sales/wait/orders";
const PLAIN: &str = "/v1/sales/plain/orders";
const ONLY_AT_B: &str = "/v1/sales/only-at-b/orders";
const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(60);

/// An order of a customer whose name has so many letters, so that lengths tell bodies apart.
fn body(letters: usize) -> String {
    format!(r#"{{"customer":"{}","quantity":1}}"#, "c".repeat(letters))
}

fn with(path: &str, headers: &[(&str, &str)], letters: usize) -> String {
    let own = [("idempotency-key", "k"), ("content-type", "application/json")];
    request("POST", path, &[&own, headers].concat(), &body(letters))
}

fn order(path: &str, letters: usize) -> String {
    with(path, &[], letters)
}

fn call(client: &mut Connection, path: &str, letters: usize) -> Reply {
    client.send(order(path, letters));
    client.read_reply()
}

/// The fake says how long the body was.
fn check(reply: &Reply, letters: usize) {
    assert!(matches!(reply.status, 200 | 201), "{reply:?}");
    assert_eq!(reply.text(), body(letters).len().to_string(), "{reply:?}");
}

fn await_seen(world: &World, path: &str, count: usize) {
    while world.seen_at(path) < count {
        std::thread::yield_now();
    }
}

#[test]
fn orders_and_all_else_take_turns_together() {
    let world = World::pair();
    let mut kept = world.connect();
    let nodes: Vec<String> = (0..12)
        .map(|number| {
            let reply = match number % 3 {
                0 => world.get("/x"),
                1 => call(&mut world.connect(), PLAIN, 1),
                _ => call(&mut kept, PLAIN, 1),
            };
            reply.header("x-kilat-node").unwrap().to_owned()
        })
        .collect();
    check_turns(&nodes);
}

#[test]
fn everybody_gets_the_own_reply_and_few_connections_carry_them() {
    let world = World::single(Limits::default());
    std::thread::scope(|scope| {
        for client in 0..40 {
            let address = world.address;
            scope.spawn(move || {
                let mut connection = Connection::open(address);
                for number in 0..20 {
                    let letters = 1 + (client * 7 + number) % 64;
                    check(&call(&mut connection, PLAIN, letters), letters);
                }
            });
        }
    });
    assert_eq!(world.seen_at(PLAIN), 800);
    assert_eq!(world.replicas[0].connections_seen(), 1);
}

#[test]
fn pipelined_orders_are_answered_in_order_with_all_else_between() {
    let world = World::pair();
    let mut client = world.connect();
    let mut text: String = (1..=30).map(|letters| order(PLAIN, letters)).collect();
    text += &request("GET", "/between", &[], "");
    text.extend((1..=30).map(|letters| order(PLAIN, letters)));
    client.send(text);
    (1..=30).for_each(|letters| check(&client.read_reply(), letters));
    assert_eq!(client.read_reply().text(), "0");
    (1..=30).for_each(|letters| check(&client.read_reply(), letters));
}

#[test]
fn an_order_in_pieces_is_served() {
    let world = World::single(Limits::default());
    let mut client = world.connect();
    for cut in [1, 20, 100, order(PLAIN, 5).len() - 3] {
        let text = order(PLAIN, 5);
        client.send(&text[..cut]);
        std::thread::sleep(SHORT / 40);
        client.send(&text[cut..]);
        check(&client.read_reply(), 5);
    }
    // Too slow for the lane, and not for the others.
    let text = order(PLAIN, 6);
    client.send(&text[..50]);
    std::thread::sleep(SHORT);
    client.send(&text[50..]);
    check(&client.read_reply(), 6);
}

#[test]
fn an_order_that_never_ends_is_cut() {
    let limits = Limits { header_timeout: SHORT, body_timeout: SHORT, ..Limits::default() };
    let world = World::single(limits);
    let text = order(PLAIN, 5);
    let mut client = world.connect();
    client.send(&text[..30]);
    assert_eq!(client.read_reply().code(), "request_timeout");
    assert!(client.read_to_end().is_empty());
    let mut client = world.connect();
    client.send(&text[..text.len() - 1]);
    assert_eq!(client.read_reply().code(), "request_timeout");
    let mut client = world.connect();
    client.send(text.replacen("content-length: ", "content-length: 1", 1));
    let mut trickle = client.clone_for_sending();
    std::thread::scope(|scope| {
        // Each byte is in time by itself.
        scope.spawn(move || {
            while trickle.try_send(b" ") {
                std::thread::sleep(SHORT / 20);
            }
        });
        assert_eq!(client.read_reply().code(), "request_timeout");
        client.read_to_end();
    });
    let mut silent = world.connect();
    check(&call(&mut silent, PLAIN, 5), 5);
    assert!(silent.read_to_end().is_empty());
    assert_eq!(world.seen_at(PLAIN), 1);
}

#[test]
fn replicas_see_what_the_gateway_says_of_a_client() {
    let world = World::single(Limits::default());
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [
        ("X-Forwarded-For", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("X-Real-IP", "6.6.6.6"),
        ("connection", "keep-alive"),
        ("te", "trailers"),
        ("X-Request-ID", "abc-1"),
        ("traceparent", trace),
        ("tracestate", "k=v"),
        ("X-Own", "1"),
    ];
    let mut client = world.connect();
    client.send(with(PLAIN, &headers, 3));
    assert_eq!(client.read_reply().header("x-request-id"), Some("abc-1"));
    let seen = &world.replicas[0].seen_at(PLAIN)[0];
    for (name, expected) in [
        ("x-forwarded-for", Some("127.0.0.1")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-host", Some("kilat.test")),
        ("forwarded", Some("for=127.0.0.1;proto=http")),
        ("x-real-ip", None),
        ("connection", None),
        ("te", None),
        ("x-request-id", Some("abc-1")),
        ("traceparent", Some(trace)),
        ("tracestate", Some("k=v")),
        ("x-own", Some("1")),
        ("host", Some("kilat.test")),
        ("idempotency-key", Some("k")),
        ("content-type", Some("application/json")),
    ] {
        assert_eq!(seen.header(name), expected, "{name}");
    }
    assert_eq!(seen.body.as_deref(), Some(body(3).as_bytes()));
}

/// Each hides something from a reader who takes it for a plain order.
#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let world = World::single(Limits::default());
    let good = order(PLAIN, 3);
    let length = format!("content-length: {}", body(3).len());
    let inner = "GET /inner HTTP/1.1\r\nhost: h\r\n\r\n";
    let mut shapes: Vec<String> = [
        length.as_str(),
        "content-length: 0",
        "Content_Length: 1",
        "transfer-encoding: chunked",
        "Transfer_Encoding: chunked",
        "transfer-encoding:\tchunked",
        "transfer-encoding : chunked",
        "transfer-encoding: xchunked",
        "host: other",
        "connection: idempotency-key",
        "expect: 200-ok",
        "x: y\n",
        "x: y\r\n folded",
        "x",
        "\0: y",
    ]
    .iter()
    .map(|line| good.replacen("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"), 1))
    .collect();
    shapes.extend(
        [
            (length.as_str(), "content-length: +32"),
            (&length, "content-length: 032"),
            (&length, "content-length: 3 2"),
            (&length, "content-length: 32,32"),
            (&length, "content-length:"),
            ("host: kilat.test\r\n", ""),
            ("/v1/sales/plain/orders", "/v1/sales/pl\\ain/orders"),
            ("/v1/sales/plain/orders", "http://h/v1/sales/plain/orders"),
            (" HTTP/1.1\r\n", " HTTP/1.1\n"),
        ]
        .map(|(from, to)| good.replacen(from, to, 1)),
    );
    for shape in shapes {
        assert_ne!(shape, good);
        let before = world.seen_at("/");
        let mut client = world.connect();
        client.send(order(PLAIN, 7));
        check(&client.read_reply(), 7);
        client.send(format!("{shape}{inner}"));
        let refused = client.read_reply();
        assert_eq!(refused.code(), "malformed", "{shape:?}");
        assert!(client.read_to_end().is_empty(), "{shape:?}");
        assert_eq!(world.seen_at("/"), before + 1, "{shape:?}");
    }
}

/// The lane takes none of them, and all are served.
#[test]
fn orders_of_other_shapes_go_the_way_of_all_requests() {
    let world = World::single(Limits::default());
    let long = "x".repeat(LANE_REQUEST_BYTES_MAX);
    for header in [
        ("authorization", "Bearer x"),
        ("expect", "100-continue"),
        ("prefer", "wait=1"),
        ("x-long", &long),
        ("upgrade", "h2c"),
        ("transfer-encodings", "chunked"),
    ] {
        let mut client = world.connect();
        client.send(with(PLAIN, &[header], 3));
        let mut reply = client.read_reply();
        if reply.status == 100 {
            reply = client.read_reply();
        }
        check(&reply, 3);
    }
    let text = "1f\r\n".to_owned() + &body(1) + "\r\n0\r\n\r\n";
    let mut client = world.connect();
    client.send(format!(
        "POST {PLAIN} HTTP/1.1\r\nhost: h\r\nidempotency-key: k\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n{}",
        text.replacen("1f", &format!("{:x}", body(1).len()), 1)
    ));
    check(&client.read_reply(), 1);
    let mut last = world.connect();
    last.send(with(PLAIN, &[("connection", "close")], 2));
    let reply = last.read_reply();
    check(&reply, 2);
    assert!(last.read_to_end().is_empty());
}

#[test]
fn nobody_loses_an_order_when_a_replica_is_killed_with_many_in_flight() {
    let mut world = World::pair();
    let mut clients: Vec<_> = (0..20).map(|_| world.connect()).collect();
    for (letters, client) in clients.iter_mut().enumerate() {
        client.send(order(WAIT, letters + 1));
    }
    world.replicas.iter().for_each(|replica| replica.await_request(WAIT));
    world.replicas[0].kill();
    clients.iter().for_each(|_| world.replicas[1].permit(WAIT));
    for (letters, client) in clients.iter_mut().enumerate() {
        let reply = client.read_reply();
        check(&reply, letters + 1);
        assert_eq!(reply.header("x-kilat-node"), Some("b"));
    }
    let address = world.replicas[0].address;
    let failures = format!("kilat_gateway_failures_total{{replica=\"{address}\"}}");
    assert!(world.figure(&failures) >= 1.0);
    world.replicas[0] = Fake::start_at(address, "a");
    world.await_up(address, true);
    let nodes =
        [(); 2].map(|()| call(&mut clients[0], PLAIN, 1).header("x-kilat-node").map(str::to_owned));
    assert_ne!(nodes[0], nodes[1], "it is used again");
}

#[test]
fn nobody_notices_when_replicas_are_killed_again_and_again() {
    let mut world = World::pair();
    let (address, done) = (world.address, AtomicBool::new(false));
    std::thread::scope(|scope| {
        for client in 0..8 {
            let done = &done;
            scope.spawn(move || {
                let mut connection = Connection::open(address);
                while !done.load(Ordering::SeqCst) {
                    check(&call(&mut connection, PLAIN, client + 1), client + 1);
                }
            });
        }
        for round in 0..6 {
            let index = round % 2;
            world.replicas[index].await_request(PLAIN);
            world.replicas[index].kill();
            let replica = world.replicas[index].address;
            world.replicas[index] = Fake::start_at(replica, "again");
            world.await_up(replica, true);
        }
        done.store(true, Ordering::SeqCst);
    });
}

#[test]
fn a_replica_that_breaks_the_protocol_is_asked_no_more_often_than_any() {
    // Once on a connection that others may have broken.
    let most = 1 + LOSSES_MAX as usize;
    for sale in ["die", "garbage", "half"] {
        let world = World::pair();
        let path = format!("/v1/sales/{sale}/orders");
        let mut client = world.connect();
        let refused = call(&mut client, &path, 3);
        assert_eq!(refused.code(), "replica_lost", "{sale}");
        assert!(refused.header("x-request-id").is_some());
        assert_eq!(world.seen_at(&path), most, "{sale}");
        world.replicas.iter().for_each(|replica| world.await_up(replica.address, true));
        check(&call(&mut client, PLAIN, 4), 4);
    }
}

/// A break of a shared connection is no loss of those who were behind on it.
#[test]
fn orders_behind_a_break_have_all_their_tries() {
    let world = World::single(Limits::default());
    for _ in 0..4 {
        let mut first = world.connect();
        first.send(order(WAIT, 1));
        let mut behind: Vec<_> = (0..20).map(|_| world.connect()).collect();
        for (letters, client) in behind.iter_mut().enumerate() {
            client.send(order("/v1/sales/frail/orders", letters + 1));
        }
        while world.figure("kilat_gateway_in_flight ") < 21.0 {
            std::thread::yield_now();
        }
        world.replicas[0].permit(WAIT);
        check(&first.read_reply(), 1);
        for (letters, client) in behind.iter_mut().enumerate() {
            check(&client.read_reply(), letters + 1);
        }
    }
}

/// Neither of them fails: each is silent while the other is ready, again and again.
#[test]
fn replicas_that_falter_in_turn_use_up_no_tries() {
    for (path, text) in [(WAIT, order(WAIT, 3)), ("/wait", request("GET", "/wait", &[], ""))] {
        let world = World::pair();
        let mut client = world.connect();
        client.send(text);
        let seen_by = |index: usize| world.replicas[index].seen_at(path).len();
        let mut seen = [0, 0];
        for round in 1..=2 + LOSSES_MAX as usize {
            await_seen(&world, path, round);
            let with = if seen_by(0) > seen[0] { 0 } else { 1 };
            seen = [seen_by(0), seen_by(1)];
            let [here, other] = [with, 1 - with].map(|index| &world.replicas[index]);
            other.fill(false);
            world.await_up(other.address, true);
            here.fill(true);
        }
        await_seen(&world, path, 3 + LOSSES_MAX as usize);
        for replica in &world.replicas {
            replica.seen_at(path).iter().for_each(|_| replica.permit(path));
        }
        assert!(matches!(client.read_reply().status, 200 | 201), "{path}");
    }
}

#[test]
fn the_last_try_is_for_another_replica_if_one_comes_back() {
    // A machine that is too busy for one probe a second lets those who wait for it wait in vain.
    let is_served = |_| {
        let world = World::pair();
        world.replicas[1].leave(true);
        world.await_up(world.replicas[1].address, false);
        let mut client = world.connect();
        client.send(order(ONLY_AT_B, 3));
        await_seen(&world, ONLY_AT_B, LOSSES_MAX as usize);
        world.replicas[1].leave(false);
        let reply = client.read_reply();
        reply.header("x-kilat-node") == Some("b")
    };
    assert!((0..10).any(is_served));
}

#[test]
fn a_reply_to_another_request_reaches_nobody() {
    let world = World::single(Limits::default());
    let mut client = world.connect();
    // By the other way it is the only one on its connection, and may say what it wants.
    let reply = call(&mut client, "/v1/sales/other/orders", 3);
    assert_eq!((reply.status, reply.header("x-request-id")), (201, Some("another")));
    assert_eq!(world.seen_at("/v1/sales/other/orders"), 2);
}

#[test]
fn a_reply_too_many_reaches_nobody() {
    let world = World::single(Limits::default());
    let mut clients: Vec<_> = (0..8).map(|_| world.connect()).collect();
    for _ in 0..5 {
        assert_eq!(call(&mut clients[0], "/v1/sales/twice/orders", 3).text(), "twice");
        for (letters, client) in clients.iter_mut().enumerate() {
            check(&call(client, PLAIN, letters + 1), letters + 1);
        }
    }
}

#[test]
fn replies_of_another_form_come_by_the_other_way() {
    let world = World::single(Limits::default());
    let mut client = world.connect();
    assert_eq!(call(&mut client, "/v1/sales/chunked/orders", 3).text(), "abc");
    assert_eq!(call(&mut client, "/v1/sales/last/orders", 3).text(), "last");
    assert_eq!(world.seen_at("/v1/sales/last/orders"), 1);
    check(&call(&mut client, PLAIN, 4), 4);
    let address = world.replicas[0].address;
    let failures = format!("kilat_gateway_failures_total{{replica=\"{address}\"}}");
    assert_eq!(world.figure(&failures), 0.0, "that is no fault");
}

#[test]
fn orders_behind_the_last_of_a_connection_go_elsewhere() {
    let world = World::single(Limits::default());
    let mut first = world.connect();
    first.send(order(WAIT, 1));
    world.replicas[0].await_request(WAIT);
    let mut last = world.connect();
    last.send(order("/v1/sales/last/orders", 2));
    let mut behind: Vec<_> = (0..4).map(|_| world.connect()).collect();
    for (letters, client) in behind.iter_mut().enumerate() {
        client.send(order(PLAIN, letters + 1));
    }
    world.replicas[0].permit(WAIT);
    check(&first.read_reply(), 1);
    assert_eq!(last.read_reply().text(), "last");
    for (letters, client) in behind.iter_mut().enumerate() {
        check(&client.read_reply(), letters + 1);
    }
}

#[test]
fn a_replica_that_is_stopping_gets_nothing_new() {
    let world = World::pair();
    let mut client = world.connect();
    world.replicas[0].leave(true);
    for letters in 1..5 {
        let reply = call(&mut client, PLAIN, letters);
        check(&reply, letters);
        assert_eq!(reply.header("x-kilat-node"), Some("b"));
    }
    world.await_up(world.replicas[0].address, false);
}

#[test]
fn a_silent_replica_is_passed_over_by_orders_that_wait_for_it() {
    let world = World::pair();
    let mut clients: Vec<_> = (0..6).map(|_| world.connect()).collect();
    world.replicas[0].stop_answering();
    for (letters, client) in clients.iter_mut().enumerate() {
        client.send(order(PLAIN, letters + 1));
    }
    for (letters, client) in clients.iter_mut().enumerate() {
        let reply = client.read_reply();
        check(&reply, letters + 1);
        assert_eq!(reply.header("x-kilat-node"), Some("b"));
    }
}

#[test]
fn connections_that_the_replica_closed_meanwhile_are_no_failure() {
    let world = World::single(Limits::default());
    let mut client = world.connect();
    for letters in 1..10 {
        check(&call(&mut client, PLAIN, letters), letters);
        world.replicas[0].close_connections();
    }
}

#[test]
fn without_a_replica_orders_wait_for_one_and_are_told_so() {
    let mut world = World::single(Limits::default());
    let address = world.replicas[0].address;
    let mut client = world.connect();
    check(&call(&mut client, PLAIN, 1), 1);
    world.replicas[0].kill();
    world.await_up(address, false);
    let refused = call(&mut client, PLAIN, 2);
    assert_eq!((refused.code().as_str(), refused.header("retry-after")), ("no_replica", Some("1")));
    assert_eq!(refused.header("x-kilat-node"), Some(super::world::NODE));
    world.replicas[0] = Fake::start_at(address, "a");
    world.await_up(address, true);
    check(&call(&mut client, PLAIN, 3), 3);
}

#[test]
fn a_client_that_leaves_shifts_no_replies() {
    let world = World::single(Limits::default());
    let mut first = world.connect();
    first.send(order(WAIT, 1));
    world.replicas[0].await_request(WAIT);
    let mut gone = world.connect();
    gone.send(order(PLAIN, 2));
    let mut half = world.connect();
    half.send(order(PLAIN, 3));
    half.end_sending();
    let mut last = world.connect();
    last.send(order(PLAIN, 4));
    drop(gone);
    world.replicas[0].permit(WAIT);
    check(&first.read_reply(), 1);
    check(&half.read_reply(), 3);
    assert!(half.read_to_end().is_empty());
    check(&last.read_reply(), 4);
}

#[test]
fn a_client_that_takes_nothing_keeps_nobody_waiting() {
    let world = World::single(Limits { write_timeout: SHORT, ..Limits::default() });
    let mut stuck = world.connect();
    let many = order("/v1/sales/large/orders", 1).repeat(100);
    let sending = stuck.clone_for_sending();
    std::thread::scope(|scope| {
        let pushing = scope.spawn(move || {
            let mut sending = sending;
            let mut sent = 0;
            while sending.try_send(many.as_bytes()) {
                sent += 1;
                assert!(sent < 10_000, "orders are taken without end");
            }
        });
        let mut client = world.connect();
        while !pushing.is_finished() {
            check(&call(&mut client, PLAIN, 5), 5);
        }
    });
    assert!(stuck.read_to_end().len() < 100_000_000);
}

#[test]
fn orders_have_places_as_all_requests() {
    let world = World::single(Limits { in_flight_max: 2, ..Limits::default() });
    let mut waiting = [world.connect(), world.connect()];
    waiting.iter_mut().for_each(|client| client.send(order(WAIT, 1)));
    let in_flight = "kilat_gateway_in_flight ";
    while world.figure(in_flight) < 2.0 {
        std::thread::yield_now();
    }
    let mut client = world.connect();
    for _ in 0..3 {
        assert_eq!(call(&mut client, PLAIN, 1).code(), "overloaded");
    }
    waiting.iter().for_each(|_| world.replicas[0].permit(WAIT));
    waiting.iter_mut().for_each(|client| check(&client.read_reply(), 1));
    check(&call(&mut client, PLAIN, 2), 2);
    while world.figure(in_flight) > 0.0 {
        std::thread::yield_now();
    }
}

#[test]
fn who_waits_for_a_busy_replica_for_too_long_is_told_so() {
    let world = World::single(Limits { replica_busy_max: 1, ..Limits::default() });
    let mut first = world.connect();
    first.send(order(WAIT, 1));
    world.replicas[0].await_request(WAIT);
    assert_eq!(call(&mut world.connect(), PLAIN, 2).code(), "overloaded");
    assert_eq!(world.seen_at(PLAIN), 0);
    world.replicas[0].permit(WAIT);
    check(&first.read_reply(), 1);
}

#[test]
fn what_is_in_flight_is_finished_before_the_end() {
    let mut world = World::single(Limits::default());
    let mut idle = world.connect();
    check(&call(&mut idle, PLAIN, 1), 1);
    let mut waiting: Vec<_> = (0..4).map(|_| world.connect()).collect();
    waiting.iter_mut().for_each(|client| client.send(order(WAIT, 2)));
    await_seen(&world, WAIT, 1);
    while world.figure("kilat_gateway_in_flight ") < 4.0 {
        std::thread::yield_now();
    }
    let ended = world.spawn_shutdown(LONG);
    assert!(idle.read_to_end().is_empty());
    waiting.iter().for_each(|_| world.replicas[0].permit(WAIT));
    for client in &mut waiting {
        let reply = client.read_reply();
        check(&reply, 2);
        assert_eq!(reply.header("connection"), Some("close"));
        assert!(client.read_to_end().is_empty());
    }
    world.finish(ended);
}

#[test]
fn who_is_still_busy_at_the_deadline_is_cut_off() {
    let mut world = World::single(Limits::default());
    let mut waiting = world.connect();
    waiting.send(order(WAIT, 1));
    world.replicas[0].await_request(WAIT);
    let ended = world.spawn_shutdown(SHORT);
    assert!(waiting.read_to_end().is_empty());
    world.finish(ended);
}
