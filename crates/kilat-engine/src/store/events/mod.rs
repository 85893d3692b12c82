//! An event log that another engine keeps, as [`Events`] like those of a log in this process.
//!
//! Any number of processes publish to one log. Its positions are given in the order of commits, so
//! whoever has seen one has seen all before it. A batch whose fate is not known is sent again and
//! gets the answer that was lost. Knows nothing of HTTP, nor of what an event says.

#[cfg(feature = "postgres")]
mod publisher;
#[cfg(feature = "postgres")]
mod reads;
#[cfg(feature = "postgres")]
mod start;
#[cfg(feature = "postgres")]
mod told;

use super::address::StoreAddress;
use super::fault::StoreError;
use super::reason::StoreReason;
use super::start::StoreOptions;
use crate::Events;
use crate::intake::Intake;
use crate::remote::ReadWork;
use std::sync::Arc;
use std::thread::JoinHandle;

/// An event log that another engine keeps. Dropping it ends the connections as
/// [`EventStore::stop`] does.
pub struct EventStore {
    events: Events,
    reads: Arc<Intake<ReadWork>>,
    /// By name.
    threads: Vec<(&'static str, JoinHandle<()>)>,
}

impl EventStore {
    /// Connects, brings the store's schema up to date, and keeps the connections from then on.
    ///
    /// # Errors
    /// [`StoreError`], each with what to do.
    pub fn connect(options: StoreOptions) -> Result<EventStore, StoreError> {
        match &options.address {
            #[cfg(feature = "postgres")]
            StoreAddress::Postgres(url) => start::start(url, &options),
            StoreAddress::Redis(_) => {
                Err(StoreError::Refused { store: options.address, why: StoreReason::NoEventLog })
            }
            #[cfg(not(feature = "postgres"))]
            StoreAddress::Postgres(_) => Err(StoreError::NotBuilt(options.address)),
        }
    }

    /// The way to the event log.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Takes no more publications, waits for the verdicts on those taken, and leaves.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.events.intake.close();
        self.reads.close();
        for (thread, running) in self.threads.drain(..) {
            if running.join().is_err() {
                tracing::error!(thread, "could not end in good order");
            }
        }
    }
}

impl Drop for EventStore {
    fn drop(&mut self) {
        self.end();
    }
}
