//! Between the reader and the senders: at most a few batches, handed out in
//! order and marked off in order.
//!
//! A batch is handed out when it is full, at the end, or when its first event
//! has waited for [`LINGER`] while a sender was idle, so that a slow stream is
//! not held back.

use super::batch::{Batch, Mark, Origin};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longest that an event waits for others to fill its batch.
const LINGER: Duration = Duration::from_millis(50);
/// Most batches handed out beyond the last one that everything before is acknowledged of.
const AHEAD_BATCHES_MAX: u64 = 4_096;

pub(crate) struct Hopper {
    batch_events: usize,
    /// Most full batches that wait for a sender.
    ready_max: usize,
    inside: Mutex<Inside>,
    changed: Condvar,
}

#[derive(Default)]
struct Inside {
    open: Batch,
    open_since: Option<Instant>,
    ready: VecDeque<Batch>,
    next_number: u64,
    /// Nothing more comes in.
    is_ended: bool,
    /// Nothing more goes out.
    is_shut: bool,
    done: Done,
}

/// What is dealt with, in the order of reading.
#[derive(Default)]
struct Done {
    /// Batches below this one are dealt with.
    next: u64,
    /// Nothing after this counts: a batch was dealt with in part.
    is_final: bool,
    waiting: BTreeMap<u64, (Vec<Mark>, bool)>,
    /// Marks that nobody has fetched yet.
    marks: Vec<Mark>,
}

impl Hopper {
    pub(crate) fn new(batch_events: usize, connections: usize) -> Self {
        Hopper {
            batch_events,
            ready_max: connections,
            inside: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event; `false` when nobody takes any more.
    pub(crate) fn push(&self, line: &[u8], origin: Origin, mark: Mark) -> bool {
        let mut inside = self.lock();
        if !inside.open.has_room(line.len()) && inside.open.len() > 0 {
            inside = self.close_batch(inside);
        }
        if inside.is_shut {
            return false;
        }
        if inside.open.len() == 0 {
            inside.open_since = Some(Instant::now());
            self.changed.notify_one();
        }
        inside.open.push(line, origin);
        inside.open.cover(mark);
        if inside.open.len() >= self.batch_events {
            inside = self.close_batch(inside);
        }
        !inside.is_shut
    }

    /// Everything up to `mark` needs no sending.
    pub(crate) fn pass(&self, mark: Mark) {
        self.lock().open.cover(mark);
    }

    /// Moves the open batch to the full ones, when there is room for it.
    fn close_batch<'a>(&'a self, mut inside: MutexGuard<'a, Inside>) -> MutexGuard<'a, Inside> {
        while inside.ready.len() >= self.ready_max && !inside.is_shut {
            inside = self.changed.wait(inside).unwrap_or_else(PoisonError::into_inner);
        }
        inside.cut();
        self.changed.notify_all();
        inside
    }

    /// Nothing more comes in.
    pub(crate) fn end(&self) {
        let mut inside = self.lock();
        if !inside.is_ended && !inside.open.is_bare() {
            inside = self.close_batch(inside);
        }
        inside.is_ended = true;
        self.changed.notify_all();
    }

    /// Nothing more goes out.
    pub(crate) fn shut(&self) {
        self.lock().is_shut = true;
        self.changed.notify_all();
    }

    /// The next batch; `None` when there is nothing left to do.
    pub(crate) fn take(&self) -> Option<Batch> {
        let mut inside = self.lock();
        loop {
            if inside.is_shut {
                return None;
            }
            let may_go = inside.next_to_go() < inside.done.next + AHEAD_BATCHES_MAX;
            if may_go && inside.ready.is_empty() && inside.has_lingered() {
                inside.cut();
            }
            if let Some(batch) = inside.ready.pop_front_if(|_| may_go) {
                self.changed.notify_all();
                return Some(batch);
            }
            if inside.is_ended && inside.ready.is_empty() {
                return None;
            }
            inside =
                self.changed.wait_timeout(inside, LINGER).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A batch is dealt with: whole, or only as far as `marks` say.
    pub(crate) fn mark_off(&self, number: u64, marks: Vec<Mark>, is_whole: bool) {
        let mut inside = self.lock();
        inside.done.waiting.insert(number, (marks, is_whole));
        inside.done.advance();
        self.changed.notify_all();
    }

    /// How far the inputs are dealt with, as far as that is news.
    pub(crate) fn news(&self) -> Vec<Mark> {
        std::mem::take(&mut self.lock().done.marks)
    }
}

impl Inside {
    fn cut(&mut self) {
        if self.open.is_bare() {
            return;
        }
        let mut batch = std::mem::take(&mut self.open);
        batch.number = self.next_number;
        self.next_number += 1;
        self.open_since = None;
        self.ready.push_back(batch);
    }

    fn next_to_go(&self) -> u64 {
        self.ready.front().map_or(self.next_number, |batch| batch.number)
    }

    fn has_lingered(&self) -> bool {
        self.open_since.is_some_and(|since| since.elapsed() >= LINGER)
    }
}

impl Done {
    fn advance(&mut self) {
        while !self.is_final {
            let Some((marks, is_whole)) = self.waiting.remove(&self.next) else {
                return;
            };
            for mark in marks {
                match self.marks.iter_mut().find(|known| known.input == mark.input) {
                    Some(known) => *known = mark,
                    None => self.marks.push(mark),
                }
            }
            self.next += 1;
            self.is_final = !is_whole;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(line: u64) -> Origin {
        Origin { input: 0, line, offset: (line - 1) * 10 }
    }

    fn mark(lines: u64) -> Mark {
        Mark { input: 0, offset: lines * 10, lines }
    }

    fn push(hopper: &Hopper, lines: std::ops::RangeInclusive<u64>) {
        for line in lines {
            assert!(hopper.push(b"{}", origin(line), mark(line)));
        }
    }

    #[test]
    fn batches_are_full_but_the_last() {
        let hopper = Hopper::new(3, 8);
        push(&hopper, 1..=7);
        hopper.end();
        let sizes: Vec<usize> = std::iter::from_fn(|| hopper.take()).map(|b| b.len()).collect();
        assert_eq!(sizes, [3, 3, 1]);
    }

    #[test]
    fn an_event_that_nobody_follows_goes_out_all_the_same() {
        let hopper = Hopper::new(3, 1);
        push(&hopper, 1..=1);
        assert_eq!(hopper.take().map(|batch| batch.len()), Some(1));
    }

    #[test]
    fn a_body_never_exceeds_its_limit() {
        let hopper = Hopper::new(10_000, 8);
        let line = vec![b' '; 3 << 20];
        for at in 1..=3 {
            hopper.push(&line, origin(at), mark(at));
        }
        hopper.end();
        let mut body = Vec::new();
        for batch in std::iter::from_fn(|| hopper.take()) {
            batch.body(&(0..batch.len()), &mut body);
            assert!(batch.len() == 1 && body.len() <= crate::events::BODY_BYTES_MAX);
        }
    }

    #[test]
    fn marks_move_in_the_order_of_reading() {
        let hopper = Hopper::new(1, 8);
        push(&hopper, 1..=4);
        let mut batches: Vec<Batch> = (0..4).filter_map(|_| hopper.take()).collect();
        let mut off = |at: usize| {
            let batch = std::mem::take(&mut batches[at]);
            hopper.mark_off(at as u64, batch.into_marks(), true);
            hopper.news()
        };
        assert_eq!(off(1), []);
        assert_eq!(off(0), [mark(2)]);
        assert_eq!(off(3), []);
        hopper.mark_off(2, vec![mark(2)], false);
        assert_eq!(hopper.news(), [mark(2)], "nothing counts after a batch dealt with in part");
    }

    #[test]
    fn a_shut_hopper_lets_the_reader_go() {
        let hopper = Hopper::new(1, 1);
        push(&hopper, 1..=1);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| hopper.push(b"{}", origin(2), mark(2)));
            hopper.shut();
            assert!(!reader.join().unwrap());
        });
        assert!(hopper.take().is_none());
    }
}
