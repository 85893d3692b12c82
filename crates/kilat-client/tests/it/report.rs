//! The result as JSON, text and HTML.

use crate::attack::{options, run};
use crate::fake::{Fake, Fault};
use kilat_client::Lang;
use serde_json::Value;

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_json_is_stable() {
    let fake = Fake::start(Fault::None);
    let json: Value = serde_json::from_str(&run(&options(&fake)).to_json()).unwrap();
    let mut found = keys(&json);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "after",
            "before",
            "cancelled",
            "checks",
            "latency_buckets",
            "latency_us",
            "orders",
            "proven",
            "rehearsal_closed",
            "seconds",
            "setup",
            "started_at",
            "timeline",
            "timeline_step_ms",
            "traffic",
            "version",
        ]
    );
    assert_eq!((&json["version"], &json["proven"]), (&Value::from(1), &Value::from(true)));
    assert_eq!(json["orders"]["acknowledged"], 40);
    assert_eq!(json["orders"]["refusals"]["sold_out"], 80);
    assert_eq!(json["traffic"]["nodes"]["fake"].as_u64(), json["traffic"]["replies"].as_u64());
    assert_eq!(json["checks"][0]["name"], "conserved");
    assert_eq!(json["checks"][0]["result"], "passed");
    assert_eq!(json["checks"][0]["figures"]["sold"], 40);
    let bucketed: u64 = json["latency_buckets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| b["count"].as_u64().unwrap())
        .sum();
    assert_eq!(bucketed, 120);
    let timed: u64 = json["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["acknowledged"].as_u64().unwrap() + s["refused"].as_u64().unwrap())
        .sum();
    assert_eq!(timed, 120);
}

#[test]
fn people_read_their_language_and_no_placeholder() {
    let proven = run(&options(&Fake::start(Fault::None)));
    let fake = Fake::start(Fault::OversellsByOne);
    let not_proven = run(&options(&fake));
    for (lang, yes, no) in [
        (Lang::Indonesian, "TERBUKTI: 40", "TIDAK TERBUKTI"),
        (Lang::English, "PROVEN: 40", "NOT PROVEN"),
    ] {
        for (report, word) in [(&proven, yes), (&not_proven, no)] {
            for text in [report.to_text(lang), report.to_html(lang)] {
                assert!(text.contains(word), "{text}");
                assert!(
                    !text.contains("%{") && !text.contains("check.") && !text.contains("evidence."),
                    "{text}"
                );
            }
        }
    }
}

#[test]
fn the_page_stands_alone_and_is_well_formed() {
    let html = run(&options(&Fake::start(Fault::None))).to_html(Lang::English);
    let without_target = html.replace("http://127.0.0.1", "");
    for part in ["http://", "https://", "<script", "src=", "href=", "@import", "url("] {
        assert!(!without_target.contains(part), "{part}");
    }
    assert!(html.contains("<rect") && html.contains("prefers-color-scheme"));
    check_balanced(&html);
}

/// Every tag that is opened is closed, in order.
fn check_balanced(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    for tag in html.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
        let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap();
        match tag {
            _ if matches!(name, "!doctype" | "meta" | "br") => {}
            _ if tag.starts_with('/') => assert_eq!(open.pop(), Some(name), "</{name}>"),
            _ => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn what_a_server_says_is_escaped() {
    let mut report = run(&options(&Fake::start(Fault::None)));
    report.traffic.nodes.insert("<b>evil</b>".to_owned(), 1);
    let html = report.to_html(Lang::English);
    assert!(!html.contains("<b>evil") && html.contains("evil"));
}
