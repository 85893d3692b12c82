//! When an attempt fails: wait, try again with the same key, or give up.

use super::{Generator, NEVER, millis};
use crate::attack::connection::Phase;
use crate::attack::options::mix;
use crate::attack::progress::{Output, Scene};
use crate::attack::tally::Setback;
use crate::http::{BACKOFF_FIRST_MS, BACKOFF_MAX_MS};
use std::sync::atomic::Ordering;
use std::time::Duration;

impl Generator<'_> {
    /// An attempt failed: wait, then try again with the same key, unless patience has run out.
    pub(super) fn setback(&mut self, index: usize, cause: Setback, wait_ms: u32) {
        let now_ns = self.now_ns();
        self.witness.tally.setback(cause, now_ns);
        let keeps_socket = matches!(cause, Setback::Throttled | Setback::Unavailable);
        let is_ending = self.is_ending(now_ns);
        let connection = &mut self.connections[index];
        if !keeps_socket {
            connection.close();
        }
        let Some(job) = &mut connection.job else {
            connection.phase = Phase::Closed;
            self.wake_ms[index] = NEVER;
            self.gathering.tried += usize::from(!self.gathering.done);
            return;
        };
        job.setbacks += 1;
        let setbacks = job.setbacks;
        let waited = Duration::from_nanos(now_ns.saturating_sub(job.began_ns));
        if waited >= self.plan.patience || is_ending {
            return self.give_up(index, now_ns);
        }
        connection.phase = Phase::BackingOff;
        let left = millis(self.plan.patience - waited);
        let wait_ms = self.backoff_ms(setbacks).max(wait_ms).min(left);
        self.wake_ms[index] = self.now_ms().saturating_add(wait_ms);
    }

    /// Cancelled, or nobody got an answer for as long as one buyer would wait:
    /// then those behind him need not wait that long each.
    pub(super) fn is_ending(&self, now_ns: u64) -> bool {
        let quiet = Duration::from_nanos(now_ns.saturating_sub(self.alive_ns));
        let is_deserted = self.busy > 0 && quiet >= self.plan.patience;
        is_deserted || self.cancel.load(Ordering::Relaxed)
    }

    /// Doubles from the first wait to the longest, give or take half, so that
    /// buyers who failed together don't come back together.
    pub(super) fn backoff_ms(&mut self, setbacks: u32) -> u32 {
        let wait = (BACKOFF_FIRST_MS << (setbacks - 1).min(8)).min(BACKOFF_MAX_MS);
        self.random = mix(self.random);
        wait / 2 + (self.random % u64::from(wait)) as u32
    }

    pub(super) fn give_up(&mut self, index: usize, now_ns: u64) {
        if let Some(job) = self.connections[index].job.take() {
            self.witness.give_up(&job, now_ns);
            self.settle(index, now_ns);
        }
    }

    pub(super) fn tick(&mut self, now_ms: u32, output: &mut Output) {
        if self.is_ending(self.now_ns()) {
            self.schedule.stop();
        }
        for index in 0..self.wake_ms.len() {
            if self.wake_ms[index] <= now_ms {
                self.wake(index);
            }
        }
        let scene = Scene {
            elapsed: self.began.elapsed(),
            in_flight: self.busy,
            taken: self.schedule.taken(),
        };
        output.tick(self.plan, &self.witness, &scene);
    }

    pub(super) fn wake(&mut self, index: usize) {
        self.wake_ms[index] = NEVER;
        match self.connections[index].phase {
            Phase::Asking => self.setback(index, Setback::Timeout, 0),
            Phase::Connecting => self.connect_failed(index),
            Phase::BackingOff if self.is_ending(self.now_ns()) => {
                self.give_up(index, self.now_ns());
            }
            Phase::BackingOff => {
                self.witness.tally.retries += 1;
                self.attempt(index);
            }
            Phase::Idle | Phase::Closed => {}
        }
    }
}
