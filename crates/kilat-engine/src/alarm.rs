//! What is called, once, when nothing can be committed any more.

use kilat_journal::JournalFailure;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// Told once, with the reason, when nothing can be committed any more.
pub type OnFailure = Box<dyn FnOnce(String) + Send>;

/// Shared by all who may find that out; the first one's reason is told.
#[derive(Clone)]
pub(crate) struct Alarm(Arc<Mutex<Option<OnFailure>>>);

impl Alarm {
    pub(crate) fn new(on_failure: OnFailure) -> Alarm {
        Alarm(Arc::new(Mutex::new(Some(on_failure))))
    }

    /// Tells the reason, if it is the first one, and returns when that is done: a second failure,
    /// which the same fault often brings, must not let replies go while the process is ending.
    pub(crate) fn raise(&self, why: String) {
        let mut on_failure = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(on_failure) = on_failure.take() {
            on_failure(why);
        }
    }

    /// What a journal's committer is to call when it fails.
    pub(crate) fn for_committer(&self) -> Box<dyn FnOnce(JournalFailure) + Send> {
        let alarm = self.clone();
        Box::new(move |failure| alarm.raise(failure.to_string()))
    }

    /// Runs `work`; a panic in it is as final as a failed fsync.
    pub(crate) fn guard(&self, why: &str, work: impl FnOnce()) -> Result<(), ()> {
        catch_unwind(AssertUnwindSafe(work)).map_err(|_| self.raise(why.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn a_second_failure_waits_until_the_first_is_told() {
        let (told, hears) = mpsc::channel();
        let (go, waits) = mpsc::channel::<()>();
        let first_told = told.clone();
        let alarm = Alarm::new(Box::new(move |why| {
            let _ = waits.recv();
            let _ = first_told.send(why);
        }));
        let first = alarm.clone();
        let first = thread::spawn(move || first.raise("first".to_owned()));
        while alarm.0.try_lock().is_ok() {
            thread::yield_now();
        }
        let second = thread::spawn(move || {
            alarm.raise("second".to_owned());
            let _ = told.send("returned".to_owned());
        });
        thread::yield_now();
        drop(go);
        assert_eq!(hears.iter().collect::<Vec<_>>(), ["first", "returned"]);
        assert!(first.join().is_ok() && second.join().is_ok());
    }
}
