//! Between the thread that reads ids and the check that asks for them: bounded, in order.
//!
//! The check takes all that is there at once, so that the two meet seldom.

use crate::ClientError;
use crate::check::Id;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Most ids that wait; the check holds as many again.
pub(super) const WAITING_IDS_MAX: usize = 4_096;
/// Most bytes of ids that wait; one id may exceed it.
const WAITING_BYTES_MAX: usize = 1 << 20;

pub(super) struct Queue {
    inside: Mutex<Inside>,
    /// There is room again, or nobody wants more.
    room: Condvar,
    /// There is an id again, or no more come.
    filled: Notify,
}

#[derive(Default)]
struct Inside {
    ids: VecDeque<(u64, Id)>,
    bytes: usize,
    skipped: u64,
    is_ended: bool,
    error: Option<ClientError>,
    is_shut: bool,
}

/// What the check got.
pub(super) enum Fetched {
    /// At least one id.
    Some,
    /// None yet.
    Nothing,
    /// No more come; why, if that is not the end of the input. Told once.
    End(Option<ClientError>),
}

impl Queue {
    pub(super) fn new() -> Queue {
        Queue { inside: Mutex::default(), room: Condvar::new(), filled: Notify::new() }
    }

    /// Adds an id when there is room; `false` when nobody wants more.
    pub(super) fn push(&self, index: u64, id: Id) -> bool {
        let mut inside = self.lock();
        while !inside.is_shut && !inside.has_room() {
            inside = self.room.wait(inside).unwrap_or_else(PoisonError::into_inner);
        }
        let was_empty = inside.ids.is_empty();
        inside.bytes += id.as_str().len();
        inside.ids.push_back((index, id));
        if was_empty {
            self.filled.notify_one();
        }
        !inside.is_shut
    }

    /// Counts an id that is passed over; `false` when nobody wants more.
    pub(super) fn skip(&self) -> bool {
        let mut inside = self.lock();
        inside.skipped += 1;
        !inside.is_shut
    }

    pub(super) fn skipped(&self) -> u64 {
        self.lock().skipped
    }

    /// No more come.
    pub(super) fn end(&self, error: Option<ClientError>) {
        let mut inside = self.lock();
        (inside.is_ended, inside.error) = (true, error);
        self.filled.notify_one();
    }

    /// Nobody wants more.
    pub(super) fn shut(&self) {
        self.lock().is_shut = true;
        self.room.notify_one();
    }

    /// Moves all ids that wait to `ready`, which is empty.
    pub(super) fn fetch(&self, ready: &mut VecDeque<(u64, Id)>) -> Fetched {
        let mut inside = self.lock();
        if !inside.ids.is_empty() {
            std::mem::swap(&mut inside.ids, ready);
            inside.bytes = 0;
            self.room.notify_one();
            Fetched::Some
        } else if inside.is_ended {
            Fetched::End(inside.error.take())
        } else {
            Fetched::Nothing
        }
    }

    /// Whether the input ended well without any id, not even one that had come before; why, if a
    /// mistake came before any id; `None` while that is not known. Takes nothing.
    pub(super) fn is_blank(&self) -> Option<Result<bool, ClientError>> {
        let inside = self.lock();
        match (&inside.error, inside.ids.is_empty() && inside.skipped == 0) {
            (_, false) => Some(Ok(false)),
            (Some(error), true) => Some(Err(error.clone())),
            (None, true) => inside.is_ended.then_some(Ok(true)),
        }
    }

    /// Waits until another look may find something.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn has_room(&self) -> bool {
        self.ids.len() < WAITING_IDS_MAX && self.bytes < WAITING_BYTES_MAX
    }
}
