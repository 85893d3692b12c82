//! What all calls share: places, rate, hedges, and the totals. It sees answers and never ids.

use super::end::Totals;
use crate::check::call::Reply;
use crate::check::exchange::Setback;
use crate::check::pace::{
    Advice, At, Hedge, Kind, Meter, OriginNumber, Origins, PaceOptions, Pass, Signal, hedge_places,
};
use std::time::{Duration, SystemTime};

/// All calls of a run.
pub(super) struct Traffic {
    pub(super) origins: Origins,
    pub(super) totals: Totals,
    most: u32,
    in_flight: u32,
    meter: Option<Meter>,
    /// The rate has let one call go that has not gone yet.
    is_granted: bool,
    /// Requests beyond one a call, as far as they were seen.
    extras: u64,
    /// How many of them the rate has not let go yet: they went before they could be asked about.
    owed: u64,
    hedge: Option<Hedge>,
    is_closed: bool,
}

/// What a call came back with.
pub(super) struct Answered {
    pub(super) result: Result<Reply, Setback>,
    /// Whether the server answered as it should, whatever the answer.
    pub(super) is_served: bool,
    /// When the server wants to be asked again, if it said so.
    pub(super) again_at: Option<At>,
    /// It said so because this was one too many: not a failure, but an invitation.
    pub(super) is_invited: bool,
    /// From sending the request that decided.
    pub(super) took: Duration,
    /// It was a retry that cost something.
    pub(super) is_paid: bool,
}

impl Traffic {
    /// `extras` is what [`Traffic::see_extras`] counts from.
    pub(super) fn new(options: &PaceOptions, extras: u64) -> Self {
        Traffic {
            origins: Origins::new(options),
            totals: Totals::default(),
            most: options.most(),
            in_flight: 0,
            meter: options.rate.map(Meter::new),
            is_granted: false,
            extras,
            owed: 0,
            hedge: options.hedge.map(Hedge::new),
            is_closed: false,
        }
    }

    /// Requests under way.
    pub(super) const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Most that may be under way now, over all servers seen.
    pub(super) fn limit(&self) -> u32 {
        let limits = self.origins.iter().map(|(_, origin)| origin.limit());
        limits.fold(0, u32::saturating_add).min(self.most)
    }

    /// Whether one more call has a place among all; some are kept for hedges.
    pub(super) fn has_place(&self) -> bool {
        let spare = self.hedge.as_ref().map_or(0, |_| hedge_places(self.most));
        self.in_flight + spare < self.most
    }

    /// Whether the rate lets one more call go, or from when on.
    pub(super) fn grant(&mut self, now: At) -> Result<(), At> {
        if let (Some(meter), false) = (&self.meter, self.is_granted) {
            while self.owed > 0 {
                meter.take(now)?;
                self.owed -= 1;
            }
            meter.take(now)?;
            self.is_granted = true;
        }
        Ok(())
    }

    /// Counts the requests beyond one a call, of which there were `extras` so far: they are
    /// requests like all, and take the places of further ones in the rate.
    pub(super) fn see_extras(&mut self, extras: u64) {
        let new = extras.saturating_sub(self.extras);
        self.extras = extras;
        self.totals.requests += new;
        self.owed += new;
    }

    /// Sends a call that its server has admitted and the rate has granted. `None` when it
    /// is a retry that can't be afforded.
    pub(super) fn start(&mut self, now: At, origin: OriginNumber, kind: Kind) -> Option<Pass> {
        let pass = self.origins[origin].start(now, kind)?;
        self.is_granted = false;
        self.totals.retries += u64::from(kind != Kind::First);
        if let Some(hedge) = &mut self.hedge {
            hedge.earn();
        }
        self.sent();
        Some(pass)
    }

    /// How long to wait for a call before a second one goes beside it.
    pub(super) fn hedge_after(&self) -> Option<Duration> {
        self.hedge.as_ref().and_then(Hedge::after)
    }

    /// Sends a second call beside a slow one, if there is room and budget for it.
    pub(super) fn start_beside(&mut self, now: At, origin: OriginNumber) -> Option<Pass> {
        let is_affordable = self.hedge.as_ref().is_some_and(Hedge::is_affordable);
        if self.is_closed
            || !is_affordable
            || self.in_flight >= self.most
            || self.grant(now).is_err()
        {
            return None;
        }
        let pass = self.origins[origin].start_beside(now)?;
        self.is_granted = false;
        self.totals.hedges += 1;
        if let Some(hedge) = &mut self.hedge {
            hedge.spend();
        }
        self.sent();
        Some(pass)
    }

    /// Nothing more is sent, not even beside what is in flight.
    pub(super) const fn close(&mut self) {
        self.is_closed = true;
    }

    /// A call came back.
    pub(super) fn back(
        &mut self,
        now: At,
        origin: OriginNumber,
        pass: Pass,
        result: Result<Reply, Setback>,
        sent_at: At,
    ) -> Answered {
        let (signal, advice) = read(&result);
        let again_at = advice.again.map(|again| now.saturating_add(again));
        let is_invited = matches!(signal, Signal::Refused(Some(_)));
        let is_served = signal == Signal::Served;
        let took = now.saturating_sub(sent_at);
        let is_paid = pass.is_paid();
        self.in_flight -= 1;
        self.origins[origin].settle(now, pass, signal, advice);
        self.totals.pushbacks += u64::from(signal.is_pushback());
        let is_unreachable = matches!(result, Err(Setback::Unreachable(_)));
        self.totals.unreachable += u64::from(is_unreachable);
        if is_served {
            self.totals.replied(took);
            if let Some(hedge) = &mut self.hedge {
                hedge.replied(took);
            }
        }
        Answered { result, is_served, again_at, is_invited, took, is_paid }
    }

    /// A call was given up before it came back.
    pub(super) fn forget(&mut self, now: At, origin: OriginNumber, pass: Pass) {
        self.in_flight -= 1;
        self.origins[origin].forget(now, pass);
    }

    fn sent(&mut self) {
        self.in_flight += 1;
        self.totals.requests += 1;
        self.totals.in_flight_most = self.totals.in_flight_most.max(self.in_flight);
    }
}

/// What an answer says of its server, and what it asks for.
fn read(result: &Result<Reply, Setback>) -> (Signal, Advice) {
    match result {
        Ok(reply) => {
            let is_refusal = matches!(reply.status, 429 | 503);
            let advice = Advice::read(&reply.headers, is_refusal, SystemTime::now);
            (Signal::of_status(reply.status, advice.again), advice)
        }
        Err(setback) => (of_setback(setback), Advice::default()),
    }
}

const fn of_setback(setback: &Setback) -> Signal {
    match setback {
        Setback::TimedOut(_)
        | Setback::Unreachable(_)
        | Setback::BrokenOff { is_overload: true, .. } => Signal::Overloaded,
        Setback::Closed
        | Setback::BrokenOff { is_overload: false, .. }
        | Setback::Garbled(_)
        | Setback::Astray
        | Setback::UnknownAuthority
        | Setback::Expired(_)
        | Setback::NotYetValid(_)
        | Setback::OtherName { .. }
        | Setback::NoHttp2
        | Setback::NoTls
        | Setback::Untrusted(_) => Signal::Failed,
        Setback::Refused(_) | Setback::Unsendable(_) => Signal::Unsent,
        Setback::TooLarge(_)
        | Setback::HeadTooLarge(_)
        | Setback::Encoded(_)
        | Setback::Redirected { .. }
        | Setback::RedirectedOften { .. } => Signal::Served,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::pace::{HedgeAfter, Rate};

    #[test]
    fn requests_beyond_one_a_call_take_places_in_the_rate() {
        let rate = Rate::new(10, Duration::from_secs(1));
        let options = PaceOptions { rate, ..PaceOptions::default() };
        let mut traffic = Traffic::new(&options, 7);
        traffic.see_extras(7);
        assert_eq!(traffic.grant(At::ZERO), Ok(()));
        traffic.is_granted = false;
        traffic.see_extras(10);
        assert_eq!(traffic.totals.requests, 3);
        let mut granted = (1..=10_u64).map(|tenth| Duration::from_millis(tenth * 100));
        let first = granted.find(|at| traffic.grant(*at).is_ok());
        assert_eq!(first, Some(Duration::from_millis(400)));
    }

    #[test]
    fn a_hedge_takes_no_place_beyond_those_of_all_servers() {
        let hedge = Some(HedgeAfter::Fixed(Duration::from_millis(1)));
        let options = PaceOptions { concurrency: Some(2), hedge, ..PaceOptions::default() };
        let mut traffic = Traffic::new(&options, 0);
        let one = traffic.origins.of(&"http://a.test/".parse().unwrap());
        let other = traffic.origins.of(&"http://b.test/".parse().unwrap());
        let mut start = || traffic.start(At::ZERO, one, Kind::First).unwrap();
        let (first, second) = (start(), start());
        assert!(traffic.start_beside(At::ZERO, other).is_none());
        traffic.forget(At::ZERO, one, second);
        let beside = traffic.start_beside(At::ZERO, other).unwrap();
        assert_eq!(traffic.in_flight(), 2);
        traffic.forget(At::ZERO, other, beside);
        traffic.forget(At::ZERO, one, first);
    }
}
