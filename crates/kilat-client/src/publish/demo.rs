//! Three events of which one is a duplicate, as a first look at what the log does.

use crate::events::courier::{Courier, Halt, Meter, Policy, Undelivered};
use crate::events::receipt::{Detail, EventStatus, contradiction};
use crate::events::stats::Stats;
use crate::http::{Access, Api, CallError};
use crate::{ClientError, Lang};
use serde_json::json;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The events: topic and id; the third is the first again.
const EVENTS: [(&str, &str); 3] = [("demo", "demo-1"), ("demo", "demo-2"), ("demo", "demo-1")];

/// Publishes the demonstration and returns what belongs on stdout, with a newline at its end.
///
/// # Errors
/// [`ClientError::Unreachable`] when nothing answers, [`ClientError::Refused`]
/// or [`ClientError::Usage`] when the server says no.
pub fn demo(access: &Access, as_json: bool, lang: Lang) -> Result<String, ClientError> {
    let api = Api::new(access, lang)?;
    let explain = |error: &CallError| match error {
        CallError::Refused { status: 401, .. } => {
            ClientError::Usage(lang.say("publish.token", &[]))
        }
        error => error.explain(&access.url, lang),
    };
    let mut text = String::new();
    let mut outcomes = Vec::new();
    for (topic, id) in EVENTS {
        let (status, offset) = publish(&api, topic, id).map_err(|e| explain(&e))?;
        let key = format!("publish.demo_{}", status.as_str());
        text.push_str(&lang.say(&key, &[("topic", &topic), ("id", &id), ("offset", &offset)]));
        text.push('\n');
        outcomes.push(
            json!({"topic": topic, "event_id": id, "status": status.as_str(), "offset": offset}),
        );
    }
    let stats = Stats::fetch(&api).map_err(|e| explain(&e))?;
    if as_json {
        let document = json!({"events": outcomes, "stats": stats});
        return Ok(serde_json::to_string_pretty(&document).unwrap_or_default() + "\n");
    }
    Ok(text + &stats.to_text())
}

fn publish(api: &Api, topic: &str, id: &str) -> Result<(EventStatus, u64), CallError> {
    let number = id.rsplit('-').next().unwrap_or_default();
    let event = json!({
        "topic": topic,
        "event_id": id,
        "timestamp": format!("2026-01-01T00:00:0{number}Z"),
        "source": "kilat-publish",
        "payload": {"message": format!("event {number}")},
    });
    let policy = Policy {
        retries: 3,
        patience: Duration::from_secs(10),
        first: super::BACKOFF_FIRST,
        longest: super::BACKOFF_MAX,
    };
    let mut courier = Courier {
        api,
        path: "/publish",
        detail: Detail::Full,
        policy,
        cancel: &AtomicBool::new(false),
        halt: &Halt::default(),
        meter: &Meter::default(),
        random: 0,
    };
    let receipt = courier.deliver(event.to_string().as_bytes()).outcome.map_err(|undelivered| {
        let (Undelivered::Refused(error)
        | Undelivered::GaveUp(error)
        | Undelivered::Abandoned(error)) = undelivered;
        error
    })?;
    if let Some(why) = contradiction(&receipt, 1, Detail::Full) {
        return Err(CallError::Unreadable(why));
    }
    let result = receipt.results.unwrap_or_default().into_iter().next();
    let missing = || CallError::Unreadable("results is empty".to_owned());
    result.map(|result| (result.status, result.offset.unwrap_or_default())).ok_or_else(missing)
}
