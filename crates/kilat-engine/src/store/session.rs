//! A thread's connection to its store, made again when it was lost.

use super::fault::StoreFault;
use super::ledger_store::LedgerStore;
use super::{RETRY_PAUSE_MAX, RETRY_PAUSE_MIN};
use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// See the module.
pub(super) struct Session<S: LedgerStore> {
    options: Arc<S::Options>,
    store: Option<S>,
    /// What the lost connection is called.
    before: Option<String>,
    /// Not before this instant is the next attempt made.
    next_attempt: Instant,
    pause: Duration,
    /// Since when there is no connection.
    away_since: Option<Instant>,
    said: String,
    thread: &'static str,
    meters: Meters,
}

struct Meters {
    connected: Gauge,
    reconnects: Counter,
}

impl<S: LedgerStore> Session<S> {
    pub(super) fn new(options: Arc<S::Options>, store: S, thread: &'static str) -> Session<S> {
        describe_gauge!("kilat_store_connected", "1 while the store is there, by connection");
        describe_counter!("kilat_store_reconnects_total", "Connections to the store made again");
        let connected = gauge!("kilat_store_connected", "link" => thread);
        connected.set(1.0);
        let reconnects = counter!("kilat_store_reconnects_total", "link" => thread);
        Session {
            options,
            store: Some(store),
            before: None,
            next_attempt: Instant::now(),
            pause: RETRY_PAUSE_MIN,
            away_since: None,
            said: String::new(),
            thread,
            meters: Meters { connected, reconnects },
        }
    }

    /// Calls the store, and connects again first if need be and if it is time for an attempt.
    pub(super) fn call<T>(
        &mut self,
        call: impl FnOnce(&mut S) -> Result<T, StoreFault>,
    ) -> Result<T, StoreFault> {
        let result = self.store().and_then(call);
        match &result {
            Err(fault) if !fault.keeps_connection() => self.lose(fault.to_string()),
            _ => {}
        }
        result
    }

    /// For how long the store has been away.
    pub(super) fn away_for(&self) -> Duration {
        self.away_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// How long to wait before the next attempt makes sense.
    pub(super) fn wait(&self) -> Duration {
        match self.store {
            Some(_) => RETRY_PAUSE_MIN,
            None => self.next_attempt.saturating_duration_since(Instant::now()),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.store.is_some()
    }

    fn store(&mut self) -> Result<&mut S, StoreFault> {
        if self.store.is_none() {
            self.store = Some(self.open()?);
        }
        self.store.as_mut().ok_or_else(|| StoreFault::Away(self.said.clone().into()))
    }

    fn open(&mut self) -> Result<S, StoreFault> {
        if Instant::now() < self.next_attempt {
            return Err(StoreFault::Away(self.said.clone().into()));
        }
        match S::open(&self.options, self.before.as_deref()) {
            Ok(store) => {
                tracing::info!(thread = self.thread, "the store is back");
                self.meters.connected.set(1.0);
                self.meters.reconnects.increment(1);
                (self.away_since, self.before, self.pause) = (None, None, RETRY_PAUSE_MIN);
                self.said.clear();
                Ok(store)
            }
            // Whatever it was, the call was not sent.
            Err(StoreFault::Refused(why)) => Err(StoreFault::Refused(why)),
            Err(fault) => Err(StoreFault::Away(fault.to_string().into())),
        }
    }

    /// The connection is of no more use, or there is none.
    fn lose(&mut self, why: String) {
        if let Some(store) = self.store.take() {
            self.before = Some(store.name().to_owned());
            self.meters.connected.set(0.0);
        }
        self.away_since.get_or_insert_with(Instant::now);
        if Instant::now() >= self.next_attempt {
            self.next_attempt = Instant::now() + jittered(self.pause);
            self.pause = (self.pause * 2).min(RETRY_PAUSE_MAX);
        }
        if why != self.said {
            tracing::warn!(why, thread = self.thread, "trying again to reach the store");
            self.said = why;
        }
    }
}

/// Between half of `pause` and all of it.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(()) % 1_024;
    pause / 2 + pause / 2 * u32::try_from(random).unwrap_or(0) / 1_024
}
