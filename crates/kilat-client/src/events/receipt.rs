//! What the answer to a published batch says, and whether it can be true.

use crate::http::{CallError, decode};
pub(crate) use kilat_api::event::{EventResult, EventStatus, Published};

/// Whether a batch is answered event by event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// With `results`.
    Full,
    /// `Prefer: return=minimal`.
    Minimal,
}

/// Reads an answer.
///
/// # Errors
/// [`CallError::Unreadable`] when it is not what the contract says.
pub(crate) fn read(body: &[u8]) -> Result<Published, CallError> {
    decode(body)
}

/// What in the answer to `sent` events contradicts them or itself, if anything does.
pub(crate) fn contradiction(answer: &Published, sent: u64, detail: Detail) -> Option<String> {
    let Published { received, stored, duplicates, conflicts, invalid, results } = answer;
    let sum = [stored, duplicates, conflicts].into_iter().try_fold(0u64, |a, &b| a.checked_add(b));
    if sum != Some(*received) {
        return Some(format!(
            "received {received} ≠ stored {stored} + duplicates {duplicates} + conflicts {conflicts}"
        ));
    }
    if received.checked_add(*invalid) != Some(sent) {
        return Some(format!("received {received} + invalid {invalid} ≠ sent {sent}"));
    }
    match (results, detail) {
        (None, Detail::Full) => Some("results is missing".to_owned()),
        (Some(results), _) => contradicting_results(answer, results, sent),
        (None, Detail::Minimal) => None,
    }
}

fn contradicting_results(answer: &Published, results: &[EventResult], sent: u64) -> Option<String> {
    if results.len() as u64 != sent {
        return Some(format!("{} results for {sent} events", results.len()));
    }
    let counts = [
        (EventStatus::Stored, answer.stored),
        (EventStatus::Duplicate, answer.duplicates),
        (EventStatus::Conflict, answer.conflicts),
        (EventStatus::Invalid, answer.invalid),
    ];
    for (status, told) in counts {
        let listed = results.iter().filter(|result| result.status == status).count() as u64;
        if listed != told {
            return Some(format!("{}: counted {told}, listed {listed}", status.as_str()));
        }
    }
    let nowhere = |r: &&EventResult| r.status != EventStatus::Invalid && r.offset.is_none();
    results.iter().find(nowhere).map(|_| "a result without offset".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, sent: u64, detail: Detail, says: Option<&str>) {
        let found = contradiction(&read(json.as_bytes()).unwrap(), sent, detail);
        match (says, &found) {
            (None, None) => {}
            (Some(part), Some(text)) if text.contains(part) => {}
            _ => panic!("{found:?} for {json}"),
        }
    }

    #[test]
    fn figures_must_meet() {
        let full = r#"{"received":3,"stored":1,"duplicates":1,"conflicts":1,"invalid":1,"results":[
            {"status":"stored","offset":4},{"status":"duplicate","offset":0},{"status":"conflict","offset":1},{"status":"invalid"}]}"#;
        check(full, 4, Detail::Full, None);
        check(full, 5, Detail::Full, Some("sent 5"));
        check(&full.replace("\"stored\":1", "\"stored\":2"), 4, Detail::Full, Some("≠ stored 2"));
        let listed = full.replace("\"conflict\",", "\"stored\",");
        check(&listed, 4, Detail::Full, Some("stored: counted 1, listed 2"));
        check(&full.replace(",\"offset\":0", ""), 4, Detail::Full, Some("without offset"));
        check(&full.replace(",{\"status\":\"invalid\"}", ""), 4, Detail::Full, Some("3 results"));
        let minimal = r#"{"received":2,"stored":2,"duplicates":0,"conflicts":0,"invalid":0}"#;
        check(minimal, 2, Detail::Minimal, None);
        check(minimal, 2, Detail::Full, Some("results is missing"));
    }
}
