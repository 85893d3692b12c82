//! Until when a server wants to be left alone. It knows what the server said, and nothing
//! of how many calls there could be otherwise.

use super::At;

/// Waits that a server asked for.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    /// Refusals in a row, each with a time to come again.
    row: u32,
    /// The earliest of those times.
    earliest: Option<At>,
    /// Nothing is sent until then, unless a call in flight is served.
    refused_until: Option<At>,
    /// Nothing is sent until then: the server's quota is used up.
    quiet_until: Option<At>,
}

impl Hold {
    /// Until when nothing may be sent.
    pub(crate) fn until(&self, now: At) -> Option<At> {
        self.refused_until.max(self.quiet_until).filter(|until| *until > now)
    }

    /// A call was refused, with a time to come again. When a whole `round` of calls was
    /// refused, none of that size helps before the first of their times that is to come.
    pub(crate) fn refused(&mut self, now: At, again_at: At, round: u32) {
        self.row = self.row.saturating_add(1);
        let earliest = self.earliest.filter(|earliest| *earliest > now);
        let earliest = earliest.map_or(again_at, |earliest| earliest.min(again_at));
        if self.row >= round {
            *self = Hold {
                refused_until: Some(earliest),
                quiet_until: self.quiet_until,
                ..Hold::default()
            };
        } else {
            self.earliest = Some(earliest);
        }
    }

    /// A call was served: refusals so far were of calls too many, not of all.
    pub(crate) fn served(&mut self) {
        *self = Hold { quiet_until: self.quiet_until, ..Hold::default() };
    }

    /// The server granted nothing more until a time.
    pub(crate) fn quiet(&mut self, until: At) {
        self.quiet_until = self.quiet_until.max(Some(until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const fn s(seconds: u64) -> At {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_whole_round_of_refusals_waits_for_the_earliest_time() {
        let mut hold = Hold::default();
        hold.refused(s(0), s(9), 3);
        hold.refused(s(0), s(4), 3);
        assert_eq!(hold.until(s(1)), None);
        hold.refused(s(0), s(7), 3);
        assert_eq!((hold.until(s(1)), hold.until(s(4))), (Some(s(4)), None));
    }

    #[test]
    fn a_time_that_has_passed_says_nothing_of_what_comes() {
        let mut hold = Hold::default();
        hold.refused(s(0), s(4), 2);
        hold.refused(s(5), s(9), 2);
        assert_eq!(hold.until(s(5)), Some(s(9)));
    }

    #[test]
    fn each_round_counts_anew() {
        let mut hold = Hold::default();
        hold.refused(s(0), s(2), 1);
        hold.refused(s(0), s(5), 2);
        assert_eq!((hold.until(s(1)), hold.until(s(3))), (Some(s(2)), None));
        hold.refused(s(0), s(6), 2);
        assert_eq!(hold.until(s(3)), Some(s(5)));
    }

    #[test]
    fn one_call_served_ends_the_wait_but_not_a_quota() {
        let mut hold = Hold::default();
        hold.refused(s(0), s(9), 1);
        hold.served();
        assert_eq!(hold.until(s(1)), None);
        hold.quiet(s(5));
        hold.quiet(s(3));
        hold.served();
        assert_eq!((hold.until(s(1)), hold.until(s(5))), (Some(s(5)), None));
    }

    #[test]
    fn a_success_breaks_the_row() {
        let mut hold = Hold::default();
        hold.refused(s(0), s(9), 2);
        hold.served();
        hold.refused(s(0), s(9), 2);
        assert_eq!(hold.until(s(1)), None);
    }
}
