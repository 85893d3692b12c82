//! Which event each delivery carries: a shuffled deck with duplicates in it,
//! computed and never stored, so that a run of any length needs no memory.

use crate::attack::mix;

/// The order of a run. Deliveries come in windows; within each window all its
/// new events and its duplicates are shuffled.
#[derive(Clone, Debug)]
pub(crate) struct Deck {
    deliveries: u64,
    window: u64,
    /// Part of a window that is duplicates.
    share: f64,
    seed: u64,
}

/// One window.
struct Window {
    /// First of its events.
    first: u64,
    deliveries: u64,
    /// New events; the other deliveries repeat one of them.
    events: u64,
    seed: u64,
}

impl Deck {
    pub(crate) fn new(deliveries: u64, window: u64, duplicates_percent: f64, seed: u64) -> Deck {
        let window = window.clamp(1, deliveries.max(1));
        Deck { deliveries, window, share: duplicates_percent / 100.0, seed }
    }

    pub(crate) fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// Different events among the deliveries.
    pub(crate) fn events(&self) -> u64 {
        let whole = self.deliveries / self.window;
        whole * self.events_of(self.window) + self.events_of(self.deliveries % self.window)
    }

    fn events_of(&self, deliveries: u64) -> u64 {
        let duplicates = (deliveries as f64 * self.share).round() as u64;
        deliveries.saturating_sub(duplicates).max(u64::from(deliveries > 0))
    }

    /// Appends the events that `deliveries` carry.
    pub(crate) fn deal(&self, deliveries: std::ops::Range<u64>, into: &mut Vec<u64>) {
        let mut at = deliveries.start;
        while at < deliveries.end {
            let number = at / self.window;
            let window = self.window(number);
            let start = number * self.window;
            let end = (start + window.deliveries).min(deliveries.end);
            into.extend((at..end).map(|delivery| window.event(delivery - start)));
            at = end;
        }
    }

    fn window(&self, number: u64) -> Window {
        let deliveries = self.window.min(self.deliveries - number * self.window);
        Window {
            first: number * self.events_of(self.window),
            deliveries,
            events: self.events_of(deliveries),
            seed: mix(self.seed ^ number),
        }
    }
}

impl Window {
    fn event(&self, delivery: u64) -> u64 {
        let card = shuffle(delivery, self.deliveries, self.seed);
        if card < self.events {
            return self.first + card;
        }
        let picked = (u128::from(mix(self.seed ^ card)) * u128::from(self.events)) >> 64;
        self.first + picked as u64
    }
}

/// Where `place` of `0..count` goes. Multiplying by an odd number, adding and
/// folding the high half down are each one-to-one on a power of two; places
/// that land beyond `count` are sent on until one does not (cycle walking,
/// Black and Rogaway, 2002).
fn shuffle(place: u64, count: u64, seed: u64) -> u64 {
    let bits = 64 - (count - 1).max(1).leading_zeros();
    let mask = u64::MAX >> (64 - bits);
    let fold = bits.div_ceil(2);
    let mut place = place;
    loop {
        for (odd, add) in
            [(seed | 1, seed >> 32), (mix(seed) | 1, seed >> 17), (0x9e37_79b9_7f4a_7c15, seed)]
        {
            place = place.wrapping_mul(odd).wrapping_add(add) & mask;
            place ^= place >> fold;
        }
        if place < count {
            return place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deal(deck: &Deck) -> Vec<u64> {
        let mut events = Vec::new();
        deck.deal(0..deck.deliveries(), &mut events);
        events
    }

    #[test]
    fn a_shuffle_is_one_to_one() {
        for count in (1..200).chain([1_023, 1_024, 1_025]) {
            for seed in [0, 1, 42, u64::MAX] {
                let mut seen: Vec<u64> = (0..count).map(|at| shuffle(at, count, seed)).collect();
                seen.sort_unstable();
                assert!(seen.iter().copied().eq(0..count), "{count} with seed {seed}");
            }
        }
    }

    #[test]
    fn every_event_is_dealt_and_the_rest_are_duplicates() {
        for (deliveries, window, percent, events) in [
            (5_000, 5_000, 20.0, 4_000),
            (5_000, 1_000_000, 20.0, 4_000),
            (1_000, 300, 20.0, 800),
            (1, 1, 99.9, 1),
            (10, 3, 99.9, 4),
            (777, 100, 0.0, 777),
        ] {
            let deck = Deck::new(deliveries, window, percent, 7);
            let mut dealt = deal(&deck);
            assert_eq!((dealt.len() as u64, deck.events()), (deliveries, events));
            dealt.sort_unstable();
            dealt.dedup();
            assert!(dealt.into_iter().eq(0..events), "{deliveries} in windows of {window}");
        }
    }

    #[test]
    fn a_part_is_dealt_as_in_the_whole() {
        let deck = Deck::new(1_000, 64, 30.0, 3);
        let whole = deal(&deck);
        for range in [0..1, 60..70, 1..1_000, 999..1_000, 128..128] {
            let mut part = Vec::new();
            deck.deal(range.clone(), &mut part);
            assert_eq!(part, whole[range.start as usize..range.end as usize]);
        }
    }

    #[test]
    fn the_order_follows_from_the_seed_and_is_mixed() {
        let deck = |seed| deal(&Deck::new(10_000, 10_000, 20.0, seed));
        assert_eq!(deck(1), deck(1));
        assert_ne!(deck(1), deck(2));
        let near = deck(1).windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 100).count();
        assert!(near < 500, "{near} neighbours stayed together");
    }

    #[test]
    fn duplicates_stay_within_their_window() {
        let dealt = deal(&Deck::new(10_000, 100, 20.0, 5));
        for (at, event) in dealt.iter().enumerate() {
            assert_eq!(event / 80, at as u64 / 100);
        }
    }
}
