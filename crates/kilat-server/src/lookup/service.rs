//! From a request to its reply: what is asked, what becomes of it, and when.
//!
//! ```text
//! method, path, parameter ─▶ gate (429) ─▶ fate and delay drawn ─▶ wait ─▶ live sale, else row, else unknown
//! ```
//!
//! A request that is not valid is answered at once and draws nothing.

use super::dataset::Dataset;
use super::live::LiveStock;
use super::profile::Profile;
use super::query;
use super::rehearsal::{Draw, Fate, Gate};
use super::reply::{self, CutOff, Refusal, Reply};
use crate::state;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper::{Method, Request, StatusCode};
use metrics::{Counter, counter, describe_counter};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Replies of the lookups, by profile and status.
const REPLIES: &str = "kilat_lookup_replies_total";
/// Longest time that a rehearsed stall keeps a connection whose peer stays.
const STALL_TIME_MAX: Duration = Duration::from_secs(3_600);

/// What all requests share; nothing in it is changed by the data of a request.
pub(super) struct Shared {
    pub(super) dataset: Dataset,
    pub(super) live: Option<LiveStock>,
    pub(super) draw: Draw,
    pub(super) gate: Gate,
    pub(super) retry_after_seconds: u32,
    pub(super) counts: Counts,
    /// Turns `true` once, when the server begins to stop.
    pub(super) stopping: watch::Receiver<bool>,
}

/// A valid request.
struct Asked {
    profile: Profile,
    id: String,
}

/// The service of one connection.
pub(super) fn service(
    shared: &Arc<Shared>,
) -> impl Service<Request<Incoming>, Response = Reply, Error = CutOff, Future: Send>
+ Send
+ Sync
+ 'static
+ use<> {
    let shared = Arc::clone(shared);
    service_fn(move |request: Request<Incoming>| {
        // Read before the future is made: it may wait long, and then holds only what it needs.
        answer(Arc::clone(&shared), read(&request))
    })
}

fn read(request: &Request<Incoming>) -> Result<Asked, Refusal> {
    if let Some(reason) = request.extensions().get() {
        return Err(Refusal::NotRead(*reason));
    }
    let uri = request.uri();
    let profile = Profile::at(&query::path(uri.path())).ok_or(Refusal::PathUnknown)?;
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Refusal::MethodNotAllowed);
    }
    let id = query::parameter(uri.query().unwrap_or_default(), profile.parameter());
    let id = id.ok_or(Refusal::ParameterMissing(profile))?;
    Ok(Asked { profile, id: profile.fold(id) })
}

async fn answer(shared: Arc<Shared>, asked: Result<Asked, Refusal>) -> Result<Reply, CutOff> {
    match asked {
        Ok(asked) => {
            let reply = shared.look_up(&asked).await?;
            shared.counts.note(asked.profile, reply.status());
            Ok(reply)
        }
        Err(why) => Ok(reply::refusal(&why)),
    }
}

impl Shared {
    async fn look_up(&self, asked: &Asked) -> Result<Reply, CutOff> {
        let busy = || reply::busy(self.retry_after_seconds);
        let Some(_inside) = self.gate.enter() else {
            return Ok(busy());
        };
        let (fate, delay) = self.draw.next(asked.profile, &asked.id);
        match fate {
            Fate::Busy => return Ok(busy()),
            Fate::Stall => return self.stall().await,
            Fate::Answer | Fate::Fail | Fate::Html | Fate::Break => {}
        }
        if !delay.is_zero() {
            sleep(delay).await;
        }
        Ok(match fate {
            Fate::Fail => reply::failed(),
            Fate::Html => reply::as_page(self.find(asked)),
            Fate::Break => reply::broken(self.find(asked)),
            Fate::Answer | Fate::Busy | Fate::Stall => self.find(asked),
        })
    }

    /// Waits until the client leaves, which drops this, or the server stops.
    async fn stall(&self) -> Result<Reply, CutOff> {
        let mut stopping = self.stopping.clone();
        let stop = stopping.wait_for(|stopping| *stopping);
        // Whichever ends it, no reply leaves.
        let _ = timeout(STALL_TIME_MAX, stop).await;
        Err(CutOff)
    }

    fn find(&self, asked: &Asked) -> Reply {
        let Asked { profile, id } = asked;
        let live = match (profile, &self.live) {
            (Profile::Stock, Some(live)) => {
                let is_live = live.is_live();
                let row = live.find(id, state::wall_clock());
                // Stock of a while ago must not pass for today's.
                if row.is_some() && !is_live {
                    return reply::busy(self.retry_after_seconds);
                }
                row
            }
            _ => None,
        };
        match live.or_else(|| self.dataset.find(*profile, id)) {
            Some(row) => reply::json(StatusCode::OK, row),
            None => reply::unknown(*profile, id),
        }
    }
}

/// Counts replies to valid requests, for `/metrics`.
pub(super) struct Counts([[Counter; STATUSES.len()]; Profile::ALL.len()]);

const STATUSES: [StatusCode; 4] = [
    StatusCode::OK,
    StatusCode::NOT_FOUND,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::INTERNAL_SERVER_ERROR,
];

impl Counts {
    pub(super) fn new() -> Counts {
        describe_counter!(REPLIES, "Replies of the lookups, by profile and status");
        let of = |profile: Profile, status: StatusCode| {
            let status = status.as_str().to_owned();
            counter!(REPLIES, "profile" => profile.name(), "status" => status)
        };
        Counts(Profile::ALL.map(|profile| STATUSES.map(|status| of(profile, status))))
    }

    fn note(&self, profile: Profile, status: StatusCode) {
        let known = STATUSES.iter().position(|known| *known == status);
        known.into_iter().for_each(|place| self.0[profile as usize][place].increment(1));
    }
}
