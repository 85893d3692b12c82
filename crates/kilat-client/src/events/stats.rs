//! The log's counters, as `GET /stats` and `GET /topics` tell them.

use crate::http::{Api, CallError, decode};
use kilat_api::event::{StatsReply, TopicsReply};
use kilat_api::text::is_sale_topic;
use serde::Serialize;

/// The durable counters. They count deliveries through `/publish`, by anyone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Events that were delivered, duplicates and conflicts included.
    pub total_events_received: u64,
    /// Events that were stored.
    pub total_unique_events_processed: u64,
    /// Events that were not stored because their id was known.
    pub total_duplicate_events_dropped: u64,
    /// Those of the dropped ones that had other content than the stored event.
    pub total_conflicts: u64,
}

/// The log's topics as seen from one of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Census {
    /// Events in the topic.
    pub ours: u64,
    /// Events in all others that anyone may publish to.
    pub others: u64,
}

impl Stats {
    pub(crate) fn fetch(api: &Api) -> Result<Stats, CallError> {
        let reply: StatsReply = decode(&api.get("/stats")?)?;
        Ok(Stats {
            total_events_received: reply.total_events_received,
            total_unique_events_processed: reply.total_unique_events_processed,
            total_duplicate_events_dropped: reply.total_duplicate_events_dropped,
            total_conflicts: reply.total_conflicts,
        })
    }

    /// The counters by their names on the wire, one a line.
    pub(crate) fn to_text(self) -> String {
        format!(
            "total_events_received: {}\ntotal_unique_events_processed: {}\ntotal_duplicate_events_dropped: {}\n",
            self.total_events_received,
            self.total_unique_events_processed,
            self.total_duplicate_events_dropped
        )
    }
}

impl Census {
    /// Pages through all topics.
    pub(crate) fn take(api: &Api, topic: &str) -> Result<Census, CallError> {
        let mut census = Census::default();
        let mut after: Option<String> = None;
        loop {
            // Topics need no escapes in an address.
            let from = after.as_ref().map_or(String::new(), |after| format!("?after={after}"));
            let page: TopicsReply = decode(&api.get(&format!("/topics{from}"))?)?;
            for found in &page.topics {
                if found.topic == topic {
                    census.ours = found.count;
                } else if !is_sale_topic(&found.topic) {
                    census.others = census.others.saturating_add(found.count);
                }
            }
            match page.next {
                None => return Ok(census),
                Some(next) if after.as_ref().is_none_or(|after| next > *after) => {
                    after = Some(next);
                }
                Some(next) => return Err(CallError::Unreadable(format!("next = {next}"))),
            }
        }
    }

    /// The count of a topic in `/stats`; `None` when it is not among the listed ones.
    pub(crate) fn in_stats(api: &Api, topic: &str) -> Result<Option<u64>, CallError> {
        let reply: StatsReply = decode(&api.get("/stats")?)?;
        let found = reply.topics.iter().find(|found| found.topic == topic);
        Ok(found.map(|found| found.count).or((reply.topics_more == 0).then_some(0)))
    }
}
