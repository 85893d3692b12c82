//! What is refused: by index and field, or by line and column.

use crate::reading::{event_with, read_as, refused, with_payload};
use kilat_api::event::{Form, OnInvalid};
use kilat_api::problem::{Code, FAULTS_MAX};

/// The fields that a single event is refused for.
fn check(event: &str, fields: &[&str]) {
    let problem = refused(event, Form::Json);
    assert_eq!(problem.code, Code::Invalid, "{event}: {problem:?}");
    let named: Vec<_> = problem.errors.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(named, fields, "{event}: {problem:?}");
    assert!(problem.errors.iter().all(|fault| fault.index == Some(0) && !fault.message.is_empty()));
}

#[test]
fn each_field_is_needed_once_and_with_its_type() {
    for field in ["topic", "event_id", "timestamp", "source", "payload"] {
        check(&event_with(field, None), &[field]);
        for wrong in ["null", "1", "true", "[]", "[{}]"] {
            check(&event_with(field, Some(wrong)), &[field]);
        }
        let wrong = if field == "payload" { "\"{}\"" } else { "{}" };
        check(&event_with(field, Some(wrong)), &[field]);
        let twice = with_payload("{}").replacen('{', &format!("{{\"{field}\":\"x\","), 1);
        let named = refused(&twice, Form::Json);
        let again = named
            .errors
            .iter()
            .filter(|fault| fault.field == field && fault.message.contains("more than once"));
        assert_eq!(again.count(), 1, "{twice}: {named:?}");
    }
    check("{}", &["topic", "event_id", "timestamp", "source", "payload"]);
    check(&with_payload("{}").replacen('{', r#"{"extra":{"a":[1]},"#, 1), &["extra"]);
    check(&with_payload("{}").replacen('{', r#"{"Topic":"a","#, 1), &["Topic"]);
}

#[test]
fn texts_must_be_what_they_should() {
    let long_id = "é".repeat(256);
    let long_topic = "t".repeat(250);
    let long_source = "s".repeat(1_025);
    for (field, text) in [
        ("topic", ""),
        ("topic", "."),
        ("topic", ".."),
        ("topic", "a b"),
        ("topic", "a/b"),
        ("topic", "é"),
        ("topic", r"a\n"),
        ("topic", &long_topic),
        ("event_id", ""),
        ("event_id", r"a\u0000"),
        ("event_id", r"a\n"),
        ("event_id", "\u{7f}"),
        ("event_id", "a\u{85}"),
        ("event_id", "a\u{2028}b"),
        ("event_id", "a\u{202e}b"),
        ("event_id", &long_id),
        ("source", ""),
        ("source", r"a\u001b"),
        ("source", "a\u{2029}"),
        ("source", &long_source),
        ("timestamp", ""),
        ("timestamp", "yesterday"),
        ("timestamp", "2026-01-31"),
        ("timestamp", "2026-01-31T08:00:00"),
        ("timestamp", "2026-02-30T08:00:00Z"),
        ("timestamp", "1769846400"),
        ("timestamp", "2026-01-31T08:00:00Z[UTC]"),
    ] {
        check(&event_with(field, Some(&format!("\"{text}\""))), &[field]);
    }
    for (field, text) in [
        ("topic", "...".to_owned()),
        ("topic", "A-z_0.9".to_owned()),
        ("topic", "t".repeat(249)),
        ("topic", "sale".to_owned()),
        ("event_id", "é".repeat(255)),
        ("event_id", " a b ".to_owned()),
        ("event_id", r"\/\\".to_owned()),
        ("source", "/my/source?q=1#x".to_owned()),
        ("source", "ü".repeat(1_024)),
    ] {
        let event = event_with(field, Some(&format!("\"{text}\"")));
        assert!(read_as(&event, Form::Json, OnInvalid::Refuse).is_ok(), "{event}");
    }
}

#[test]
fn a_payload_has_each_member_once_and_numbers_that_can_be_told() {
    for payload in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"b":2,"a":3}"#,
        r#"{"b":1,"a":1,"\u0061":2}"#,
        r#"{"x":[{"a":1,"a":2}]}"#,
        r#"{"\n":1,"\u000a":1}"#,
        r#"{"a":1e1000000000000000}"#,
        r#"{"a":-1.5E-99999999999999999999}"#,
    ] {
        check(&with_payload(payload), &["payload"]);
    }
    check(&with_payload(r#"{"a":1,"a":1,"a":1,"b":{"c":1,"c":1}}"#), &["payload"; 3]);
}

#[test]
fn faults_of_a_batch_have_their_events_index() {
    let bad = event_with("topic", Some("\"\""));
    let body = format!("[{},{bad},\n7,{},{{}}]", with_payload("{}"), with_payload("{}"));
    let problem = refused(body, Form::Json);
    let named: Vec<_> =
        problem.errors.iter().map(|fault| (fault.index.unwrap(), fault.field.as_str())).collect();
    let missing = ["topic", "event_id", "timestamp", "source", "payload"].map(|field| (4, field));
    assert_eq!(named[..2], [(1, "topic"), (2, "")]);
    assert_eq!(named[2..], missing);
    let json = serde_json::to_value(&problem).unwrap();
    assert_eq!(json["errors"][0]["index"], 1);
    assert!(json.get("more").is_none());
}

#[test]
fn a_reply_is_bounded_however_many_faults_there_are() {
    let unknown: String = (0..100_000).map(|number| format!(r#""f{number}":0,"#)).collect();
    let many_members: String = (0..50_000).map(|_| r#""a":0,"#).collect();
    let bodies = [
        (with_payload("{}").replacen('{', &format!("{{{unknown}"), 1), 100_000),
        (with_payload(&format!("{{{many_members}\"b\":0}}")), 49_999),
        (format!("[{}]", vec!["0"; 10_000].join(",")), 10_000),
        (
            with_payload("{}").replacen('{', &format!("{{\"{}\":0,", "\\u0001".repeat(300_000)), 1),
            1,
        ),
    ];
    for (body, total) in bodies {
        let problem = refused(&body, Form::Json);
        assert_eq!(
            (problem.errors.len(), problem.more),
            (total.min(FAULTS_MAX), total - total.min(FAULTS_MAX))
        );
        assert!(serde_json::to_string(&problem).unwrap().len() < 64 * 1024);
        let (read, taken) = read_as(&body, Form::Json, OnInvalid::Skip).unwrap();
        assert!(taken.is_empty());
        let listed: usize = read.skipped.iter().map(|one| one.errors.len()).sum();
        let more: usize = read.skipped.iter().map(|one| one.more).sum();
        assert_eq!((listed, listed + more), (total.min(FAULTS_MAX), total));
    }
}

/// Why a body is no JSON.
fn check_malformed(body: impl AsRef<[u8]>, form: Form, place: &str) {
    for on_invalid in [OnInvalid::Refuse, OnInvalid::Skip] {
        let shown = String::from_utf8_lossy(body.as_ref()).chars().take(100).collect::<String>();
        let problem = read_as(&body, form, on_invalid).expect_err(&shown);
        assert_eq!(problem.code, Code::Malformed, "{shown}: {problem:?}");
        let detail = problem.detail.unwrap();
        assert!(detail.ends_with(place), "{shown}: {detail} and not {place}");
    }
}

#[test]
fn what_is_no_json_is_named_by_line_and_column() {
    for (body, place) in [
        ("", "line 1 column 1"),
        (" \n ", "line 2 column 2"),
        ("{", "line 1 column 2"),
        ("nul", "line 1 column 1"),
        ("\u{feff}{}", "line 1 column 1"),
        ("{\u{1}}", "line 1 column 2"),
        ("{\"a\"}", "line 1 column 5"),
        ("{\"a\":}", "line 1 column 6"),
        ("{\"a\":1,}", "line 1 column 8"),
        ("{,}", "line 1 column 2"),
        ("[1,]", "line 1 column 4"),
        ("[1 2]", "line 1 column 4"),
        ("[1}", "line 1 column 3"),
        ("{a:1}", "line 1 column 2"),
        ("{'a':1}", "line 1 column 2"),
        ("{} {}", "line 1 column 4"),
        ("{}x", "line 1 column 3"),
        ("[{},\n\n {\"é\":tru}]", "line 3 column 7"),
        ("{\"a\":01}", "line 1 column 7"),
        ("{\"a\":+1}", "line 1 column 6"),
        ("{\"a\":1.}", "line 1 column 8"),
        ("{\"a\":.5}", "line 1 column 6"),
        ("{\"a\":1e}", "line 1 column 8"),
        ("{\"a\":-}", "line 1 column 7"),
        ("{\"a\":NaN}", "line 1 column 6"),
        ("{\"a\":\"\t\"}", "line 1 column 7"),
        ("{\"a\":\"x\n\"}", "line 1 column 8"),
        ("{\"a\":\"sixteen bytes \u{1f} and more\"}", "line 1 column 21"),
        (r#"{"a":"\x"}"#, "line 1 column 8"),
        (r#"{"a":"\u12g4"}"#, "line 1 column 11"),
        (r#"{"a":"\ud800"}"#, "line 1 column 7"),
        (r#"{"a":"\ud800\u0041"}"#, "line 1 column 7"),
        (r#"{"a":"\udc00\ud800"}"#, "line 1 column 7"),
        (r#"{"a":"\ud83d\ud83d"}"#, "line 1 column 7"),
        (r#"{"a":"unfinished"#, "line 1 column 17"),
    ] {
        check_malformed(body, Form::Json, place);
    }
    check_malformed(format!("{}\n{{\"a\":\n", with_payload("{}")), Form::Lines, "line 3 column 1");
    check_malformed(format!("{}\n\n{{}} {{}}", with_payload("{}")), Form::Lines, "line 3 column 4");
    check_malformed(b"[\"\xff\"]", Form::Json, "line 1 column 3");
    check_malformed(b"\n\"\xc3", Form::Lines, "line 2 column 2");
    check_malformed("[".repeat(4 << 20), Form::Json, "column 66");
    check_malformed("{\"a\":".repeat(800_000), Form::Json, "column 326");
}

#[test]
fn bombs_end_in_a_refusal() {
    // Many long equal names: sorting them compares all of each.
    let long = "k".repeat(1_000);
    let same: String = (0..4_000).map(|number| format!("\"{long}{}\":0,", number % 7)).collect();
    let problem = refused(with_payload(&format!("{{{same}\"a\":0}}")), Form::Json);
    assert_eq!(problem.code, Code::Invalid);
    let digits = with_payload(&format!("{{\"a\":{}}}", "9".repeat(4 << 20)));
    assert_eq!(refused(digits, Form::Json).code, Code::Invalid);
    let zeros = with_payload(&format!("{{\"a\":1{}}}", "0".repeat(1 << 19)));
    assert!(
        read_as(zeros, Form::Json, OnInvalid::Refuse).unwrap().1[0].canonical.contains("1e524288")
    );
}

#[test]
fn the_sales_topics_are_reserved_for_the_whole_body() {
    let reserved = event_with("topic", Some("\"sale.phone\""));
    let escaped = event_with("topic", Some(r#""sal\u0065.phone""#));
    let bad = event_with("event_id", Some("\"\""));
    for body in [
        reserved.clone(),
        escaped,
        format!("[{},{reserved}]", with_payload("{}")),
        format!("[{bad},{reserved}]"),
    ] {
        for on_invalid in [OnInvalid::Refuse, OnInvalid::Skip] {
            let problem = read_as(&body, Form::Json, on_invalid).unwrap_err();
            assert_eq!(problem.code, Code::TopicReserved, "{body}");
        }
    }
}
