//! `GET /events`: stored events page by page, and who may see which.

use super::{apart, invalid, query, render, unreadable};
use crate::auth::Caller;
use crate::limits::{PAGE_EVENT_BYTES_MAX, PAGE_EVENTS_HIDDEN_MAX};
use crate::problem::Fault;
use crate::reply;
use crate::state::App;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use kilat_api::event::{EventsPage, PAGE_EVENTS_DEFAULT, PAGE_EVENTS_MAX};
use kilat_api::schema;
use kilat_api::text::{is_sale_topic, is_topic};
use kilat_engine::{EventPage, Events, StoredEvent};
use serde::Deserialize;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Of which topic; all when absent.
    #[param(value_type = schema::Topic, inline, required = false)]
    topic: Option<String>,
    /// Only events with a greater offset: the `next` of the page before.
    #[param(value_type = schema::Sequence, inline, required = false)]
    after: Option<u64>,
    /// Most events on the page; 100 when absent.
    #[param(value_type = schema::PageEvents, inline, required = false)]
    limit: Option<usize>,
}

/// Which events a caller gets to see.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) topic: Option<String>,
    /// The topics of sales name buyers; whoever does not ask for one gets the others.
    hides_sales: bool,
}

impl View {
    /// # Errors
    /// 422 for a topic that can't be one, 401 and 403 for a topic that this caller may not see.
    pub(super) fn of(caller: &Caller, topic: Option<String>) -> Result<View, Fault> {
        if topic.as_ref().is_some_and(|topic| !is_topic(topic)) {
            let message = "must be 1 to 249 characters A-Z, a-z, 0-9, '.', '_' and '-'";
            return Err(invalid("topic", message));
        }
        if topic.as_deref().is_some_and(is_sale_topic) {
            caller.require_admin()?;
        }
        Ok(View { hides_sales: topic.is_none() && *caller != Caller::Admin, topic })
    }

    /// Whether an event of `topic` may be shown.
    pub(super) fn shows(&self, topic: &str) -> bool {
        !(self.hides_sales && is_sale_topic(topic))
    }

    /// Reads up to `limit` events after an offset. A page may have fewer than there are, or none,
    /// and still a next one.
    pub(super) fn read(
        &self,
        events: &Events,
        after: Option<u64>,
        limit: usize,
        bytes_max: usize,
    ) -> Result<EventPage, Fault> {
        let mut page = EventPage { events: Vec::new(), next: after };
        let (mut read_through, mut bytes_left) = (0, bytes_max);
        loop {
            let wanted = limit - page.events.len();
            let read = events
                .read(self.topic.as_deref(), page.next, wanted, bytes_left)
                .map_err(|error| unreadable(&error))?;
            read_through += read.events.len();
            bytes_left = bytes_left.saturating_sub(read.events.iter().map(bytes).sum());
            page.events.extend(read.events.into_iter().filter(|event| self.shows(&event.topic)));
            page.next = read.next;
            let full = page.events.len() >= limit || bytes_left == 0;
            let hidden = read_through - page.events.len();
            if read.next.is_none() || full || hidden >= PAGE_EVENTS_HIDDEN_MAX {
                return Ok(page);
            }
        }
    }
}

fn bytes(event: &StoredEvent) -> usize {
    event.body.as_ref().map_or(0, Vec::len)
}

/// Read stored events
///
/// In the order stored. An unknown topic has none. The topics of sales (`sale.…`) are for the
/// operator; without a topic, others get the rest, and a page may then have fewer events than
/// asked, or none, though `next` says that there are more.
#[utoipa::path(
    get,
    path = "/events",
    tag = "Events",
    operation_id = "listEvents",
    params(ListQuery),
    responses((status = 200, description = "One page.", body = EventsPage<'_>, headers(
        ("link" = String, description = "Address of the next page, `rel=\"next\"`; absent on the last."),
    ))),
)]
pub(crate) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Response, Fault> {
    let ListQuery { topic, after, limit } = query(&uri)?;
    let limit = limit.unwrap_or(PAGE_EVENTS_DEFAULT);
    if !(1..=PAGE_EVENTS_MAX).contains(&limit) {
        return Err(invalid("limit", format!("must be from 1 to {PAGE_EVENTS_MAX}")));
    }
    let view = View::of(&caller, topic)?;
    let next = next_address(&view, limit);
    let reading = app.clone();
    let (body, more) = apart(&app, move || {
        let page = view.read(&reading.events, after, limit, PAGE_EVENT_BYTES_MAX)?;
        Ok((render::page(view.topic.as_deref(), &page.events, page.next), page.next))
    })
    .await?;
    let mut response = reply::raw(StatusCode::OK, body);
    // Topics and numbers stand in an address and in a header as they are.
    let link = more.map(|after| HeaderValue::try_from(format!("<{next}{after}>; rel=\"next\"")));
    if let Some(Ok(link)) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// The address of the next page, up to the offset.
fn next_address(view: &View, limit: usize) -> String {
    let topic = view.topic.as_ref().map_or(String::new(), |topic| format!("topic={topic}&"));
    format!("/events?{topic}limit={limit}&after=")
}
