//! The same for anything that can be thought of.

use crate::reading::{good, read_as, read_request, with_payload};
use kilat_api::event::{Binary, Form, OnInvalid};
use proptest::prelude::*;
use serde_json::{Map, Value};

const FORMS: [Form; 4] = [Form::Json, Form::Lines, Form::CloudEvent, Form::CloudBatch];

/// The seed of a run: `KILAT_SEED` replays one.
fn config() -> ProptestConfig {
    let seed = std::env::var("KILAT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| std::process::id().into());
    println!("KILAT_SEED={seed}");
    ProptestConfig {
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(seed),
        ..ProptestConfig::with_cases(512)
    }
}

fn check<S: Strategy>(strategy: S, test: impl Fn(S::Value)) {
    let mut runner = proptest::test_runner::TestRunner::new(config());
    let checked = |value| {
        test(value);
        Ok(())
    };
    if let Err(error) = runner.run(&strategy, checked) {
        panic!("{error}");
    }
}

/// Characters that are hard to write, and others.
fn text() -> impl Strategy<Value = String> {
    let hard = proptest::sample::select(vec![
        '"', '\\', '/', '\n', '\u{0}', '\u{1f}', '\u{7f}', '€', '😀', ' ', '!', 'a',
    ]);
    proptest::collection::vec(prop_oneof![hard, any::<char>()], 0..6)
        .prop_map(|chars| chars.into_iter().collect())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1_i64 << 53)..1 << 53).prop_map(Value::from),
        (-999_i64..999, 0_u32..4).prop_map(|(n, zeros)| Value::from(n * 10_i64.pow(zeros))),
        (-999_999_i64..999_999).prop_map(|n| Value::from(n as f64 / 1024.0)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(text(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn payload() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map(text(), value(), 0..6)
        .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>()))
}

/// Draws one decision after the other from some bytes.
struct Choices<'a>(std::iter::Cycle<std::slice::Iter<'a, u8>>);

impl Choices<'_> {
    fn below(&mut self, bound: usize) -> usize {
        usize::from(*self.0.next().unwrap()) % bound
    }

    fn space(&mut self) -> &'static str {
        ["", "", "", " ", "\n", "\t \r\n"][self.below(6)]
    }
}

/// Writes a value in one of the many ways in which it can be.
fn write(value: &Value, choices: &mut Choices<'_>) -> String {
    let (before, after) = (choices.space(), choices.space());
    let written = match value {
        Value::Null | Value::Bool(_) => value.to_string(),
        Value::Number(number) => write_number(&number.to_string(), choices),
        Value::String(text) => write_text(text, choices),
        Value::Array(elements) => {
            let elements: Vec<_> = elements.iter().map(|element| write(element, choices)).collect();
            format!("[{}]", elements.join(","))
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members
                .iter()
                .map(|(name, value)| {
                    format!(
                        "{}{}:{}",
                        write_text(name, choices),
                        choices.space(),
                        write(value, choices)
                    )
                })
                .collect();
            if !members.is_empty() {
                let turn = choices.below(members.len());
                members.rotate_left(turn);
            }
            if choices.below(2) == 0 {
                members.reverse();
            }
            format!(
                "{{{}{}}}",
                choices.space(),
                members.join(&format!("{},{}", choices.space(), choices.space()))
            )
        }
    };
    format!("{before}{written}{after}")
}

/// The same number with its point moved.
fn write_number(number: &str, choices: &mut Choices<'_>) -> String {
    if number.contains(['e', 'E']) {
        return number.to_owned();
    }
    let pointed = if number.contains('.') { number.to_owned() } else { format!("{number}.0") };
    match choices.below(5) {
        0 => format!("{pointed}00"),
        1 => format!("{pointed}E+0"),
        2 => {
            let (whole, fraction) = pointed.split_once('.').unwrap();
            let digits = format!("{}{fraction}", whole.trim_start_matches('-'))
                .trim_start_matches('0')
                .to_owned();
            let sign = if whole.starts_with('-') { "-" } else { "" };
            let digits = if digits.is_empty() { "0".to_owned() } else { digits };
            format!("{sign}{digits}e-{:03}", fraction.len())
        }
        _ => number.to_owned(),
    }
}

fn write_text(text: &str, choices: &mut Choices<'_>) -> String {
    let mut written = String::from("\"");
    for character in text.chars() {
        if choices.below(4) == 0 {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                let upper = choices.below(2) == 0;
                written += &if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
            }
        } else {
            let plain = serde_json::to_string(&character).unwrap();
            written += &plain[1..plain.len() - 1];
        }
    }
    written + "\""
}

#[test]
fn equal_values_are_equal_bytes_however_they_are_written() {
    check((payload(), proptest::collection::vec(any::<u8>(), 1..64)), |(payload, choices)| {
        let usual = good(with_payload(&payload.to_string()), Form::Json).remove(0);
        let other = write(&payload, &mut Choices(choices.iter().cycle()));
        let written = good(with_payload(&other), Form::Json).remove(0);
        assert_eq!(written.canonical, usual.canonical, "{other}");
        assert_eq!(
            written.json()["payload"].to_string().len(),
            serde_json::from_str::<Value>(&other).unwrap().to_string().len()
        );
        assert!(!written.body.contains(['\n', '\r']), "{}", written.body);
        assert_eq!(written.json()["payload"], serde_json::from_str::<Value>(&other).unwrap());
    });
}

#[test]
fn what_is_canonical_reads_back_as_the_same_value() {
    check(payload(), |payload| {
        let canonical = good(with_payload(&payload.to_string()), Form::Json).remove(0).canonical;
        let read: Value = serde_json::from_str(&canonical).unwrap();
        assert!(same(&read[0], &payload), "{canonical}");
        let again = good(with_payload(&payload.to_string()), Form::Json).remove(0).canonical;
        assert_eq!(again, canonical);
    });
}

/// Equality of JSON values, numbers compared as numbers. Those drawn here are exact doubles or
/// whole.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(name, value)| b.get(name).is_some_and(|other| same(value, other)))
        }
        _ => a == b,
    }
}

#[test]
fn different_values_are_different_bytes() {
    check((payload(), payload()), |(a, b)| {
        let canonical = |payload: &Value| {
            good(with_payload(&payload.to_string()), Form::Json).remove(0).canonical
        };
        assert_eq!(canonical(&a) == canonical(&b), same(&a, &b), "{a} {b}");
    });
}

#[test]
fn our_grammar_is_the_one_of_json() {
    // Bytes that often are JSON: whoever takes them, serde_json does as well, and the other way round.
    let tokens = proptest::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"\\u0041\"",
        "\\",
        "0",
        "1",
        "-",
        ".",
        "e",
        "E+",
        "true",
        "null",
        " ",
        "\n",
        "\\ud800",
        "\\u",
        "x",
        "\u{1}",
        "é",
        "\"b\":",
        "1.5e3",
    ]);
    check(proptest::collection::vec(tokens, 0..12), |tokens| {
        let text = tokens.concat();
        let body = with_payload(&format!("{{\"v\":{text}}}"));
        let ours = read_as(&body, Form::Json, OnInvalid::Skip)
            .map_or_else(|problem| problem.code.as_str(), |_| "json");
        let theirs = serde_json::from_str::<Value>(&body).is_ok();
        assert_eq!(ours == "json", theirs, "{body}");
    });
}

fn never_panics(bytes: &[u8]) {
    for form in FORMS {
        for on_invalid in [OnInvalid::Refuse, OnInvalid::Skip] {
            if let Ok((read, taken)) = read_as(bytes, form, on_invalid) {
                assert_eq!(read.events, taken.len() + read.skipped.len());
            }
        }
    }
    let attributes: [(&str, &[u8]); 4] =
        [("id", bytes), ("type", b"t"), ("source", b"s"), ("specversion", b"1.0")];
    for content_type in [None, Some("application/json"), Some("text/plain"), Some("x/y")] {
        let request = Binary { attributes: &attributes, content_type, data: bytes };
        drop(read_request(&request));
    }
}

#[test]
fn anything_at_all_gets_an_answer() {
    check(proptest::collection::vec(any::<u8>(), 0..200), |bytes| never_panics(&bytes));
}

#[test]
fn a_damaged_event_gets_an_answer() {
    let cloud = r#"[{"specversion":"1.0","id":"\u00e91","type":"t","source":"s","data":{"b":[1.5e3],"a":"\n"},"x":1}]"#;
    let own =
        format!("[{}]", with_payload(r#"{"b":[1.50e-3,{"z":null,"a":"\ud83d\ude00"}],"a":"é\n"}"#));
    let damage = (any::<bool>(), any::<prop::sample::Index>(), any::<u8>(), 0..4_usize);
    check(proptest::collection::vec(damage, 1..4), |damages| {
        for whole in [cloud, &own] {
            let mut bytes = whole.as_bytes().to_vec();
            for (_, place, byte, kind) in &damages {
                let at = place.index(bytes.len().max(1)).min(bytes.len());
                match kind {
                    0 if at < bytes.len() => bytes[at] = *byte,
                    1 => bytes.insert(at, *byte),
                    2 => bytes.truncate(at),
                    _ if at < bytes.len() => drop(bytes.remove(at)),
                    _ => {}
                }
            }
            never_panics(&bytes);
        }
    });
}
