//! Why a log can't go on. Everything here is final: nothing is tried again, and what was
//! reported as durable stays so.

use crate::{ClientError, Lang};
use std::fmt::Display;
use std::io;
use std::path::Path;
use std::time::Duration;

/// Why nothing more is written.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing of the append is in the log.
    Write(io::Error),
    /// It is not known what of the last appends is on the device.
    Sync(io::Error),
    /// The end of the log can't be read or cut.
    Read(io::Error),
    /// The file system has no locks.
    Lock(io::Error),
    /// Somebody else has held the lock for that long.
    Busy(Duration),
    /// The file was cut, or what this run wrote is no longer where it was written.
    Replaced,
    /// The file has been moved or removed.
    Moved,
    /// Another process goes on with this run.
    Superseded,
    /// The thread that writes is gone.
    Stopped,
}

impl Failure {
    /// The sentence for people.
    pub(super) fn into_error(self, path: &Path, lang: Lang) -> ClientError {
        let nothing = "";
        let (key, why): (_, &dyn Display) = match &self {
            Failure::Write(error) if error.kind() == io::ErrorKind::StorageFull => {
                ("audit.full", &nothing)
            }
            Failure::Write(error) => ("audit.write", error),
            Failure::Sync(error) => ("audit.sync", error),
            Failure::Read(error) => ("audit.read", error),
            Failure::Lock(error) => ("audit.lock", error),
            Failure::Busy(waited) => ("audit.busy", &waited.as_secs()),
            Failure::Replaced => ("audit.replaced", &nothing),
            Failure::Moved => ("audit.moved", &nothing),
            Failure::Superseded => ("audit.superseded", &nothing),
            Failure::Stopped => ("audit.stopped", &nothing),
        };
        ClientError::Storage(lang.say(key, &[("file", &path.display()), ("why", why)]))
    }
}

/// Why a run can't begin.
pub(super) enum Stop {
    /// The key of the sentence, and what the system says.
    Usage(&'static str, String),
    /// As of any append.
    Failure(Failure),
}

impl Stop {
    /// The sentence for people.
    pub(super) fn into_error(self, path: &Path, lang: Lang) -> ClientError {
        match self {
            Stop::Usage(key, why) => {
                let why: &dyn Display = &why;
                ClientError::Usage(lang.say(key, &[("file", &path.display()), ("why", why)]))
            }
            Stop::Failure(failure) => failure.into_error(path, lang),
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failure(failure)
    }
}
