//! What a run found, added up in bounded memory: counts, latencies, and the first few findings
//! of each kind.

use crate::check::{Finding, Outcome};
use crate::latency::histogram;
use hdrhistogram::Histogram;
use std::time::Duration;

/// Findings that are shown one by one when a run has no more than these.
pub(crate) const LISTED_MAX: usize = 30;
/// Findings of each noteworthy kind that are shown of a longer run.
pub(crate) const EXAMPLES_MAX: usize = 20;

/// Findings by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) found: u64,
    pub(crate) not_found: u64,
    pub(crate) unknown: u64,
    /// Of those above, the ones that people should see.
    pub(crate) notable: u64,
}

/// What is kept of a finding to show it.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) index: u64,
    pub(crate) id: String,
    pub(crate) outcome: Outcome,
    pub(crate) kind: Kind,
    pub(crate) message: String,
    pub(crate) elapsed: Duration,
}

/// How a finding is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Its profile says that people should see it, such as stock 0.
    Notable,
    Unknown,
    NotFound,
    Found,
}

/// A run's findings so far.
pub(crate) struct Tally {
    counts: Counts,
    /// Microseconds from sending the request that decided until its reply was whole.
    replies_us: Histogram<u64>,
    kept_max: usize,
    /// By [`Kind`], at most `kept_max` of each.
    kept: [Vec<Shown>; 4],
}

impl Counts {
    /// All ids that ended.
    pub(crate) fn all(self) -> u64 {
        self.found + self.not_found + self.unknown
    }
}

impl Kind {
    /// In the order in which people look at them.
    pub(crate) const ALL: [Kind; 4] = [Kind::Notable, Kind::Unknown, Kind::NotFound, Kind::Found];

    /// How `finding` is shown.
    pub(crate) fn of(finding: &Finding) -> Kind {
        match finding.outcome {
            _ if finding.notable => Kind::Notable,
            Outcome::Unknown => Kind::Unknown,
            Outcome::NotFound => Kind::NotFound,
            Outcome::Found => Kind::Found,
        }
    }
}

impl Shown {
    fn of(finding: &Finding) -> Shown {
        Shown {
            index: finding.index,
            id: finding.id.as_str().to_owned(),
            outcome: finding.outcome,
            kind: Kind::of(finding),
            message: finding.message.clone(),
            elapsed: finding.elapsed,
        }
    }
}

impl Tally {
    /// Keeps the first `kept_max` findings of each kind.
    pub(crate) fn new(kept_max: usize) -> Tally {
        Tally {
            counts: Counts::default(),
            replies_us: histogram(),
            kept_max: kept_max.max(LISTED_MAX),
            kept: Default::default(),
        }
    }

    /// Adds one finding.
    pub(crate) fn add(&mut self, finding: &Finding) {
        let count = match finding.outcome {
            Outcome::Found => &mut self.counts.found,
            Outcome::NotFound => &mut self.counts.not_found,
            Outcome::Unknown => &mut self.counts.unknown,
        };
        *count += 1;
        self.counts.notable += u64::from(finding.notable);
        if let Some(time) = finding.reply_time {
            self.replies_us.saturating_record(time.as_micros().try_into().unwrap_or(u64::MAX));
        }
        let kept = &mut self.kept[Kind::of(finding) as usize];
        if kept.len() < self.kept_max {
            kept.push(Shown::of(finding));
        }
    }

    /// Findings by outcome.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Times of the replies that decided, in microseconds.
    pub(crate) fn replies_us(&self) -> &Histogram<u64> {
        &self.replies_us
    }

    /// The first `most` of `kind` that are kept, in the order of the ids.
    pub(crate) fn first(&self, kind: Kind, most: usize) -> Vec<&Shown> {
        let mut found: Vec<&Shown> = self.kept[kind as usize].iter().take(most).collect();
        found.sort_unstable_by_key(|shown| shown.index);
        found
    }

    /// All findings in the order of the ids, if they are few enough to list.
    pub(crate) fn listed(&self) -> Option<Vec<&Shown>> {
        if self.counts.all() > LISTED_MAX as u64 {
            return None;
        }
        let mut found: Vec<&Shown> = self.kept.iter().flatten().collect();
        found.sort_unstable_by_key(|shown| shown.index);
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::show::sample::{finding, notable};

    #[test]
    fn counts_add_up_and_memory_is_bounded() {
        let mut tally = Tally::new(0);
        for n in 0..100u64 {
            tally.add(&finding(99 - n, "id", Outcome::Found, "m"));
        }
        assert!(tally.listed().is_none(), "too many to list");
        tally.add(&finding(200, "b", Outcome::Unknown, "m"));
        tally.add(&finding(201, "c", Outcome::NotFound, "m"));
        tally.add(&notable(202, "d", "m"));
        let expected = Counts { found: 101, not_found: 1, unknown: 1, notable: 1 };
        assert_eq!(tally.counts(), expected);
        assert_eq!(tally.counts().all(), 103);
        let found = tally.first(Kind::Found, usize::MAX);
        assert_eq!(found.len(), LISTED_MAX);
        assert!(found.is_sorted_by_key(|shown| shown.index));
        assert_eq!(tally.first(Kind::Notable, 5)[0].id, "d");
    }

    #[test]
    fn a_short_run_is_listed_in_the_order_of_its_ids() {
        let mut tally = Tally::new(0);
        for (index, outcome) in [(2, Outcome::Found), (0, Outcome::NotFound), (1, Outcome::Unknown)]
        {
            tally.add(&finding(index, "id", outcome, "m"));
        }
        let indexes: Vec<u64> = tally.listed().unwrap().iter().map(|shown| shown.index).collect();
        assert_eq!(indexes, [0, 1, 2]);
    }
}
