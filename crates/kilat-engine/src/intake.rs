//! The bounded queue before the batcher.
//!
//! A lock and a condition: one lock a group, not one a request, and the
//! batcher takes all there is at once.

use crate::query::{Query, Reply};
use crate::{
    BATCH_BYTES_MAX, BATCH_COMMANDS_MAX, Change, Orders, PlacedCallback, QUEUE_COMMANDS_MAX,
    Unavailable,
};
use kilat_ledger::{Outcome, Time};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Something for the batcher to do, with where the result goes.
pub(crate) enum Work {
    Orders { orders: Orders, done: PlacedCallback },
    Change { change: Change, reply: Reply<(Outcome, Time)> },
    Query(Query),
}

impl Work {
    /// What it counts against the limits.
    pub(crate) fn commands(&self) -> usize {
        match self {
            Work::Orders { orders, .. } => orders.len().max(1),
            Work::Change { .. } | Work::Query(_) => 1,
        }
    }

    /// Most bytes that its facts can take.
    pub(crate) fn fact_bytes_max(&self) -> usize {
        match self {
            Work::Orders { orders, .. } => orders.fact_bytes_max(),
            Work::Change { change, .. } => change.fact_bytes_max(),
            Work::Query(_) => 0,
        }
    }

    /// Answers that it was not carried out, and why.
    pub(crate) fn refuse(self, why: Unavailable) {
        match self {
            Work::Orders { done, .. } => done(Err(why)),
            Work::Change { reply, .. } => drop(reply.send(Err(why))),
            Work::Query(query) => query.refuse(why),
        }
    }
}

/// Work and when it came.
pub(crate) struct Waiting {
    pub(crate) work: Work,
    pub(crate) since: Instant,
}

/// What the batcher found when it looked.
pub(crate) enum Waited {
    /// So many commands wait.
    Work { commands: usize },
    /// Nothing came until the deadline.
    Deadline,
    /// No more will come, and all is taken.
    Closed,
}

/// The queue.
#[derive(Default)]
pub(crate) struct Intake {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Waiting>,
    commands: usize,
    closed: bool,
    /// The batcher waits for the first arrival.
    taker_waits: bool,
}

impl Intake {
    /// Queues `work`, or gives it back with the reason.
    #[expect(
        clippy::result_large_err,
        reason = "the work is handed back, not copied onto the heap"
    )]
    pub(crate) fn put(&self, work: Work) -> Result<(), (Work, Unavailable)> {
        let mut state = self.lock();
        if state.closed {
            return Err((work, Unavailable::ShuttingDown));
        }
        let commands = work.commands();
        let fits_a_batch =
            commands <= BATCH_COMMANDS_MAX && work.fact_bytes_max() <= BATCH_BYTES_MAX;
        if state.commands + commands > QUEUE_COMMANDS_MAX || !fits_a_batch {
            return Err((work, Unavailable::Overloaded));
        }
        state.commands += commands;
        state.queue.push_back(Waiting { work, since: Instant::now() });
        let wake = std::mem::take(&mut state.taker_waits);
        drop(state);
        if wake {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Waits until there is work, until `deadline`, or until there will be none.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Waited {
        let mut state = self.lock();
        while state.queue.is_empty() {
            if state.closed {
                return Waited::Closed;
            }
            state.taker_waits = true;
            state = match deadline.map(|d| d.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return Waited::Deadline,
                Some(wait) => {
                    self.arrived.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        Waited::Work { commands: state.commands }
    }

    /// Moves at most one batch of work into `batch`.
    pub(crate) fn take(&self, batch: &mut Vec<Waiting>) {
        let mut state = self.lock();
        let (mut commands, mut bytes) = (0, 0);
        while let Some(next) = state.queue.front() {
            commands += next.work.commands();
            bytes += next.work.fact_bytes_max();
            if !batch.is_empty() && (commands > BATCH_COMMANDS_MAX || bytes > BATCH_BYTES_MAX) {
                break;
            }
            state.commands -= next.work.commands();
            batch.extend(state.queue.pop_front());
        }
    }

    /// Takes no more; what is queued will still be carried out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Takes no more and tells all who wait that nothing is known of what they asked.
    pub(crate) fn fail(&self) {
        let mut state = self.lock();
        state.closed = true;
        let left = std::mem::take(&mut state.queue);
        drop(state);
        left.into_iter().for_each(|waiting| waiting.work.refuse(Unavailable::Failed));
    }

    /// Commands that wait now.
    pub(crate) fn depth(&self) -> usize {
        self.lock().commands
    }

    /// No code panics while it holds the lock, so a poisoned state is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
