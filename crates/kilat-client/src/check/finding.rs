//! What a check learns of one id.
//!
//! Plain values that every part of a check shares; they know neither HTTP nor files.

use jiff::Timestamp;
use serde_json::value::RawValue;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Longest id that is sent to an API, in bytes. A longer one ends as
/// [`Outcome::Unknown`] without being sent.
pub const ID_SENT_BYTES_MAX: usize = 2_048;
/// Longest id that can be read at all, in bytes; a longer one stops the check with its place.
pub const ID_BYTES_MAX: usize = 64 * 1024;

/// What is looked up, as its user wrote it. Cheap to clone; 1 to [`ID_BYTES_MAX`] bytes of
/// UTF-8, which may hold any character: whoever writes it somewhere escapes it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Id(Arc<str>);

impl Id {
    /// The id, or `None` when it is empty or longer than [`ID_BYTES_MAX`].
    #[must_use]
    pub fn new(text: &str) -> Option<Id> {
        (1..=ID_BYTES_MAX).contains(&text.len()).then(|| Id(text.into()))
    }

    /// As its user wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// How an id ends. Each ends in exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The API knows it.
    Found,
    /// The API said, in the way its profile expects, that it does not.
    NotFound,
    /// Nobody can say: no answer, a refusal that lasted, or an answer that can't be read.
    Unknown,
}

impl Outcome {
    /// Its name in logs and in machine output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Found => "found",
            Outcome::NotFound => "not_found",
            Outcome::Unknown => "unknown",
        }
    }

    /// The outcome of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Outcome> {
        [Outcome::Found, Outcome::NotFound, Outcome::Unknown]
            .into_iter()
            .find(|outcome| outcome.name() == name)
    }
}

/// All that a check learned of one id; final.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Place of the id among the distinct ids of the run, from 0.
    pub index: u64,
    /// What was looked up.
    pub id: Id,
    /// How it ended.
    pub outcome: Outcome,
    /// One sentence for people, in the run's language. It may quote the API, so it may
    /// hold any character.
    pub message: String,
    /// HTTP status of the reply that decided, or of the last one.
    pub status: Option<u16>,
    /// Requests sent for it, hedges and retries included; 0 when it was never sent.
    pub attempts: u32,
    /// When work on it began, by the wall clock.
    pub began_at: Timestamp,
    /// From then until it ended, waits included.
    pub elapsed: Duration,
    /// From sending the request that decided until its reply was whole.
    pub reply_time: Option<Duration>,
    /// What the API said of it: a JSON object on one line.
    pub row: Option<Box<RawValue>>,
    /// Whether its profile says that people should see it, such as stock 0.
    pub notable: bool,
}
