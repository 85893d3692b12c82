//! The loop of a check: ids come in, calls go out, and each id ends once in the log.
//!
//! What it shares with the world are three functions: the next id, the carrying of a
//! request, the recording of an entry. It never reads a file, opens a socket or writes a
//! line itself. One task; what is in flight are futures in it.
//!
//! | module | holds |
//! |---|---|
//! | `desk` | what to do next, told the time and what came back |
//! | `lookup` | one id on its way, and a call for some of them |
//! | `waiting` | ids that are not in flight |
//! | `again` | whether an id that met trouble is asked again, and when |
//! | `attempt` | one call in flight, with a second beside it when it is slow |
//! | `traffic` | what all calls share: places, rate, hedges, totals |
//! | `end` | how a run ended |

mod again;
mod attempt;
mod desk;
mod end;
mod lookup;
#[cfg(test)]
mod tests;
mod traffic;
mod waiting;

pub(crate) use end::{RunEnd, Why};

use super::Id;
use super::audit::{Closed, Entry};
use super::call::{Reply, Request};
use super::exchange::Setback;
use super::gauges::{Gauge, Gauges};
use super::pace::{At, PaceOptions};
use super::profile::Profile;
use super::stop::{Stop, Urgency};
use crate::{ClientError, Lang};
use attempt::attempt;
use desk::Desk;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::cell::RefCell;
use std::pin::{Pin, pin};
use tokio::time::Instant;
use traffic::Traffic;

/// What is looked up, and how.
pub(crate) struct Plan<'a> {
    pub(crate) profile: &'a Profile,
    pub(crate) options: &'a PaceOptions,
    pub(crate) gauges: &'a Gauges,
    /// Requests that the carrying of calls sends beyond one for each; it only grows.
    pub(crate) extras: &'a Gauge,
    pub(crate) stop: &'a Stop,
    /// Language of findings.
    pub(crate) lang: Lang,
    /// Whether the log wants to know when work begins and when requests are sent.
    pub(crate) wants_steps: bool,
    /// Of the waits that are drawn at random.
    pub(crate) seed: u64,
}

/// Time since a run began.
#[derive(Clone, Copy)]
struct Clock(Instant);

impl Clock {
    fn now(self) -> At {
        self.0.elapsed()
    }
}

/// Looks up all ids that `next` gives, until there are none or something ends the run.
///
/// Each id that `next` gave has been recorded exactly once as ended, or, when the run is
/// not complete, not at all. `next` must lose nothing when it is dropped while it waits.
/// `carry` must end by itself within [`PaceOptions::timeout`]. While `record` waits,
/// nothing else is sent.
pub(crate) async fn run<Next, Carry, Record>(
    plan: &Plan<'_>,
    mut next: Next,
    carry: Carry,
    record: Record,
) -> RunEnd
where
    Next: AsyncFnMut() -> Option<Result<(u64, Id), ClientError>>,
    Carry: AsyncFn(&Request) -> Result<Reply, Setback>,
    Record: AsyncFn(Entry) -> Result<(), Closed>,
{
    let clock = Clock(Instant::now());
    let traffic = RefCell::new(Traffic::new(plan.options, plan.extras.get()));
    let mut desk = Desk::new(plan, &traffic);
    let mut flight = FuturesUnordered::new();
    let mut soon = pin!(plan.stop.until(Urgency::Soon));
    let mut at_once = pin!(plan.stop.until(Urgency::Now));
    let mut alarm = pin!(tokio::time::sleep_until(clock.0));
    loop {
        let now = clock.now();
        traffic.borrow_mut().see_extras(plan.extras.get());
        desk.tick(now);
        while let Some(call) = desk.next_call(now) {
            flight.push(attempt(&carry, &traffic, clock, call));
        }
        if let Err(why) = hand_over(&mut desk, &record, at_once.as_mut()).await {
            desk.end(clock.now(), why);
            break;
        }
        desk.publish(plan.gauges);
        if desk.is_done(clock.now(), flight.is_empty()) {
            break;
        }
        let wakes_at = desk.wakes_at(now).map(|at| clock.0 + at);
        if let Some(at) = wakes_at.filter(|at| *at != alarm.deadline()) {
            alarm.as_mut().reset(at);
        }
        tokio::select! {
            biased;
            () = &mut at_once => {
                desk.end(clock.now(), Why::Stopped);
                break;
            }
            () = &mut soon, if !desk.is_ending() => desk.end(clock.now(), Why::Stopped),
            Some(arrival) = flight.next() => desk.arrived(clock.now(), arrival),
            id = next(), if desk.wants_ids() => desk.enter(clock.now(), id),
            () = &mut alarm, if wakes_at.is_some() => {}
        }
    }
    drop(flight);
    traffic.borrow_mut().see_extras(plan.extras.get());
    desk.publish(plan.gauges);
    desk.into_end()
}

/// Records what the desk has to say; waits as long as the log does, unless all is to end
/// at once.
async fn hand_over<Record>(
    desk: &mut Desk<'_>,
    record: &Record,
    mut at_once: Pin<&mut impl Future<Output = ()>>,
) -> Result<(), Why>
where
    Record: AsyncFn(Entry) -> Result<(), Closed>,
{
    while let Some(entry) = desk.next_entry() {
        let is_end = matches!(entry, Entry::Ended(_));
        tokio::select! {
            biased;
            recorded = record(entry) => recorded.map_err(|Closed| Why::Log)?,
            () = &mut at_once => return Err(Why::Stopped),
        }
        if is_end {
            desk.recorded();
        }
    }
    Ok(())
}
