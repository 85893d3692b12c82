//! When the next order starts: one arrival rule times one stop rule.

use super::options::{ORDERS_MAX, Plan};

/// How orders arrive.
#[derive(Clone, Copy, Debug)]
enum Arrivals {
    /// As soon as a connection is free (closed loop).
    WhenFree,
    /// One every so many nanoseconds, whatever happens to the earlier ones
    /// (open loop). Latency counts from the intended time, so a server that
    /// stalls can't hide the orders that had to wait (coordinated omission,
    /// Tene 2013).
    Every { interval_ns: f64 },
}

/// Hands out orders in turn. Times are nanoseconds since the attack began.
#[derive(Debug)]
pub(crate) struct Schedule {
    arrivals: Arrivals,
    orders_max: u64,
    ends_ns: u64,
    taken: u64,
}

impl Schedule {
    pub(crate) fn new(plan: &Plan) -> Self {
        let arrivals = match plan.rate {
            None => Arrivals::WhenFree,
            Some(rate) => Arrivals::Every { interval_ns: 1e9 / rate },
        };
        let ends = plan.duration.map_or(u128::MAX, |d| d.as_nanos());
        Schedule {
            arrivals,
            orders_max: plan.orders.unwrap_or(ORDERS_MAX),
            ends_ns: u64::try_from(ends).unwrap_or(u64::MAX),
            taken: 0,
        }
    }

    /// The next order's number and intended start, if it is due.
    pub(crate) fn take(&mut self, now_ns: u64) -> Option<(u32, u64)> {
        let intended = self.intended(now_ns)?;
        let order = u32::try_from(self.taken).ok()?;
        if intended > now_ns {
            return None;
        }
        self.taken += 1;
        Some((order, intended))
    }

    /// When the next order is due; `None` when there are no more.
    pub(crate) fn next_ns(&self, now_ns: u64) -> Option<u64> {
        self.intended(now_ns)
    }

    /// Orders handed out so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Hands out nothing more.
    pub(crate) fn stop(&mut self) {
        self.orders_max = self.taken;
    }

    /// The stop rule looks at the intended time, so that an open loop sends
    /// also the orders that were due before the end and are late.
    fn intended(&self, now_ns: u64) -> Option<u64> {
        let intended = match self.arrivals {
            Arrivals::WhenFree => now_ns,
            Arrivals::Every { interval_ns } => (self.taken as f64 * interval_ns) as u64,
        };
        (self.taken < self.orders_max && intended < self.ends_ns).then_some(intended)
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::AttackOptions;
    use super::*;
    use std::time::Duration;

    fn schedule(rate: Option<f64>, orders: Option<u64>, seconds: Option<u64>) -> Schedule {
        let duration = seconds.map(Duration::from_secs);
        let options = AttackOptions { rate, orders, duration, ..AttackOptions::default() };
        Schedule::new(&Plan::new(&options).unwrap())
    }

    #[test]
    fn a_closed_loop_starts_whenever_asked_until_its_orders_are_out() {
        let mut schedule = schedule(None, Some(2), None);
        assert_eq!(schedule.take(5), Some((0, 5)));
        assert_eq!(schedule.take(5), Some((1, 5)));
        assert_eq!((schedule.take(6), schedule.next_ns(6)), (None, None));
    }

    #[test]
    fn a_closed_loop_ends_with_its_duration() {
        let mut schedule = schedule(None, None, Some(1));
        assert_eq!(schedule.take(999_999_999), Some((0, 999_999_999)));
        assert_eq!(schedule.take(1_000_000_000), None);
    }

    #[test]
    fn an_open_loop_keeps_the_intended_starts_of_late_orders() {
        let mut schedule = schedule(Some(10.0), None, Some(1));
        assert_eq!(schedule.take(0), Some((0, 0)));
        assert_eq!((schedule.take(0), schedule.next_ns(0)), (None, Some(100_000_000)));
        let late = 5_000_000_000;
        let starts: Vec<u64> =
            std::iter::from_fn(|| schedule.take(late)).map(|(_, at)| at).collect();
        assert_eq!(starts, (1..10).map(|n| n * 100_000_000).collect::<Vec<u64>>());
    }

    #[test]
    fn a_stopped_schedule_hands_out_nothing() {
        let mut schedule = schedule(Some(1e6), None, None);
        schedule.stop();
        assert_eq!(schedule.take(u64::MAX / 2), None);
    }
}
