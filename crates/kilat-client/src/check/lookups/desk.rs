//! What to do next: which ids go out together, what becomes of them when they come back,
//! when to wake up. Told the time and what came back; waits for nothing itself.

use super::Plan;
use super::again::{Again, Setting, again};
use super::attempt::Arrival;
use super::end::{RunEnd, Why};
use super::lookup::{Answer, Call, Lookup, Trouble};
use super::traffic::{Answered, Traffic};
use super::waiting::Waiting;
use crate::ClientError;
use crate::check::audit::Entry;
use crate::check::call::Request;
use crate::check::exchange::Setback;
use crate::check::gauges::Gauges;
use crate::check::pace::{Admission, At, Backoff, Hopeless, Kind, OriginNumber, RETRY_AFTER_MAX};
use crate::check::profile::Verdict;
use crate::check::{Finding, Id, Outcome};
use jiff::Timestamp;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Display;
use std::time::Duration;

/// Ids read ahead as long as there is one server only: when it takes no more, more ids help
/// nobody.
const READ_AHEAD: usize = 64;
/// HTTP: the client sent more than it may, and nothing was wrong with this request.
const TOO_MANY_REQUESTS: u16 = 429;
/// How long an id waits for a retry to spare, as the wait after so many failures.
const PATIENCE: u32 = 4;
/// Ids held beyond two for each place in flight.
const HELD_SPARE: usize = 64;

/// All ids that were read and have not ended.
pub(super) struct Desk<'a> {
    plan: &'a Plan<'a>,
    traffic: &'a RefCell<Traffic>,
    waiting: Waiting,
    backoff: Backoff,
    batch: usize,
    /// The server of a batch endpoint, which is the same for all ids.
    batch_origin: Option<OriginNumber>,
    /// The server is chosen by the id, so that one that fails says nothing of the others.
    has_many_servers: bool,
    /// Ids read, waiting or in flight.
    held: usize,
    /// Most of these.
    held_max: usize,
    /// Ids read.
    entered: u64,
    /// Of these: recorded as ended.
    recorded: u64,
    entries: VecDeque<Entry>,
    is_read: bool,
    /// From when on the rate lets a call go, when that is all that is missing.
    granted_at: Option<At>,
    /// Servers given up, when there are others.
    abandoned: Vec<OriginNumber>,
    /// Why it will not be complete.
    why: Option<Why>,
    /// Nothing is sent any more, and nothing waited for longer than until then.
    ends_by: Option<At>,
}

impl<'a> Desk<'a> {
    pub(super) fn new(plan: &'a Plan<'a>, traffic: &'a RefCell<Traffic>) -> Self {
        let batch = plan.profile.batch_size().max(1);
        let most = plan.options.most() as usize;
        Desk {
            plan,
            traffic,
            waiting: Waiting::new(batch),
            backoff: Backoff::seeded(plan.seed),
            batch,
            batch_origin: None,
            has_many_servers: false,
            held: 0,
            held_max: (2 * most + HELD_SPARE).saturating_mul(batch),
            entered: 0,
            recorded: 0,
            entries: VecDeque::new(),
            is_read: false,
            granted_at: None,
            abandoned: Vec::new(),
            why: None,
            ends_by: None,
        }
    }

    /// Whether there is room for another id, and use.
    pub(super) fn wants_ids(&self) -> bool {
        let is_open = !self.is_read && !self.is_ending() && self.held < self.held_max;
        let has_others = self.traffic.borrow().origins.count() > 1;
        is_open && (has_others || self.waiting.fresh() < READ_AHEAD.max(2 * self.batch))
    }

    /// The next id, or that there is none, or why not.
    pub(super) fn enter(&mut self, now: At, id: Option<Result<(u64, Id), ClientError>>) {
        match id {
            Some(Ok((index, id))) => self.enter_id(now, index, id),
            Some(Err(error)) => self.end(now, Why::Input(error)),
            None => {
                self.is_read = true;
                self.waiting.close();
            }
        }
    }

    fn enter_id(&mut self, now: At, index: u64, id: Id) {
        self.held += 1;
        self.entered += 1;
        match self.origin_of(&id) {
            Ok((origin, request)) => self.wait(now, None, Lookup::new(index, id, origin, request)),
            Err(why) => {
                let lookup = Lookup::new(index, id, OriginNumber::default(), None);
                self.finish(now, lookup, Answer::unknown(why, None));
            }
        }
    }

    /// The server that is asked for an id, and the request if that had to be made to know.
    fn origin_of(&mut self, id: &Id) -> Result<(OriginNumber, Option<Request>), String> {
        let (profile, lang) = (self.plan.profile, self.plan.lang);
        if let (Some(origin), true) = (self.batch_origin, self.batch > 1) {
            return profile.sendable(id, lang).map(|()| (origin, None));
        }
        let request = profile.request(std::slice::from_ref(id), lang)?;
        let origin = self.traffic.borrow_mut().origins.of(&request.uri);
        self.has_many_servers |= request.guarded;
        self.batch_origin = Some(origin);
        Ok((origin, (self.batch == 1).then_some(request)))
    }

    /// Holds an id until it may go, or until a time; unless nobody will ask its server again.
    fn wait(&mut self, now: At, until: Option<At>, lookup: Lookup) {
        if self.is_ending() || self.abandoned.contains(&lookup.origin) {
            self.leave(1);
        } else if let Some(at) = until {
            self.waiting.enter_later(at, lookup);
        } else {
            self.waiting.enter(now, lookup);
        }
    }

    /// Brings everything up to the time.
    pub(super) fn tick(&mut self, now: At) {
        self.waiting.wake(now);
        if self.plan.options.deadline.is_some_and(|deadline| now >= deadline) {
            self.end(now, Why::Deadline);
        }
        self.give_up(now);
    }

    /// Gives up servers that nobody should wait for: all of the run when there are no others.
    fn give_up(&mut self, now: At) {
        let traffic = self.traffic.borrow();
        let hopeless = traffic.origins.iter().find_map(|(number, origin)| {
            let is_news = !self.abandoned.contains(&number);
            is_news.then(|| origin.hopeless(now)).flatten().map(|why| (number, why))
        });
        let Some((number, hopeless)) = hopeless else { return };
        let host = traffic.origins.host(number);
        drop(traffic);
        let why = match hopeless {
            Hopeless::Failing(since) => Why::Failing { host, since },
            Hopeless::Closed(wait) => Why::Closed { host, wait },
        };
        if self.has_many_servers {
            self.abandoned.push(number);
            let dropped = self.waiting.drop_origin(number);
            self.leave(dropped);
            self.why.get_or_insert(why);
        } else {
            self.end(now, why);
        }
    }

    /// The next call that may go now.
    pub(super) fn next_call(&mut self, now: At) -> Option<Call> {
        self.granted_at = None;
        while !self.is_ending() && self.traffic.borrow().has_place() {
            let origin = {
                let traffic = self.traffic.borrow();
                let admits = |origin| traffic.origins[origin].admission(now) == Admission::Go;
                self.waiting.next(now, admits)?
            };
            if let Err(at) = self.traffic.borrow_mut().grant(now) {
                self.granted_at = Some(at);
                return None;
            }
            let lookups = self.waiting.take(now, origin);
            if let Some(call) = self.call(now, origin, lookups) {
                return Some(call);
            }
        }
        None
    }

    /// A call for these ids, unless they can't pay for it or can't be asked for.
    fn call(&mut self, now: At, origin: OriginNumber, mut lookups: Vec<Lookup>) -> Option<Call> {
        let request = self.request(now, origin, &mut lookups)?;
        self.excuse(origin, &mut lookups);
        let is_excused = lookups.iter().any(|lookup| lookup.kind == Kind::Excused);
        let kind = if is_excused { Kind::Excused } else { lookups.first()?.kind };
        let pass = self.traffic.borrow_mut().start(now, origin, kind);
        let Some(pass) = pass else {
            let at = now + self.backoff.draw().wait(PATIENCE);
            lookups.into_iter().for_each(|lookup| self.defer(now, at, lookup));
            return None;
        };
        for lookup in &mut lookups {
            let began_at = lookup.begin(now);
            lookup.attempts += 1;
            if self.plan.wants_steps {
                self.note_steps(lookup, began_at, &request);
            }
        }
        Some(Call { origin, request, lookups, pass })
    }

    /// Excuses ids that failed in the row that opened the breaker, before anybody knew.
    fn excuse(&self, origin: OriginNumber, lookups: &mut [Lookup]) {
        let traffic = self.traffic.borrow();
        for lookup in lookups.iter_mut().filter(|lookup| lookup.kind == Kind::Own) {
            if traffic.origins[origin].was_troubled(lookup.failed_at) {
                lookup.kind = Kind::Excused;
            }
        }
    }

    /// There is no retry to spare for an id: who only had bad luck waits for one until a time,
    /// others end with what they met.
    fn defer(&mut self, now: At, at: At, lookup: Lookup) {
        if lookup.kind == Kind::Excused {
            self.wait(now, Some(at), lookup);
        } else {
            self.finish_in_trouble(now, lookup);
        }
    }

    /// The request for these ids, or for as many of them as go into one; the others are put
    /// back.
    fn request(
        &mut self,
        now: At,
        origin: OriginNumber,
        lookups: &mut Vec<Lookup>,
    ) -> Option<Request> {
        if let [lookup] = lookups.as_mut_slice()
            && let Some(request) = lookup.request.take()
        {
            return Some(*request);
        }
        loop {
            let ids: Vec<Id> = lookups.iter().map(|lookup| lookup.id.clone()).collect();
            match self.plan.profile.request(&ids, self.plan.lang) {
                Ok(request) => return Some(request),
                Err(_) if lookups.len() > 1 => {
                    let rest = lookups.split_off(lookups.len() / 2);
                    self.waiting.put_back(origin, rest);
                }
                Err(why) => {
                    let lookup = lookups.pop()?;
                    self.finish(now, lookup, Answer::unknown(why, None));
                    return None;
                }
            }
        }
    }

    fn note_steps(&mut self, lookup: &Lookup, began_at: Option<Timestamp>, request: &Request) {
        let index = lookup.index;
        if let Some(at) = began_at {
            self.entries.push_back(Entry::Began { index, id: lookup.id.clone(), at });
        }
        let (url, at) = (request.uri.to_string(), Timestamp::now());
        self.entries.push_back(Entry::Sent { index, url, at });
    }

    /// A call came back.
    pub(super) fn arrived(&mut self, now: At, arrival: Arrival) {
        let Arrival { origin, lookups, answered } = arrival;
        let Answered { result, again_at, is_invited, took, is_paid, .. } = answered;
        let ids: Vec<Id> = lookups.iter().map(|lookup| lookup.id.clone()).collect();
        let (status, verdicts) = match result {
            Ok(reply) => {
                (Some(reply.status), self.plan.profile.judge(&ids, &reply, self.plan.lang))
            }
            Err(setback) => (None, ids.iter().map(|id| self.without_reply(&setback, id)).collect()),
        };
        debug_assert_eq!(verdicts.len(), lookups.len());
        if is_paid && verdicts.iter().all(|verdict| !verdict.retry) {
            self.traffic.borrow_mut().origins[origin].pay_back();
        }
        let setting = Setting {
            named: again_at.map(|at| at.saturating_sub(now)),
            is_invited,
            is_refused: status == Some(TOO_MANY_REQUESTS),
            is_troubled: self.traffic.borrow().origins[origin].is_troubled(),
            retries: self.plan.options.retries,
            jitter: self.backoff.draw(),
        };
        for (mut lookup, verdict) in lookups.into_iter().zip(verdicts) {
            if !verdict.retry {
                let reply_time = status.map(|_| took);
                self.finish(now, lookup, answer(verdict, status, reply_time));
                continue;
            }
            lookup.trouble = Some(Trouble { message: verdict.message, status });
            lookup.failed_at = now;
            match again(&mut lookup, &setting) {
                _ if self.is_ending() => self.leave(1),
                Again::After(wait) => self.wait(now, Some(now + wait), lookup),
                Again::Enough => self.finish_in_trouble(now, lookup),
                Again::TooLong(wait) => {
                    let message = self.plan.lang.say(
                        "lookups.asked_to_wait",
                        &[
                            ("seconds", &self.plan.lang.number(wait.as_secs_f64().ceil() as u64)),
                            ("most", &RETRY_AFTER_MAX.as_secs()),
                        ],
                    );
                    self.finish(now, lookup, Answer::unknown(message, status));
                }
            }
        }
    }

    /// What is known of an id when no reply came: nothing.
    fn without_reply(&self, setback: &Setback, id: &Id) -> Verdict {
        let Plan { profile, lang, .. } = *self.plan;
        let (outcome, row, notable) = (Outcome::Unknown, None, false);
        let message = match setback {
            Setback::TimedOut(after) => {
                let (label, seconds) = (profile.label(lang), after.as_secs_f64());
                let values: [(&str, &dyn Display); 3] =
                    [("label", &label), ("id", &id.as_str()), ("seconds", &seconds)];
                lang.say("lookups.timed_out", &values)
            }
            setback => lang.say("lookups.no_reply", &[("why", &setback.text(lang))]),
        };
        Verdict { outcome, message, row, notable, retry: setback.retry() }
    }

    fn finish_in_trouble(&mut self, now: At, mut lookup: Lookup) {
        let trouble = lookup.trouble.take().unwrap_or_default();
        self.finish(now, lookup, Answer::unknown(trouble.message, trouble.status));
    }

    fn finish(&mut self, now: At, lookup: Lookup, answer: Answer) {
        let finding: Finding = lookup.end(now, answer);
        self.held -= 1;
        if self.plan.wants_steps && finding.attempts == 0 {
            // It never came so far that its beginning was noted.
            let (index, id, at) = (finding.index, finding.id.clone(), finding.began_at);
            self.entries.push_back(Entry::Began { index, id, at });
        }
        self.entries.push_back(Entry::Ended(finding));
    }

    /// Lets ids go that will not be recorded.
    fn leave(&mut self, ids: usize) {
        self.held -= ids;
    }

    /// Sends nothing more. What is in flight may come back, within the time of a call.
    pub(super) fn end(&mut self, now: At, why: Why) {
        if self.is_ending() {
            return;
        }
        self.why = Some(why);
        self.traffic.borrow_mut().close();
        self.ends_by = Some(now.saturating_add(self.plan.options.timeout));
        let dropped = self.waiting.drop_all();
        self.leave(dropped);
    }

    pub(super) const fn is_ending(&self) -> bool {
        self.ends_by.is_some()
    }

    /// Whether nothing is left to wait for.
    pub(super) fn is_done(&self, now: At, is_nothing_in_flight: bool) -> bool {
        match self.ends_by {
            Some(ends_by) => is_nothing_in_flight || now >= ends_by,
            None => self.is_read && self.held == 0,
        }
    }

    /// When to look again although nothing came in.
    pub(super) fn wakes_at(&self, now: At) -> Option<At> {
        if self.is_ending() {
            return self.ends_by;
        }
        let traffic = self.traffic.borrow();
        let goes = self.waiting.lines().filter_map(|(origin, goes_at)| {
            match traffic.origins[origin].admission(now) {
                Admission::Later(at) => Some(at.max(goes_at)),
                Admission::Go => Some(goes_at).filter(|at| *at > now),
                Admission::Full => None,
            }
        });
        let hopeless =
            traffic.origins.iter().filter(|(number, _)| !self.abandoned.contains(number));
        let hopeless = hopeless.filter_map(|(_, origin)| origin.hopeless_at(now));
        let others = [self.plan.options.deadline, self.waiting.next_later(), self.granted_at];
        goes.chain(hopeless).chain(others.into_iter().flatten()).min()
    }

    /// The next entry for the log.
    pub(super) fn next_entry(&mut self) -> Option<Entry> {
        self.entries.pop_front()
    }

    /// An id has been recorded as ended.
    pub(super) const fn recorded(&mut self) {
        self.recorded += 1;
    }

    /// Shows how far the run is.
    pub(super) fn publish(&self, gauges: &Gauges) {
        let traffic = self.traffic.borrow();
        let totals = &traffic.totals;
        gauges.in_flight.set(traffic.in_flight().into());
        gauges.limit.set(traffic.limit().into());
        gauges.waiting.set(self.waiting.again() as u64);
        gauges.troubled.set(traffic.origins.iter().filter(|(_, o)| o.is_troubled()).count() as u64);
        gauges.requests.set(totals.requests);
        gauges.retries.set(totals.retries);
        gauges.hedges.set(totals.hedges);
        gauges.pushbacks.set(totals.pushbacks);
    }

    /// What the run came to.
    pub(super) fn into_end(self) -> RunEnd {
        // What ended the run may have come when the last ids were in flight already.
        let has_all = self.is_read && self.recorded == self.entered;
        RunEnd {
            why: self.why.filter(|_| !has_all).unwrap_or(Why::Finished),
            recorded: self.recorded,
            left: self.entered - self.recorded,
            totals: self.traffic.borrow().totals,
        }
    }
}

fn answer(verdict: Verdict, status: Option<u16>, reply_time: Option<Duration>) -> Answer {
    let Verdict { outcome, message, row, notable, .. } = verdict;
    Answer { outcome, message, status, reply_time, row, notable }
}
