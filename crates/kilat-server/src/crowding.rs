//! How many requests may be in flight, learnt from callers who leave before they are answered.
//!
//! While everybody waits, everybody is served, however long it takes: to buyers who wait, a late
//! reply is worth more than an early refusal. Once many leave, what was done for them is lost, and
//! more of it makes the next leave, too. Then few are let in until what is in flight is done: more
//! would only wait behind it. After that places grow as a sender's window does in TCP after a loss
//! (RFC 5681), with callers who left in place of packets lost: with each answer up to a part of what
//! was too much, then by one each time as many were answered, and by more the longer all of them stay:
//! when the impatient are gone, the patient are soon all served again. Who is not let in is told so at
//! once, which costs little, and not all to come again at the same time.
//!
//! Who leaves at once, or ends sending with the request, has not lost patience: neither is counted.
//!
//! Must never know requests or sockets. Time enters as data.

use std::time::{Duration, Instant};

/// Requests in flight that are let in whatever happens: fewer would not fill a batch.
const LET_IN_MIN: usize = 128;
/// Places grow fast up to one of so many that were too many.
const SAFE_SHARE: usize = 8;
/// Longest time after which those who are turned away may come again, in seconds; the shortest is 1.
const RETRY_AFTER_MAX: u32 = 4;
/// Who leaves sooner did not wait for the reply.
const WAIT_MIN: Duration = Duration::from_millis(10);
/// One caller who left of so many is what happens anyhow.
const LEFT_SHARE: usize = 8;
/// Places grow twice as fast each time that many times as many were answered as there are.
const STEADY_TIMES: u32 = 16;
/// Fastest growth, as a power of two: with it all there may be come back at once.
const STEP_LOG_MAX: u32 = 12;
/// Callers who must have left before anything is learnt from it.
const LEFT_MIN: usize = 16;
/// Requests after which those who left are counted anew.
const COUNTED_MAX: usize = 512;

const _: () = assert!(LEFT_MIN * LEFT_SHARE <= COUNTED_MAX);

/// The requests of one thread.
#[derive(Debug)]
pub(crate) struct Crowding {
    in_flight: usize,
    /// Most of them; none while nobody leaves.
    most: Option<usize>,
    /// How far it grows fast.
    safe: usize,
    /// Of those in flight, how many were let in before `most` was lowered, and say nothing about it.
    stale: usize,
    counted: Counted,
    /// Whether somebody was turned away since then.
    was_full: bool,
    /// When somebody was turned away last, or `most` was lowered.
    pressed: Instant,
    /// Answered since `most` grew.
    answered: usize,
    /// How often it grew by then, with nobody too many.
    steady: u32,
    turned_away: u32,
    memory: Duration,
}

/// Requests that are over.
#[derive(Debug, Default)]
struct Counted {
    all: usize,
    left: usize,
    /// Most that were in flight meanwhile, and in the time that was counted before.
    peak: usize,
    peak_before: usize,
}

impl Crowding {
    /// Nobody has left so far. It is forgotten that callers left when nobody had to be turned away
    /// for `memory`.
    pub(crate) fn new(memory: Duration, now: Instant) -> Crowding {
        Crowding {
            in_flight: 0,
            most: None,
            safe: 0,
            stale: 0,
            counted: Counted::default(),
            was_full: false,
            pressed: now,
            answered: 0,
            steady: 0,
            turned_away: 0,
            memory,
        }
    }

    /// Whether callers may be turned away now.
    pub(crate) const fn is_limited(&self) -> bool {
        self.most.is_some()
    }

    /// Whether a request may be carried out, which is in flight then. Of those whose caller
    /// `has_left`, as far as one can see, fewer are: the places are for others.
    pub(crate) fn admit(&mut self, has_left: bool, now: Instant) -> bool {
        if let Some(most) = self.most {
            if self.in_flight >= if has_left { most / 2 } else { most } {
                self.pressed = now;
                self.was_full = true;
                return false;
            }
            if now.saturating_duration_since(self.pressed) > self.memory {
                self.most = None;
            }
        }
        self.in_flight += 1;
        self.counted.peak = self.counted.peak.max(self.in_flight);
        true
    }

    /// A request that was let in says nothing: it is not carried out here after all, or its caller
    /// had left before, or was counted before.
    pub(crate) fn withdraw(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// A request that was in flight since then is over; its caller has left meanwhile, or is
    /// answered.
    pub(crate) fn settle(&mut self, has_left: bool, since: Instant, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.stale > 0 {
            self.stale -= 1;
            return;
        }
        self.grow();
        self.counted.all += 1;
        let has_waited = now.saturating_duration_since(since) >= WAIT_MIN;
        self.counted.left += usize::from(has_left && has_waited);
        if self.counted.are_too_many() {
            self.shrink(now);
        }
        if self.counted.all >= COUNTED_MAX {
            self.counted.begin(self.in_flight);
        }
    }

    fn shrink(&mut self, now: Instant) {
        let peak = self.counted.peak.max(self.counted.peak_before);
        let before = match self.most {
            Some(most) if self.was_full => most,
            Some(most) => most.min(peak),
            None => peak,
        };
        self.most = Some(LET_IN_MIN);
        self.safe = before / SAFE_SHARE;
        self.pressed = now;
        self.stale = self.in_flight;
        self.counted.begin(self.in_flight);
        (self.answered, self.steady, self.was_full) = (0, 0, false);
    }

    /// One more place with each answer, later some more each time as many were answered as there
    /// are.
    fn grow(&mut self) {
        let Some(most) = &mut self.most else {
            return;
        };
        self.answered += 1;
        if *most < self.safe {
            (*most, self.answered) = (*most + 1, 0);
        } else if self.answered >= *most {
            *most += 1 << (self.steady / STEADY_TIMES).min(STEP_LOG_MAX);
            (self.answered, self.steady) = (0, self.steady.saturating_add(1));
        }
    }

    /// Seconds after which somebody who is turned away may come again: others later than others.
    pub(crate) const fn retry_after(&mut self) -> u32 {
        self.turned_away = self.turned_away.wrapping_add(1);
        1 + self.turned_away % RETRY_AFTER_MAX
    }
}

impl Counted {
    /// Counts anew.
    const fn begin(&mut self, in_flight: usize) {
        *self = Counted { all: 0, left: 0, peak: in_flight, peak_before: self.peak };
    }

    const fn are_too_many(&self) -> bool {
        self.left >= LEFT_MIN && self.left * LEFT_SHARE >= self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: Duration = Duration::from_secs(1);

    struct Thread {
        crowding: Crowding,
        now: Instant,
    }

    impl Thread {
        fn new() -> Thread {
            let now = Instant::now();
            Thread { crowding: Crowding::new(MEMORY, now), now }
        }

        /// How many of so many who come now are let in.
        fn come(&mut self, count: usize) -> usize {
            (0..count).filter(|_| self.crowding.admit(false, self.now)).count()
        }

        /// So many are answered, of whom the last have left after they waited.
        fn answer(&mut self, count: usize, left: usize) {
            let since = self.now;
            self.now += WAIT_MIN;
            (0..count).for_each(|n| self.crowding.settle(n + left >= count, since, self.now));
        }
    }

    #[test]
    fn who_waits_is_let_in_however_many_they_are() {
        let mut thread = Thread::new();
        for _ in 0..10 {
            assert_eq!(thread.come(100_000), 100_000);
            thread.answer(100_000, LEFT_MIN - 1);
        }
        assert!(!thread.crowding.is_limited());
    }

    #[test]
    fn a_few_who_leave_change_nothing() {
        let mut thread = Thread::new();
        for _ in 0..10_000 {
            assert_eq!(thread.come(LEFT_SHARE + 2), LEFT_SHARE + 2);
            thread.answer(LEFT_SHARE + 2, 1);
        }
        assert!(!thread.crowding.is_limited());
    }

    #[test]
    fn those_who_are_let_in_stay_and_are_as_many_as_can() {
        for (crowd, patience) in [(10_000, 3_000), (2_000, 1_999), (2_000, 600), (200, 1)] {
            let mut thread = Thread::new();
            let mut let_in = thread.come(crowd);
            assert_eq!(let_in, crowd);
            for _ in 0..3_000 {
                // Who comes behind too many others leaves.
                thread.answer(let_in, let_in.saturating_sub(patience));
                let_in = thread.come(crowd);
                let most = patience + patience / LEFT_SHARE + 4 * LEFT_MIN;
                assert!(let_in <= most.max(LET_IN_MIN), "{crowd} {patience}: {let_in}");
            }
        }
    }

    #[test]
    fn who_did_not_wait_says_nothing() {
        let mut thread = Thread::new();
        for _ in 0..100 {
            thread.come(1_000);
            let soon = thread.now + WAIT_MIN - Duration::from_micros(1);
            (0..1_000).for_each(|_| thread.crowding.settle(true, thread.now, soon));
        }
        assert!(!thread.crowding.is_limited());
    }

    #[test]
    fn the_patient_are_soon_all_let_in_again() {
        let mut thread = Thread::new();
        thread.come(1_200);
        thread.answer(1_200, 1_200);
        let mut times = 0;
        while thread.come(1_200) < 1_200 {
            thread.answer(thread.crowding.in_flight, 0);
            times += 1;
        }
        assert!(times < 100, "{times}");
    }

    #[test]
    fn those_who_came_before_say_nothing_about_the_places_after() {
        let mut thread = Thread::new();
        thread.come(1_000);
        thread.answer(1_000, 1_000);
        assert_eq!(thread.come(1_000), LET_IN_MIN);
    }

    #[test]
    fn places_grow_with_each_answer_and_then_with_as_many_as_there_are() {
        let mut thread = Thread::new();
        let before = 3 * LET_IN_MIN * SAFE_SHARE;
        thread.come(before);
        thread.answer(before, before);
        for expected in [1, 2, 3].map(|times| times * LET_IN_MIN) {
            assert_eq!(thread.come(before), expected);
            thread.answer(expected, 0);
        }
        let places = 3 * LET_IN_MIN;
        for more in 1..10 {
            assert_eq!(thread.come(before), places + more);
            thread.answer(places + more, 0);
        }
    }

    #[test]
    fn who_is_turned_away_comes_again_at_another_time_than_the_next() {
        let mut thread = Thread::new();
        let mut times: Vec<u32> = (0..8).map(|_| thread.crowding.retry_after()).collect();
        times.sort_unstable();
        assert_eq!(times, [1, 1, 2, 2, 3, 3, 4, 4]);
    }

    #[test]
    fn who_has_left_gets_half_of_the_places() {
        let mut thread = Thread::new();
        let gone = |thread: &mut Thread| {
            (0..1_000).filter(|_| thread.crowding.admit(true, thread.now)).count()
        };
        assert_eq!(gone(&mut thread), 1_000, "nobody knows yet that many do");
        thread.answer(1_000, 1_000);
        let let_in = gone(&mut thread);
        assert_eq!(thread.come(1_000), let_in + let_in % 2, "the other half is for others");
    }

    #[test]
    fn it_is_forgotten_when_nobody_had_to_be_turned_away_for_long() {
        let mut thread = Thread::new();
        thread.come(1_000);
        thread.answer(1_000, 1_000);
        thread.now += MEMORY;
        assert!(thread.come(1_000) < 1_000, "not yet");
        thread.now += MEMORY - WAIT_MIN;
        thread.answer(1, 0);
        assert!(thread.come(1) == 1 && thread.crowding.is_limited(), "the last was just then");
        thread.answer(1, 0);
        assert_eq!((thread.come(1), thread.come(1_000)), (1, 1_000));
    }
}
