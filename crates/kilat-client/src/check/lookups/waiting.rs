//! Ids that are not in flight: those that wait for their time, and by server those that
//! only wait for a place. An id whose time has come goes before ids that were never asked.

use super::lookup::Lookup;
use crate::check::pace::{At, Kind, OriginNumber};
use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

/// How long a request for several ids waits to be filled.
const BATCH_LINGER: Duration = Duration::from_millis(10);

/// All ids that are held and not in flight. Its bound is its user's.
pub(super) struct Waiting {
    /// Ids that a request holds.
    batch: usize,
    later: BinaryHeap<Reverse<Later>>,
    /// By server.
    lines: Vec<Line>,
    /// Servers whose line is not empty, the next one first.
    turns: VecDeque<OriginNumber>,
    /// Ids in lines that were never asked.
    fresh: usize,
    /// All others: those that are to be asked again.
    again: usize,
    /// Ids that were told to wait so far: who comes first among equals.
    told: u64,
    /// No new ids come, so that a request needs not wait to be filled.
    is_last: bool,
}

/// An id that is asked again at a time.
struct Later {
    at: At,
    number: u64,
    lookup: Lookup,
}

/// Ids that go as soon as their server lets them.
#[derive(Default)]
struct Line {
    again: VecDeque<Lookup>,
    fresh: VecDeque<Lookup>,
    /// When the first fresh one came, or became the first.
    fresh_since: At,
}

impl Waiting {
    pub(super) fn new(batch: usize) -> Self {
        Waiting {
            batch: batch.max(1),
            later: BinaryHeap::new(),
            lines: Vec::new(),
            turns: VecDeque::new(),
            fresh: 0,
            again: 0,
            told: 0,
            is_last: false,
        }
    }

    /// Ids that were never asked.
    pub(super) const fn fresh(&self) -> usize {
        self.fresh
    }

    /// Ids that are to be asked again.
    pub(super) const fn again(&self) -> usize {
        self.again
    }

    /// Adds one that was never asked.
    pub(super) fn enter(&mut self, now: At, lookup: Lookup) {
        let line = self.line(lookup.origin);
        if line.fresh.is_empty() {
            line.fresh_since = now;
        }
        line.fresh.push_back(lookup);
        self.fresh += 1;
    }

    /// Adds one that is to be asked again at a time.
    pub(super) fn enter_later(&mut self, at: At, lookup: Lookup) {
        self.told += 1;
        self.again += 1;
        self.later.push(Reverse(Later { at, number: self.told, lookup }));
    }

    /// No new ids come.
    pub(super) fn close(&mut self) {
        self.is_last = true;
    }

    /// Moves those whose time has come into the lines.
    pub(super) fn wake(&mut self, now: At) {
        while self.later.peek().is_some_and(|Reverse(later)| later.at <= now) {
            if let Some(Reverse(Later { lookup, .. })) = self.later.pop() {
                self.line(lookup.origin).again.push_back(lookup);
            }
        }
    }

    /// The next server, in turn, that has someone waiting and that `admits` says yes to. It keeps
    /// its turn until [`Waiting::take`]: what comes between may yet say no.
    pub(super) fn next(
        &mut self,
        now: At,
        mut admits: impl FnMut(OriginNumber) -> bool,
    ) -> Option<OriginNumber> {
        for _ in 0..self.turns.len() {
            let origin = *self.turns.front()?;
            if self.lines[origin.index()].goes_at(self.batch, self.is_last) <= now && admits(origin)
            {
                return Some(origin);
            }
            self.turns.rotate_left(1);
        }
        None
    }

    /// Takes as many from a server's line as a request holds; all came about in one way.
    pub(super) fn take(&mut self, now: At, origin: OriginNumber) -> Vec<Lookup> {
        let line = &mut self.lines[origin.index()];
        let is_again = !line.again.is_empty();
        let from = if is_again { &mut line.again } else { &mut line.fresh };
        let kind = from.front().map_or(Kind::First, |lookup| lookup.kind);
        let alike = from.iter().take(self.batch).take_while(|lookup| lookup.kind == kind);
        let count = alike.count();
        let taken: Vec<Lookup> = from.drain(..count).collect();
        if !is_again {
            line.fresh_since = now;
        }
        let is_done = line.is_empty();
        *if is_again { &mut self.again } else { &mut self.fresh } -= count;
        self.turns.retain(|turn| *turn != origin);
        if !is_done {
            self.turns.push_back(origin);
        }
        taken
    }

    /// Puts some back that were taken, to be the next.
    pub(super) fn put_back(&mut self, origin: OriginNumber, lookups: Vec<Lookup>) {
        let is_fresh = lookups.first().is_some_and(|lookup| lookup.kind == Kind::First);
        *if is_fresh { &mut self.fresh } else { &mut self.again } += lookups.len();
        let line = self.line(origin);
        let to = if is_fresh { &mut line.fresh } else { &mut line.again };
        lookups.into_iter().rev().for_each(|lookup| to.push_front(lookup));
    }

    /// Forgets all ids of a server; returns how many.
    pub(super) fn drop_origin(&mut self, origin: OriginNumber) -> usize {
        let before = self.fresh + self.again;
        let held_later = self.later.len();
        self.later.retain(|Reverse(later)| later.lookup.origin != origin);
        self.again -= held_later - self.later.len();
        if let Some(line) = self.lines.get_mut(origin.index()) {
            let Line { again, fresh, .. } = std::mem::take(line);
            self.again -= again.len();
            self.fresh -= fresh.len();
        }
        self.turns.retain(|turn| *turn != origin);
        before - (self.fresh + self.again)
    }

    /// Forgets all ids; returns how many.
    pub(super) fn drop_all(&mut self) -> usize {
        let dropped = self.fresh + self.again;
        *self = Waiting { told: self.told, is_last: self.is_last, ..Waiting::new(self.batch) };
        dropped
    }

    /// When the next one's time comes.
    pub(super) fn next_later(&self) -> Option<At> {
        self.later.peek().map(|Reverse(later)| later.at)
    }

    /// The servers whose line is not empty, and from when on their first may go.
    pub(super) fn lines(&self) -> impl Iterator<Item = (OriginNumber, At)> {
        let goes_at = |origin: &OriginNumber| {
            (*origin, self.lines[origin.index()].goes_at(self.batch, self.is_last))
        };
        self.turns.iter().map(goes_at)
    }

    /// The line of a server, which is about to get someone.
    fn line(&mut self, origin: OriginNumber) -> &mut Line {
        if self.lines.len() <= origin.index() {
            self.lines.resize_with(origin.index() + 1, Line::default);
        }
        let line = &mut self.lines[origin.index()];
        if line.is_empty() {
            self.turns.push_back(origin);
        }
        line
    }
}

impl Line {
    fn is_empty(&self) -> bool {
        self.again.is_empty() && self.fresh.is_empty()
    }

    /// From when on its first may go, as far as it depends on the line.
    fn goes_at(&self, batch: usize, is_last: bool) -> At {
        let is_full = !self.again.is_empty() || self.fresh.len() >= batch;
        if is_full || is_last { At::ZERO } else { self.fresh_since + BATCH_LINGER }
    }
}

impl PartialEq for Later {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Later {}

impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Later {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Id;

    const fn ms(ms: u64) -> At {
        Duration::from_millis(ms)
    }

    fn lookup(index: u64, kind: Kind) -> Lookup {
        let id = Id::new(&index.to_string()).unwrap();
        let mut lookup = Lookup::new(index, id, OriginNumber::default(), None);
        lookup.kind = kind;
        lookup
    }

    #[test]
    fn new_ids_wait_no_longer_for_company_because_others_are_asked_again() {
        let mut waiting = Waiting::new(10);
        waiting.enter(ms(0), lookup(0, Kind::First));
        for index in 1..4 {
            waiting.enter_later(ms(3 * index), lookup(index, Kind::Own));
            waiting.wake(ms(3 * index));
            let origin = waiting.next(ms(3 * index), |_| true).unwrap();
            assert_eq!(waiting.take(ms(3 * index), origin)[0].index, index);
            assert_eq!(waiting.next(ms(3 * index), |_| true), None);
        }
        let origin = waiting.next(BATCH_LINGER, |_| true).unwrap();
        assert_eq!(waiting.take(BATCH_LINGER, origin)[0].index, 0);
    }

    /// What one of them may cost, the others may not.
    #[test]
    fn ids_go_together_when_they_came_about_in_one_way() {
        let mut waiting = Waiting::new(3);
        let kinds = [Kind::Invited, Kind::Invited, Kind::Own, Kind::Excused, Kind::Excused];
        for (index, kind) in (0..).zip(kinds) {
            waiting.enter_later(At::ZERO, lookup(index, kind));
        }
        waiting.wake(At::ZERO);
        let mut taken = Vec::new();
        while waiting.again() > 0 {
            taken.push(waiting.take(At::ZERO, OriginNumber::default()).len());
        }
        assert_eq!(taken, [2, 1, 2]);
    }
}
