//! One sale that is followed, and its newest event.

use super::Broadcast;
use super::frame::Frame;
use crate::limits::{STREAM_INTERVAL, STREAM_KEEP_ALIVE};
use crate::show;
use kilat_api::sale::Stock;
use kilat_engine::{Sale, Time};
use std::time::{Duration, Instant};
use tokio::runtime;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Longest sleep without a look at the wall clock, which may have been set meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// A sale with its readers.
pub(super) struct Channel {
    sale: watch::Receiver<Sale>,
    newest: Option<(Stock, Frame)>,
    /// Counts the events; 0 before the first.
    pub(super) version: u64,
    /// When its state changes though nobody does anything.
    switch: Option<Time>,
    /// When something was sent to all readers.
    sent: Instant,
    pub(super) readers: usize,
    _bell: AbortOnDropHandle<()>,
}

impl Channel {
    pub(super) fn new(
        sale: watch::Receiver<Sale>,
        broadcast: Broadcast,
        runtime: &runtime::Handle,
        now: Instant,
    ) -> Channel {
        let bell = AbortOnDropHandle::new(runtime.spawn(ring(sale.clone(), broadcast)));
        Channel { sale, newest: None, version: 0, switch: None, sent: now, readers: 0, _bell: bell }
    }

    /// Whether a look may bring something new.
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.newest.is_none()
            || self.sale.has_changed().unwrap_or(true)
            || self.switch.is_some_and(|switch| switch <= now)
    }

    /// Nobody tells of the sale any more.
    pub(super) fn is_over(&self) -> bool {
        self.sale.has_changed().is_err()
    }

    /// Makes a new event if the state differs from that of the last; tells whether there is news,
    /// be it that there will be no more.
    pub(super) fn look(&mut self, now: Time) -> bool {
        let sale = self.sale.borrow_and_update();
        let stock = show::stock(&sale, now);
        self.switch = show::next_switch(&sale, now);
        drop(sale);
        if self.newest.as_ref().is_some_and(|(last, _)| *last == stock) {
            return self.is_over();
        }
        // Plain numbers and names: there is nothing that could not be written.
        let data = serde_json::to_string(&stock).unwrap_or_default();
        let frame = Frame::new(&format!("event: stock\ndata: {data}\n\n"));
        self.newest = Some((stock, frame));
        self.version += 1;
        true
    }

    pub(super) fn newest(&self) -> Option<&Frame> {
        self.newest.as_ref().map(|(_, frame)| frame)
    }

    /// Readers hear something now.
    pub(super) fn stir(&mut self, now: Instant) {
        self.sent = now;
    }

    pub(super) fn is_silent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.sent) >= STREAM_KEEP_ALIVE
    }

    /// How long there can be nothing to do.
    pub(super) fn patience(&self, now: Instant, wall_clock: Time) -> Duration {
        let silence = (self.sent + STREAM_KEEP_ALIVE).saturating_duration_since(now);
        let switch = self.switch.map_or(SLEEP_MAX, |switch| {
            let millis = switch.as_millis().saturating_sub(wall_clock.as_millis()).max(1);
            Duration::from_millis(millis.unsigned_abs())
        });
        silence.min(switch).min(SLEEP_MAX)
    }
}

/// Rings when the sale changes, but not for each change of a storm: what changes during the pause
/// wakes nobody.
async fn ring(mut sale: watch::Receiver<Sale>, broadcast: Broadcast) {
    while sale.changed().await.is_ok() {
        broadcast.ring();
        tokio::time::sleep(STREAM_INTERVAL).await;
    }
    broadcast.ring();
}
