//! What is rehearsed: how long a lookup takes, and what goes wrong with it.
//!
//! A lookup's fate and delay are drawn before anything waits. With a seed they
//! are a function of seed, path, id and how often that id was asked before, so
//! a run repeats however its requests interleave. Knows nothing of HTTP.

use super::profile::Profile;
use rand::random;
use siphasher::sip::SipHasher13;
use std::collections::HashMap;
use std::hash::Hasher;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Longest delay that can be asked for.
pub const DELAY_MAX: Duration = Duration::from_secs(3_600);
/// Most ids whose requests are counted for a repeatable run; each request of a
/// further id is drawn as its first.
const COUNTED_IDS_MAX: usize = 1 << 20;

/// How long a lookup takes, after it was found to be a valid request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delay {
    /// It does not wait.
    #[default]
    None,
    /// As the seed's servers: each profile has its own range.
    Seed,
    /// Uniformly from the first to the second.
    Range(Duration, Duration),
}

impl Delay {
    fn pick(self, profile: Profile, part: f64) -> Duration {
        let (least, most) = match self {
            Delay::None => return Duration::ZERO,
            Delay::Seed => profile.terms().delay,
            Delay::Range(least, most) => (least, most),
        };
        least + most.saturating_sub(least).mul_f64(part)
    }
}

/// What is to go wrong, and how often. The default is nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rehearsal {
    /// Part of the lookups answered 500.
    pub fail: f64,
    /// Part of the lookups answered 429 at once.
    pub busy: f64,
    /// Part of the lookups answered with a page in place of JSON, under the right status.
    pub html: f64,
    /// Part of the lookups never answered.
    pub stall: f64,
    /// Part of the lookups whose connection closes in the middle of the reply.
    pub breaks: f64,
    /// Lookups taken at once; one more is answered 429 at once.
    pub busy_above: Option<usize>,
    /// What `Retry-After` says with a 429, in seconds.
    pub retry_after_seconds: u32,
}

/// Rates can't be carried out as asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BadRates {
    /// Their sum.
    pub sum: f64,
}

impl Rehearsal {
    /// # Errors
    /// [`BadRates`] unless each rate is from 0 to 1 and their sum is at most 1:
    /// a lookup has one fate.
    pub fn check(&self) -> Result<(), BadRates> {
        let rates = self.rates();
        let sum = rates.iter().sum();
        let are_parts = rates.iter().all(|rate| (0.0..=1.0).contains(rate));
        // Ten times a tenth is a little more than one.
        if are_parts && sum <= 1.0 + f64::EPSILON * 8.0 { Ok(()) } else { Err(BadRates { sum }) }
    }

    fn rates(&self) -> [f64; 5] {
        [self.fail, self.busy, self.html, self.stall, self.breaks]
    }

    fn fate(&self, part: f64) -> Fate {
        const FATES: [Fate; 5] = [Fate::Fail, Fate::Busy, Fate::Html, Fate::Stall, Fate::Break];
        let mut until = 0.0;
        for (fate, rate) in FATES.into_iter().zip(self.rates()) {
            until += rate;
            if part < until {
                return fate;
            }
        }
        Fate::Answer
    }
}

/// What becomes of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is answered.
    Answer,
    /// 500.
    Fail,
    /// 429 at once.
    Busy,
    /// A page in place of JSON.
    Html,
    /// No answer.
    Stall,
    /// Half an answer.
    Break,
}

/// Draws fates and delays.
pub(super) struct Draw {
    delay: Delay,
    rehearsal: Rehearsal,
    /// Nothing is drawn at all.
    is_plain: bool,
    seed: Option<u64>,
    /// With a seed: requests so far, by the print of path and id.
    requests: Mutex<HashMap<u64, u32>>,
}

impl Draw {
    pub(super) fn new(delay: Delay, rehearsal: Rehearsal, seed: Option<u64>) -> Draw {
        let is_plain = delay == Delay::None && rehearsal.rates().iter().all(|rate| *rate == 0.0);
        Draw { delay, rehearsal, is_plain, seed, requests: Mutex::default() }
    }

    /// Fate and delay of the next request of `id`.
    pub(super) fn next(&self, profile: Profile, id: &str) -> (Fate, Duration) {
        if self.is_plain {
            return (Fate::Answer, Duration::ZERO);
        }
        let [fate, delay] = match self.seed {
            Some(seed) => self.repeatable(seed, profile, id),
            None => [random(), random()],
        };
        (self.rehearsal.fate(fate), self.delay.pick(profile, delay))
    }

    fn repeatable(&self, seed: u64, profile: Profile, id: &str) -> [f64; 2] {
        let mut hasher = SipHasher13::new_with_keys(seed, profile as u64);
        hasher.write(id.as_bytes());
        let print = hasher.finish();
        let count = self.count(print);
        [0, 1].map(|which| {
            let mut hasher = SipHasher13::new_with_keys(seed, print);
            hasher.write_u64(u64::from(count) << 1 | which);
            // The upper 53 bits, which are all that a double has.
            (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
        })
    }

    /// How many requests there were before this one.
    fn count(&self, print: u64) -> u32 {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.len() >= COUNTED_IDS_MAX && !requests.contains_key(&print) {
            return 0;
        }
        let count = requests.entry(print).or_default();
        let before = *count;
        *count = count.wrapping_add(1);
        before
    }
}

/// Lets in so many lookups at once.
pub(super) struct Gate {
    most: Option<usize>,
    inside: AtomicUsize,
}

/// A lookup that is inside; it leaves when this is dropped, answered or not.
pub(super) struct Inside<'a>(&'a Gate);

impl Gate {
    pub(super) fn new(most: Option<usize>) -> Gate {
        Gate { most, inside: AtomicUsize::new(0) }
    }

    pub(super) fn enter(&self) -> Option<Inside<'_>> {
        let most = self.most.unwrap_or(usize::MAX);
        let free = |inside: usize| (inside < most).then_some(inside + 1);
        self.inside.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free).ok()?;
        Some(Inside(self))
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: Rehearsal = Rehearsal {
        fail: 0.1,
        busy: 0.2,
        html: 0.05,
        stall: 0.05,
        breaks: 0.1,
        busy_above: None,
        retry_after_seconds: 1,
    };

    fn draws(seed: u64, ids: &[&str]) -> HashMap<(String, usize), (Fate, Duration)> {
        let draw = Draw::new(Delay::Seed, MIXED, Some(seed));
        let mut seen: HashMap<&str, usize> = HashMap::new();
        let each = ids.iter().map(|id| {
            let count = seen.entry(id).or_default();
            *count += 1;
            (((*id).to_owned(), *count), draw.next(Profile::Stock, id))
        });
        each.collect()
    }

    #[test]
    fn a_seed_repeats_every_draw_in_whatever_order_requests_come() {
        let ids = ["A", "B", "A", "C", "A", "B"];
        let mut backwards = ids;
        backwards.reverse();
        let first = draws(7, &ids);
        assert_eq!(first, draws(7, &backwards));
        assert_ne!(first, draws(8, &ids), "another seed draws otherwise");
        let delays: Vec<_> = [1, 2, 3].map(|n| first[&("A".to_owned(), n)].1).into();
        assert!(delays[0] != delays[1] && delays[1] != delays[2], "{delays:?}");
    }

    #[test]
    fn paths_draw_apart() {
        let draw = Draw::new(Delay::Range(Duration::ZERO, DELAY_MAX), MIXED, Some(1));
        assert_ne!(draw.next(Profile::Stock, "A").1, draw.next(Profile::Flight, "A").1);
    }

    #[test]
    fn delays_and_rates_are_as_asked() {
        let (draw, mut counts) = (Draw::new(Delay::Seed, MIXED, Some(3)), HashMap::new());
        let (mut least, mut most) = (Duration::MAX, Duration::ZERO);
        for n in 0..20_000 {
            let (fate, delay) = draw.next(Profile::Flight, &n.to_string());
            *counts.entry(format!("{fate:?}")).or_insert(0_i32) += 1;
            (least, most) = (least.min(delay), most.max(delay));
        }
        for (fate, expected) in [
            ("Fail", 2_000),
            ("Busy", 4_000),
            ("Html", 1_000),
            ("Stall", 1_000),
            ("Break", 2_000),
            ("Answer", 10_000),
        ] {
            // Five standard deviations of the largest share.
            assert!((counts[fate] - expected).abs() < 350, "{fate}: {counts:?}");
        }
        let (from, to) = Profile::Flight.terms().delay;
        let close = Duration::from_millis(2);
        assert!(least >= from && least < from + close, "{least:?}");
        assert!(most <= to && most > to - close, "{most:?}");
    }

    #[test]
    fn rates_must_leave_each_lookup_one_fate() {
        let rates = |fail, busy| Rehearsal { fail, busy, ..Rehearsal::default() }.check().is_ok();
        assert!(rates(0.0, 0.0) && rates(0.5, 0.5) && rates(0.1 + 0.2, 0.7));
        assert!(!rates(0.6, 0.5) && !rates(-0.1, 0.5) && !rates(f64::NAN, 0.0) && !rates(1.1, 0.0));
    }

    #[test]
    fn who_leaves_the_gate_makes_room() {
        let gate = Gate::new(Some(1));
        let inside = gate.enter();
        assert!(inside.is_some() && gate.enter().is_none());
        drop(inside);
        assert!(gate.enter().is_some());
    }
}
