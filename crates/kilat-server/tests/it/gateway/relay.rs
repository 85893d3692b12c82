//! Whose turn it is, and what changes on the way.

use super::world::{NODE, World, check_turns};
use crate::http::{Connection, Reply, request};

fn node(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.header("x-kilat-node").unwrap().to_owned()
}

#[test]
fn replicas_take_turns_whoever_asks() {
    let world = World::pair();
    let mut kept = world.connect();
    let nodes: Vec<String> = (0..10)
        .map(|number| match number % 3 {
            0 => node(&world.get("/x")),
            _ => node(&kept.call("GET", "/x", &[], "")),
        })
        .collect();
    check_turns(&nodes);
}

#[test]
fn connections_to_replicas_are_used_again() {
    let world = World::single(Default::default());
    let mut client = world.connect();
    for _ in 0..20 {
        client.call("POST", "/x", &[("idempotency-key", "k")], "body");
    }
    let ports = world.replicas[0].seen_at("/x").len();
    assert_eq!(ports, 20);
    assert_eq!(world.replicas[0].connections_seen(), 1);
}

#[test]
fn requests_arrive_as_they_were_sent() {
    let world = World::single(Default::default());
    let large = "x".repeat(200_000);
    for body in ["", "a", "{\"a\":1}", &"y".repeat(65_536), &large] {
        let path = format!("/echo/{}?a=%20&b", body.len());
        let reply = world.call("POST", &path, &[("x-own", "1"), ("idempotency-key", "k")], body);
        assert_eq!((reply.status, reply.text()), (200, body.len().to_string().as_str()));
        let seen = world.replicas[0].seen_at(&path);
        let [seen] = &seen[..] else { panic!("{path} was seen {} times", seen.len()) };
        assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", path.as_str()));
        assert_eq!(seen.body.as_deref(), Some(body.as_bytes()));
        assert_eq!(seen.header("x-own"), Some("1"));
        assert_eq!(seen.header("host"), Some("kilat.test"));
        assert!(seen.header("connection").is_none());
    }
}

#[test]
fn chunked_bodies_arrive_whole_and_small_ones_with_a_length() {
    let world = World::single(Default::default());
    for (chunks, has_length) in [(3, true), (40, false)] {
        let mut client = world.connect();
        let path = format!("/chunks/{chunks}");
        client
            .send(format!("POST {path} HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"));
        let chunk = "z".repeat(4_000);
        for _ in 0..chunks {
            client.send(format!("FA0\r\n{chunk}\r\n"));
        }
        client.send("0\r\n\r\n");
        assert_eq!(client.read_reply().text(), (4_000 * chunks).to_string());
        let seen = &world.replicas[0].seen_at(&path)[0];
        assert_eq!(seen.body, Some(chunk.repeat(chunks).into_bytes()));
        assert_eq!(seen.header("content-length").is_some(), has_length);
        assert_eq!(seen.header("transfer-encoding").is_some(), !has_length);
    }
}

#[test]
fn replies_arrive_as_they_were_sent() {
    let world = World::single(Default::default());
    let large = world.get("/large");
    assert_eq!((large.body.len(), large.header("content-length")), (1_000_000, Some("1000000")));
    assert_eq!(world.get("/chunked").text(), "abcdef");
    let mut client = world.connect();
    let empty = client.call("GET", "/no-content", &[], "");
    assert_eq!((empty.status, empty.header("x-request-id")), (204, Some("its-own")));
    assert_eq!(empty.header("keep-alive"), None);
    client.send(request("HEAD", "/large", &[], ""));
    let head = client.read_head();
    assert_eq!(head.status, 200);
    assert_eq!(node(&client.call("GET", "/after", &[], "")), "a");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let world = World::pair();
    let mut client = world.connect();
    let one = |number: usize| request("POST", "/in-order", &[], &"x".repeat(number + 1));
    client.send((0..50).map(one).collect::<String>());
    for number in 0..50 {
        assert_eq!(client.read_reply().text(), (number + 1).to_string());
    }
}

#[test]
fn what_only_a_gateway_may_say_comes_from_it() {
    let world = World::single(Default::default());
    let lies = [
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil"),
        ("forwarded", "for=6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("connection", "keep-alive"),
        ("te", "trailers"),
    ];
    world.call("GET", "/lies", &lies, "");
    let seen = &world.replicas[0].seen_at("/lies")[0];
    for (name, expected) in [
        ("x-forwarded-for", Some("127.0.0.1")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-host", Some("kilat.test")),
        ("forwarded", Some("for=127.0.0.1;proto=http")),
        ("x-real-ip", None),
        ("connection", None),
        ("te", None),
    ] {
        assert_eq!(seen.header(name), expected, "{name}");
    }
}

#[test]
fn ids_and_traces_go_through() {
    let world = World::single(Default::default());
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("x-request-id", "abc-1"), ("traceparent", trace), ("tracestate", "k=v")];
    let reply = world.call("GET", "/traced", &headers, "");
    assert_eq!(reply.header("x-request-id"), Some("abc-1"));
    let seen = &world.replicas[0].seen_at("/traced")[0];
    for (name, value) in headers {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    let bad = [("x-request-id", "a b"), ("traceparent", "00-x"), ("tracestate", "k=v")];
    let reply = world.call("GET", "/untraced", &bad, "");
    let seen = &world.replicas[0].seen_at("/untraced")[0];
    let made = seen.header("x-request-id").unwrap();
    assert_eq!((made.len(), reply.header("x-request-id")), (25, Some(made)));
    assert_eq!((seen.header("traceparent"), seen.header("tracestate")), (None, None));
}

#[test]
fn events_pass_one_by_one() {
    let world = World::pair();
    let mut client = world.connect();
    client.send(request("GET", "/events", &[], ""));
    assert_eq!(client.read_head().header("content-type"), Some("text/event-stream"));
    let streaming = world.replicas.iter().find(|fake| !fake.seen_at("/events").is_empty());
    for number in 1..=5 {
        assert!(!client.has_more(), "nothing comes before it is sent");
        streaming.unwrap().permit("/events");
        client.read_until(format!("data: {number}\n\n").as_bytes());
        client.read_until(b"\r\n");
    }
}

#[test]
fn a_client_that_leaves_a_stream_ends_it_at_the_replica() {
    let world = World::single(Default::default());
    let mut client = world.connect();
    client.send(request("GET", "/events", &[], ""));
    client.read_head();
    assert_eq!(world.replicas[0].open(), 1);
    drop(client);
    world.replicas[0].await_closed();
}

#[test]
fn its_own_health_and_figures_are_elsewhere() {
    let mut world = World::pair();
    assert_eq!(world.admin("/livez").status, 200);
    assert_eq!(world.admin("/readyz").status, 200);
    assert_eq!(world.admin("/x").code(), "not_found");
    assert_eq!(node(&world.get("/metrics")), "a", "on the public address all is a replica's");
    let name = world.replicas[0].address;
    let replies = format!("kilat_gateway_replies_total{{replica=\"{name}\",class=\"2xx\"}}");
    assert_eq!(world.figure(&replies), 1.0);
    for index in 0..2 {
        world.replicas[index].kill();
        world.await_up(world.replicas[index].address, false);
    }
    let refused = world.admin("/readyz");
    assert_eq!((refused.code().as_str(), refused.header("retry-after")), ("no_replica", Some("1")));
    let own = world.get("/x");
    assert_eq!((own.code().as_str(), own.header("x-kilat-node")), ("no_replica", Some(NODE)));
    assert!(own.header("x-request-id").is_some() && own.header("retry-after") == Some("1"));
    let _ = Connection::open(world.address);
}
