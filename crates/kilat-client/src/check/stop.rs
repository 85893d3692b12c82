//! How a run is ended before its end. Knows nothing of signals: whoever gets one says so here.

use tokio::sync::watch;

/// How soon a run is to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// When it is done.
    #[default]
    None,
    /// When what is in flight has come back.
    Soon,
    /// At once.
    Now,
}

/// Ends a run; may be shared with any thread.
#[derive(Debug, Default)]
pub struct Stop {
    urgency: watch::Sender<Urgency>,
}

impl Stop {
    /// Nothing is to be stopped yet.
    #[must_use]
    pub fn new() -> Stop {
        Stop::default()
    }

    /// The first time: sends nothing more, and waits for what is in flight. From the
    /// second time on: ends at once.
    pub fn press(&self) {
        self.urgency.send_modify(|urgency| {
            *urgency = if *urgency == Urgency::None { Urgency::Soon } else { Urgency::Now };
        });
    }

    /// How soon to end.
    pub(crate) fn urgency(&self) -> Urgency {
        *self.urgency.borrow()
    }

    /// Returns when it is at least so urgent.
    pub(crate) async fn until(&self, least: Urgency) {
        let mut urgency = self.urgency.subscribe();
        // The sender is `self`, so that it outlives the wait.
        let _ = urgency.wait_for(|urgency| *urgency >= least).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_press_is_soon_and_each_further_one_now() {
        let stop = Stop::new();
        assert_eq!(stop.urgency(), Urgency::None);
        for urgency in [Urgency::Soon, Urgency::Now, Urgency::Now] {
            stop.press();
            assert_eq!(stop.urgency(), urgency);
            stop.until(urgency).await;
        }
    }

    #[tokio::test]
    async fn a_press_from_another_thread_wakes() {
        let stop = std::sync::Arc::new(Stop::new());
        let presser = std::sync::Arc::clone(&stop);
        let press = async { std::thread::spawn(move || presser.press()).join() };
        let (_, pressed) = tokio::join!(stop.until(Urgency::Soon), press);
        pressed.unwrap();
    }
}
