//! Keeps a handful of processes running: starts them in order, restarts what ends, ends all.
//!
//! Knows how to start, watch and end a process; never what the processes do or say to each other.
//!
//! | module | holds |
//! |---|---|
//! | `keeper` | the task that keeps one process running |
//! | `life` | one process, from its start to its end |
//! | `backoff` | how long to wait before the next start |
//! | `probe` | the question whether a process is ready |
//! | `control` | the socket by which another process asks and orders |

mod backoff;
mod control;
mod keeper;
mod life;
mod probe;

pub use control::{ControlError, Order, Reply, ask, listen};

use keeper::Keeper;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Orders that wait for a keeper; one more is refused.
const ORDERS_MAX: usize = 8;

/// A process that is to be kept running.
#[derive(Clone)]
pub struct Spec {
    /// Short and unique, such as `web-1`: it stands before each line of its log.
    pub name: String,
    /// What is run.
    pub program: PathBuf,
    /// With these arguments.
    pub arguments: Vec<OsString>,
    /// All of its environment. It may hold secrets and is never shown.
    pub environment: Vec<(OsString, OsString)>,
    /// How it tells that it is ready.
    pub ready: Ready,
    /// Where it is reached, for people.
    pub address: String,
    /// Names of those that must be ready before its first start.
    pub after: Vec<String>,
}

/// How a process tells that it is ready.
#[derive(Clone, Debug)]
pub enum Ready {
    /// It answers `GET /readyz` with 200.
    Http(SocketAddr),
    /// It takes connections at this socket.
    Socket(PathBuf),
}

/// What is known of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// As in [`Spec`].
    pub name: String,
    /// As in [`Spec`].
    pub address: String,
    /// While it runs.
    pub pid: Option<u32>,
    /// How it is.
    pub state: State,
    /// Starts after the first one.
    pub restarts: u64,
    /// How it ended last, or why it is not ready; one sentence.
    pub why: Option<String>,
    /// The code that it ended with last, if it was not killed.
    pub exit_code: Option<i32>,
}

/// How a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// For those that come before it.
    Waiting,
    /// It runs and is not ready yet.
    Starting,
    /// It does its work.
    Ready,
    /// It runs and says that it can do no work now; [`Status::why`] has its reason.
    Unready,
    /// It runs and has stopped answering.
    Silent,
    /// It has ended and is started again in a moment.
    Restarting,
    /// It has ended because it was asked to.
    Stopped,
}

/// How long to be patient.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From a start until an answer; recovery of a large ledger is part of it.
    pub start: Duration,
    /// Without an answer of a process that was ready; then it is killed and started again.
    pub silence: Duration,
    /// From the wish that it ends until it is killed.
    pub stop: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            start: Duration::from_secs(120),
            silence: Duration::from_secs(15),
            stop: Duration::from_secs(15),
        }
    }
}

/// Takes a line of a process's log: its name, and the line without its end.
pub type LogLine = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// The processes that are kept. They are killed when the runtime ends without
/// [`Supervisor::stop`].
pub struct Supervisor {
    kept: Vec<Kept>,
}

struct Kept {
    handle: Handle,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Handle {
    status: watch::Receiver<Status>,
    kill: mpsc::Sender<()>,
}

impl Handle {
    async fn ready(&self) {
        let mut status = self.status.clone();
        // An error means that it was stopped: nobody waits for it any more.
        let _ = status.wait_for(|status| status.state == State::Ready).await;
    }
}

/// Asks and orders; cheap to clone.
#[derive(Clone)]
pub struct Panel(Vec<Handle>);

impl Supervisor {
    /// Starts all, each when those before it are ready. `specs` are in that order.
    #[must_use]
    pub fn start(specs: Vec<Spec>, patience: Patience, log: &LogLine) -> Supervisor {
        let mut kept: Vec<Kept> = Vec::with_capacity(specs.len());
        for spec in specs {
            let gates = kept.iter().map(|kept| kept.handle.status.clone());
            let gates = gates.filter(|gate| spec.after.contains(&gate.borrow().name)).collect();
            let stop = CancellationToken::new();
            let (kill, kills) = mpsc::channel(ORDERS_MAX);
            let (keeper, status) = Keeper::new(spec, patience, Arc::clone(log));
            let task = tokio::spawn(keeper.run(gates, kills, stop.clone()));
            kept.push(Kept { handle: Handle { status, kill }, stop, task });
        }
        Supervisor { kept }
    }

    /// For those that ask.
    #[must_use]
    pub fn panel(&self) -> Panel {
        Panel(self.kept.iter().map(|kept| kept.handle.clone()).collect())
    }

    /// Ends all, the last one first, so that nobody loses what it depends on.
    pub async fn stop(self) {
        for kept in self.kept.into_iter().rev() {
            kept.stop.cancel();
            // A keeper that panicked has no process: it dies with its child's handle.
            let _ = kept.task.await;
        }
    }
}

impl Panel {
    /// How all are, in the order of their start.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        self.0.iter().map(|handle| handle.status.borrow().clone()).collect()
    }

    /// Waits until the one that is called so is ready.
    pub async fn ready(&self, name: &str) {
        for handle in self.0.iter().filter(|handle| handle.status.borrow().name == name) {
            handle.ready().await;
        }
    }

    /// Waits until all are ready.
    pub async fn all_ready(&self) {
        for handle in &self.0 {
            handle.ready().await;
        }
    }

    /// Kills a process as a crash would; it is started again. `false` when none is called so or
    /// it does not run.
    #[must_use]
    pub fn kill(&self, name: &str) -> bool {
        self.0.iter().any(|handle| {
            let status = handle.status.borrow();
            status.name == name && status.pid.is_some() && handle.kill.try_send(()).is_ok()
        })
    }
}
