//! Whether an id that met trouble is asked again, and when.

use super::lookup::Lookup;
use crate::check::pace::{Jitter, Kind, RETRY_AFTER_MAX};
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
    /// The server named this time, under whatever status.
    pub(super) named: Option<Duration>,
    /// It named it because this was too many, and nothing failed.
    pub(super) is_invited: bool,
    /// The server said that it was too many, and named no time.
    pub(super) is_refused: bool,
    /// The server fails everybody, so that this failure says nothing of this id.
    pub(super) is_troubled: bool,
    /// What the user allows.
    pub(super) retries: u32,
    /// Of the waits of all ids of the call.
    pub(super) jitter: Jitter,
}

/// Decides, and notes in `lookup` what the decision was about.
pub(super) fn again(lookup: &mut Lookup, setting: &Setting) -> Again {
    let Setting { retries, jitter, .. } = *setting;
    let told_to_wait = retries.saturating_mul(INVITATIONS_PER_RETRY);
    let (count, most, kind) = match setting {
        Setting { named: Some(wait), .. } if *wait > RETRY_AFTER_MAX => {
            return Again::TooLong(*wait);
        }
        Setting { is_invited: true, .. } => (&mut lookup.invitations, told_to_wait, Kind::Invited),
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
    Again::After(match setting.named {
        // Who says "at once" again and again is asked ever more rarely nevertheless.
        Some(wait) => wait.max(jitter.wait(*count)) + jitter.spread(),
        None => jitter.wait(*count),
    })
}
