//! What can go wrong with a store, classed by what has to be done about it.

use super::address::StoreAddress;
use super::reason::StoreReason;
use std::io;

/// Why a call to a store came to nothing. The text is for the log: it names no secret.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum StoreFault {
    /// The connection broke, or no answer came in time: nobody knows whether the call was carried
    /// out. Open again, and repeat it with the same keys and ids.
    #[error("{0}")]
    Lost(String),
    /// The store can't be reached, and the call was certainly not carried out. Open again.
    #[error("{0}")]
    Away(StoreReason),
    /// The store gave the call up and carried out nothing: repeat it on the same connection.
    #[error("{0}")]
    Busy(String),
    /// The store has no space; it carried out nothing and can still be read.
    #[error("{0}")]
    Full(StoreReason),
    /// The store refuses what this process is set up for: somebody has to change the setting
    /// named. Nothing was carried out. Trying again later on a new connection does no harm.
    #[error("{0}")]
    Refused(StoreReason),
}

impl StoreFault {
    /// Whether the connection can still be used.
    pub(super) fn keeps_connection(&self) -> bool {
        matches!(self, StoreFault::Busy(_) | StoreFault::Full(_))
    }
}

/// Why there is no store to work with.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nobody answers there: start it, or name the right address.
    #[error("the store at {store} can't be reached ({why}): start it, or give its address")]
    Unreachable {
        /// Where it should be.
        store: StoreAddress,
        /// What happened.
        why: StoreReason,
    },
    /// It answers, and can't be worked with yet: the message names what to change.
    #[error("the store at {store} can't be used yet: {why}")]
    NotYet {
        /// Where it is.
        store: StoreAddress,
        /// What it lacks.
        why: StoreReason,
    },
    /// It can't be worked with as it is set up: the message names the setting to change.
    #[error("the store at {store} can't be used: {why}")]
    Refused {
        /// Where it is.
        store: StoreAddress,
        /// What is wrong and what to do.
        why: StoreReason,
    },
    /// This build was made without the driver for that scheme.
    #[error("this build of kilat can't work with {0}: use one that was built with its feature")]
    NotBuilt(StoreAddress),
    /// The system has no more threads.
    #[error("a thread can't be started ({0}); free resources and start again")]
    Threads(io::Error),
}

impl StoreError {
    /// Whether waiting may help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, StoreError::Unreachable { .. } | StoreError::NotYet { .. })
    }

    pub(super) fn of(store: StoreAddress, fault: &StoreFault) -> StoreError {
        match fault.clone() {
            StoreFault::Refused(why) | StoreFault::Full(why) => StoreError::Refused { store, why },
            StoreFault::Away(why @ StoreReason::Said(_)) => StoreError::Unreachable { store, why },
            StoreFault::Away(why) => StoreError::NotYet { store, why },
            StoreFault::Lost(why) | StoreFault::Busy(why) => {
                StoreError::Unreachable { store, why: why.into() }
            }
        }
    }
}
