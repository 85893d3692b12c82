//! A server with the event log's HTTP API, Kilat's or the seed's: loaded with one row of events
//! from its start to its end, so that its counters can be held against what was sent.
//! Must never know which of the two it is.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::driver::{self, Amount, Requests, Shot};
use super::generator::Protocol;
use super::load;
use crate::bench::http::{self, Connection};
use crate::bench::kilat::{self, Place};
use crate::bench::scene::Scene;
use crate::bench::server::Server;

/// A running server and how much of the row it got.
#[derive(Debug)]
pub(super) struct Aggregator<'a> {
    scene: &'a Scene,
    server: Server,
    sent: u64,
}

/// What a server says that it counted.
#[derive(Debug, PartialEq, Eq)]
struct Counters {
    received: u64,
    unique: u64,
    dropped: u64,
}

impl<'a> Aggregator<'a> {
    /// Takes over a server without events.
    pub(super) fn new(scene: &'a Scene, server: Server) -> Self {
        Self { scene, server, sent: 0 }
    }

    /// Kilat on a fresh data directory in `folder`. No core is pinned: server and generator
    /// share all of them.
    pub(super) fn kilat(scene: &'a Scene, folder: &Path) -> Result<Self> {
        Ok(Self::new(scene, kilat::serve(scene, Place { folder, core: None })?))
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// Events that were sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends on with duplicates of recent events.
    pub(super) fn publish(&mut self, amount: Amount, connections: usize) -> Result<Shot> {
        self.send(Requests::new(amount, Protocol::Http, connections, self.sent))
    }

    /// As [`Self::publish`], with replies that hold no result for each event.
    pub(super) fn publish_minimal(&mut self, amount: Amount, connections: usize) -> Result<Shot> {
        let requests = Requests::new(amount, Protocol::Http, connections, self.sent);
        self.send(Requests { minimal: true, ..requests })
    }

    /// As [`Self::publish`], with duplicates of any event that was ever sent.
    pub(super) fn publish_with_old(&mut self, amount: Amount, connections: usize) -> Result<Shot> {
        let requests = Requests::new(amount, Protocol::Http, connections, self.sent);
        self.send(Requests { recent_ids: u64::MAX, ..requests })
    }

    fn send(&mut self, requests: Requests) -> Result<Shot> {
        let shot = driver::generate(self.scene, self.server.address(), requests)?;
        self.sent += shot.events;
        Ok(shot)
    }

    /// Processor time of the server, microseconds for each event of what `load` sends.
    pub(super) fn cpu_us(
        &mut self,
        load: impl FnOnce(&mut Self) -> Result<Shot>,
    ) -> Result<(Shot, f64)> {
        let before = self.server.cpu_time()?;
        let shot = load(self)?;
        let used: Duration = self.server.cpu_time()?.saturating_sub(before);
        Ok((shot, used.as_secs_f64() * 1e6 / shot.events as f64))
    }

    /// The server must have counted what was sent: each event once, and what of it was new.
    pub(super) fn check(&self) -> Result<()> {
        let unique = load::new_among(self.sent);
        let expected = Counters { received: self.sent, unique, dropped: self.sent - unique };
        let counted = counters(&self.server)?;
        ensure!(counted == expected, "{expected:?} was sent, the server says {counted:?}");
        Ok(())
    }

    /// Ends the server that way and starts another on the same data.
    pub(super) fn restart(
        self,
        end: fn(Server) -> Result<()>,
        start: impl FnOnce() -> Result<Server>,
    ) -> Result<Self> {
        end(self.server)?;
        Ok(Self { server: start()?, ..self })
    }
}

/// Events that a server says came in.
pub(super) fn received(server: &Server) -> Result<u64> {
    Ok(counters(server)?.received)
}

fn counters(server: &Server) -> Result<Counters> {
    let mut connection = Connection::open(server.address())?;
    let reply = connection.exchange(&http::request("GET", "/stats", &[], b""))?;
    let text = String::from_utf8_lossy(reply.body);
    ensure!(reply.status == 200, "/stats answers {}: {text}", reply.status);
    parse(&text).with_context(|| format!("/stats answers something else: {text}"))
}

fn parse(stats: &str) -> Option<Counters> {
    let stats: Value = serde_json::from_str(stats).ok()?;
    Some(Counters {
        received: stats["total_events_received"].as_u64()?,
        unique: stats["total_unique_events_processed"].as_u64()?,
        dropped: stats["total_duplicate_events_dropped"].as_u64()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read() {
        let stats = r#"{"uptime":1,"total_events_received":3,"total_unique_events_processed":2,"total_duplicate_events_dropped":1}"#;
        assert_eq!(parse(stats), Some(Counters { received: 3, unique: 2, dropped: 1 }));
        assert_eq!(parse("{}"), None);
    }
}
