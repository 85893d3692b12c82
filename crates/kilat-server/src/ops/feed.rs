//! What browsers of this process see of the console: asked for once a second while there are any,
//! and shared by all of them.

use super::console::EVERY;
use super::console::message::{Answer, Node, Question, Sample, Seen};
use super::console::run::RunView;
use super::link::ConsoleLink;
use super::session::Session;
use crate::limits::STREAM_KEEP_ALIVE;
use crate::problem::Fault;
use crate::show;
use crate::state::App;
use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use kilat_api::problem::{Code, Problem};
use kilat_api::sale::SaleReply;
use serde::Serialize;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

/// Samples that are kept here, as many as the console keeps.
const SAMPLES_MAX: usize = 600;
/// Most sales in the table; the newest.
const SALES_MAX: usize = 50;

/// See the module.
pub(crate) struct Feed {
    link: Option<ConsoleLink>,
    state: Mutex<State>,
    /// Counts the answers.
    answers: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    samples: VecDeque<Sample>,
    /// The newest answer, without its samples.
    seen: Seen,
    /// Whether the console could be reached the last time.
    reached: bool,
    readers: usize,
    /// Somebody asks the console for them.
    asking: bool,
}

/// What a browser is sent.
#[derive(Serialize)]
struct Tick<'a> {
    /// Served by this node.
    node: &'a str,
    /// Whether the figures are of now.
    reached: bool,
    sales: Vec<SaleReply>,
    #[serde(flatten)]
    seen: Seen,
}

impl Feed {
    pub(crate) fn new(link: Option<ConsoleLink>) -> Feed {
        Feed { link, state: Mutex::default(), answers: watch::Sender::new(0) }
    }

    pub(super) fn link(&self) -> Option<&ConsoleLink> {
        self.link.as_ref()
    }

    /// No code panics while it holds the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The processes as they were seen last, and whether that was now.
    pub(super) fn nodes(&self) -> (Vec<Node>, bool) {
        let state = self.state();
        (state.seen.nodes.clone(), state.reached)
    }

    /// The last rehearsal and the last check as they were seen last.
    pub(super) fn runs(&self) -> (Option<RunView>, Option<RunView>) {
        let state = self.state();
        (state.seen.rehearsal.clone(), state.seen.check.clone())
    }

    /// Asks the console for what is new.
    pub(super) async fn refresh(&self) {
        let Some(link) = &self.link else { return };
        let question = {
            let state = self.state();
            let after = state.samples.back().map_or(0, |sample| sample.number);
            Question::Look { console: state.seen.console.clone(), after }
        };
        let answer = link.ask(question).await;
        self.state().take(answer.ok());
        self.answers.send_modify(|answers| *answers += 1);
    }

    /// Asks once a second as long as somebody reads.
    async fn run(app: App) {
        let mut stopping = app.stopping.subscribe();
        loop {
            app.ops.feed.refresh().await;
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = stopping.wait_for(|stopping| *stopping) => {}
            }
            let mut state = app.ops.feed.state();
            if state.readers == 0 || *stopping.borrow() {
                state.asking = false;
                return;
            }
        }
    }
}

impl State {
    fn take(&mut self, answer: Option<Answer>) {
        self.reached = matches!(answer, Some(Answer::Seen(_)));
        let Some(Answer::Seen(mut seen)) = answer else { return };
        if seen.console != self.seen.console {
            self.samples.clear();
        }
        self.samples.extend(seen.samples.drain(..));
        let over = self.samples.len().saturating_sub(SAMPLES_MAX);
        self.samples.drain(..over);
        self.seen = *seen;
    }
}

/// Follows the figures until the session is over; see `ops` for who may.
pub(super) fn follow(app: App, session: &Session) -> Result<Response, Fault> {
    let Ok(seat) = Arc::clone(&app.streams).try_acquire_owned() else {
        return Err(Problem::new(Code::Overloaded)
            .with_detail("no more streams can be followed, ask again")
            .into());
    };
    let left = Duration::from_secs(session.until.saturating_sub(app.ops.now()));
    let reader = Reader::begin(app, Instant::now() + left, seat);
    let ticks = stream::unfold(reader, |mut reader| async move {
        let tick = reader.next().await?;
        Some((Ok::<_, Infallible>(tick), reader))
    });
    let keep_alive = KeepAlive::new().interval(STREAM_KEEP_ALIVE);
    let mut response = Sse::new(ticks).keep_alive(keep_alive).into_response();
    crate::headers::guard_page(response.headers_mut());
    // nginx would collect events before it passes them on.
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// One browser.
struct Reader {
    app: App,
    answers: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    console: String,
    /// The newest sample that it has.
    sent: u64,
    /// When the session is over.
    until: Instant,
    _seat: OwnedSemaphorePermit,
}

impl Reader {
    fn begin(app: App, until: Instant, seat: OwnedSemaphorePermit) -> Reader {
        let (answers, stopping) = (app.ops.feed.answers.subscribe(), app.stopping.subscribe());
        let mut state = app.ops.feed.state();
        state.readers += 1;
        if !std::mem::replace(&mut state.asking, true) {
            tokio::spawn(Feed::run(app.clone()));
        }
        drop(state);
        Reader { app, answers, stopping, console: String::new(), sent: 0, until, _seat: seat }
    }

    /// The next tick; `None` at the end.
    async fn next(&mut self) -> Option<Event> {
        tokio::select! {
            changed = self.answers.changed() => changed.ok()?,
            _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            () = sleep_until(self.until) => return None,
        }
        self.answers.mark_unchanged();
        let (seen, reached) = self.seen();
        let tick = Tick { node: &self.app.node, reached, sales: sales(&self.app), seen };
        Event::default().event("tick").json_data(&tick).ok()
    }

    /// What this browser does not have yet.
    fn seen(&mut self) -> (Seen, bool) {
        let state = self.app.ops.feed.state();
        let mut seen = state.seen.clone();
        if seen.console != self.console {
            (self.console, self.sent) = (seen.console.clone(), 0);
        }
        let new = state.samples.iter().filter(|sample| sample.number > self.sent);
        seen.samples = new.cloned().collect();
        self.sent = seen.samples.last().map_or(self.sent, |sample| sample.number);
        (seen, state.reached)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.app.ops.feed.state().readers -= 1;
    }
}

/// The newest sales first.
pub(super) fn sales(app: &App) -> Vec<SaleReply> {
    let mut sales = app.handle.board().sales();
    sales.sort_unstable_by_key(|sale| std::cmp::Reverse(sale.number));
    sales.truncate(SALES_MAX);
    let now = app.now();
    sales.iter().map(|sale| show::sale(sale, now)).collect()
}
