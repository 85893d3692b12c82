//! A bounded queue before the thread that carries work out, here or by sending it on.
//!
//! A lock and a condition: one lock a group, not one a request, and the
//! thread takes all there is at once. Knows nothing of what it queues.

use crate::Unavailable;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What can wait in an [`Intake`].
pub(crate) trait Queued {
    /// What it counts against the limits.
    fn weight(&self) -> usize;

    /// Most bytes that it adds to a frame.
    fn frame_bytes_max(&self) -> usize;

    /// Answers that it was not carried out, and why.
    fn refuse(self, why: Unavailable);
}

/// How much may wait, and how much is taken at once.
#[derive(Clone, Copy)]
pub(crate) struct IntakeLimits {
    pub(crate) queue_weight_max: usize,
    pub(crate) queue_bytes_max: usize,
    pub(crate) batch_weight_max: usize,
    pub(crate) batch_bytes_max: usize,
}

/// Work and when it came.
pub(crate) struct Waiting<W> {
    pub(crate) work: W,
    pub(crate) since: Instant,
}

/// What the taking thread found when it looked.
pub(crate) enum Waited {
    /// Work of this weight and size waits.
    Work { weight: usize, bytes: usize },
    /// Nothing came until the deadline, or the thread was nudged.
    Deadline,
    /// No more will come, and all is taken.
    Closed,
}

/// The queue.
pub(crate) struct Intake<W> {
    limits: IntakeLimits,
    state: Mutex<State<W>>,
    arrived: Condvar,
}

struct State<W> {
    queue: VecDeque<Waiting<W>>,
    weight: usize,
    bytes: usize,
    closed: bool,
    /// Nothing is taken for now, and why.
    suspended: Option<Unavailable>,
    /// The taking thread should look around though nothing came.
    nudged: bool,
    /// The taking thread waits for the first arrival.
    taker_waits: bool,
}

impl<W: Queued> Intake<W> {
    pub(crate) fn new(limits: IntakeLimits) -> Self {
        let queue = VecDeque::new();
        let state = State {
            queue,
            weight: 0,
            bytes: 0,
            closed: false,
            suspended: None,
            nudged: false,
            taker_waits: false,
        };
        Intake { limits, state: Mutex::new(state), arrived: Condvar::new() }
    }

    /// Queues `work`, or gives it back with the reason.
    pub(crate) fn put(&self, work: W) -> Result<(), (W, Unavailable)> {
        let mut state = self.lock();
        if state.closed {
            return Err((work, Unavailable::ShuttingDown));
        }
        if let Some(why) = state.suspended {
            return Err((work, why));
        }
        let (weight, bytes) = (state.weight + work.weight(), state.bytes + work.frame_bytes_max());
        let fits_a_batch = work.weight() <= self.limits.batch_weight_max
            && work.frame_bytes_max() <= self.limits.batch_bytes_max;
        let fits_the_queue =
            weight <= self.limits.queue_weight_max && bytes <= self.limits.queue_bytes_max;
        if !fits_a_batch || !fits_the_queue {
            return Err((work, Unavailable::Overloaded));
        }
        (state.weight, state.bytes) = (weight, bytes);
        state.queue.push_back(Waiting { work, since: Instant::now() });
        let wake = std::mem::take(&mut state.taker_waits);
        drop(state);
        if wake {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Queues `work`, or answers it with the reason.
    pub(crate) fn put_or_refuse(&self, work: W) {
        if let Err((work, why)) = self.put(work) {
            work.refuse(why);
        }
    }

    /// Waits until there is work, until `deadline`, or until there will be none.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Waited {
        let mut state = self.lock();
        while state.queue.is_empty() {
            if state.closed {
                return Waited::Closed;
            }
            if std::mem::take(&mut state.nudged) {
                return Waited::Deadline;
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
        Waited::Work { weight: state.weight, bytes: state.bytes }
    }

    /// Moves at most one batch of work into `batch`.
    pub(crate) fn take(&self, batch: &mut Vec<Waiting<W>>) {
        let mut state = self.lock();
        let (mut weight, mut bytes) = (0, 0);
        while let Some(next) = state.queue.front() {
            let (next_weight, next_bytes) = (next.work.weight(), next.work.frame_bytes_max());
            weight += next_weight;
            bytes += next_bytes;
            let is_full =
                weight > self.limits.batch_weight_max || bytes > self.limits.batch_bytes_max;
            if !batch.is_empty() && is_full {
                break;
            }
            state.weight -= next_weight;
            state.bytes -= next_bytes;
            batch.extend(state.queue.pop_front());
        }
    }

    /// Makes the taking thread look around now.
    pub(crate) fn nudge(&self) {
        self.lock().nudged = true;
        self.arrived.notify_all();
    }

    /// Refuses what comes from now on with this reason, until [`Intake::resume`].
    pub(crate) fn suspend(&self, why: Unavailable) {
        self.lock().suspended = Some(why);
    }

    /// Why nothing would be queued now, if so.
    pub(crate) fn refusal(&self) -> Option<Unavailable> {
        let state = self.lock();
        if state.closed { Some(Unavailable::ShuttingDown) } else { state.suspended }
    }

    pub(crate) fn resume(&self) {
        self.lock().suspended = None;
    }

    /// Answers what has waited for longer than `wait` with the reason.
    pub(crate) fn give_up(&self, wait: Duration, why: Unavailable) {
        let mut given_up = Vec::new();
        let mut state = self.lock();
        while state.queue.front().is_some_and(|oldest| oldest.since.elapsed() >= wait) {
            if let Some(Waiting { work, .. }) = state.queue.pop_front() {
                state.weight -= work.weight();
                state.bytes -= work.frame_bytes_max();
                given_up.push(work);
            }
        }
        drop(state);
        given_up.into_iter().for_each(|work| work.refuse(why));
    }

    /// Sleeps for `pause` or until a stop; says whether there was one.
    pub(crate) fn sleep(&self, pause: Duration) -> bool {
        let open = |state: &mut State<W>| !state.closed;
        let slept = self.arrived.wait_timeout_while(self.lock(), pause, open);
        slept.unwrap_or_else(PoisonError::into_inner).0.closed
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

    /// The weight that waits now.
    pub(crate) fn depth(&self) -> usize {
        self.lock().weight
    }

    /// No code panics while it holds the lock, so a poisoned state is whole.
    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
