//! Findings to test with.

use crate::check::{Finding, Id, Outcome};
use jiff::Timestamp;
use serde_json::value::RawValue;
use std::time::Duration;

pub(crate) fn finding(index: u64, id: &str, outcome: Outcome, message: &str) -> Finding {
    Finding {
        index,
        id: Id::new(id).unwrap(),
        outcome,
        message: message.to_owned(),
        status: Some(200),
        attempts: 1,
        began_at: Timestamp::UNIX_EPOCH,
        elapsed: Duration::from_millis(1_500),
        reply_time: Some(Duration::from_millis(1_500)),
        row: None,
        notable: false,
    }
}

pub(crate) fn notable(index: u64, id: &str, message: &str) -> Finding {
    Finding { notable: true, ..finding(index, id, Outcome::Found, message) }
}

pub(crate) fn with_row(finding: Finding, row: &str) -> Finding {
    Finding { row: Some(RawValue::from_string(row.to_owned()).unwrap()), ..finding }
}
