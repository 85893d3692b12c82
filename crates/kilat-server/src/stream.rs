//! Live stock of a sale as server-sent events.
//!
//! Each event is the whole latest state, so a slow reader or one that comes
//! back misses nothing that still matters. States change by time alone too:
//! a follower wakes up when the sale opens or closes.

use crate::limits::{STREAM_INTERVAL, STREAM_KEEP_ALIVE};
use crate::path::Names;
use crate::problem::Fault;
use crate::show;
use crate::state::App;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use kilat_api::problem::{Code, Problem};
use kilat_api::sale::Stock;
use kilat_engine::{Sale, Time};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep, sleep_until};
use utoipa::ToSchema;

/// Longest sleep without a look at the wall clock, which may have been set meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// Follow the stock of a sale
///
/// Server-sent events named `stock`, each with the whole latest state; under load some states are
/// left out. The stream has no end.
#[utoipa::path(
    get,
    path = "/v1/sales/{sale}/stream",
    tag = "Sale",
    operation_id = "followSale",
    responses((status = 200, description = "Events; the schema is of each.", body = StockEvent,
        content_type = "text/event-stream")),
)]
pub(crate) async fn stock(State(app): State<App>, names: Names) -> Result<Response, Fault> {
    let sale = app.handle.board().follow(names.sale()?).ok_or(Code::SaleNotFound)?;
    let Ok(seat) = Arc::clone(&app.streams).try_acquire_owned() else {
        return Err(Problem::new(Code::Overloaded)
            .with_detail("no more streams can be followed, ask again")
            .into());
    };
    let stopping = app.stopping.subscribe();
    let follower = Follower { app, sale, stopping, last: None, since: Instant::now(), _seat: seat };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    let mut response =
        Sse::new(events).keep_alive(KeepAlive::new().interval(STREAM_KEEP_ALIVE)).into_response();
    // nginx would collect events before it passes them on.
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// An event as it is described.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the description is all that is made of it")]
pub(crate) struct StockEvent {
    /// `stock`.
    event: String,
    /// A `Stock` in JSON.
    #[schema(content_media_type = "application/json")]
    data: String,
}

/// One reader of a stream.
struct Follower {
    app: App,
    sale: watch::Receiver<Sale>,
    stopping: watch::Receiver<bool>,
    last: Option<Stock>,
    /// When the last event left.
    since: Instant,
    _seat: OwnedSemaphorePermit,
}

impl Follower {
    /// The next state that differs from the last; `None` at the end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if self.last.is_none() && !self.app.handle.board().is_live() {
                // Stock of a while ago must not pass for today's.
                self.pause().await?;
                continue;
            }
            let (stock, due) = self.look();
            if self.last.as_ref() != Some(&stock) {
                let event = Event::default().event("stock").json_data(&stock).ok()?;
                self.last = Some(stock);
                self.since = Instant::now();
                return Some(event);
            }
            self.wait(due).await?;
        }
    }

    fn look(&mut self) -> (Stock, Option<Time>) {
        let now = self.app.now();
        let sale = self.sale.borrow_and_update();
        (show::stock(&sale, now), show::next_switch(&sale, now))
    }

    /// Waits until there may be something new; `None` at the end.
    ///
    /// The pause comes first: under load each event wakes its follower once, and what changes
    /// meanwhile wakes nobody, however many follow.
    async fn wait(&mut self, due: Option<Time>) -> Option<()> {
        self.pause_until(self.since + STREAM_INTERVAL).await?;
        let pause = due.map_or(SLEEP_MAX, |due| {
            let millis = due.as_millis().saturating_sub(self.app.now().as_millis()).max(1);
            Duration::from_millis(millis.unsigned_abs()).min(SLEEP_MAX)
        });
        tokio::select! {
            changed = self.sale.changed() => changed.ok(),
            () = sleep(pause) => Some(()),
            _ = self.stopping.wait_for(|stopping| *stopping) => None,
        }
    }

    async fn pause(&mut self) -> Option<()> {
        self.pause_until(Instant::now() + STREAM_INTERVAL).await
    }

    async fn pause_until(&mut self, time: Instant) -> Option<()> {
        tokio::select! {
            () = sleep_until(time) => Some(()),
            _ = self.stopping.wait_for(|stopping| *stopping) => None,
        }
    }
}
