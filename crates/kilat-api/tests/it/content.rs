//! Which events are equal: those whose instant, source and payload are equal as JSON values.

use crate::reading::{event_with, good, with_payload};
use kilat_api::event::Form;

fn canonical(event: &str) -> String {
    good(event, Form::Json).remove(0).canonical
}

/// The canonical form of a payload's member.
fn of_value(value: &str) -> String {
    let whole = canonical(&with_payload(&format!("{{\"a\":{value}}}")));
    let end = ",[1769846400,0],\"shop\"]";
    let member = whole.strip_prefix("[{\"a\":").and_then(|rest| rest.strip_suffix(end));
    member.and_then(|rest| rest.strip_suffix('}')).expect(&whole).to_owned()
}

#[test]
fn the_canonical_form_never_changes() {
    // What is stored is compared by these bytes for ever.
    for (payload, expected) in [
        ("{}", "{}"),
        (r#"{ "b" : 1 , "a" : [ ] }"#, r#"{"a":[],"b":1}"#),
        (
            r#"{"x":{"z":null,"y":true},"w":[{"b":1,"a":false},"s"]}"#,
            r#"{"w":[{"a":false,"b":1},"s"],"x":{"y":true,"z":null}}"#,
        ),
        (
            r#"{"n":[0,-0,0.0,0e9,1,10,1.50,-100,1e3,0.001,12345678901234567890]}"#,
            r#"{"n":[0,0,0,0,1,1e1,15e-1,-1e2,1e3,1e-3,1234567890123456789e1]}"#,
        ),
        (
            r#"{"s":"\u0041\/\"\\\b\f\n\r\t\u0001\u001F\u007f\u00e9\ud83d\ude00"}"#,
            "{\"s\":\"A/\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\u{7f}é😀\"}",
        ),
    ] {
        let whole = format!("[{expected},[1769846400,0],\"shop\"]");
        assert_eq!(canonical(&with_payload(payload)), whole, "{payload}");
    }
    let late = event_with("timestamp", Some(r#""1969-12-31T23:59:59.25Z""#));
    assert_eq!(canonical(&late), "[{},[0,-750000000],\"shop\"]");
    let source = event_with("source", Some(r#""a\/\u0062""#));
    assert_eq!(canonical(&source), "[{},[1769846400,0],\"a/b\"]");
}

#[test]
fn these_values_are_equal() {
    let classes: [&[&str]; 16] = [
        &[
            "1",
            "1.0",
            "1e0",
            "1E+0",
            "10e-1",
            "0.1e1",
            "100E-2",
            "1.000",
            "1e-0",
            "1e00000000000000000000",
        ],
        &["0", "-0", "0.0", "-0.0e5", "0e999999999999999999999", "0E-1"],
        &["-12.5", "-125e-1", "-0.125e2", "-12.50"],
        &["100", "1e2", "1.00e2", "1000e-1"],
        &["123456789012345678901234567890", "1.2345678901234567890123456789e29"],
        &["0.1", "1e-1", "0.10", "100e-3"],
        &["1e400", "10e399", "0.1e401"],
        &["1e-400", "0.1e-399"],
        &[r#""A""#, r#""\u0041""#, r#""\u0041""#],
        &[r#""/""#, r#""\/""#, r#""\u002f""#, r#""\u002F""#],
        &[r#""é""#, r#""\u00e9""#, r#""\u00E9""#],
        &[r#""😀""#, r#""\ud83d\ude00""#, r#""\uD83D\uDE00""#],
        &[r#""\n""#, r#""\u000a""#],
        &[r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#, r#" { "b" : 2.0 , "\u0061" : 1 } "#],
        &[r#"{"a":{"c":[1,{"y":0,"x":0}],"b":{}}}"#, r#"{"a":{"b":{},"c":[1.0,{"x":-0,"y":0}]}}"#],
        &["[1,2]", "[ 1 ,\n\t2\r]"],
    ];
    for class in classes {
        for value in class {
            assert_eq!(of_value(value), of_value(class[0]), "{value} is {}", class[0]);
        }
    }
}

#[test]
fn these_values_are_not_equal() {
    let values = [
        "null",
        "true",
        "false",
        "0",
        "\"0\"",
        "\"\"",
        "\"null\"",
        "[]",
        "{}",
        "[[]]",
        "[0]",
        "[null]",
        "1",
        "-1",
        "1.5",
        "-1.5",
        "15",
        "150",
        "1e1",
        "2e-1",
        "1e2",
        "1e999999999999999",
        "1e-999999999999999",
        "0.1",
        "0.10000000000000000001",
        "0.10000000000000000555",
        "9007199254740992",
        "9007199254740993",
        "9007199254740992.5",
        "18446744073709551616",
        "[1,2]",
        "[2,1]",
        "[12]",
        "[1,[2]]",
        "[[1],2]",
        r#"{"a":1}"#,
        r#"{"a":"1"}"#,
        r#"{"a":null}"#,
        r#"{"A":1}"#,
        r#"{"a":1,"b":1}"#,
        r#"{"a":{"b":1}}"#,
        r#"{"":1}"#,
        r#"{"a":1,"":1}"#,
        "\"a\"",
        "\"A\"",
        "\"a \"",
        "\"á\"",
        "\"a\u{301}\"",
        r#""\u0000""#,
        r#""\\u0000""#,
        r#""\\n""#,
        r#""\n""#,
        r#""a\",\"b""#,
        r#"["a","b"]"#,
        r#"["a\",\"b"]"#,
    ];
    for (index, a) in values.iter().enumerate() {
        for b in &values[index + 1..] {
            assert!(of_value(a) != of_value(b), "{a} is not {b}");
        }
    }
}

#[test]
fn members_are_in_the_order_of_what_their_names_say() {
    // By UTF-8 bytes: an escape counts as what it stands for, and a prefix comes first.
    let names = [
        r#""""#,
        r#""\u0000""#,
        r#""\n""#,
        r#""\u001f""#,
        "\" \"",
        "\"!\"",
        r#""\"""#,
        r#""\"a""#,
        "\"#\"",
        "\"[\"",
        r#""\\""#,
        r#""\\\"""#,
        r#""\\a""#,
        "\"]\"",
        "\"a\"",
        r#""a\n""#,
        "\"a \"",
        "\"a!\"",
        r#""a\"""#,
        "\"aa\"",
        "\"é\"",
        "\"\u{ffff}\"",
        "\"😀\"",
    ];
    let members = |names: &[&str]| {
        let members: Vec<_> = names.iter().map(|name| format!("{name}:1")).collect();
        format!("{{{}}}", members.join(","))
    };
    let sorted = members(&names);
    assert_eq!(of_value(&sorted), sorted);
    let mut reversed = names;
    reversed.reverse();
    assert_eq!(of_value(&members(&reversed)), sorted);
}

#[test]
fn the_instant_counts_and_not_its_writing() {
    let at = |text: &str| canonical(&event_with("timestamp", Some(&format!("\"{text}\""))));
    let noon = at("2026-01-31T12:00:00Z");
    for same in [
        "2026-01-31T12:00:00.000Z",
        "2026-01-31T19:00:00+07:00",
        "2026-01-31T07:30:00-04:30",
        "2026-01-31t12:00:00z",
        "2026-01-31T12:00:00-00:00",
        r"2026-01-31\u005412:00:00Z",
    ] {
        assert_eq!(at(same), noon, "{same}");
    }
    for other in
        ["2026-01-31T12:00:01Z", "2026-01-31T12:00:00.000000001Z", "2026-01-31T12:00:00+07:00"]
    {
        assert_ne!(at(other), noon, "{other}");
    }
}

#[test]
fn topic_and_id_are_no_content_and_source_is() {
    let usual = canonical(&with_payload("{}"));
    assert_eq!(canonical(&event_with("topic", Some("\"other\""))), usual);
    assert_eq!(canonical(&event_with("event_id", Some("\"2\""))), usual);
    assert_ne!(canonical(&event_with("source", Some("\"Shop\""))), usual);
    assert_ne!(canonical(&with_payload(r#"{"a":0}"#)), usual);
}

#[test]
fn the_order_of_an_events_members_does_not_matter() {
    let event = r#"{"payload":{"b":[1],"a":2},"source":"shop","timestamp":"2026-01-31T08:00:00Z","event_id":"1","topic":"orders"}"#;
    assert_eq!(canonical(event), canonical(&with_payload(r#"{"a":2,"b":[1]}"#)));
}
