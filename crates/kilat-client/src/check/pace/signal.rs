//! What an answer says of its server's health, from its status alone: what it says of an
//! id is for its profile to judge.

use std::time::Duration;

/// Of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// The server answered; what, is another question.
    Served,
    /// It was one call too many, and the server may have said when to come again.
    Refused(Option<Duration>),
    /// The server, or what stands before it, gave no sign in time: likely too much.
    Overloaded,
    /// The server failed, for a reason that has nothing to do with how much it is asked.
    Failed,
    /// Nothing was sent.
    Unsent,
}

impl Signal {
    /// Of a reply with this status, which asked to come again after so long.
    pub(crate) const fn of_status(status: u16, again: Option<Duration>) -> Self {
        match status {
            429 | 503 => Signal::Refused(again),
            502 | 504 => Signal::Overloaded,
            408 | 500.. => Signal::Failed,
            _ => Signal::Served,
        }
    }

    /// Whether less at once might help.
    pub(crate) const fn is_pushback(self) -> bool {
        matches!(self, Signal::Refused(_) | Signal::Overloaded)
    }

    /// Whether a server that goes on like this is not worth asking. One that says when to
    /// come again is alive, and waited for.
    pub(crate) const fn is_trouble(self) -> bool {
        matches!(self, Signal::Refused(None) | Signal::Overloaded | Signal::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_tells_overload_from_failure() {
        let again = Some(Duration::from_secs(1));
        for (status, signal, is_pushback, is_trouble) in [
            (200, Signal::Served, false, false),
            (404, Signal::Served, false, false),
            (301, Signal::Served, false, false),
            (429, Signal::Refused(again), true, false),
            (503, Signal::Refused(again), true, false),
            (502, Signal::Overloaded, true, true),
            (504, Signal::Overloaded, true, true),
            (500, Signal::Failed, false, true),
            (408, Signal::Failed, false, true),
            (599, Signal::Failed, false, true),
        ] {
            let got = Signal::of_status(status, again);
            assert_eq!(
                (got, got.is_pushback(), got.is_trouble()),
                (signal, is_pushback, is_trouble),
                "{status}"
            );
        }
        assert!(Signal::of_status(429, None).is_trouble());
    }
}
