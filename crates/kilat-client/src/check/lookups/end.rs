//! How a run ended, and what it came to.

use crate::check::pace::RETRY_AFTER_MAX;
use crate::{ClientError, Lang};
use std::time::Duration;

/// The end of a run.
#[derive(Debug)]
pub(crate) struct RunEnd {
    pub(crate) why: Why,
    /// Ids that were recorded as ended.
    #[cfg_attr(not(test), expect(dead_code, reason = "the log counts too; tests compare"))]
    pub(crate) recorded: u64,
    /// Ids that were read and not recorded.
    #[cfg_attr(not(test), expect(dead_code, reason = "resuming finds them; tests compare"))]
    pub(crate) left: u64,
    pub(crate) totals: Totals,
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Every id has ended.
    Finished,
    /// Somebody stopped it.
    Stopped,
    /// Its time was over.
    Deadline,
    /// A server failed for so long that nobody waits any more.
    Failing { host: String, since: Duration },
    /// A server wants to be left alone for longer than anybody waits.
    Closed { host: String, wait: Duration },
    /// The next id can't be read.
    Input(ClientError),
    /// Nothing more can be recorded; the log says why.
    Log,
}

/// What went over the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Requests sent.
    pub(crate) requests: u64,
    /// Of these: sent again after trouble.
    pub(crate) retries: u64,
    /// Of these: sent beside a slow one.
    pub(crate) hedges: u64,
    /// Answers that asked for less.
    pub(crate) pushbacks: u64,
    /// Of these: there was no connection for them.
    pub(crate) unreachable: u64,
    /// Most requests under way at once.
    pub(crate) in_flight_most: u32,
    /// Of all replies.
    reply_time_longest: Duration,
    /// Of all replies.
    reply_time_sum: Duration,
}

impl Totals {
    /// A reply took so long.
    pub(super) fn replied(&mut self, took: Duration) {
        self.reply_time_longest = self.reply_time_longest.max(took);
        self.reply_time_sum += took;
    }

    /// Something was sent, and nobody was there.
    pub(crate) fn nobody_answers(&self) -> bool {
        self.requests > 0 && self.unreachable == self.requests
    }

    /// The least that the run could have taken: as long as its slowest reply, and as long
    /// as all replies need with as many at once as there were.
    pub(crate) fn floor(&self) -> Duration {
        let shared = self.reply_time_sum / self.in_flight_most.max(1);
        shared.max(self.reply_time_longest)
    }
}

impl RunEnd {
    /// Every id has ended.
    pub(crate) fn is_complete(&self) -> bool {
        self.why == Why::Finished
    }

    /// Why it is not complete, in one sentence.
    pub(crate) fn reason(&self, lang: Lang) -> Option<String> {
        let seconds = |time: &Duration| lang.number(time.as_secs_f64().ceil() as u64);
        Some(match &self.why {
            Why::Finished => return None,
            Why::Stopped => lang.say("lookups.stopped", &[]),
            Why::Deadline => lang.say("lookups.deadline", &[]),
            Why::Failing { host, since } => {
                // Noticed a moment later: not a second more than the user said.
                let since = lang.number(since.as_secs_f64().round() as u64);
                let values: [(&str, &dyn std::fmt::Display); 2] =
                    [("host", host), ("seconds", &since)];
                lang.say("lookups.failing", &values)
            }
            Why::Closed { host, wait } => lang.say(
                "lookups.closed",
                &[
                    ("host", host),
                    ("seconds", &seconds(wait)),
                    ("most", &seconds(&RETRY_AFTER_MAX)),
                ],
            ),
            Why::Input(error) => error.to_string(),
            Why::Log => lang.say("lookups.log", &[]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_the_time_that_the_user_named() {
        let host = || "api.example".to_owned();
        for (why, says) in [
            (Why::Failing { host: host(), since: Duration::from_millis(5_003) }, " 5 s"),
            (Why::Closed { host: host(), wait: Duration::from_millis(300_997) }, " 301 s"),
        ] {
            let (recorded, left, totals) = (0, 0, Totals::default());
            let reason = RunEnd { why, recorded, left, totals }.reason(Lang::English);
            assert!(reason.as_ref().is_some_and(|text| text.contains(says)), "{reason:?}");
        }
    }

    #[test]
    fn the_floor_is_the_slowest_reply_or_the_shared_time_of_all() {
        let floor = |in_flight_most, replies_ms: &[u64]| {
            let mut totals = Totals { in_flight_most, ..Totals::default() };
            replies_ms.iter().for_each(|ms| totals.replied(Duration::from_millis(*ms)));
            totals.floor().as_millis()
        };
        for (in_flight_most, replies_ms, floor_ms) in
            [(0, &[][..], 0), (3, &[400, 200, 600], 600), (1, &[400, 200, 600], 1_200)]
        {
            assert_eq!(floor(in_flight_most, replies_ms), floor_ms);
        }
    }
}
