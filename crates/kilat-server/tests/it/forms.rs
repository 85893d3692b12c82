//! The forms in which events are published: JSON, lines, CloudEvents in three modes.

use crate::events::{JSON, batch, event, page, publish_as};
use crate::world::World;
use serde_json::json;

#[test]
fn every_form_is_taken() {
    let world = World::open();
    let lines = format!("{}\n\n{}\r\n", event("a", 1), event("a", 2));
    let cloud = r#"{"specversion":"1.0","id":"id-1","source":"/s","type":"t.x","time":"2026-01-31T08:00:00Z","data":[1]}"#;
    for (kind, body, stored) in [
        (JSON, batch("a", 0..3), 3),
        ("application/x-ndjson", lines.clone(), 0),
        ("application/x-ndjson; charset=utf-8", lines.replace("\"a\"", "\"b\""), 2),
        ("application/ndjson", lines.replace("\"a\"", "\"c\""), 2),
        ("application/cloudevents+json; charset=UTF-8", cloud.to_owned(), 1),
        (
            "application/cloudevents-batch+json",
            format!("[{cloud},{}]", cloud.replace("id-1", "id-2")),
            1,
        ),
        ("application/cloudevents-batch+json", "[]".to_owned(), 0),
    ] {
        let reply = publish_as(&world, kind, "", &[], &body);
        assert_eq!(reply.status, 200, "{kind}: {}", reply.text());
        assert_eq!(reply.json()["stored"], stored, "{kind}: {}", reply.text());
    }
    for kind in [
        "text/plain",
        "application/cloudevents",
        "application/cloudevents+xml",
        "application/json; charset=latin1",
        "",
    ] {
        assert_eq!(
            publish_as(&world, kind, "", &[], "{}").code(),
            "unsupported_media_type",
            "{kind}"
        );
    }
}

#[test]
fn a_cloud_event_may_come_in_headers() {
    let world = World::open();
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-type", "com.example.someevent"),
        ("ce-time", "2018-04-05T03:56:24Z"),
        ("ce-id", "1234-1234-1234"),
        ("CE-Source", "/mycontext/subcontext"),
        ("ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
    ];
    for kind in ["application/json", "application/json; charset=utf-8", "text/plain", "image/png"] {
        let topic = kind.replace(['/', ';', ' ', '='], "-");
        let headers = [&headers[..], &[("ce-topic", topic.as_str())]].concat();
        let reply = publish_as(&world, kind, "", &headers, "{ \"message\": \"Hello World!\" }");
        assert_eq!(reply.json()["stored"], 1, "{kind}: {}", reply.text());
    }
    let reply = world.get("/events?topic=application-json");
    let page = page(&reply);
    let event = &page.events[0];
    assert_eq!(
        (&*event.event_id, event.timestamp.as_deref()),
        ("1234-1234-1234", Some("2018-04-05T03:56:24Z"))
    );
    assert_eq!(event.payload.as_ref().unwrap()["data"], json!({"message": "Hello World!"}));
    assert_eq!(event.payload.as_ref().unwrap()["subject"], "Euro € 😀");
    // The same event in the structured mode is the same event.
    let whole = r#"{"specversion":"1.0","type":"com.example.someevent","time":"2018-04-05T03:56:24Z","id":"1234-1234-1234",
        "source":"/mycontext/subcontext","subject":"Euro € 😀","topic":"application-json","datacontenttype":"application/json","data":{"message":"Hello World!"}}"#;
    let again = publish_as(&world, "application/cloudevents+json", "", &headers, whole);
    assert_eq!(again.json()["duplicates"], 1, "{}", again.text());
    let bad = publish_as(&world, "text/plain", "", &[("ce-id", "x")], "");
    assert_eq!(bad.code(), "invalid");
}
