//! One id on its way to its end, and a call for some of them.

use crate::check::call::Request;
use crate::check::pace::{At, Kind, OriginNumber, Pass};
use crate::check::{Finding, Id, Outcome};
use jiff::Timestamp;
use serde_json::value::RawValue;
use std::time::Duration;

/// An id that has not ended.
pub(super) struct Lookup {
    pub(super) index: u64,
    pub(super) id: Id,
    /// Which server knows of it.
    pub(super) origin: OriginNumber,
    /// What its first call sends, made when the id came in to learn its server.
    pub(super) request: Option<Box<Request>>,
    began: Option<(Timestamp, At)>,
    /// Requests sent, hedges included.
    pub(super) attempts: u32,
    /// Calls that failed and count as tries.
    pub(super) failures: u32,
    /// Calls after which the server said when to come again.
    pub(super) invitations: u32,
    /// Calls that failed while everybody's did.
    pub(super) excuses: u32,
    /// How its next call comes about.
    pub(super) kind: Kind,
    /// When the last one failed.
    pub(super) failed_at: At,
    /// What the last call met.
    pub(super) trouble: Option<Trouble>,
}

/// Why an id was not answered, this time.
#[derive(Default)]
pub(super) struct Trouble {
    pub(super) message: String,
    pub(super) status: Option<u16>,
}

/// What an id ends with.
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    pub(super) message: String,
    pub(super) status: Option<u16>,
    pub(super) reply_time: Option<Duration>,
    pub(super) row: Option<Box<RawValue>>,
    pub(super) notable: bool,
}

/// A request that goes out, and whom it is for.
pub(super) struct Call {
    pub(super) origin: OriginNumber,
    pub(super) request: Request,
    pub(super) lookups: Vec<Lookup>,
    pub(super) pass: Pass,
}

impl Lookup {
    pub(super) fn new(index: u64, id: Id, origin: OriginNumber, request: Option<Request>) -> Self {
        let request = request.map(Box::new);
        Lookup {
            index,
            id,
            origin,
            request,
            began: None,
            attempts: 0,
            failures: 0,
            invitations: 0,
            excuses: 0,
            kind: Kind::First,
            failed_at: At::ZERO,
            trouble: None,
        }
    }

    /// Work on it begins, unless it has already; then when.
    pub(super) fn begin(&mut self, now: At) -> Option<Timestamp> {
        if self.began.is_some() {
            return None;
        }
        let at = Timestamp::now();
        self.began = Some((at, now));
        Some(at)
    }

    /// It ends.
    pub(super) fn end(mut self, now: At, answer: Answer) -> Finding {
        self.begin(now);
        let (began_at, began) = self.began.unwrap_or_default();
        let Answer { outcome, message, status, reply_time, row, notable } = answer;
        Finding {
            index: self.index,
            id: self.id,
            outcome,
            message,
            status,
            attempts: self.attempts,
            began_at,
            elapsed: now.saturating_sub(began),
            reply_time,
            row,
            notable,
        }
    }
}

impl Answer {
    /// Nobody can say.
    pub(super) const fn unknown(message: String, status: Option<u16>) -> Self {
        let (outcome, reply_time, row, notable) = (Outcome::Unknown, None, None, false);
        Answer { outcome, message, status, reply_time, row, notable }
    }
}
