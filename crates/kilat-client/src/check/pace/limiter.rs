//! How many calls may be in flight at once: additive increase, multiplicative decrease
//! (Chiu and Jain, 1989), by what the server pushes back. Never looks at a clock.

/// Where a limit starts to be looked for when the user names none.
const START: u32 = 16;
/// Above this many the raise of a round is a share and no longer 1, so that the time to
/// come back from a cut does not grow with the limit (Scalable TCP, Kelly 2003).
const RAISE_SHARE: u32 = 64;
/// Pushbacks of one round count from this share of the limit on, and never need to be
/// more than that: one lost call among thousands is bad luck and not overload.
const PUSHBACK_SHARE: u32 = 100;

/// Counts calls in flight and says whether there may be one more.
///
/// A round is what is sent between two cuts, or as many successes as the limit has
/// places. Calls sent before the last cut say nothing about the limit after it, so they
/// can neither cut nor raise it.
///
/// Two ways of rising: one for each success, which doubles the limit in a round, as long as
/// it is far from where pushback is expected; one for each round beyond. Two ways of
/// sinking: see [`Limiter::cut`].
#[derive(Debug)]
pub(crate) struct Limiter {
    is_fixed: bool,
    limit: u32,
    most: u32,
    /// Below this it rises with each success.
    ramp_to: u32,
    in_flight: u32,
    /// Number of cuts so far.
    cuts: u32,
    /// Calls sent since the last cut and served.
    served: u32,
    round: Round,
}

/// What came back of calls sent since the last cut.
#[derive(Debug)]
struct Round {
    /// Successes that make it whole: the limit when it began.
    size: u32,
    successes: u32,
    pushbacks: u32,
    /// Most calls in flight in it: a limit that nobody reaches proves nothing.
    peak: u32,
}

/// The place of one call, given back exactly once.
#[derive(Debug)]
#[must_use = "a place that is not given back is lost"]
pub(crate) struct Place {
    cuts: u32,
}

impl Limiter {
    /// As many as the user said, for ever.
    pub(crate) fn fixed(limit: u32) -> Self {
        Limiter { is_fixed: true, ..Limiter::new(limit, limit) }
    }

    /// Starts with as many as the user said, and never has more.
    pub(crate) fn adaptive(most: u32) -> Self {
        Limiter::new(most, most)
    }

    /// Starts small and finds out.
    pub(crate) fn searching(most: u32) -> Self {
        Limiter::new(START.min(most), most)
    }

    fn new(limit: u32, most: u32) -> Self {
        let (limit, most) = (limit.max(1), most.max(1));
        let round = Round { size: limit, successes: 0, pushbacks: 0, peak: 0 };
        let (is_fixed, ramp_to) = (false, most);
        Limiter { is_fixed, limit, most, ramp_to, in_flight: 0, cuts: 0, served: 0, round }
    }

    /// Calls that may be in flight.
    pub(crate) const fn limit(&self) -> u32 {
        self.limit
    }

    /// Whether there is a place when `spare` of them are kept free.
    pub(crate) const fn has_place(&self, spare: u32) -> bool {
        self.in_flight + spare < self.limit
    }

    /// Takes a place. The caller has looked whether there is one; a probe of a server in
    /// trouble may go beyond.
    pub(crate) fn take(&mut self) -> Place {
        self.in_flight += 1;
        self.round.peak = self.round.peak.max(self.in_flight);
        Place { cuts: self.cuts }
    }

    /// The call was served.
    pub(crate) fn served(&mut self, place: Place) {
        let is_in_use = self.round.peak.saturating_mul(2) >= self.limit;
        if self.release(place) && is_in_use && !self.is_fixed {
            self.served = self.served.saturating_add(1);
            self.round.successes += 1;
            self.raise();
        }
    }

    /// The server took the call for one too many, or gave no sign of life.
    pub(crate) fn pushed_back(&mut self, place: Place) {
        if self.release(place) && !self.is_fixed {
            self.round.pushbacks += 1;
            if self.round.pushbacks >= (self.limit / PUSHBACK_SHARE).max(1) {
                self.cut();
            }
        }
    }

    /// Gives the place of a call back that says nothing about the limit. Returns whether
    /// it was sent since the last cut.
    #[expect(clippy::needless_pass_by_value, reason = "a place is given back once")]
    pub(crate) fn release(&mut self, place: Place) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        place.cuts == self.cuts
    }

    fn raise(&mut self) {
        let is_whole = self.round.successes >= self.round.size;
        if self.limit < self.ramp_to {
            self.limit += 1;
        } else if is_whole {
            self.limit += (self.limit / RAISE_SHARE).max(1);
        }
        self.limit = self.limit.min(self.most);
        if is_whole {
            self.begin_round();
        }
    }

    /// By a tenth when at least half as many calls as the limit were served since the last
    /// cut: the server's limit is near. Otherwise nobody knows how far away it is, and half
    /// are given up; from there the limit may come back fast, but not to where it was.
    fn cut(&mut self) {
        let tenth = self.limit.div_ceil(10);
        if self.served >= self.limit / 2 {
            self.limit = (self.limit - tenth).max(1);
            self.ramp_to = self.limit;
        } else {
            self.ramp_to = self.limit - tenth;
            self.limit = (self.limit / 2).max(1);
        }
        self.cuts = self.cuts.wrapping_add(1);
        self.served = 0;
        self.begin_round();
    }

    fn begin_round(&mut self) {
        self.round = Round { size: self.limit, successes: 0, pushbacks: 0, peak: self.in_flight };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    /// Fills the limit, then lets all come back at once: served up to `capacity`.
    fn round(limiter: &mut Limiter, capacity: u32) {
        let mut places = Vec::new();
        while limiter.has_place(0) {
            places.push(limiter.take());
        }
        let mut served = places.split_off(places.len().saturating_sub(capacity as usize));
        places.into_iter().for_each(|place| limiter.pushed_back(place));
        served.drain(..).for_each(|place| limiter.served(place));
    }

    /// The limits after each of `rounds` rounds.
    fn limits(mut limiter: Limiter, capacity: u32, rounds: usize) -> Vec<u32> {
        (0..rounds)
            .map(|_| {
                round(&mut limiter, capacity);
                limiter.limit()
            })
            .collect()
    }

    #[test]
    fn the_users_number_is_kept_when_small_or_fixed() {
        assert_eq!(limits(Limiter::fixed(8), 2, 3), [8, 8, 8]);
    }

    #[test]
    fn without_a_number_the_limit_doubles_a_round_until_the_first_pushback() {
        assert_eq!(limits(Limiter::searching(1_000), 60, 5), [32, 64, 57, 58, 59]);
        assert_eq!(limits(Limiter::searching(40), 99, 3), [32, 40, 40]);
        assert_eq!(limits(Limiter::searching(4), 99, 2), [4, 4]);
    }

    #[test]
    fn it_halves_until_half_of_it_is_served_and_then_gives_up_tenths() {
        let seen = limits(Limiter::adaptive(1_000), 64, 60);
        assert_eq!(seen[..4], [500, 250, 125, 62]);
        assert!(seen[20..].iter().all(|limit| (57..=65).contains(limit)), "{seen:?}");
        let at = seen.iter().rposition(|limit| *limit == 65).unwrap();
        assert_eq!(seen[at - 7..=at], [58, 59, 60, 61, 62, 63, 64, 65]);
    }

    #[test]
    fn a_large_limit_comes_back_as_fast_as_a_small_one() {
        let mut limiter = Limiter::adaptive(9_000);
        round(&mut limiter, 9_000);
        round(&mut limiter, 1);
        assert_eq!(limiter.limit(), 8_100);
        let rounds = (1..).find(|_| {
            round(&mut limiter, u32::MAX);
            limiter.limit() == 9_000
        });
        assert_eq!(rounds, Some(7));
    }

    #[test]
    fn one_lost_call_among_thousands_cuts_nothing() {
        let mut limiter = Limiter::adaptive(9_000);
        let mut places: Vec<Place> = (0..9_000).map(|_| limiter.take()).collect();
        for _ in 0..89 {
            limiter.pushed_back(places.pop().unwrap());
        }
        assert_eq!(limiter.limit(), 9_000);
        limiter.pushed_back(places.pop().unwrap());
        assert_eq!(limiter.limit(), 4_500);
    }

    #[test]
    fn calls_sent_before_a_cut_neither_cut_nor_raise() {
        let mut limiter = Limiter::adaptive(70);
        let mut places: VecDeque<Place> = (0..70).map(|_| limiter.take()).collect();
        limiter.pushed_back(places.pop_front().unwrap());
        assert_eq!(limiter.limit(), 35);
        limiter.pushed_back(places.pop_front().unwrap());
        places.into_iter().for_each(|place| limiter.served(place));
        assert_eq!((limiter.limit(), limiter.in_flight), (35, 0));
    }

    #[test]
    fn a_limit_that_is_not_in_use_is_not_raised() {
        let mut limiter = Limiter::searching(1_000);
        for _ in 0..100 {
            let place = limiter.take();
            limiter.served(place);
        }
        assert_eq!(limiter.limit(), START);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Send,
        /// What happens to the call with that number in flight.
        Served(usize),
        Pushback(usize),
        Dropped(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => Just(Step::Send),
            2 => any::<usize>().prop_map(Step::Served),
            1 => any::<usize>().prop_map(Step::Pushback),
            1 => any::<usize>().prop_map(Step::Dropped),
        ];
        prop::collection::vec(step, 0..600)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever comes back in whatever order: the limit stays within its bounds, what
        /// is in flight is counted exactly, no send goes beyond the limit, and a limit
        /// sinks at most once for what was sent since it sank last.
        #[test]
        fn whatever_happens_it_keeps_its_bounds(
            most in 1_u32..3_000, ramps in any::<bool>(), steps in steps()
        ) {
            let mut limiter =
                if ramps { Limiter::searching(most) } else { Limiter::adaptive(most) };
            let (mut flight, mut cuts) = (VecDeque::new(), 0_usize);
            for step in steps {
                let before = limiter.limit();
                let mut since_cut = true;
                let mut pick = |at: usize| {
                    let (place, sent) = flight.remove(at % flight.len().max(1))?;
                    since_cut = sent == cuts;
                    Some(place)
                };
                match step {
                    Step::Send if limiter.has_place(0) => flight.push_back((limiter.take(), cuts)),
                    Step::Send => prop_assert!(limiter.in_flight >= limiter.limit()),
                    Step::Served(at) => pick(at).into_iter().for_each(|p| limiter.served(p)),
                    Step::Pushback(at) => {
                        pick(at).into_iter().for_each(|p| limiter.pushed_back(p));
                    }
                    Step::Dropped(at) => pick(at).into_iter().for_each(|p| {
                        limiter.release(p);
                    }),
                }
                prop_assert_eq!(limiter.in_flight as usize, flight.len());
                prop_assert!((1..=most).contains(&limiter.limit()));
                if limiter.limit() < before {
                    prop_assert!(since_cut);
                    prop_assert!(limiter.limit() >= before / 2);
                    cuts += 1;
                }
            }
        }
    }
}
