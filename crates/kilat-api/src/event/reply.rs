//! What goes over the wire about events: an event, replies, an order to forget some.

use crate::body::Validate;
use crate::problem::{FieldFault, is_zero};
use crate::schema;
use crate::text;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use utoipa::ToSchema;

/// An event to be published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventRequest<'a> {
    /// `[A-Za-z0-9._-]{1,249}`, not `.` or `..`, and not one of a sale (`sale.…`).
    #[schema(value_type = schema::Topic)]
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// Its id within the topic: 1–255 printable characters.
    #[schema(value_type = schema::EventId)]
    #[serde(borrow)]
    pub event_id: Cow<'a, str>,
    /// When it happened: RFC 3339 with an offset.
    #[schema(value_type = schema::Instant)]
    #[serde(borrow)]
    pub timestamp: Cow<'a, str>,
    /// Who says so: 1–1,024 printable characters.
    #[schema(value_type = schema::Source)]
    #[serde(borrow)]
    pub source: Cow<'a, str>,
    /// What it says: a JSON object.
    #[schema(value_type = Object)]
    pub payload: Value,
}

/// JSON body of `POST /publish`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PublishRequest<'a> {
    /// One event.
    One(EventRequest<'a>),
    /// 1 to [`super::EVENTS_MAX`] events.
    Batch(Vec<EventRequest<'a>>),
}

/// What became of one published event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// It is new.
    Stored,
    /// It had been stored before, with the same content.
    Duplicate,
    /// Another content had been stored under its topic and id. It was not stored.
    Conflict,
    /// It is not valid and was left out, as `on_invalid=skip` asks.
    Invalid,
}

impl EventStatus {
    /// The status as written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            EventStatus::Stored => "stored",
            EventStatus::Duplicate => "duplicate",
            EventStatus::Conflict => "conflict",
            EventStatus::Invalid => "invalid",
        }
    }
}

/// The result of one published event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventResult {
    /// What became of it.
    pub status: EventStatus,
    #[schema(value_type = schema::Sequence, required = false)]
    /// Where it is stored; of a duplicate or a conflict, where the original is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// What is wrong with an event that is not valid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldFault>,
    /// How many more faults it has; `errors` is bounded for the whole reply.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: usize,
}

/// Reply of `POST /publish`. It leaves when everything in it is on stable storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Published {
    /// Valid events: stored + duplicates + conflicts.
    pub received: u64,
    /// Events that were new.
    pub stored: u64,
    /// Events that had been stored before.
    pub duplicates: u64,
    /// Events whose id was taken by another content.
    pub conflicts: u64,
    /// Events that were left out; not part of `received`.
    pub invalid: u64,
    #[schema(value_type = Vec<EventResult>, required = false)]
    /// One for each event, in the order sent; left out when `Prefer: return=minimal` was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results: Option<Vec<EventResult>>,
}

/// An event as it is read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoredEvent<'a> {
    /// Its place in the log: from 0, in the order stored, over all topics.
    #[schema(value_type = schema::Sequence)]
    pub offset: u64,
    /// Its topic.
    #[schema(value_type = schema::Topic)]
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// Its id within the topic.
    #[schema(value_type = schema::EventId)]
    #[serde(borrow)]
    pub event_id: Cow<'a, str>,
    /// When it happened, as sent; `received_at` when it was sent without.
    #[schema(value_type = schema::Instant, required = false)]
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Cow<'a, str>>,
    /// Who says so.
    #[schema(value_type = schema::Source, required = false)]
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Cow<'a, str>>,
    /// What it says: a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    pub payload: Option<Value>,
    /// When it was stored.
    #[schema(value_type = schema::Instant)]
    pub received_at: Timestamp,
    /// `true` when what it said was forgotten; then timestamp, source and payload are missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forgotten: bool,
}

/// Reply of `GET /events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventsPage<'a> {
    /// The topic asked for; `null` for all.
    #[schema(value_type = Option<schema::Topic>, required = true)]
    #[serde(borrow)]
    pub topic: Option<Cow<'a, str>>,
    /// How many events are on this page.
    pub count: u64,
    /// Events in the order stored.
    #[serde(borrow)]
    pub events: Vec<StoredEvent<'a>>,
    /// The `after` of the next page; `null` when this is the last.
    #[schema(value_type = Option<schema::Sequence>, required = true)]
    pub next: Option<u64>,
}

/// A topic with the number of its events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopicCount {
    /// The topic.
    #[schema(value_type = schema::Topic)]
    pub topic: String,
    /// Events stored in it.
    pub count: u64,
}

/// Reply of `GET /topics`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopicsReply {
    /// Topics in the order of their names.
    pub topics: Vec<TopicCount>,
    /// The `after` of the next page; `null` when this is the last.
    #[schema(value_type = Option<schema::Topic>, required = true)]
    pub next: Option<String>,
}

/// Counters since the process started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Runtime {
    /// Events that came through `/publish`.
    pub total_events_received: u64,
    /// Those that were new.
    pub total_unique_events_processed: u64,
    /// Those that were not: duplicates and conflicts.
    pub total_duplicate_events_dropped: u64,
    /// Those whose id was taken by another content; part of the dropped ones.
    pub total_conflicts: u64,
    /// Facts copied from sales.
    pub projected: u64,
}

/// Reply of `GET /stats`. The counters beside `runtime` outlive the process: received = unique +
/// dropped, after any crash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StatsReply {
    /// Names the history that the log belongs to: another one after a restore from a backup, when
    /// offsets beyond the backup are given anew.
    #[serde(default)]
    pub history: String,
    /// Seconds since the process started.
    pub uptime: f64,
    /// Events that ever came through `/publish`.
    pub total_events_received: u64,
    /// Those that were new.
    pub total_unique_events_processed: u64,
    /// Those that were not: duplicates and conflicts.
    pub total_duplicate_events_dropped: u64,
    /// Those whose id was taken by another content; part of the dropped ones.
    pub total_conflicts: u64,
    /// Facts copied from sales; not counted as received.
    pub projected: u64,
    /// The first topics in the order of their names; `GET /topics` has all.
    pub topics: Vec<TopicCount>,
    /// How many topics are not listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub topics_more: usize,
    /// The same counters since the process started.
    pub runtime: Runtime,
}

/// Body of `POST /events/forget`: what the events of a topic, or of all, said is dropped. Their
/// ids stay, so that they are never stored again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgetRequest {
    /// Of which topic; `null` for all.
    #[schema(value_type = Option<schema::Topic>)]
    pub topic: Option<String>,
    /// Only of events received longer ago than this, in seconds; `null` for all.
    #[schema(value_type = Option<schema::Age>)]
    pub older_than_seconds: Option<u64>,
}

impl Validate for ForgetRequest {
    fn validate(&self, faults: &mut Vec<FieldFault>) {
        if self.topic.as_ref().is_some_and(|topic| !text::is_topic(topic)) {
            faults.push(FieldFault::new("topic", "must be a topic"));
        }
        if self.topic.is_none() && self.older_than_seconds.is_none() {
            let message = "must be given when there is no topic; 0 means everything";
            faults.push(FieldFault::new("older_than_seconds", message));
        }
    }
}

/// Reply of `POST /events/forget`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ForgetReply {
    /// Events below this offset are forgotten, if they are of the topic asked.
    pub below: u64,
    /// How many events there were in the topic that was named, of any age. With 0 there was nothing
    /// to forget, perhaps because the name is misspelt. Absent when none was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub topic_events: Option<u64>,
}
