//! `GET /topics` and `GET /stats`: how many events there are, and of what.

use super::{apart, invalid, query, unreadable};
use crate::auth::Caller;
use crate::limits::PAGE_TOPICS_DEFAULT;
use crate::problem::Fault;
use crate::reply;
use crate::state::App;
use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use kilat_api::event::{
    PAGE_TOPICS_MAX, Runtime, STATS_TOPICS_MAX, StatsReply, TopicCount, TopicsReply,
};
use kilat_api::schema;
use kilat_api::text::is_sale_topic;
use kilat_engine::EventCounters;
use serde::Deserialize;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TopicsQuery {
    /// Only topics behind this one: the `next` of the page before.
    #[param(value_type = String, required = false)]
    after: Option<String>,
    /// Most topics on the page; 1,000 when absent.
    #[param(value_type = schema::PageTopics, inline, required = false)]
    limit: Option<usize>,
}

/// List topics
///
/// In the order of their names, each with the number of its events. The topics of sales (`sale.…`)
/// are listed for the operator only.
#[utoipa::path(
    get,
    path = "/topics",
    tag = "Events",
    operation_id = "listTopics",
    params(TopicsQuery),
    responses((status = 200, description = "One page.", body = TopicsReply)),
)]
pub(crate) async fn topics(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Response, Fault> {
    let TopicsQuery { after, limit } = query(&uri)?;
    let limit = limit.unwrap_or(PAGE_TOPICS_DEFAULT);
    if !(1..=PAGE_TOPICS_MAX).contains(&limit) {
        return Err(invalid("limit", format!("must be from 1 to {PAGE_TOPICS_MAX}")));
    }
    let reading = app.clone();
    let read = move || visible(&reading, &caller, after.as_deref(), limit);
    let (topics, more) = apart(&app, read).await?;
    let next = topics.last().filter(|_| more > 0).map(|last| last.topic.clone());
    Ok(reply::json(StatusCode::OK, &TopicsReply { topics, next }))
}

/// The first topics behind `after` that this caller may see, and how many more there are.
fn visible(
    app: &App,
    caller: &Caller,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<TopicCount>, usize), Fault> {
    let mut topics = app.events.topics().map_err(|error| unreadable(&error))?;
    topics.retain(|topic| {
        after.is_none_or(|after| &*topic.topic > after)
            && (*caller == Caller::Admin || !is_sale_topic(&topic.topic))
    });
    topics.sort_unstable_by(|a, b| a.topic.cmp(&b.topic));
    let more = topics.len().saturating_sub(limit);
    topics.truncate(limit);
    let shown = |topic: kilat_engine::TopicCount| TopicCount {
        topic: topic.topic.to_string(),
        count: topic.events,
    };
    Ok((topics.into_iter().map(shown).collect(), more))
}

/// Count what was ever published
///
/// The counters beside `runtime` are durable: received = unique + dropped after any crash. They
/// count deliveries through `/publish` only.
#[utoipa::path(
    get,
    path = "/stats",
    tag = "Events",
    operation_id = "stats",
    responses((status = 200, description = "The counters.", body = StatsReply)),
)]
pub(crate) async fn stats(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Fault> {
    let reading = app.clone();
    apart(&reading, move || {
        let (topics, topics_more) = visible(&app, &caller, None, STATS_TOPICS_MAX)?;
        let (now, before) = (app.events.counters(), app.events.counters_at_start());
        // A core that was started again between the two has counted on.
        let since = |now: u64, before: u64| now.saturating_sub(before);
        let runtime = EventCounters {
            received: since(now.received, before.received),
            unique: since(now.unique, before.unique),
            duplicates: since(now.duplicates, before.duplicates),
            conflicts: since(now.conflicts, before.conflicts),
            projected: since(now.projected, before.projected),
        };
        let Runtime {
            total_events_received,
            total_unique_events_processed,
            total_duplicate_events_dropped,
            total_conflicts,
            projected,
        } = counted(&now);
        let uptime = app.events.started().elapsed();
        let history = u128::from_be_bytes(app.events.history());
        let stats = StatsReply {
            history: format!("{history:032x}"),
            uptime: (uptime.as_secs_f64() * 1e3).round() / 1e3,
            total_events_received,
            total_unique_events_processed,
            total_duplicate_events_dropped,
            total_conflicts,
            projected,
            topics,
            topics_more,
            runtime: counted(&runtime),
        };
        Ok(reply::json(StatusCode::OK, &stats))
    })
    .await
}

fn counted(counters: &EventCounters) -> Runtime {
    Runtime {
        total_events_received: counters.received,
        total_unique_events_processed: counters.unique,
        total_duplicate_events_dropped: counters.duplicates + counters.conflicts,
        total_conflicts: counters.conflicts,
        projected: counters.projected,
    }
}
