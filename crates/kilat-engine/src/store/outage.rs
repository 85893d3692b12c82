//! What callers are told while a store does not answer, and when.
//!
//! Knows nothing of what they asked for.

use super::fault::StoreFault;
use super::ledger_store::LedgerStore;
use super::session::Session;
use super::{ANSWER_WAIT_MAX, AWAY_GRACE, SEND_WAIT_MAX};
use crate::Unavailable;
use crate::intake::{Intake, Queued};
use std::time::Duration;

/// What callers are told after a fault, if they have waited long enough for anything better.
/// `again` says that an attempt may have been carried out.
pub(super) fn verdict<S: LedgerStore, W: Queued>(
    session: &Session<S>,
    intake: &Intake<W>,
    fault: &StoreFault,
    waited: Duration,
    again: bool,
) -> Option<Unavailable> {
    let is_away = without_store(session, intake);
    let why = match fault {
        _ if again => (ANSWER_WAIT_MAX, Unavailable::Unknown),
        StoreFault::Full(_) => (Duration::ZERO, Unavailable::StorageFull),
        StoreFault::Busy(_) => (ANSWER_WAIT_MAX, Unavailable::Overloaded),
        _ if is_away => (Duration::ZERO, Unavailable::Away),
        _ => (SEND_WAIT_MAX, Unavailable::Away),
    };
    (waited >= why.0).then_some(why.1)
}

/// Refuses what waits too long for a store that is away; says whether all is refused at once.
pub(super) fn without_store<S: LedgerStore, W: Queued>(
    session: &Session<S>,
    intake: &Intake<W>,
) -> bool {
    let is_away = session.away_for() >= AWAY_GRACE;
    if is_away {
        intake.suspend(Unavailable::Away);
    }
    let wait = if is_away { Duration::ZERO } else { SEND_WAIT_MAX };
    intake.give_up(wait, Unavailable::Away);
    is_away
}
