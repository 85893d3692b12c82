//! `GET /events/stream`: the log as server-sent events, without gap or repeat.
//!
//! An event's id is its offset. A reader that comes back with the last one goes
//! on behind it, so nothing is kept for a reader: what it has not taken yet is
//! read from the log when it takes more. Since a stream may begin behind the last
//! event, and may pass over events that its reader may not see, an id is also
//! sent without an event whenever the place has moved.

use super::pages::View;
use super::render::stream_piece;
use super::{apart, invalid, query};
use crate::auth::Caller;
use crate::limits::{
    STREAM_BEHIND_MAX, STREAM_EVENT_BYTES_MAX, STREAM_EVENTS_INTERVAL, STREAM_EVENTS_MAX,
    STREAM_KEEP_ALIVE,
};
use crate::problem::Fault;
use crate::state::App;
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use kilat_api::problem::{Code, Problem};
use kilat_api::schema;
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The offset before the first one, as `after` and as `Last-Event-ID` write it.
const BEFORE_ALL: &str = "-1";

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FollowQuery {
    /// Of which topic; all when absent.
    #[param(value_type = schema::Topic, inline, required = false)]
    topic: Option<String>,
    /// Begin behind this offset, `-1` for the beginning; behind the last event when absent.
    #[param(value_type = schema::Place, inline, required = false)]
    after: Option<String>,
}

/// Follow the event log
///
/// Server-sent events named `event`: the data is a stored event, the id its offset. After a break,
/// send the last id as `Last-Event-ID` and the stream goes on behind it, without gap or repeat. It
/// begins behind the last event unless told otherwise, and has no end. The topics of sales
/// (`sale.…`) are for the operator; without a topic, others get the rest.
#[utoipa::path(
    get,
    path = "/events/stream",
    tag = "Events",
    operation_id = "followEvents",
    params(FollowQuery, ("last-event-id" = inline(Option<schema::Place>), Header,
        description = "The id of the last event received; wins over `after`.")),
    responses((status = 200, description = "Events; the schema is of each.", body = LogEvent,
        content_type = "text/event-stream")),
)]
pub(crate) async fn follow(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let FollowQuery { topic, after } = query(&uri)?;
    let view = View::of(&caller, topic)?;
    let mut ends = app.events.ends();
    let after = after.map(|after| place(&after, "after")).transpose()?;
    let place = match headers.get(LAST_EVENT_ID) {
        Some(last) => place(last.to_str().unwrap_or_default(), "Last-Event-ID")?,
        None => after.unwrap_or_else(|| ends.borrow().checked_sub(1)),
    };
    // Another replica may have told more than this one knows of yet.
    let reached = ends.wait_for(|end| place.is_none_or(|place| place < *end));
    if timeout(STREAM_BEHIND_MAX, reached).await.is_err() {
        let end = *ends.borrow();
        // A reader that knows events which there are not: the log was replaced by an older one.
        return Err(invalid("after", format!("the log ends before that; it has {end} events")));
    }
    let Ok(seat) = Arc::clone(&app.streams).try_acquire_owned() else {
        return Err(Problem::new(Code::Overloaded)
            .with_detail("no more streams can be followed, ask again")
            .into());
    };
    let stopping = app.stopping.subscribe();
    let looked = Instant::now();
    let follower = Follower { app, view, ends, stopping, place, told: None, looked, _seat: seat };
    Ok(respond(follower))
}

/// The offset behind which to go on; `None` for the beginning.
fn place(text: &str, field: &str) -> Result<Option<u64>, Fault> {
    if text == BEFORE_ALL {
        return Ok(None);
    }
    match text.parse() {
        Ok(offset) if !text.starts_with('+') => Ok(Some(offset)),
        _ => Err(invalid(field, "must be an offset, or -1 for the beginning")),
    }
}

fn respond(follower: Follower) -> Response {
    let pieces = stream::unfold(follower, |mut follower| async move {
        let piece = follower.next().await?;
        Some((Ok::<_, Infallible>(piece), follower))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx would collect events before it passes them on.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// An event as it is described.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the description is all that is made of it")]
pub(crate) struct LogEvent {
    /// The event's offset.
    id: String,
    /// `event`.
    event: String,
    /// A `StoredEvent` in JSON.
    #[schema(content_media_type = "application/json")]
    data: String,
}

/// One reader of a stream.
struct Follower {
    app: App,
    view: View,
    ends: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    /// Every event up to this offset was sent or may not be seen.
    place: Option<u64>,
    /// The place that the reader would come back with; `None` before the first piece.
    told: Option<Option<u64>>,
    /// When the log was last looked at.
    looked: Instant,
    _seat: OwnedSemaphorePermit,
}

impl Follower {
    /// The next piece of the stream; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.told.is_none() {
            // At once, so that the reader knows where it is before the first event.
            return Some(self.tell_place());
        }
        loop {
            if *self.stopping.borrow() {
                return None;
            }
            let (piece, more) = self.read().await?;
            if !piece.is_empty() {
                self.told = Some(self.place);
                return Some(piece);
            }
            if !more && !self.wait().await? {
                return Some(self.tell_place());
            }
        }
    }

    /// Reads a piece behind the place and moves the place; also tells whether there is more.
    async fn read(&mut self) -> Option<(Bytes, bool)> {
        // Seen before the log is read: what is stored after that wakes this reader up again.
        let end = *self.ends.borrow_and_update();
        self.looked = Instant::now();
        let (app, view, place) = (self.app.clone(), self.view.clone(), self.place);
        let read = move || {
            let page = view.read(&app.events, place, STREAM_EVENTS_MAX, STREAM_EVENT_BYTES_MAX)?;
            let last = page.events.last().map(|event| event.offset);
            Ok((Bytes::from(stream_piece(&page.events)), last, page.next))
        };
        // A log that can't be read was reported; the reader will come back.
        let (piece, last, next) = apart(&self.app, read).await.ok()?;
        self.place = match next {
            Some(next) => Some(next),
            None => self.place.max(last).max(end.checked_sub(1)),
        };
        Some((piece, next.is_some()))
    }

    /// Waits until there may be more, and then is `true`, or until the reader should be told
    /// that the stream lives; `None` at the end.
    async fn wait(&mut self) -> Option<bool> {
        tokio::select! {
            changed = self.ends.changed() => changed.ok()?,
            () = sleep(STREAM_KEEP_ALIVE) => return Some(false),
            _ = self.stopping.wait_for(|stopping| *stopping) => return None,
        }
        tokio::select! {
            () = sleep_until(self.looked + STREAM_EVENTS_INTERVAL) => Some(true),
            _ = self.stopping.wait_for(|stopping| *stopping) => None,
        }
    }

    /// A comment, with the place as an id when the reader does not know it.
    fn tell_place(&mut self) -> Bytes {
        if self.told == Some(self.place) {
            return Bytes::from_static(b":\n\n");
        }
        self.told = Some(self.place);
        let place = self.place.map_or(BEFORE_ALL.to_owned(), |place| place.to_string());
        Bytes::from(format!(":\nid: {place}\n\n"))
    }
}
