//! What is called, once, when nothing can be committed any more.

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

    pub(crate) fn raise(&self, why: String) {
        let on_failure = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(on_failure) = on_failure {
            on_failure(why);
        }
    }

    /// Runs `work`; a panic in it is as final as a failed fsync.
    pub(crate) fn guard(&self, why: &str, work: impl FnOnce()) -> Result<(), ()> {
        catch_unwind(AssertUnwindSafe(work)).map_err(|_| self.raise(why.to_owned()))
    }
}
