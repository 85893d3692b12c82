//! Whether an id that met trouble is asked again, and when.

use super::lookup::Lookup;
use crate::check::pace::{Backoff, Kind, RETRY_AFTER_MAX};
use std::time::Duration;

/// For each retry that the user allows, how often an id may follow a server's invitation
/// to come later: it was not tried then, only told to wait.
const INVITATIONS_PER_RETRY: u32 = 4;

/// What happens to it.
pub(super) enum Again {
    /// It is asked again after so long.
    After(Duration),
    /// It was asked often enough.
    Enough,
    /// Nobody waits as long as the server wants.
    TooLong(Duration),
}

/// What is known of the trouble beside the id that met it.
pub(super) struct Setting {
    /// The server named this time.
    pub(super) invited: Option<Duration>,
    /// The server said that it was too many, and named no time.
    pub(super) is_refused: bool,
    /// The server fails everybody, so that this failure says nothing of this id.
    pub(super) is_troubled: bool,
    /// What the user allows.
    pub(super) retries: u32,
}

/// Decides, and notes in `lookup` what the decision was about.
pub(super) fn again(lookup: &mut Lookup, setting: &Setting, backoff: &mut Backoff) -> Again {
    let retries = setting.retries;
    let told_to_wait = retries.saturating_mul(INVITATIONS_PER_RETRY);
    let (count, most, kind) = match setting {
        Setting { invited: Some(wait), .. } if *wait > RETRY_AFTER_MAX => {
            return Again::TooLong(*wait);
        }
        Setting { invited: Some(_), .. } => (&mut lookup.invitations, told_to_wait, Kind::Invited),
        Setting { is_refused: true, .. } => (&mut lookup.invitations, told_to_wait, Kind::Excused),
        Setting { is_troubled: true, .. } if lookup.excuses < retries => {
            (&mut lookup.excuses, retries, Kind::Excused)
        }
        _ => (&mut lookup.failures, retries, Kind::Own),
    };
    *count += 1;
    lookup.kind = kind;
    if *count > most {
        return Again::Enough;
    }
    Again::After(match setting.invited {
        // Who says "at once" again and again is asked ever more rarely nevertheless.
        Some(wait) => wait.max(backoff.wait(*count)) + backoff.spread(),
        None => backoff.wait(*count),
    })
}
