//! Before the first order: connections are made, a few at a time.

use super::{EVENTS_MAX, Generator, TICK_MS};
use crate::ClientError;
use crate::attack::connection::Phase;
use crate::attack::progress::Output;
use mio::Events;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Handshakes under way at once while the stampede gathers: fewer than a
/// listener's usual backlog, so that none of them is dropped.
const GATHERING_MAX: usize = 100;

impl Generator<'_> {
    /// Opens the connections before the clock starts, a few at a time: buyers
    /// wait at the gate, and the handshakes are no part of their latency.
    pub(super) fn gather(&mut self, output: &mut Output) -> Result<(), ClientError> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let deadline = Instant::now() + self.plan.timeout;
        let count = self.connections.len();
        while self.gathering.tried < count
            && Instant::now() < deadline
            && !self.cancel.load(Ordering::Relaxed)
        {
            while self.gathering.next < count
                && self.gathering.next - self.gathering.tried < GATHERING_MAX
            {
                self.gathering.next += 1;
                self.connect(self.gathering.next - 1);
            }
            let tick = Duration::from_millis(u64::from(TICK_MS));
            self.poll(&mut events, tick).map_err(|e| self.event_error(&e))?;
            for event in &events {
                self.on_event(event, output);
            }
        }
        self.gathering.done = true;
        for index in 0..count {
            let connection = &mut self.connections[index];
            if !matches!(connection.phase, Phase::Idle) {
                connection.close();
                connection.phase = Phase::Closed;
            }
            self.idle.push_back(index);
        }
        Ok(())
    }
}
