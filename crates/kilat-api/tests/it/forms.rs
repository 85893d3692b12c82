//! Objects, arrays, lines; and what is stored of them.

use crate::reading::{event_with, good, read_as, refused, with_payload};
use kilat_api::event::{EVENT_BYTES_MAX, EVENTS_MAX, Form, OnInvalid, PAYLOAD_DEPTH_MAX};
use kilat_api::problem::Code;

fn numbered(number: usize) -> String {
    event_with("event_id", Some(&format!("\"{number}\"")))
}

#[test]
fn an_object_an_array_and_lines_hold_the_same_events() {
    let events: Vec<_> = (0..3).map(numbered).collect();
    let expected = good(format!("[{}]", events.join(",")), Form::Json);
    let ids: Vec<_> = expected.iter().map(|event| (event.index, event.event_id.as_str())).collect();
    assert_eq!(ids, [(0, "0"), (1, "1"), (2, "2")]);
    assert_eq!(expected[0].topic, "orders");
    for end in ["\n", "\r\n", "\n\n \t\r\n", " \n"] {
        assert_eq!(good(events.join(end), Form::Lines), expected, "{end:?}");
        assert_eq!(good(format!("\n{}{end}", events.join(end)), Form::Lines), expected, "{end:?}");
    }
    assert_eq!(good(&events[0], Form::Json), expected[..1]);
    assert_eq!(good(format!(" \n[ {} ]\r\n ", events.join(" ,\t")), Form::Json), expected);
}

#[test]
fn what_is_stored_is_what_was_sent_on_one_line() {
    let sent = "{\"payload\" : {\r\n  \"b\" : [1.50,\n\"a\\u0041\\n\"],\"a\":{}\n} ,\"source\":\"sh\\u006fp\",\
        \"event_id\":\"\\u0031\",\"topic\":\"or\\u0064ers\",\"timestamp\":\"2026-01-31T15:00:00.0+07:00\"}";
    let event = good(sent, Form::Json).remove(0);
    assert_eq!((event.topic.as_str(), event.event_id.as_str()), ("orders", "1"));
    assert_eq!(
        event.body,
        r#""timestamp":"2026-01-31T15:00:00.0+07:00","source":"sh\u006fp","payload":{  "b" : [1.50,"a\u0041\n"],"a":{}}"#
    );
}

#[test]
fn a_body_has_at_least_one_event_and_at_most_the_limit() {
    let many = |count: usize| format!("[{}]", vec![with_payload("{}"); count].join(","));
    let lines = |count: usize| vec![with_payload("{}"); count].join("\n");
    for (body, form) in [
        ("[]".to_owned(), Form::Json),
        (many(EVENTS_MAX + 1), Form::Json),
        (String::new(), Form::Lines),
        (" \n\n\t\r\n".to_owned(), Form::Lines),
        (lines(EVENTS_MAX + 1), Form::Lines),
    ] {
        for on_invalid in [OnInvalid::Refuse, OnInvalid::Skip] {
            let problem = read_as(&body, form, on_invalid).unwrap_err();
            assert_eq!((problem.code, problem.errors.len()), (Code::Invalid, 1));
            assert!(problem.errors[0].message.contains("1 to 10000 events"), "{problem:?}");
        }
    }
    assert_eq!(good(many(EVENTS_MAX), Form::Json).len(), EVENTS_MAX);
    assert_eq!(good(lines(EVENTS_MAX), Form::Lines).len(), EVENTS_MAX);
}

#[test]
fn an_event_has_a_limit_of_bytes_and_of_depth() {
    let padding = EVENT_BYTES_MAX - with_payload(r#"{"a":""}"#).len();
    let of_bytes =
        |more: usize| with_payload(&format!(r#"{{"a":"{}"}}"#, "x".repeat(padding + more)));
    assert_eq!(good(of_bytes(0), Form::Json).len(), 1);
    assert_eq!(
        refused(of_bytes(1), Form::Json).errors[0].message,
        "an event may have at most 1048576 bytes"
    );
    let (read, taken) =
        read_as(format!("[{},{}]", of_bytes(1), with_payload("{}")), Form::Json, OnInvalid::Skip)
            .unwrap();
    assert_eq!((read.events, read.skipped[0].index, taken.len()), (2, 0, 1));
    let nested = |depth: usize| {
        let inside = depth - 1;
        with_payload(&format!("{{\"a\":{}1{}}}", "[".repeat(inside), "]".repeat(inside)))
    };
    assert_eq!(good(nested(PAYLOAD_DEPTH_MAX), Form::Json).len(), 1);
    assert_eq!(refused(nested(PAYLOAD_DEPTH_MAX + 1), Form::Json).code, Code::Malformed);
}

#[test]
fn invalid_events_can_be_left_out() {
    let bad = event_with("topic", Some("\"a b\""));
    let body = format!("[{},{bad},7,{}]", numbered(0), numbered(3));
    let (read, taken) = read_as(body, Form::Json, OnInvalid::Skip).unwrap();
    assert_eq!(taken.iter().map(|event| event.index).collect::<Vec<_>>(), [0, 3]);
    let skipped: Vec<_> =
        read.skipped.iter().map(|one| (one.index, one.errors.len(), one.more)).collect();
    assert_eq!((read.events, skipped), (4, vec![(1, 1, 0), (2, 1, 0)]));
    assert_eq!(read.skipped[0].errors[0].field, "topic");
    assert_eq!(read.skipped[1].errors[0].index, Some(2));
}
