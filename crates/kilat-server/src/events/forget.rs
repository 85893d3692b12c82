//! `POST /events/forget`: dropping what old events said, never their ids.

use super::{apart, unreadable};
use crate::body;
use crate::limits::FORGET_BODY_BYTES_MAX;
use crate::problem::Fault;
use crate::reply;
use crate::state::App;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use kilat_api::body::decode;
use kilat_api::event::{ForgetReply, ForgetRequest};
use kilat_engine::ForgetRule;

/// Forget what events said
///
/// Of a topic or of all, and only of events older than an age if one is given. Their ids stay, so
/// that none is ever stored again. No read shows what they said from now on; its bytes leave the
/// disk soon after. Safe to repeat.
#[utoipa::path(
    post,
    path = "/events/forget",
    tag = "Events",
    operation_id = "forgetEvents",
    request_body(content = ForgetRequest, example = json!({
        "topic": "orders", "older_than_seconds": 2_592_000,
    })),
    responses((status = 200, description = "They are not shown any more.", body = ForgetReply)),
)]
pub(crate) async fn forget(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Fault> {
    let bytes = body::json(&app, &headers, body, FORGET_BODY_BYTES_MAX).await?;
    let ForgetRequest { topic, older_than_seconds } = decode(&bytes)?;
    let received_before_ms = older_than_seconds.map(|seconds| {
        let age = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000);
        app.now().as_millis().saturating_sub(age)
    });
    let topic_events = match &topic {
        Some(topic) => Some(events_in(&app, topic.clone()).await?),
        None => None,
    };
    let forgotten = app.events.forget(ForgetRule { topic, received_before_ms }).await?;
    Ok(reply::json(StatusCode::OK, &ForgetReply { below: forgotten.below, topic_events }))
}

async fn events_in(app: &App, topic: String) -> Result<u64, Fault> {
    let reading = app.clone();
    apart(app, move || {
        let topics = reading.events.topics().map_err(|error| unreadable(&error))?;
        let known = topics.iter().find(|known| *known.topic == *topic);
        Ok(known.map_or(0, |known| known.events))
    })
    .await
}
