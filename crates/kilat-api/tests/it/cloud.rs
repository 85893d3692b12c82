//! CloudEvents 1.0: the JSON format, its batches, and the binary mode of HTTP.

use crate::reading::{Taken, good, read_request, refused};
use kilat_api::event::{Binary, EVENT_BYTES_MAX, Form, PAYLOAD_DEPTH_MAX};
use kilat_api::problem::{Code, Problem};
use serde_json::{Value, json};

/// A structured event with some attributes set otherwise; `null` leaves one out.
fn event(attributes: &Value) -> String {
    let mut event = json!({
        "specversion": "1.0", "id": "e-1", "type": "io.cloudevents.test", "source": "https://cloudevents.io"
    });
    for (name, value) in attributes.as_object().unwrap() {
        match value {
            Value::Null => drop(event.as_object_mut().unwrap().remove(name)),
            value => event[name] = value.clone(),
        }
    }
    event.to_string()
}

fn structured(attributes: &Value) -> Taken {
    good(event(attributes), Form::CloudEvent).remove(0)
}

#[test]
fn a_minimal_event_is_enough() {
    let taken = structured(&json!({}));
    assert_eq!((taken.topic.as_str(), taken.event_id.as_str()), ("io.cloudevents.test", "e-1"));
    let expected = json!({
        "source": "https://cloudevents.io", "payload": {"specversion": "1.0", "type": "io.cloudevents.test"}
    });
    assert_eq!(taken.json(), expected);
    assert!(taken.canonical.contains(",null,"), "no time is no instant: {}", taken.canonical);
}

#[test]
fn attributes_that_are_null_are_not_set() {
    let nulls = r#"{"specversion":"1.0","id":"e-1","type":"io.cloudevents.test","source":"https://cloudevents.io",
        "datacontenttype":null,"dataschema":null,"subject":null,"time":null,"topic":null,"ext":null,"data_base64":null}"#;
    assert_eq!(good(nulls, Form::CloudEvent)[0], structured(&json!({})));
}

#[test]
fn nothing_of_an_event_is_lost() {
    let all = json!({
        "time": "2018-04-05T17:31:00Z", "datacontenttype": "text/plain", "dataschema": "https://cloudevents.io/s",
        "subject": "tests", "data": "Simple text", "extinteger": 10, "extboolean": true, "extstring": "text",
        "exttimestamp": "2023-03-31T15:12:00Z", "extbinary": "TWE="
    });
    let mut payload = all.clone();
    payload.as_object_mut().unwrap().remove("time");
    payload["specversion"] = "1.0".into();
    payload["type"] = "io.cloudevents.test".into();
    let expected = json!({"timestamp": "2018-04-05T17:31:00Z", "source": "https://cloudevents.io", "payload": payload});
    assert_eq!(structured(&all).json(), expected);
    for data in [json!({"a": [1, null]}), json!([]), json!(1.5), json!(true), json!("x")] {
        assert_eq!(structured(&json!({"data": data})).json()["payload"]["data"], data);
    }
    let null = r#"{"specversion":"1.0","id":"e","type":"t","source":"s","data":null}"#;
    assert!(good(null, Form::CloudEvent)[0].body.contains(r#""data":null"#));
    assert_eq!(
        structured(&json!({"data_base64": "TWE="})).json()["payload"]["data_base64"],
        "TWE="
    );
}

#[test]
fn an_attribute_names_the_topic_when_the_type_can_not() {
    let taken = structured(&json!({"topic": "orders", "type": "https://example.com/order placed"}));
    assert_eq!(taken.topic, "orders");
    assert_eq!(
        taken.json()["payload"],
        json!({"specversion": "1.0", "type": "https://example.com/order placed"})
    );
}

#[test]
fn times_count_by_their_instant() {
    let at = |time: &str| structured(&json!({"time": time})).canonical;
    let utc = at("2018-04-05T17:31:00Z");
    for same in
        ["2018-04-05T17:31:00.000000000Z", "2018-04-05T18:31:00+01:00", "2018-04-05T16:31:00-01:00"]
    {
        assert_eq!(at(same), utc, "{same}");
    }
}

/// Which attribute a structured event is refused for.
fn check_refused(attributes: &Value, field: &str) {
    let problem = refused(event(attributes), Form::CloudEvent);
    assert_eq!(problem.code, Code::Invalid, "{attributes}: {problem:?}");
    let fields: Vec<_> = problem.errors.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, [field], "{attributes}: {problem:?}");
}

#[test]
fn what_is_no_cloud_event_is_refused() {
    for name in ["specversion", "id", "type", "source"] {
        check_refused(&json!({name: null}), name);
        for wrong in [json!(""), json!(25), json!({"xyz": "abc"}), json!("a\nb"), json!([])] {
            let problem = refused(event(&json!({name: wrong})), Form::CloudEvent);
            assert!(
                problem.errors.iter().all(|fault| fault.field == name),
                "{name} {wrong}: {problem:?}"
            );
        }
    }
    for time in [
        "lunchtime",
        "2018-04-05T18:31Z",
        "2018-04-05T18:31:00X",
        "2018-04-05T18:31:00+25:00",
        "2018-04-05T18:31:00+xx:00",
        "2018-04-05T18:31:00+05",
        "",
    ] {
        check_refused(&json!({"time": time}), "time");
    }
    check_refused(&json!({"specversion": "0.9"}), "specversion");
    check_refused(&json!({"specversion": "1.0.2"}), "specversion");
    for (name, value) in [
        ("datacontenttype", json!("xyz")),
        ("datacontenttype", json!("")),
        ("dataschema", json!("")),
        ("subject", json!("")),
        ("subject", json!(7)),
        ("topic", json!("a b")),
        ("topic", json!("")),
        ("type", json!("a/b")),
        ("MyExtension", json!("bad")),
        ("my.extension", json!("bad")),
        ("my-ext", json!(1)),
        ("ext", json!(1.5)),
        ("ext", json!({"a": 1})),
        ("ext", json!([])),
        ("ext", json!(2_147_483_648_i64)),
        ("ext", json!("a\u{7}")),
        ("", json!("x")),
        ("data_base64", json!("???")),
        ("data_base64", json!(5)),
    ] {
        check_refused(&json!({name: value}), name);
    }
    check_refused(&json!({"data": "text", "data_base64": "eyAieHl6IjogMTIzIH0="}), "data_base64");
    let sale = refused(event(&json!({"topic": "sale.x"})), Form::CloudEvent);
    assert_eq!(sale.code, Code::TopicReserved);
}

#[test]
fn an_attribute_is_given_once() {
    for name in ["id", "type", "subject", "ext", "data", "data_base64"] {
        let twice = format!(
            r#"{{"specversion":"1.0","id":"1","type":"t","source":"s","{name}":"TWE=","{name}":"TWE="}}"#
        );
        let problem = refused(&twice, Form::CloudEvent);
        assert!(
            problem.errors.iter().any(|fault| fault.message.contains("more than once")),
            "{twice}: {problem:?}"
        );
    }
}

#[test]
fn a_batch_is_an_array_and_may_be_empty() {
    assert!(good("[]", Form::CloudBatch).is_empty());
    let batch = format!("[{},{}]", event(&json!({})), event(&json!({"id": "e-2", "subject": "x"})));
    let taken = good(&batch, Form::CloudBatch);
    assert_eq!((taken[0].event_id.as_str(), taken[1].event_id.as_str()), ("e-1", "e-2"));
    for (body, index) in [
        (format!("[{},{}]", event(&json!({})), event(&json!({"specversion": "0.9"}))), Some(1)),
        (format!("[\"not an object\",{}]", event(&json!({}))), Some(0)),
        (format!("[{}]", event(&json!({"id": null}))), Some(0)),
        (event(&json!({})), None),
        ("7".to_owned(), None),
    ] {
        let problem = refused(&body, Form::CloudBatch);
        assert_eq!(
            (problem.code, problem.errors[0].index),
            (Code::Invalid, index),
            "{body}: {problem:?}"
        );
    }
    assert_eq!(refused("[]", Form::CloudEvent).code, Code::Invalid);
    assert_eq!(refused("{", Form::CloudBatch).code, Code::Malformed);
}

#[test]
fn data_counts_as_a_part_of_the_payload() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let whole = |depth: usize| {
        let data = nested(depth);
        format!(r#"{{"specversion":"1.0","id":"e","type":"t","source":"s","data":{data}}}"#)
    };
    assert_eq!(good(whole(PAYLOAD_DEPTH_MAX - 1), Form::CloudEvent).len(), 1);
    assert_eq!(refused(whole(PAYLOAD_DEPTH_MAX), Form::CloudEvent).code, Code::Malformed);
    let sent = |depth: usize| binary(&[], Some("application/json"), nested(depth).as_bytes());
    assert!(sent(PAYLOAD_DEPTH_MAX - 1).is_ok());
    assert_eq!(sent(PAYLOAD_DEPTH_MAX).unwrap_err().code, Code::Malformed);
    // Text of the binary mode grows when it becomes JSON.
    let large = binary(&[], Some("text/plain"), &vec![1; EVENT_BYTES_MAX / 2]).unwrap_err();
    assert!(large.errors[0].message.contains("at most 1048576 bytes"), "{large:?}");
}

const HEADERS: [(&str, &str); 5] = [
    ("specversion", "1.0"),
    ("type", "com.example.someevent"),
    ("time", "2018-04-05T03:56:24Z"),
    ("id", "1234-1234-1234"),
    ("source", "/mycontext/subcontext"),
];

/// A request in the binary mode with headers besides, or instead of, the usual ones.
fn binary(
    headers: &[(&str, &str)],
    content_type: Option<&str>,
    data: &[u8],
) -> Result<Taken, Problem> {
    let others = HEADERS.iter().filter(|(name, _)| !headers.iter().any(|(known, _)| known == name));
    let attributes: Vec<(&str, &[u8])> = others
        .chain(headers)
        .filter(|(_, value)| *value != "-")
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    let (_, mut taken) = read_request(&Binary { attributes: &attributes, content_type, data })?;
    assert_eq!(taken.len(), 1);
    Ok(taken.remove(0))
}

#[test]
fn all_modes_say_the_same() {
    for kind in ["application/json", "application/json; charset=utf-8"] {
        let sent = binary(&[], Some(kind), b"{\n    \"message\": \"Hello World!\"\n}\n").unwrap();
        let whole = json!({
            "specversion": "1.0", "type": "com.example.someevent", "time": "2018-04-05T03:56:24Z",
            "id": "1234-1234-1234", "source": "/mycontext/subcontext", "datacontenttype": kind,
            "data": {"message": "Hello World!"}
        });
        let structured = good(whole.to_string(), Form::CloudEvent).remove(0);
        assert_eq!(sent.canonical, structured.canonical);
        assert_eq!(
            (sent.topic.as_str(), &sent.event_id),
            ("com.example.someevent", &structured.event_id)
        );
        assert!(!sent.body.contains('\n'), "{}", sent.body);
    }
}

#[test]
fn data_becomes_json_text_or_base64_by_its_type() {
    let cases: [(Option<&str>, &[u8], Value); 12] = [
        (Some("application/json"), b" [1] ", json!({"data": [1]})),
        (Some("Application/Problem+JSON"), b"1", json!({"data": 1})),
        (Some("text/plain"), b"a \"b\"\n\xc3\xa9", json!({"data": "a \"b\"\né"})),
        (Some("text/plain; charset=latin1"), b"\xe9", json!({"data_base64": "6Q=="})),
        (Some("application/xml"), b"<much wow=\"xml\"/>", json!({"data": "<much wow=\"xml\"/>"})),
        (Some("application/octet-stream"), b"\x00\xff", json!({"data_base64": "AP8="})),
        (Some("application/octet-stream"), b"{}", json!({"data_base64": "e30="})),
        (Some("image/png"), b"M", json!({"data_base64": "TQ=="})),
        (None, b"{}", json!({"data_base64": "e30="})),
        (Some("application/json"), b"", json!({})),
        (Some("text/plain"), b"", json!({})),
        (None, b"", json!({})),
    ];
    for (kind, data, expected) in cases {
        let payload = binary(&[], kind, data).unwrap().json()["payload"].clone();
        let mut whole = json!({"specversion": "1.0", "type": "com.example.someevent"});
        kind.inspect(|kind| whole["datacontenttype"] = (*kind).into());
        whole.as_object_mut().unwrap().extend(expected.as_object().unwrap().clone());
        assert_eq!(payload, whole, "{kind:?} {data:?}");
    }
}

#[test]
fn values_of_headers_are_decoded_once() {
    for (sent, means) in [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("%e2%82%ac", "€"),
        ("%41BC", "ABC"),
        ("a%2520b", "a%20b"),
        ("plain text", "plain text"),
        ("\"quoted \\\"text\\\" \\\\ %20\"", "quoted \"text\" \\  "),
        ("€", "€"),
        ("\"", "\""),
    ] {
        let taken = binary(&[("subject", sent)], None, b"").unwrap();
        assert_eq!(taken.json()["payload"]["subject"], means, "{sent}");
    }
    for bad in ["%C0%A0", "%", "%4", "%zz", "100%", "%FF", "%00", "%0a"] {
        let problem = binary(&[("subject", bad)], None, b"").unwrap_err();
        assert_eq!(problem.errors[0].field, "subject", "{bad}: {problem:?}");
    }
}

#[test]
fn a_binary_request_has_the_same_rules() {
    for (headers, field) in [
        ([("id", "-")], "id"),
        ([("id", "")], "id"),
        ([("type", "-")], "type"),
        ([("source", "")], "source"),
        ([("specversion", "0.3")], "specversion"),
        ([("specversion", "-")], "specversion"),
        ([("time", "noon")], "time"),
        ([("topic", "a%20b")], "topic"),
        ([("my-ext", "x")], "my-ext"),
        ([("data", "x")], "data"),
        ([("data_base64", "TQ==")], "data_base64"),
        ([("datacontenttype", "text/plain")], "datacontenttype"),
    ] {
        let problem = binary(&headers, Some("text/plain"), b"x").unwrap_err();
        assert_eq!(problem.code, Code::Invalid);
        let fields: Vec<_> = problem.errors.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, [field], "{problem:?}");
    }
    assert_eq!(binary(&[("topic", "sale.x")], None, b"").unwrap_err().code, Code::TopicReserved);
    let twice = binary(&[("ext", "1"), ("ext", "2")], None, b"").unwrap_err();
    assert!(twice.errors[0].message.contains("more than once"), "{twice:?}");
    let broken = binary(&[], Some("application/json"), b"{\n\"a\":}").unwrap_err();
    assert_eq!(broken.code, Code::Malformed);
    assert!(broken.detail.unwrap().ends_with("line 2 column 5"));
}
