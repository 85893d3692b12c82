//! Who wants to be told of each new state, beside those who wait for the latest one.
//!
//! A watcher only notes what it is told: it runs on the thread that commits.

use std::sync::{Mutex, PoisonError};

/// Told of each new state; `false` when it wants to hear no more.
type Watcher<T> = Box<dyn Fn(&T) -> bool + Send>;

/// The watchers of states of one kind.
pub(crate) struct Watchers<T>(Mutex<Vec<Watcher<T>>>);

impl<T> Default for Watchers<T> {
    fn default() -> Self {
        Watchers(Mutex::new(Vec::new()))
    }
}

impl<T> Watchers<T> {
    pub(crate) fn add(&self, watcher: Watcher<T>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(watcher);
    }

    pub(crate) fn tell(&self, state: &T) {
        let mut watchers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|watcher| watcher(state));
    }
}
