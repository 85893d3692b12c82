//! Customers that never come twice, as a load: purchases, each with a key of its own.

use anyhow::{Result, ensure};

use super::server::{GENERATOR_CORE, Server};
use super::wrk::{self, CONNECTIONS, Load, Shot};

/// The first number of a customer: ten digits, and so are all after it.
const NUMBER_MIN: u64 = 1_000_000_000;

/// Load from customers that never come twice.
#[derive(Debug)]
pub(super) struct Crowd {
    first: u64,
    next: u64,
    seconds: u64,
    core: Option<usize>,
}

impl Crowd {
    /// Of so many seconds a shot, from the generator's core.
    pub(super) fn new(seconds: u64) -> Self {
        Self { first: NUMBER_MIN, next: NUMBER_MIN, seconds, core: Some(GENERATOR_CORE) }
    }

    /// One that warms up: its customers meet no others, for a second.
    pub(super) fn early() -> Self {
        Self { first: 2 * NUMBER_MIN, next: 2 * NUMBER_MIN, ..Self::new(1) }
    }

    /// From any core, where the server has no core of its own.
    pub(super) fn on_any_core(self) -> Self {
        Self { core: None, ..self }
    }

    /// Buys from `sale` on `server`.
    pub(super) fn shoot(&mut self, server: &Server, sale: &str) -> Result<Shot> {
        let load = Load {
            script: "purchase.lua",
            arguments: vec![sale.to_owned(), self.next.to_string()],
            seconds: self.seconds,
            core: self.core,
        };
        let shot = wrk::shoot(server, &load)?;
        // Requests that were under way when the time was over count too.
        self.next += shot.requests + CONNECTIONS as u64;
        Ok(shot)
    }

    /// Orders that may have been placed, replies that came too late included.
    pub(super) fn orders_max(&self) -> u64 {
        self.next - self.first
    }
}

/// A shot of which every request was served.
pub(super) fn bought(shot: Shot) -> Result<Shot> {
    ensure!(
        shot.status_errors == 0,
        "{} of {} purchases were refused",
        shot.status_errors,
        shot.requests
    );
    Ok(shot)
}
