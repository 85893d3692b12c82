//! All that decides whether one server gets one more call, put together.

use super::breaker::{Breaker, Passage};
use super::budget::Budget;
use super::hedge;
use super::hold::Hold;
use super::limiter::{Limiter, Place};
use super::{Advice, At, CONCURRENCY_FIXED_MAX, PaceOptions, RETRY_AFTER_MAX, Signal};
use std::time::Duration;

/// What is known of one server.
#[derive(Debug)]
pub(crate) struct Origin {
    limiter: Limiter,
    breaker: Breaker,
    hold: Hold,
    budget: Budget,
    has_hedges: bool,
    give_up: Duration,
}

/// What may be done with one more call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It may go now.
    Go,
    /// Not before.
    Later(At),
    /// Not before a call in flight has come back.
    Full,
}

/// How a call came about, which says who pays for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Its ids were not asked before; it pays for retries.
    First,
    /// A retry at the time that the server named; it is free.
    Invited,
    /// A retry of ids that failed while everybody did. It costs, and who can't pay waits.
    Excused,
    /// A retry of ids that failed while others did not. It costs, and who can't pay ends.
    /// Its failure says more of these ids than of the server.
    Own,
}

/// Leave for one call; comes back exactly once.
#[derive(Debug)]
#[must_use = "a pass that does not come back is a place lost"]
pub(crate) struct Pass {
    place: Place,
    is_probe: bool,
    is_paid: bool,
    /// Its failure speaks against the server.
    is_evidence: bool,
}

impl Pass {
    /// Whether the call cost a retry, to be paid back when it helps.
    pub(crate) const fn is_paid(&self) -> bool {
        self.is_paid
    }
}

/// Why a server is not waited for any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hopeless {
    /// It has failed for so long, which is as long as the user waits.
    Failing(Duration),
    /// It wants to be left alone for longer than anybody waits.
    Closed(Duration),
}

impl Origin {
    pub(crate) fn new(options: &PaceOptions) -> Self {
        let most = options.most();
        let limiter = match options.concurrency {
            Some(_) if options.fixed || most <= CONCURRENCY_FIXED_MAX => Limiter::fixed(most),
            Some(_) => Limiter::adaptive(most),
            None if options.fixed => Limiter::fixed(most),
            None => Limiter::searching(most),
        };
        let (breaker, hold, budget) = (Breaker::new(), Hold::default(), Budget::new(most));
        let (has_hedges, give_up) = (options.hedge.is_some(), options.give_up);
        Origin { limiter, breaker, hold, budget, has_hedges, give_up }
    }

    /// Places that are kept for hedges.
    const fn spare(&self) -> u32 {
        if self.has_hedges { hedge::places(self.limit()) } else { 0 }
    }

    /// Calls that may be in flight to it.
    pub(crate) const fn limit(&self) -> u32 {
        self.limiter.limit()
    }

    /// Whether so much goes wrong that only probes are sent.
    pub(crate) const fn is_troubled(&self) -> bool {
        self.breaker.since().is_some()
    }

    /// Whether whoever failed at a time did so together with everybody.
    pub(crate) fn was_troubled(&self, at: At) -> bool {
        self.breaker.was_troubled(at)
    }

    /// Whether one more call may go.
    pub(crate) fn admission(&self, now: At) -> Admission {
        if let Some(until) = self.hold.until(now) {
            return Admission::Later(until);
        }
        match self.breaker.passage(now) {
            Passage::From(then) => Admission::Later(then),
            Passage::AfterProbe => Admission::Full,
            Passage::Probe => Admission::Go,
            Passage::Free if self.limiter.has_place(self.spare()) => Admission::Go,
            Passage::Free => Admission::Full,
        }
    }

    /// Takes the leave for a call that was admitted at this moment. `None` when it is a
    /// retry that can't be afforded.
    pub(crate) fn start(&mut self, now: At, kind: Kind) -> Option<Pass> {
        let is_probe = self.breaker.passage(now) == Passage::Probe;
        let is_affordable = match kind {
            Kind::First => {
                self.budget.earn();
                true
            }
            Kind::Excused => is_probe || self.budget.spend_or_beg(now),
            Kind::Own => is_probe || self.budget.spend(),
            Kind::Invited => true,
        };
        if !is_affordable {
            return None;
        }
        if is_probe {
            self.breaker.probe(now);
        }
        let is_paid = matches!(kind, Kind::Excused | Kind::Own) && !is_probe;
        let is_evidence = is_probe || kind != Kind::Own;
        Some(Pass { place: self.limiter.take(), is_probe, is_paid, is_evidence })
    }

    /// A second call beside one in flight: only to a server that is well and has room.
    pub(crate) fn start_beside(&mut self, now: At) -> Option<Pass> {
        let is_well = self.hold.until(now).is_none() && !self.is_troubled();
        let is_free = is_well && self.limiter.has_place(0);
        is_free.then(|| Pass {
            place: self.limiter.take(),
            is_probe: false,
            is_paid: false,
            is_evidence: false,
        })
    }

    /// A call came back.
    pub(crate) fn settle(&mut self, now: At, pass: Pass, signal: Signal, advice: Advice) {
        match signal {
            Signal::Served => self.breaker.succeeded(now),
            signal if signal.is_trouble() && pass.is_evidence => {
                self.breaker.failed(now, pass.is_probe);
            }
            _ => self.breaker.dropped(now, pass.is_probe),
        }
        match signal {
            Signal::Served => self.limiter.served(pass.place),
            signal if signal.is_pushback() => self.limiter.pushed_back(pass.place),
            _ => drop(self.limiter.release(pass.place)),
        }
        match signal {
            Signal::Refused(Some(again)) => {
                // A probe goes alone: it is a whole round.
                let round = if pass.is_probe { 1 } else { self.limiter.limit() };
                self.hold.refused(now, now.saturating_add(again), round);
            }
            Signal::Served => self.hold.served(),
            _ => {}
        }
        if let Some(quiet) = advice.quiet.filter(|quiet| *quiet <= RETRY_AFTER_MAX) {
            self.hold.quiet(now + quiet);
        }
    }

    /// A call was given up before it came back.
    pub(crate) fn forget(&mut self, now: At, pass: Pass) {
        self.settle(now, pass, Signal::Unsent, Advice::default());
    }

    /// A paid retry helped.
    pub(crate) fn pay_back(&mut self) {
        self.budget.pay_back();
    }

    /// Whether, and why, nobody should wait for it any longer.
    pub(crate) fn hopeless(&self, now: At) -> Option<Hopeless> {
        let wait = self.hold.until(now).map(|until| until - now);
        if let Some(wait) = wait.filter(|wait| *wait > RETRY_AFTER_MAX) {
            return Some(Hopeless::Closed(wait));
        }
        self.hopeless_at(now).filter(|at| *at <= now)?;
        self.breaker.since().map(|since| Hopeless::Failing(now.saturating_sub(since)))
    }

    /// When it becomes hopeless unless something happens.
    pub(crate) fn hopeless_at(&self, now: At) -> Option<At> {
        self.breaker.fails_for(self.give_up, now)
    }
}

#[cfg(test)]
mod tests {
    use super::super::breaker::FAILURES_IN_A_ROW;
    use super::*;

    const fn ms(ms: u64) -> At {
        Duration::from_millis(ms)
    }

    fn origin(concurrency: u32) -> Origin {
        Origin::new(&PaceOptions { concurrency: Some(concurrency), ..PaceOptions::default() })
    }

    /// Sends one call and lets it come back with `signal`.
    fn call(origin: &mut Origin, now: At, signal: Signal) {
        assert_eq!(origin.admission(now), Admission::Go, "{signal:?} at {now:?}");
        let pass = origin.start(now, Kind::First).unwrap();
        origin.settle(now, pass, signal, Advice::default());
    }

    #[test]
    fn the_options_choose_how_many_may_be_in_flight() {
        for (concurrency, fixed, limit) in [
            (Some(8), false, 8),
            (Some(9_000), false, 9_000),
            (Some(9_000), true, 9_000),
            (Some(0), false, 1),
            (Some(u32::MAX), false, 20_000),
            (None, false, 16),
            (None, true, 1_000),
        ] {
            let options = PaceOptions { concurrency, fixed, ..PaceOptions::default() };
            assert_eq!(Origin::new(&options).limit(), limit, "{concurrency:?} {fixed}");
        }
        for (concurrency, fixed, moves) in
            [(64, false, false), (65, false, true), (65, true, false)]
        {
            let concurrency_asked = Some(concurrency);
            let options =
                PaceOptions { concurrency: concurrency_asked, fixed, ..PaceOptions::default() };
            let mut origin = Origin::new(&options);
            call(&mut origin, ms(0), Signal::Overloaded);
            assert_eq!(origin.limit() < concurrency, moves, "{concurrency} {fixed}");
        }
    }

    #[test]
    fn only_pushback_lowers_the_limit() {
        for (signal, limit) in [
            (Signal::Refused(None), 50),
            (Signal::Refused(Some(ms(10))), 50),
            (Signal::Overloaded, 50),
            (Signal::Failed, 100),
            (Signal::Unsent, 100),
            (Signal::Served, 100),
        ] {
            let mut origin = origin(100);
            call(&mut origin, ms(0), signal);
            assert_eq!(origin.limit(), limit, "{signal:?}");
        }
    }

    #[test]
    fn a_server_in_trouble_gets_probes_only_and_the_probe_needs_no_budget() {
        let mut origin = origin(64);
        (0..FAILURES_IN_A_ROW).for_each(|_| call(&mut origin, ms(0), Signal::Failed));
        assert_eq!(origin.admission(ms(0)), Admission::Later(ms(500)));
        while origin.budget.spend() {}
        assert_eq!(origin.admission(ms(500)), Admission::Go);
        let pass = origin.start(ms(500), Kind::Own).unwrap();
        assert!(!pass.is_paid());
        assert_eq!(origin.admission(ms(500)), Admission::Full);
        origin.settle(ms(501), pass, Signal::Served, Advice::default());
        assert_eq!(origin.admission(ms(501)), Admission::Go);
        assert!(origin.start(ms(501), Kind::Own).is_none());
    }

    #[test]
    fn retries_of_ids_that_failed_by_themselves_are_no_evidence() {
        for (kind, is_troubled) in
            [(Kind::First, true), (Kind::Invited, true), (Kind::Excused, true), (Kind::Own, false)]
        {
            let mut origin = origin(64);
            (0..100).for_each(|_| origin.budget.earn());
            for _ in 0..FAILURES_IN_A_ROW {
                let pass = origin.start(ms(0), kind).unwrap();
                origin.settle(ms(0), pass, Signal::Failed, Advice::default());
            }
            assert_eq!(origin.is_troubled(), is_troubled, "{kind:?}");
        }
    }

    #[test]
    fn refusals_with_a_time_hold_all_calls_but_are_no_trouble() {
        let mut origin = origin(2);
        for now in 0..100 {
            let again = Signal::Refused(Some(ms(1_000)));
            let now = ms(now * 2_000);
            call(&mut origin, now, again);
            call(&mut origin, now, again);
            assert_eq!(origin.admission(now), Admission::Later(now + ms(1_000)));
            assert_eq!(origin.hopeless(now), None);
        }
        assert!(!origin.is_troubled());
    }

    #[test]
    fn a_probe_that_is_refused_with_a_time_holds_all_calls() {
        let mut origin = origin(64);
        let again = Signal::Refused(Some(ms(10_000)));
        call(&mut origin, ms(0), again);
        (0..FAILURES_IN_A_ROW).for_each(|_| call(&mut origin, ms(60_000), Signal::Failed));
        call(&mut origin, ms(60_500), again);
        assert_eq!(origin.admission(ms(60_500)), Admission::Later(ms(70_500)));
    }

    #[test]
    fn a_used_up_quota_holds_all_calls_unless_nobody_can_wait_so_long() {
        for (quiet, admission) in
            [(ms(5_000), Admission::Later(ms(5_000))), (RETRY_AFTER_MAX + ms(1), Admission::Go)]
        {
            let mut origin = origin(2);
            let pass = origin.start(ms(0), Kind::First).unwrap();
            let advice = Advice { again: None, quiet: Some(quiet) };
            origin.settle(ms(0), pass, Signal::Served, advice);
            assert_eq!(origin.admission(ms(0)), admission);
        }
    }

    #[test]
    fn it_is_hopeless_when_it_fails_too_long_or_is_closed_for_too_long() {
        let mut failing = origin(64);
        (0..FAILURES_IN_A_ROW).for_each(|_| call(&mut failing, ms(7), Signal::Failed));
        assert_eq!(failing.hopeless_at(ms(7)), Some(ms(30_007)));
        // Nobody asked it meanwhile: a probe decides.
        assert_eq!((failing.hopeless(ms(90_000)), failing.hopeless_at(ms(90_000))), (None, None));
        call(&mut failing, ms(90_000), Signal::Failed);
        assert_eq!(failing.hopeless(ms(90_000)), Some(Hopeless::Failing(ms(89_993))));

        let mut closed = origin(1);
        call(&mut closed, ms(0), Signal::Refused(Some(ms(300_000))));
        assert_eq!(closed.hopeless(ms(0)), None);
        call(&mut closed, ms(300_000), Signal::Refused(Some(ms(300_001))));
        assert_eq!(closed.hopeless(ms(300_000)), Some(Hopeless::Closed(ms(300_001))));
    }

    #[test]
    fn hedges_go_only_to_a_server_that_is_well_and_has_room() {
        let mut origin = origin(2);
        let first = origin.start(ms(0), Kind::First).unwrap();
        let beside = origin.start_beside(ms(0)).unwrap();
        assert!(origin.start_beside(ms(0)).is_none(), "no room");
        origin.forget(ms(0), beside);
        origin.hold.quiet(ms(10));
        assert!(origin.start_beside(ms(0)).is_none(), "held");
        assert!(origin.start_beside(ms(10)).is_some());
        origin.settle(ms(10), first, Signal::Served, Advice::default());
    }
}
