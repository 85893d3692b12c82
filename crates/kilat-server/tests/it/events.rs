//! Publishing events and reading them back: replies, forms, faults, who may, pages, counts.

use crate::http::{Reply, request};
use crate::world::{ADMIN, PUBLISHER, World};
use kilat_api::event::{EVENTS_MAX, EventStatus, EventsPage, Published, StatsReply, TopicsReply};
use serde_json::{Value, json};

pub(crate) const JSON: &str = "application/json";

/// An event of a topic; its payload tells its number.
pub(crate) fn event(topic: &str, number: usize) -> String {
    format!(
        r#"{{"topic":"{topic}","event_id":"id-{number}","timestamp":"2026-01-31T08:00:00Z","source":"test","payload":{{"number":{number}}}}}"#
    )
}

pub(crate) fn batch(topic: &str, numbers: std::ops::Range<usize>) -> String {
    let events: Vec<_> = numbers.map(|number| event(topic, number)).collect();
    format!("[{}]", events.join(","))
}

pub(crate) fn publish_as(
    world: &World,
    kind: &str,
    query: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let all = [&[("content-type", kind)], headers].concat();
    world.call("POST", &format!("/publish{query}"), &all, body)
}

pub(crate) fn publish(world: &World, body: &str) -> Published {
    let reply = publish_as(world, JSON, "", &[], body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    serde_json::from_slice(&reply.body).unwrap()
}

/// Status and offset of each result.
fn results(published: &Published) -> Vec<(EventStatus, Option<u64>)> {
    let results = published.results.iter().flatten();
    results.map(|result| (result.status, result.offset)).collect()
}

pub(crate) fn page(reply: &Reply) -> EventsPage<'_> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let page: EventsPage<'_> = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(page.count, page.events.len() as u64);
    page
}

fn admin_get(world: &World, path: &str) -> Reply {
    world.call("GET", path, &[("authorization", &format!("Bearer {ADMIN}"))], "")
}

fn stats(world: &World) -> StatsReply {
    serde_json::from_slice(&world.get("/stats").body).unwrap()
}

#[test]
fn an_event_is_stored_once_and_told_apart() {
    use EventStatus::{Conflict, Duplicate, Stored};
    let world = World::open();
    let first = publish(&world, &event("a", 1));
    assert_eq!(results(&first), [(Stored, Some(0))]);
    let same = event("a", 1)
        .replace("08:00:00Z", "09:00:00.0+01:00")
        .replace("{\"number\":1}", "{ \"number\" : 1.0 }");
    assert_eq!(results(&publish(&world, &same)), [(Duplicate, Some(0))]);
    let mixed = format!(
        "[{},{},{},{},{}]",
        event("a", 2),
        event("a", 1).replace("{\"number\":1}", "{}"),
        event("b", 1),
        event("a", 2),
        event("a", 2).replace("test", "other"),
    );
    let published = publish(&world, &mixed);
    let expected = [
        (Stored, Some(1)),
        (Conflict, Some(0)),
        (Stored, Some(2)),
        (Duplicate, Some(1)),
        (Conflict, Some(1)),
    ];
    assert_eq!(results(&published), expected);
    let Published { received, stored, duplicates, conflicts, invalid, .. } = published;
    assert_eq!((received, stored, duplicates, conflicts, invalid), (5, 2, 1, 2, 0));
    let reply = world.get("/events?topic=a");
    let texts: Vec<_> =
        page(&reply).events.iter().map(|event| event.payload.clone().unwrap()).collect();
    assert_eq!(texts, [json!({"number": 1}), json!({"number": 2})], "the first one stays");
}

#[test]
fn the_least_is_replied_when_that_is_preferred() {
    let world = World::open();
    for (number, (prefer, minimal)) in [
        ("return=minimal", true),
        ("respond-async, Return=Minimal", true),
        ("return=\"minimal\"; x=1", true),
        ("return=representation", false),
    ]
    .into_iter()
    .enumerate()
    {
        let reply = publish_as(&world, JSON, "", &[("prefer", prefer)], &event("a", number));
        let published: Published = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((published.received, published.results.is_none()), (1, minimal), "{prefer}");
        assert_eq!(
            reply.header("preference-applied"),
            minimal.then_some("return=minimal"),
            "{prefer}"
        );
    }
}

#[test]
fn one_fault_refuses_all_and_each_is_named() {
    let world = World::open();
    let body = format!(
        "[{},{},{}]",
        event("a", 1),
        event("a b", 2),
        event("a", 3).replace("2026-", "26-")
    );
    let reply = publish_as(&world, JSON, "", &[], &body);
    assert_eq!(reply.code(), "invalid");
    let named: Vec<_> = reply.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| {
            (fault["index"].as_u64().unwrap(), fault["field"].as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(named, [(1, "topic".to_owned()), (2, "timestamp".to_owned())]);
    assert_eq!(page(&world.get("/events")).count, 0, "nothing is stored");
    let skipped = publish_as(&world, JSON, "?on_invalid=skip", &[], &body).json();
    assert_eq!(
        (&skipped["received"], &skipped["stored"], &skipped["invalid"]),
        (&json!(1), &json!(1), &json!(2))
    );
    let statuses: Vec<_> = skipped["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["stored", "invalid", "invalid"]);
    assert_eq!(skipped["results"][1]["errors"][0]["field"], "topic");
    assert_eq!(skipped["results"][1].get("offset"), None);
    let none = publish_as(&world, JSON, "?on_invalid=skip", &[], "[1]").json();
    assert_eq!((&none["received"], &none["invalid"]), (&json!(0), &json!(1)));
    for query in ["?on_invalid=maybe", "?on_invalid=", "?x=1", "?on_invalid=skip&on_invalid=skip"] {
        assert_eq!(publish_as(&world, JSON, query, &[], &body).code(), "invalid", "{query}");
    }
}

#[test]
fn replies_to_bad_bodies_are_bounded() {
    let world = World::open();
    let unknown: String = (0..100_000).map(|number| format!(r#""f{number}":0,"#)).collect();
    let reply =
        publish_as(&world, JSON, "", &[], &event("a", 1).replacen('{', &format!("{{{unknown}"), 1));
    assert_eq!((reply.code().as_str(), reply.json()["more"].as_u64()), ("invalid", Some(99_900)));
    assert!(reply.body.len() < 32 * 1024, "{}", reply.body.len());
    let skipped = publish_as(
        &world,
        JSON,
        "?on_invalid=skip",
        &[],
        &format!("[{}0]", "{},".repeat(EVENTS_MAX - 1)),
    );
    let skipped = skipped.json();
    let results = skipped["results"].as_array().unwrap();
    let listed: usize =
        results.iter().map(|result| result["errors"].as_array().map_or(0, Vec::len)).sum();
    assert_eq!((results.len(), listed), (EVENTS_MAX, 100));
    assert_eq!(results[EVENTS_MAX - 1], json!({"status": "invalid", "more": 1}));
    let many = publish_as(&world, JSON, "", &[], &batch("a", 0..EVENTS_MAX + 1));
    assert_eq!(many.code(), "invalid");
    let broken =
        publish_as(&world, "application/x-ndjson", "", &[], &format!("{}\n{{", event("a", 1)));
    assert!(
        broken.json()["detail"].as_str().unwrap().contains("line 2 column 2"),
        "{}",
        broken.text()
    );
    assert_eq!(publish_as(&world, JSON, "", &[], &"{\"a\":".repeat(800_000)).code(), "malformed");
    assert_eq!(page(&world.get("/events")).count, 0);
}

#[test]
fn large_batches_are_stored_whole() {
    let world = World::open();
    let published = publish(&world, &batch("a", 0..EVENTS_MAX));
    assert_eq!(published.stored, EVENTS_MAX as u64);
    let offsets = results(&published).into_iter().map(|(_, offset)| offset.unwrap());
    assert!(offsets.eq(0..EVENTS_MAX as u64));
    let large = event("a", 77_777)
        .replace("{\"number\":77777}", &format!("{{\"x\":\"{}\"}}", "y".repeat(1_000_000)));
    assert_eq!(
        publish(&world, &format!("[{large},{}]", large.replace("77777", "77778"))).stored,
        2
    );
    let reply = world.get("/events?topic=a&after=9999");
    assert_eq!(
        page(&reply).events[1].payload.as_ref().unwrap()["x"].as_str().unwrap().len(),
        1_000_000
    );
}

#[test]
fn pages_follow_each_other() {
    let world = World::open();
    for number in 0..5 {
        publish(&world, &batch(["a", "b"][number % 2], number * 10..number * 10 + 10));
    }
    let all: Vec<u64> = walk(&world, "/events?limit=7");
    assert_eq!(all, (0..50).collect::<Vec<_>>());
    let a: Vec<u64> = walk(&world, "/events?topic=a&limit=30");
    assert_eq!(a, (0..50).filter(|offset| offset / 10 % 2 == 0).collect::<Vec<_>>());
    let reply = world.get("/events?topic=a&after=9&limit=2");
    let first = page(&reply);
    assert_eq!((first.topic.as_deref(), first.count, first.next), (Some("a"), 2, Some(21)));
    assert_eq!(reply.header("link"), Some("</events?topic=a&limit=2&after=21>; rel=\"next\""));
    for (path, count) in [
        ("/events", 50),
        ("/events?topic=none", 0),
        ("/events?after=49", 0),
        ("/events?after=18446744073709551615", 0),
        ("/events?topic=a&after=1000", 0),
    ] {
        let reply = world.get(path);
        assert_eq!(
            (page(&reply).count, page(&reply).next, reply.header("link")),
            (count, None, None),
            "{path}"
        );
    }
    for path in [
        "/events?limit=0",
        "/events?limit=1001",
        "/events?limit=x",
        "/events?after=-1",
        "/events?topic=a%20b",
        "/events?topic=",
        "/events?x=1",
        "/events?topic=..",
        "/events?limit=1&limit=2",
    ] {
        assert_eq!(world.get(path).code(), "invalid", "{path}");
    }
}

/// The offsets of all pages, by their links.
fn walk(world: &World, first: &str) -> Vec<u64> {
    let (mut path, mut offsets) = (first.to_owned(), Vec::new());
    loop {
        let reply = world.get(&path);
        offsets.extend(page(&reply).events.iter().map(|event| event.offset));
        let Some(link) = reply.header("link") else {
            return offsets;
        };
        path = link.split(['<', '>']).nth(1).unwrap().to_owned();
    }
}

#[test]
fn an_event_without_a_time_has_the_one_at_which_it_came() {
    let world = World::open();
    let cloud = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#;
    publish_as(&world, "application/cloudevents+json", "", &[], cloud);
    let event = world.get("/events").json()["events"][0].clone();
    assert!(
        event["timestamp"].is_string() && event["timestamp"] == event["received_at"],
        "{event}"
    );
}

#[test]
fn the_sales_topics_are_its_own_and_the_operators_to_read() {
    let world = World::open();
    world.make_sale(&[]);
    world.buy("budi", "k", 1);
    let mut ends = 0;
    while page(&admin_get(&world, "/events?topic=sale.s")).count < 2 {
        ends += 1;
        assert!(ends < 100_000, "the facts never came");
    }
    publish(&world, &event("a", 1));
    for body in [event("sale.s", 1), format!("[{},{}]", event("b", 1), event("sale.x", 1))] {
        for query in ["", "?on_invalid=skip"] {
            assert_eq!(publish_as(&world, JSON, query, &[], &body).code(), "topic_reserved");
        }
    }
    let seen = |reply: &Reply| {
        page(reply).events.iter().map(|event| event.topic.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(seen(&world.get("/events")), ["a"]);
    assert_eq!(seen(&admin_get(&world, "/events")), ["sale.s", "sale.s", "a"]);
    assert_eq!(admin_get(&world, "/events?topic=sale.s").json()["events"][0]["source"], "kilat");
    for path in ["/events?topic=sale.s", "/events?topic=sale.none", "/events/stream?topic=sale.s"] {
        assert_eq!(world.get(path).code(), "unauthorized", "{path}");
    }
    for path in ["/topics", "/stats"] {
        assert_eq!(world.get(path).json()["topics"], json!([{"topic": "a", "count": 1}]), "{path}");
        let all = json!([{"topic": "a", "count": 1}, {"topic": "sale.s", "count": 2}]);
        assert_eq!(admin_get(&world, path).json()["topics"], all, "{path}");
    }
    let counted = stats(&world);
    assert_eq!(
        (counted.total_events_received, counted.projected, counted.runtime.projected),
        (1, 2, 2)
    );
}

#[test]
fn a_publishers_token_publishes_and_does_nothing_else() {
    let world = World::guarded();
    let publisher = format!("Bearer {PUBLISHER}");
    let as_publisher = |method: &str, path: &str, body: &str| {
        let headers =
            [("authorization", &publisher[..]), ("content-type", JSON), ("idempotency-key", "k")];
        world.call(method, path, &headers, body)
    };
    assert_eq!(publish_as(&world, JSON, "", &[], &event("a", 1)).code(), "unauthorized");
    assert_eq!(as_publisher("POST", "/publish", &event("a", 1)).status, 200);
    assert_eq!(as_publisher("GET", "/events", "").status, 200);
    assert_eq!(as_publisher("GET", "/events?topic=sale.s", "").code(), "forbidden");
    assert_eq!(
        as_publisher("POST", "/v1/sales/s/orders", r#"{"customer":"budi","quantity":1}"#).code(),
        "forbidden"
    );
    assert_eq!(as_publisher("POST", "/events/forget", r#"{"topic":"a"}"#).code(), "forbidden");
}

#[test]
fn topics_come_in_pages_by_name() {
    let world = World::open();
    for topic in ["c", "a", "b", "B"] {
        publish(&world, &batch(topic, 0..2));
    }
    let topics =
        |path: &str| -> TopicsReply { serde_json::from_slice(&world.get(path).body).unwrap() };
    let names = |reply: &TopicsReply| {
        reply.topics.iter().map(|topic| topic.topic.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&topics("/topics")), ["B", "a", "b", "c"]);
    let first = topics("/topics?limit=3");
    assert_eq!(
        (names(&first), first.next.as_deref(), first.topics[0].count),
        (vec!["B".into(), "a".into(), "b".into()], Some("b"), 2)
    );
    let second = topics("/topics?after=b&limit=3");
    assert_eq!((names(&second), second.next), (vec!["c".to_owned()], None));
    for path in ["/topics?limit=0", "/topics?limit=10001", "/topics?x=1"] {
        assert_eq!(world.get(path).code(), "invalid", "{path}");
    }
}

#[test]
fn counters_add_up() {
    let world = World::open();
    publish(&world, &batch("a", 0..3));
    publish(&world, &batch("a", 1..4));
    publish(&world, &event("a", 0).replace("test", "other"));
    let stats = stats(&world);
    let Value::Object(told) = world.get("/stats").json() else { panic!() };
    assert_eq!(stats.total_events_received, 7);
    assert_eq!(stats.total_unique_events_processed, 4);
    assert_eq!((stats.total_duplicate_events_dropped, stats.total_conflicts), (3, 1));
    assert_eq!(
        (stats.runtime.total_events_received, stats.runtime.total_duplicate_events_dropped),
        (7, 3)
    );
    assert!(told["uptime"].as_f64().unwrap() >= 0.0 && !told.contains_key("topics_more"));
    let text = world.get("/metrics").text().to_owned();
    for result in ["stored", "duplicate", "conflict", "invalid"] {
        assert!(text.contains(&format!("kilat_events_total{{result=\"{result}\"}}")), "{result}");
    }
}

#[test]
fn what_is_forgotten_keeps_its_id() {
    let world = World::open();
    publish(&world, &batch("a", 0..2));
    publish(&world, &event("b", 0));
    let forget = |body: &str| world.admin("POST", "/events/forget", "k", body);
    for body in [
        "{}",
        r#"{"topic":null,"older_than_seconds":null}"#,
        r#"{"topic":"a b"}"#,
        r#"{"older_than_seconds":-1}"#,
    ] {
        assert_eq!(forget(body).code(), "invalid", "{body}");
    }
    assert_eq!(forget(r#"{"topic":"a","older_than_seconds":3600}"#).status, 200);
    assert!(
        world.get("/events").json()["events"][0]["payload"].is_object(),
        "they are not that old"
    );
    assert_eq!(forget(r#"{"topic":"a"}"#).json(), json!({"below": 3, "topic_events": 2}));
    assert_eq!(forget(r#"{"topic":"none"}"#).json(), json!({"below": 3, "topic_events": 0}));
    let events = world.get("/events").json()["events"].clone();
    for index in [0, 1] {
        let event = events[index].as_object().unwrap();
        assert_eq!(event["forgotten"], true, "{events}");
        assert_eq!(
            event.keys().collect::<Vec<_>>(),
            ["event_id", "forgotten", "offset", "received_at", "topic"]
        );
    }
    assert_eq!(events[2]["payload"], json!({"number": 0}));
    assert_eq!(publish(&world, &batch("a", 0..2)).duplicates, 2, "ids are not forgotten");
    assert_eq!(forget(r#"{"older_than_seconds":0}"#).json(), json!({"below": 3}));
    publish(&world, &event("a", 5));
    assert_eq!(world.get("/events?after=2").json()["events"][0]["payload"]["number"], 5);
}

#[test]
fn a_slow_body_of_events_is_cut() {
    let limits = kilat_server::Limits {
        body_timeout: std::time::Duration::from_millis(200),
        ..Default::default()
    };
    let world = World::full_lane(limits);
    let mut connection = world.connect();
    connection.send(request(
        "POST",
        "/publish",
        &[("content-type", JSON), ("content-length", "10000")],
        "",
    ));
    assert_eq!(connection.read_reply().code(), "request_timeout");
}
