//! The console: what the process that holds the state knows of all processes, for whoever looks.
//!
//! ```text
//! every process ─ beat ─▶ Board ─ one sample a second ─▶ answers to looks ─▶ Feed of each replica ─▶ browsers
//! ```
//!
//! It answers from memory. While nobody looks it hears a name every second and does nothing
//! else. Must never know HTTP, or who is signed in.

mod board;
pub(crate) mod message;
pub(crate) mod run;
mod tail;

use super::beat::Pulse;
use crate::ids;
use crate::state::wall_clock;
use crate::supervisor::{self, Order};
use board::Board;
pub(crate) use board::STOCK_SALES_MAX;
use kilat_engine::{Events, Handle};
use message::{Answer, LogCounters, Question, Seen};
use run::{Program, Run, Task, Wanted};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tail::Tail;

/// Time between two samples, and between two beats while somebody looks.
pub(crate) const EVERY: Duration = Duration::from_secs(1);
/// How long samples are made after the last look, so that a reload shows the past.
const LINGER: Duration = Duration::from_secs(600);

/// What a console is started with.
pub struct ConsoleOptions {
    /// Where the supervisor listens, if one keeps this process.
    pub supervisor: Option<PathBuf>,
    /// This process has no server that would tell its figures: the console does, as this node.
    pub own_node: Option<String>,
    /// Runs get it to make their proof.
    pub admin_token: String,
    /// Where checks keep their logs; made when the first one runs.
    pub folder: PathBuf,
}

/// See the module. Clones are the same console.
#[derive(Clone)]
pub struct Console(Arc<Shared>);

struct Shared {
    name: String,
    events: Events,
    /// Where the supervisor listens, if one keeps this process.
    supervisor: Option<PathBuf>,
    state: Mutex<State>,
    program: Program,
    runtime: tokio::runtime::Handle,
}

#[derive(Default)]
struct State {
    board: Board,
    tail: Tail,
    processes: Vec<supervisor::Status>,
    looked: Option<Instant>,
    rehearsal: Option<Arc<Run>>,
    check: Option<Arc<Run>>,
}

impl State {
    /// The last rehearsal and the last check.
    fn runs(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.rehearsal.iter().chain(&self.check)
    }

    fn is_watched(&self, now: Instant) -> bool {
        self.looked.is_some_and(|looked| now.saturating_duration_since(looked) < LINGER)
    }
}

impl Console {
    /// Starts on the current tokio runtime. It ends with its last clone.
    #[must_use]
    pub fn start(mut options: ConsoleOptions, handle: Handle, events: Events) -> Console {
        let shared = Arc::new(Shared {
            name: ids::hex(ids::random_bits()),
            events,
            supervisor: options.supervisor.take(),
            state: Mutex::default(),
            program: Program {
                admin_token: std::mem::take(&mut options.admin_token),
                folder: std::mem::take(&mut options.folder),
            },
            runtime: tokio::runtime::Handle::current(),
        });
        let console = Console(shared);
        tokio::spawn(run(Arc::downgrade(&console.0), options.own_node, handle));
        console
    }

    /// Answers a question in bytes, for [`CoreOptions::on_ask`](kilat_engine::CoreOptions).
    #[must_use]
    pub fn answer_bytes(&self, question: &[u8]) -> Vec<u8> {
        let answer = match serde_json::from_slice(question) {
            Ok(question) => self.answer(question),
            Err(error) => Answer::Refused(error.to_string()),
        };
        // Of strings and numbers: it can always be written.
        serde_json::to_vec(&answer).unwrap_or_default()
    }

    pub(crate) fn answer(&self, question: Question) -> Answer {
        let now = Instant::now();
        let mut state = self.0.state();
        match question {
            Question::Beat(beat) => {
                state.board.hear(*beat, now);
                Answer::Heard { watched: state.is_watched(now) }
            }
            Question::Look { console, after } => {
                state.looked = Some(now);
                let after = if console == self.0.name { after } else { 0 };
                Answer::Seen(Box::new(self.0.seen(&state, after, now)))
            }
            Question::Start(wanted) => self.begin(&mut state, *wanted),
            Question::Cancel(id) => {
                state.runs().filter(|run| run.wanted.id == id).for_each(|run| run.cancel());
                Answer::Started
            }
            Question::Rows => {
                Answer::Rows(state.check.as_ref().map(|run| run.rows()).unwrap_or_default())
            }
        }
    }
}

impl Console {
    /// Starts a run unless one is there.
    fn begin(&self, state: &mut State, wanted: Wanted) -> Answer {
        if state.runs().any(|run| run.wanted.id == wanted.id) {
            return Answer::Started;
        }
        if !wanted.is_sound() {
            return Answer::Refused("a run is beyond its limits".to_owned());
        }
        if state.runs().any(|run| run.is_running()) {
            return Answer::Busy;
        }
        let run = Arc::new(Run::new(wanted, wall_clock().as_millis()));
        match run.wanted.task {
            Task::Rehearsal { .. } => state.rehearsal = Some(Arc::clone(&run)),
            Task::Check { .. } => state.check = Some(Arc::clone(&run)),
        }
        // On a thread that lasts: the child is told to end when the one that made it does.
        let shared = Arc::clone(&self.0);
        self.0.runtime.spawn(async move {
            // Asked anew: what is shown is nothing before somebody has looked for a while.
            let (url, skips_gateway) = front(&run.wanted, &shared.processes().await);
            run.goes_to(&url, skips_gateway);
            tracing::info!(id = run.wanted.id, from = run.wanted.node, url, "a run begins");
            run.carry_out(&shared.program, &url).await;
        });
        Answer::Started
    }
}

/// Where a run reaches the system: the gateway in front of it, or who asks. An attack speaks no
/// TLS, so one behind such a gateway goes past it, which is told too.
fn front(wanted: &Wanted, processes: &[supervisor::Status]) -> (String, bool) {
    let gateway = processes.iter().find(|process| process.name == "gateway");
    match (&wanted.task, gateway) {
        (Task::Rehearsal { .. }, Some(gateway)) if gateway.address.starts_with("http://") => {
            (gateway.address.clone(), false)
        }
        (Task::Rehearsal { .. }, gateway) => (wanted.url.clone(), gateway.is_some()),
        (Task::Check { .. }, _) => (wanted.url.clone(), false),
    }
}

impl Shared {
    /// What the supervisor keeps running; nothing where there is none.
    async fn processes(&self) -> Vec<supervisor::Status> {
        let Some(socket) = &self.supervisor else { return Vec::new() };
        match supervisor::ask(socket, &Order::Status).await {
            Ok(supervisor::Reply::Status(all)) => all,
            Ok(supervisor::Reply::Killed(_)) | Err(_) => Vec::new(),
        }
    }

    fn seen(&self, state: &State, after: u64, now: Instant) -> Seen {
        let counters = self.events.counters();
        Seen {
            console: self.name.clone(),
            samples: state.board.after(after),
            nodes: state.board.nodes(now),
            processes: state.processes.clone(),
            log: LogCounters {
                received: counters.received,
                unique: counters.unique,
                duplicates: counters.duplicates,
                conflicts: counters.conflicts,
                projected: counters.projected,
            },
            rehearsal: state.rehearsal.as_ref().map(|run| run.view()),
            check: state.check.as_ref().map(|run| run.view()),
            orders: state.tail.orders.iter().cloned().collect(),
            events: state.tail.events.iter().cloned().collect(),
        }
    }

    /// No code panics while it holds the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes samples while somebody looks, until the console is gone.
async fn run(shared: Weak<Shared>, own_node: Option<String>, handle: Handle) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut tail = Tail::default();
    let pulse = own_node.map(|node| Pulse::of_core(node, handle));
    loop {
        ticks.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        let watched = shared.state().is_watched(Instant::now());
        if let Some(pulse) = &pulse {
            shared.state().board.hear(pulse.beat(watched), Instant::now());
        }
        if !watched {
            shared.state().board.pause();
            continue;
        }
        let processes = shared.processes().await;
        let events = shared.events.clone();
        // Only a panic is an error here, and it was reported.
        tail = tokio::task::spawn_blocking(move || {
            tail.follow(&events);
            tail
        })
        .await
        .unwrap_or_default();
        let mut state = shared.state();
        (state.processes, state.tail) = (processes, tail.clone());
        state.board.sample(wall_clock().as_millis(), Instant::now());
    }
}
