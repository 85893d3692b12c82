//! The task that keeps one process running.

use super::backoff::Backoff;
use super::life::Life;
use super::probe::{self, Answer};
use super::{LogLine, Patience, Spec, State, Status};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Between two questions to a process that starts: what a restart costs beyond the start itself.
const ASK_STARTING: Duration = Duration::from_millis(20);
/// A start that takes longer is worth a word.
const LATE: Duration = Duration::from_secs(5);
/// Between two questions to a process that is ready.
const ASK_READY: Duration = Duration::from_millis(500);

pub(super) struct Keeper {
    spec: Spec,
    patience: Patience,
    log: LogLine,
    status: watch::Sender<Status>,
}

/// How a life ended.
enum End {
    /// It is to be stopped; it may still run.
    Asked(Option<Life>),
    /// By itself, or killed; ready for so long, if it ever was.
    Over { was_ready: Option<Duration>, exit_code: Option<i32>, why: String },
}

impl Keeper {
    pub(super) fn new(
        spec: Spec,
        patience: Patience,
        log: LogLine,
    ) -> (Keeper, watch::Receiver<Status>) {
        let (status, seen) = watch::channel(Status {
            name: spec.name.clone(),
            address: spec.address.clone(),
            pid: None,
            state: State::Waiting,
            restarts: 0,
            why: None,
            exit_code: None,
        });
        (Keeper { spec, patience, log, status }, seen)
    }

    /// Keeps it running until `stop`.
    pub(super) async fn run(
        self,
        gates: Vec<watch::Receiver<Status>>,
        mut kills: mpsc::Receiver<()>,
        stop: CancellationToken,
    ) {
        tokio::select! {
            () = all_ready(gates) => {}
            () = stop.cancelled() => return self.tell(|status| status.state = State::Stopped),
        }
        let mut backoff = Backoff::default();
        loop {
            let (was_ready, exit_code, why) = match self.live(&mut kills, &stop).await {
                End::Asked(life) => return self.end(life).await,
                End::Over { was_ready, exit_code, why } => (was_ready, exit_code, why),
            };
            tracing::warn!(name = self.spec.name, why, "a process ended and is started again");
            self.tell(|status| {
                status.pid = None;
                status.state = State::Restarting;
                status.exit_code = exit_code;
                status.why = Some(why);
            });
            tokio::select! {
                () = sleep(backoff.after(was_ready)) => {}
                () = stop.cancelled() => return self.end(None).await,
            }
            self.tell(|status| status.restarts += 1);
        }
    }

    async fn end(&self, life: Option<Life>) {
        if let Some(life) = life {
            life.stop(self.patience.stop).await;
        }
        self.tell(|status| {
            status.pid = None;
            status.state = State::Stopped;
        });
    }

    /// One life: until it ends, is killed for its silence, or is to be stopped.
    async fn live(&self, kills: &mut mpsc::Receiver<()>, stop: &CancellationToken) -> End {
        let mut life = match Life::begin(&self.spec, &self.log) {
            Ok(life) => life,
            Err(error) => {
                let why = format!("can't be started ({error})");
                return End::Over { was_ready: None, exit_code: None, why };
            }
        };
        let pid = life.pid();
        self.tell(|status| {
            status.pid = pid;
            status.state = State::Starting;
        });
        let ended = self.status.borrow().why.clone();
        let mut pulse = Pulse::new(self.patience);
        loop {
            tokio::select! {
                (exit_code, how) = life.end() => {
                    let why = pulse.told.take().unwrap_or(how);
                    return End::Over { was_ready: pulse.was_ready(), exit_code, why };
                }
                () = stop.cancelled() => return End::Asked(Some(life)),
                Some(()) = kills.recv() => life.kill(),
                answer = pulse.feel(&self.spec) => {
                    if let Some(why) = pulse.take(answer) {
                        pulse.told = Some(why);
                        life.kill();
                    }
                    let late = pulse.is_late().then(|| life.last_words());
                    let why = pulse.excuse.clone().or(late.filter(|words| !words.is_empty()));
                    self.tell_state(pulse.state(), why.or_else(|| ended.clone()));
                }
            }
        }
    }

    /// Shows how it is now, and logs it when that is worth a line.
    fn tell_state(&self, state: State, why: Option<String>) {
        let name = &self.spec.name;
        let changed = self.status.send_if_modified(|status| {
            let changed = status.state != state || status.why != why;
            status.state = state;
            status.why.clone_from(&why);
            changed
        });
        match (changed, state) {
            (true, State::Unready | State::Starting) => {
                let why = why.unwrap_or_default();
                tracing::warn!(name, why, "a process runs and is not ready");
            }
            (true, State::Silent) => tracing::warn!(name, "a process does not answer"),
            (true, State::Ready) => tracing::info!(name, "a process is ready"),
            _ => {}
        }
    }

    fn tell(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_modify(change);
    }
}

/// When a process answered, and when not.
struct Pulse {
    patience: Patience,
    /// Its start, or its last answer.
    owed_since: Instant,
    ready_since: Option<Instant>,
    silent_since: Option<Instant>,
    /// Why it is not ready, in its own words.
    excuse: Option<String>,
    /// Why it was killed by its keeper.
    told: Option<String>,
}

impl Pulse {
    fn new(patience: Patience) -> Pulse {
        Pulse {
            patience,
            owed_since: Instant::now(),
            ready_since: None,
            silent_since: None,
            excuse: None,
            told: None,
        }
    }

    /// Waits until it is time to ask, and asks.
    async fn feel(&self, spec: &Spec) -> Answer {
        let has_answered = self.ready_since.is_some() || self.excuse.is_some();
        sleep(if has_answered { ASK_READY } else { ASK_STARTING }).await;
        probe::ask(&spec.ready).await
    }

    /// Takes an answer; says why its process must be killed, if it must.
    fn take(&mut self, answer: Answer) -> Option<String> {
        self.excuse = match answer {
            Answer::Silence => return self.bear_silence(),
            Answer::Ready => None,
            Answer::NotNow(why) => Some(why),
        };
        (self.owed_since, self.silent_since) = (Instant::now(), None);
        if self.excuse.is_none() {
            self.ready_since.get_or_insert_with(Instant::now);
        }
        None
    }

    fn bear_silence(&mut self) -> Option<String> {
        self.excuse = None;
        let since = match self.ready_since {
            None => self.owed_since,
            Some(_) => *self.silent_since.get_or_insert_with(Instant::now),
        };
        let patience =
            if self.ready_since.is_some() { self.patience.silence } else { self.patience.start };
        (since.elapsed() > patience && self.told.is_none())
            .then(|| format!("killed: no answer for {} s", patience.as_secs()))
    }

    /// Whether it starts for longer than it should.
    fn is_late(&self) -> bool {
        self.ready_since.is_none() && self.owed_since.elapsed() > LATE
    }

    fn was_ready(&self) -> Option<Duration> {
        self.ready_since.map(|since| since.elapsed())
    }

    fn state(&self) -> State {
        match (self.ready_since, self.silent_since, &self.excuse) {
            (_, _, Some(_)) => State::Unready,
            (None, ..) => State::Starting,
            (Some(_), None, None) => State::Ready,
            (Some(_), Some(_), None) => State::Silent,
        }
    }
}

async fn all_ready(gates: Vec<watch::Receiver<Status>>) {
    for mut gate in gates {
        // An error means that it was stopped: then this one is stopped as well.
        if gate.wait_for(|status| status.state == State::Ready).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
