//! What was sent to the core and is not answered yet, kept so that it can be sent again.

use super::link::Traffic;
use crate::Unavailable;
use crate::intake::Queued as _;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Work that was sent.
pub(super) struct Sent<W> {
    pub(super) work: W,
    /// When the caller asked.
    pub(super) since: Instant,
    /// It was also sent on an earlier connection, and may have been carried out then.
    pub(super) again: bool,
}

/// See the module. Numbers are never used twice, so a late reply meets nobody else's request.
pub(super) struct InFlight<T: Traffic> {
    state: Mutex<State<T::Work>>,
    fewer: Condvar,
}

struct State<W> {
    sent: BTreeMap<u64, Sent<W>>,
    weight: usize,
    last: u64,
    /// The connection is of no more use.
    broken: bool,
}

impl<T: Traffic> InFlight<T> {
    pub(super) fn new() -> Self {
        let state = State { sent: BTreeMap::new(), weight: 0, last: 0, broken: false };
        InFlight { state: Mutex::new(state), fewer: Condvar::new() }
    }

    /// Notes what `write` is about to write for each, and calls it with the number.
    pub(super) fn add(
        &self,
        works: impl Iterator<Item = (T::Work, Instant)>,
        mut write: impl FnMut(u64, &T::Work, Instant),
    ) {
        let mut state = self.lock();
        for (work, since) in works {
            state.last += 1;
            let number = state.last;
            write(number, &work, since);
            state.weight += work.weight();
            state.sent.insert(number, Sent { work, since, again: false });
        }
    }

    /// Calls `write` with everything that is not answered, in the order in which it was sent.
    pub(super) fn each(&self, mut write: impl FnMut(u64, &T::Work, Instant)) {
        let state = self.lock();
        state.sent.iter().for_each(|(number, sent)| write(*number, &sent.work, sent.since));
    }

    /// The work that a reply with this number is for, if it is still waited for.
    pub(super) fn take(&self, number: u64) -> Option<Sent<T::Work>> {
        let mut state = self.lock();
        let sent = state.sent.remove(&number)?;
        state.weight -= sent.work.weight();
        drop(state);
        self.fewer.notify_all();
        Some(sent)
    }

    /// The core can't answer this now: it waits for the next connection.
    pub(super) fn put_back(&self, number: u64, sent: Sent<T::Work>) {
        let mut state = self.lock();
        state.weight += sent.work.weight();
        state.sent.insert(number, sent);
    }

    /// Waits until no more than `weight` is unanswered, or the connection broke, or `wait` is
    /// over; says whether there is no more.
    pub(super) fn wait_below(&self, weight: usize, wait: Duration) -> bool {
        let more = |state: &mut State<T::Work>| state.weight > weight && !state.broken;
        let waited = self.fewer.wait_timeout_while(self.lock(), wait, more);
        waited.unwrap_or_else(PoisonError::into_inner).0.weight <= weight
    }

    /// The connection is of no more use.
    pub(super) fn set_broken(&self) {
        self.lock().broken = true;
        self.fewer.notify_all();
    }

    pub(super) fn is_broken(&self) -> bool {
        self.lock().broken
    }

    /// There is a new connection.
    pub(super) fn mend(&self) {
        self.lock().broken = false;
    }

    /// The connection is gone: what can't be sent twice is given up, the rest will be sent again.
    pub(super) fn break_off(&self) {
        self.give_up(|sent| !T::can_repeat(&sent.work));
        self.lock().sent.values_mut().for_each(|sent| sent.again = true);
    }

    /// Answers what has waited for longer than `wait`: nothing is known of it.
    pub(super) fn give_up_older(&self, wait: Duration) {
        self.give_up(|sent| sent.since.elapsed() >= wait);
    }

    fn give_up(&self, which: impl Fn(&Sent<T::Work>) -> bool) {
        let mut state = self.lock();
        let given_up: Vec<_> = state.sent.extract_if(.., |_, sent| which(sent)).collect();
        state.weight -= given_up.iter().map(|(_, sent)| sent.work.weight()).sum::<usize>();
        drop(state);
        self.fewer.notify_all();
        given_up.into_iter().for_each(|(_, sent)| sent.work.refuse(Unavailable::Unknown));
    }

    /// No code panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, State<T::Work>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
