//! Lines of the processes' logs, told apart on one stderr.
//!
//! Readable lines stand behind the name of their process. Of records in JSON it is the first member,
//! `process`; what a process says besides, such as the last words of a panic, becomes a record.

use kilat_server::supervisor::LogLine;
use serde_json::json;
use std::io::Write as _;
use std::sync::Arc;

/// Writes lines on, as JSON or as readable lines.
pub(super) fn forward(is_json: bool) -> LogLine {
    Arc::new(move |name, line| {
        let line = if is_json { record(name, line) } else { format!("{name:8}| {line}") };
        // A log that can't be written must not end the processes.
        let _ = writeln!(std::io::stderr(), "{line}");
    })
}

fn record(name: &str, line: &str) -> String {
    let is_record =
        line.starts_with("{\"") && serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok();
    if is_record {
        return format!("{{\"process\":{},{}", json!(name), &line[1..]);
    }
    json!({ "process": name, "level": "ERROR", "message": line }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_record_that_names_its_process() {
        for (line, expected) in [
            (r#"{"level":"INFO","n":1}"#, json!({"process": "web-1", "level": "INFO", "n": 1})),
            ("", json!({"process": "web-1", "level": "ERROR", "message": ""})),
            ("{\"cut", json!({"process": "web-1", "level": "ERROR", "message": "{\"cut"})),
            ("{}", json!({"process": "web-1", "level": "ERROR", "message": "{}"})),
            ("at \"x\"", json!({"process": "web-1", "level": "ERROR", "message": "at \"x\""})),
        ] {
            let record: serde_json::Value = serde_json::from_str(&record("web-1", line)).unwrap();
            assert_eq!(record, expected);
        }
    }
}
