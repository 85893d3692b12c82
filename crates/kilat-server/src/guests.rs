//! Those who are connected, so that they can be asked to leave: all of them at the end, and the
//! silent ones while seats are scarce. Thousands who keep a connection open only in case they need
//! it would otherwise keep out those who want to buy.
//!
//! Must never know what they ask for.

use crate::seats::Seats;
use futures_util::task::AtomicWaker;
use slab::Slab;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Notify;

/// All that are here.
#[derive(Default)]
pub(crate) struct Guests {
    here: Mutex<Slab<Arc<Guest>>>,
    one_left: Notify,
}

/// One of them.
pub(crate) struct Guest {
    /// Signs of life so far.
    signs: AtomicU64,
    /// The same when somebody looked last.
    seen: AtomicU64,
    asked: AtomicBool,
    waker: AtomicWaker,
}

/// A guest is here as long as this is.
pub(crate) struct Stay {
    guests: Arc<Guests>,
    key: usize,
    pub(crate) guest: Arc<Guest>,
}

impl Guests {
    pub(crate) fn enter(self: &Arc<Self>) -> Stay {
        let guest = Arc::new(Guest {
            signs: AtomicU64::new(0),
            seen: AtomicU64::new(u64::MAX),
            asked: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        let key = self.lock().insert(Arc::clone(&guest));
        Stay { guests: Arc::clone(self), key, guest }
    }

    /// While `seats` are scarce, asks those to leave who were silent for `silence` or up to twice
    /// as long; for ever.
    pub(crate) async fn make_room(&self, seats: &Seats, silence: Duration) {
        loop {
            tokio::time::sleep(silence).await;
            if seats.are_scarce() {
                self.ask_silent();
            }
        }
    }

    /// Asks those to leave who have been silent since the last call.
    fn ask_silent(&self) {
        self.lock()
            .iter()
            .filter(|(_, guest)| guest.is_silent())
            .for_each(|(_, guest)| guest.ask());
    }

    /// Asks all to leave, and waits until they have.
    pub(crate) async fn see_off(&self) {
        self.lock().iter().for_each(|(_, guest)| guest.ask());
        loop {
            let one_left = self.one_left.notified();
            if self.lock().is_empty() {
                return;
            }
            one_left.await;
        }
    }

    /// No code panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Slab<Arc<Guest>>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// Drives a connection to its end; once its guest was asked to leave, `finish` tells it to
    /// answer what is in flight and close.
    pub(crate) async fn accompany<C: Future>(
        &self,
        connection: C,
        finish: impl Fn(Pin<&mut C>),
    ) -> C::Output {
        let mut connection = pin!(connection);
        let mut is_leaving = false;
        let driven = poll_fn(|cx| {
            if !is_leaving && self.poll_asked(cx).is_ready() {
                is_leaving = true;
                finish(connection.as_mut());
            }
            connection.as_mut().poll(cx)
        });
        driven.await
    }

    /// There was a sign of life.
    pub(crate) fn stir(&self) {
        self.signs.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether they were asked to leave.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Ready once they were asked to leave.
    pub(crate) fn poll_asked(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.waker.register(cx.waker());
        if self.is_asked() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Returns once they were asked to leave.
    pub(crate) async fn asked(&self) {
        poll_fn(|cx| self.poll_asked(cx)).await;
    }

    fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether there was no sign of life since this was called last.
    fn is_silent(&self) -> bool {
        let signs = self.signs.load(Ordering::Relaxed);
        self.seen.swap(signs, Ordering::Relaxed) == signs
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.guests.lock().try_remove(self.key);
        self.guests.one_left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_was_silent_all_the_time_is_asked() {
        let guests = Arc::new(Guests::default());
        let [silent, lively, new] = [(); 3].map(|()| guests.enter());
        silent.guest.stir();
        drop(new);
        guests.ask_silent();
        let new = guests.enter();
        lively.guest.stir();
        guests.ask_silent();
        let asked = [silent, lively, new].map(|stay| stay.guest.asked.load(Ordering::Relaxed));
        assert_eq!(asked, [true, false, false]);
    }

    #[tokio::test]
    async fn they_are_seen_off_when_the_last_has_left() {
        let guests = Arc::new(Guests::default());
        let leave = |stay: Stay| async move { stay.guest.asked().await };
        let stays = [guests.enter(), guests.enter()].map(|stay| tokio::spawn(leave(stay)));
        guests.see_off().await;
        for stay in stays {
            stay.await.unwrap();
        }
    }
}
