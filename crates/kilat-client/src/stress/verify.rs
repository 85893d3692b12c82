//! The verification: counters and stored events, held against what was acknowledged.
//!
//! Where an answer was lost nobody knows whether its deliveries were counted,
//! so the counters are held against bounds: what was acknowledged, and that
//! plus everything that may have arrived. Other publishers move the totals
//! too; then the totals must have moved by at least the run's part, and the
//! run's own topic is held against its exact count all the same.

use super::flood::Aftermath;
use super::options::Plan;
use super::readback::{self, ReadBack};
use super::render::Renderer;
use super::told::Bits;
use crate::attack::{Check, CheckResult, Evidence, decide, promised_always};
use crate::events::stats::{Census, Stats};
use crate::http::{Api, CallError, Patience};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The names of all checks, in the order of a report.
pub const CHECKS: &[&str] = &[
    "delivered",
    "replies_true",
    "told_stored",
    "counters_add_up",
    "received_counted",
    "unique_counted",
    "dropped_counted",
    "topic_count",
    "stored_once",
    "same_content",
    "in_order",
];
/// Those that need nothing from the server but its replies.
const CHECKS_OF_REPLIES: usize = 3;
/// Time in which another publisher shows itself by moving a counter.
const OTHERS_SHOW: Duration = Duration::from_millis(500);

/// What the verification found.
pub(crate) struct Verdict {
    pub after: Option<Stats>,
    pub checks: Vec<Check>,
    /// Events of the run that were read back.
    pub found: u64,
    /// Others published at the same time.
    pub others: bool,
}

pub(crate) struct Verifier<'a> {
    pub api: &'a Api,
    pub plan: &'a Plan,
    pub renderer: &'a Renderer,
    pub patience: Patience<'a>,
    pub before: &'a Stats,
    pub census: &'a Census,
    pub aftermath: &'a Aftermath,
}

/// What the run was: from it follows what the server must say.
struct Expected {
    /// Deliveries that the server may have counted.
    received: RangeInclusive<u64>,
    /// Events of the run that may be stored.
    unique: RangeInclusive<u64>,
    dropped: RangeInclusive<u64>,
    /// Events that were sent.
    tried: Bits,
}

struct Testimony {
    after: Stats,
    census: Census,
    /// The run's topic in `/stats`, where it is listed.
    in_stats: Option<u64>,
    stored: ReadBack,
    others: bool,
}

impl Verifier<'_> {
    /// Reads everything back and decides.
    pub(crate) fn verify(&self) -> Verdict {
        let expected = self.expect();
        let mut checks = Vec::from(self.check_replies(&expected));
        match self.read(&expected) {
            Ok(testimony) => {
                checks.extend(self.check_counters(&expected, &testimony));
                checks.push(self.check_topic(&expected, &testimony));
                checks.push(promised_always("stored_once", &testimony.stored.once));
                checks.push(promised_always("same_content", &testimony.stored.content));
                checks.push(promised_always("in_order", &testimony.stored.order));
                let (found, others) = (testimony.stored.found, testimony.others);
                Verdict { after: Some(testimony.after), checks, found, others }
            }
            Err(error) => {
                checks.extend(CHECKS[CHECKS_OF_REPLIES..].iter().map(|name| unread(name, &error)));
                Verdict { after: None, checks, found: 0, others: false }
            }
        }
    }

    fn expect(&self) -> Expected {
        let aftermath = self.aftermath;
        let tried = Bits::new(self.plan.deck.events());
        let mut events = Vec::new();
        for &batch in &aftermath.unknown {
            events.clear();
            self.plan.deck.deal(self.plan.deliveries_of(batch), &mut events);
            for &event in &events {
                tried.set(event);
            }
        }
        let acknowledged = &aftermath.told.acknowledged;
        let events = 0..self.plan.deck.events();
        let unsure = events.filter(|&e| tried.has(e) && !acknowledged.has(e)).count() as u64;
        let least = acknowledged.count();
        let unique = least..=least + unsure;
        let received = aftermath.acknowledged..=aftermath.acknowledged + aftermath.lost;
        let dropped = received.start().saturating_sub(*unique.end())
            ..=received.end().saturating_sub(*unique.start());
        Expected { received, unique, dropped, tried }
    }

    fn check_replies(&self, expected: &Expected) -> [Check; CHECKS_OF_REPLIES] {
        let aftermath = self.aftermath;
        let tried: u64 =
            aftermath.unknown.iter().map(|&batch| length(&self.plan.deliveries_of(batch))).sum();
        let figures = [
            ("deliveries", self.plan.deck.deliveries()),
            ("acknowledged", aftermath.acknowledged),
            ("unknown", tried),
        ];
        let is_whole = aftermath.cancelled || aftermath.acknowledged == self.plan.deck.deliveries();
        let least = expected.unique.start().saturating_sub(aftermath.lost);
        let told = [
            ("stored", aftermath.stored),
            ("events", *expected.unique.start()),
            ("lost", aftermath.lost),
        ];
        let told_holds = (least..=*expected.unique.end()).contains(&aftermath.stored);
        [
            decide("delivered", is_whole, &figures),
            promised_always("replies_true", &aftermath.replies),
            decide("told_stored", told_holds, &told),
        ]
    }

    fn read(&self, expected: &Expected) -> Result<Testimony, CallError> {
        let told = &self.aftermath.told;
        let tried = |event| told.acknowledged.has(event) || expected.tried.has(event);
        let mut after = self.stats()?;
        let topic = &self.plan.topic;
        let census = self.patience.call(|| Census::take(self.api, topic))?;
        let in_stats = self.patience.call(|| Census::in_stats(self.api, topic))?;
        let mut others = census.others > self.census.others;
        if !others && self.moved(&after).0 > *expected.received.end() {
            // More than was sent: a wrong count stays as it is, other publishers go on.
            std::thread::sleep(OTHERS_SHOW);
            let later = self.stats()?;
            others = later.total_events_received > after.total_events_received;
            after = later;
        }
        let stored =
            readback::read(self.api, self.plan, self.renderer, &self.patience, told, tried)?;
        Ok(Testimony { after, census, in_stats, stored, others })
    }

    fn stats(&self) -> Result<Stats, CallError> {
        self.patience.call(|| Stats::fetch(self.api))
    }

    /// By how much received, unique and dropped moved; nothing for one that went back.
    fn moved(&self, after: &Stats) -> (u64, u64, u64) {
        let before = self.before;
        (
            after.total_events_received.saturating_sub(before.total_events_received),
            after
                .total_unique_events_processed
                .saturating_sub(before.total_unique_events_processed),
            after
                .total_duplicate_events_dropped
                .saturating_sub(before.total_duplicate_events_dropped),
        )
    }

    fn check_counters(&self, expected: &Expected, testimony: &Testimony) -> [Check; 4] {
        let after = &testimony.after;
        let sum =
            after.total_unique_events_processed.checked_add(after.total_duplicate_events_dropped);
        let adds_up = sum == Some(after.total_events_received)
            && after.total_conflicts <= after.total_duplicate_events_dropped;
        let figures = [
            ("received", after.total_events_received),
            ("unique", after.total_unique_events_processed),
            ("dropped", after.total_duplicate_events_dropped),
        ];
        let (received, unique, dropped) = self.moved(after);
        let bounded = |name, moved: u64, bounds: &RangeInclusive<u64>| {
            let most = if testimony.others { u64::MAX } else { *bounds.end() };
            let holds = (*bounds.start()..=most).contains(&moved);
            let figures = [("moved", moved), ("least", *bounds.start()), ("most", *bounds.end())];
            let mut check = decide(name, holds, &figures);
            if testimony.others {
                check.evidence.push(Evidence { fault: "others_published", subject: String::new() });
            }
            check
        };
        [
            decide("counters_add_up", adds_up, &figures),
            bounded("received_counted", received, &expected.received),
            bounded("unique_counted", unique, &expected.unique),
            bounded("dropped_counted", dropped, &expected.dropped),
        ]
    }

    /// The topic is the run's own, or was counted before: its count is exact
    /// whoever else publishes elsewhere.
    fn check_topic(&self, expected: &Expected, testimony: &Testimony) -> Check {
        let before = self.census.ours;
        let added = |count: u64| count.checked_sub(before);
        let in_topics = testimony.census.ours;
        let in_stats = testimony.in_stats.unwrap_or(in_topics);
        let holds = [in_stats, in_topics]
            .into_iter()
            .all(|count| added(count).is_some_and(|added| expected.unique.contains(&added)))
            && expected.unique.contains(&testimony.stored.found);
        let figures = [
            ("stats", in_stats),
            ("topics", in_topics),
            ("read", testimony.stored.found),
            ("least", before + expected.unique.start()),
            ("most", before + expected.unique.end()),
        ];
        decide("topic_count", holds, &figures)
    }
}

fn length(range: &std::ops::Range<u64>) -> u64 {
    range.end - range.start
}

fn unread(name: &'static str, error: &CallError) -> Check {
    let subject = match error {
        CallError::Unreachable(why) | CallError::Unreadable(why) => why.clone(),
        CallError::Refused { status, .. } => status.to_string(),
    };
    let evidence = vec![Evidence { fault: "not_readable", subject }];
    Check { name, result: CheckResult::Failed, figures: BTreeMap::new(), evidence }
}
