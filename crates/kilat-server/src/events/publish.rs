//! `POST /publish`: from a request to a publication, and from verdicts to a reply.
//!
//! Events are read, compared by their print and looked up here, on the
//! publisher's own task, so that the thread that commits has little to do.

use super::form::{self, Sent};
use super::render::{Counts, published};
use super::{apart, invalid, query};
use crate::body;
use crate::limits::{PUBLISH_BODY_BYTES_MAX, PUBLISH_INLINE_BYTES_MAX};
use crate::metrics::{Answer, EVENTS, PublishCounts};
use crate::problem::Fault;
use crate::reply;
use crate::state::App;
use crate::trace;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use bytes::Bytes;
use kilat_api::event::{
    Buffers, Event, OnInvalid, PublishRequest, Published, Read, read, read_binary,
};
use kilat_api::schema;
use kilat_engine::{Content, NewEvent, Publication, Unavailable, Verdict};
use metrics::counter;
use serde::Deserialize;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;

/// Most buffers kept for the next bodies.
const SPARE_BUFFERS_MAX: usize = 16;
/// Buffers that have grown beyond this are not kept, in bytes.
const SPARE_BUFFER_BYTES_MAX: usize = 256 * 1024;
const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const MINIMAL: &str = "return=minimal";

/// Memory of earlier readings.
#[derive(Default)]
pub(crate) struct SpareBuffers(Mutex<Vec<Buffers>>);

impl SpareBuffers {
    fn take(&self) -> Buffers {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give_back(&self, buffers: Buffers) {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.bytes() <= SPARE_BUFFER_BYTES_MAX && spare.len() < SPARE_BUFFERS_MAX {
            spare.push(buffers);
        }
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PublishQuery {
    /// `refuse` stores nothing when an event is not valid, which is the default; `skip` leaves
    /// such events out and reports them.
    #[param(inline, required = false)]
    on_invalid: Option<OnInvalidText>,
}

#[derive(Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum OnInvalidText {
    Refuse,
    Skip,
}

/// Publish events
///
/// One event, an array or lines of them, or CloudEvents. Each is stored once for its topic and
/// id: sent again it is a duplicate, and with other content a conflict, which is not stored. The
/// reply leaves when everything in it is on stable storage. An event that is not valid refuses
/// the whole body unless `on_invalid=skip`. With `Prefer: return=minimal` there are no `results`.
#[utoipa::path(
    post,
    path = "/publish",
    tag = "Events",
    operation_id = "publish",
    params(PublishQuery, ("prefer" = Option<String>, Header,
        description = "`return=minimal` leaves out `results`.", example = json!("return=minimal"))),
    request_body(content(
        (PublishRequest<'_> = "application/json", examples(
            ("event" = (value = json!({
                "topic": "orders", "event_id": "order-1001", "timestamp": "2026-11-21T09:00:00+07:00",
                "source": "shop-backend", "payload": {"customer": "budi", "total": 24_999_000},
            }))),
            ("batch" = (value = json!([{
                "topic": "orders", "event_id": "order-1002", "timestamp": "2026-11-21T09:00:01+07:00",
                "source": "shop-backend", "payload": {},
            }]))),
        )),
        (String = "application/x-ndjson", example = json!(
            "{\"topic\":\"orders\",\"event_id\":\"order-1003\",\"timestamp\":\"2026-11-21T02:00:00Z\",\"source\":\"shop-backend\",\"payload\":{}}\n"
        )),
        (schema::CloudEvent = "application/cloudevents+json", example = json!({
            "specversion": "1.0", "id": "e-1", "source": "/shop", "type": "order.placed", "data": {"total": 1},
        })),
        (schema::CloudEvents = "application/cloudevents-batch+json", example = json!([{
            "specversion": "1.0", "id": "e-2", "source": "/shop", "type": "order.placed",
        }])),
    )),
    responses((status = 200, description = "What became of the events.", body = Published, headers(
        ("preference-applied" = String, description = "`return=minimal` when that was asked; absent otherwise."),
    ))),
)]
pub(crate) async fn publish(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Fault> {
    let since = Instant::now();
    let result = publish_all(&app, &uri, &headers, body).await;
    let answer =
        result.as_ref().map_or_else(|fault| Answer::of(fault.code()), |_| Answer::Accepted);
    let mut counts = PublishCounts::default();
    counts.note(answer, since.elapsed());
    counts.flush();
    result
}

async fn publish_all(
    app: &App,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Fault> {
    let sent = Sent::of(headers)?;
    let on_invalid = match query::<PublishQuery>(uri)?.on_invalid {
        Some(OnInvalidText::Skip) => OnInvalid::Skip,
        Some(OnInvalidText::Refuse) | None => OnInvalid::Refuse,
    };
    let minimal = prefers_minimal(headers);
    let bytes = body::collect(app, headers, body, PUBLISH_BODY_BYTES_MAX).await?;
    let (read, verdicts) = hand_over(app, sent, bytes, on_invalid).await?;
    let verdicts = match verdicts {
        Some(verdicts) => {
            let stored = async { verdicts.await.unwrap_or(Err(Unavailable::Failed)) };
            app.tracer.stage(trace::STORE, stored).await?
        }
        None => Vec::new(),
    };
    let counts = Counts::of(&verdicts, &read);
    count(&counts);
    let mut response = reply::raw(StatusCode::OK, published(&counts, &read, &verdicts, minimal));
    if minimal {
        response.headers_mut().insert(PREFERENCE_APPLIED, HeaderValue::from_static(MINIMAL));
    }
    Ok(response)
}

fn prefers_minimal(headers: &HeaderMap) -> bool {
    headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        let mut preferences = value.split([',', ';']);
        preferences.any(|one| one.trim().replace('"', "").eq_ignore_ascii_case(MINIMAL))
    })
}

fn count(counts: &Counts) {
    let results = [
        ("stored", counts.stored),
        ("duplicate", counts.duplicates),
        ("conflict", counts.conflicts),
        ("invalid", counts.invalid),
    ];
    for (result, count) in results.into_iter().filter(|(_, count)| *count > 0) {
        counter!(EVENTS, "result" => result).increment(count);
    }
}

type Verdicts = oneshot::Receiver<Result<Vec<Verdict>, Unavailable>>;

/// Reads the events and hands them to the engine; `None` when there is none to hand over.
async fn hand_over(
    app: &App,
    sent: Sent,
    bytes: Bytes,
    on_invalid: OnInvalid,
) -> Result<(Read, Option<Verdicts>), Fault> {
    if bytes.len() <= PUBLISH_INLINE_BYTES_MAX {
        return read_and_send(app, &sent, &bytes, on_invalid);
    }
    let reading = app.clone();
    apart(app, move || read_and_send(&reading, &sent, &bytes, on_invalid)).await
}

fn read_and_send(
    app: &App,
    sent: &Sent,
    bytes: &[u8],
    on_invalid: OnInvalid,
) -> Result<(Read, Option<Verdicts>), Fault> {
    let mut publication = app.events.publication();
    let mut buffers = app.buffers.take();
    let read = read_into(&mut publication, &mut buffers, sent, bytes, on_invalid);
    app.buffers.give_back(buffers);
    let read = read?;
    if publication.is_empty() {
        return Ok((read, None));
    }
    let (reply, verdicts) = oneshot::channel();
    // A caller who left is no fault.
    app.events.publish_with(publication, Box::new(move |result| drop(reply.send(result))));
    Ok((read, Some(verdicts)))
}

fn read_into(
    publication: &mut Publication,
    buffers: &mut Buffers,
    sent: &Sent,
    bytes: &[u8],
    on_invalid: OnInvalid,
) -> Result<Read, Fault> {
    let mut full = false;
    let mut take = |event: &Event<'_>| full |= !push(publication, event);
    let read = match sent {
        Sent::Body(form) => read(bytes, *form, on_invalid, buffers, &mut take),
        Sent::Headers(headers) => form::binary(headers, bytes, |request| {
            read_binary(request, on_invalid, buffers, &mut take)
        }),
    }?;
    if full {
        return Err(invalid("", "the events are too large to be stored together; send fewer"));
    }
    Ok(read)
}

/// Adds an event; `false` when there is no more room.
fn push(publication: &mut Publication, event: &Event<'_>) -> bool {
    let Event { topic, event_id, body, canonical, .. } = *event;
    let content = Content::of(canonical);
    publication.push(NewEvent { topic, id: event_id, content, body }).is_ok()
}
