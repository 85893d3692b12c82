//! Runs whatever puts load on a peer, with a deadline, and reads what it says it did.
//! Must never know what is being driven.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use duct::Expression;
use serde_json::Value;

use super::generator::Protocol;
use super::load;
use crate::bench::scene::Scene;
use crate::process::{self, Captured};

/// Longest time beyond the load itself: preparing it, and closing what was opened.
const MARGIN: Duration = Duration::from_secs(120);
/// A load that only time ends.
pub(super) const BATCHES_MAX: u64 = 1_000_000_000;

/// Events that were sent and answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shot {
    pub(super) events: u64,
    pub(super) seconds: f64,
    /// Where a driver counts new events itself: what it counted.
    pub(super) unique: Option<u64>,
    /// From request to reply, where events go by requests.
    pub(super) batch_ms: Option<f64>,
}

/// A load that is still to be sent; whichever of time and batches ends first ends it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Amount {
    pub(super) batch: u64,
    pub(super) seconds: u64,
    pub(super) batches: u64,
}

/// A load for the generator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Requests {
    pub(super) amount: Amount,
    pub(super) protocol: Protocol,
    pub(super) connections: usize,
    /// Where in the row of events to begin.
    pub(super) first: u64,
    pub(super) recent_ids: u64,
    pub(super) minimal: bool,
}

impl Shot {
    pub(super) fn per_second(&self) -> f64 {
        self.events as f64 / self.seconds
    }
}

impl Amount {
    /// As much as can be sent in that time.
    pub(super) fn of_seconds(batch: u64, seconds: u64) -> Self {
        Self { batch, seconds, batches: BATCHES_MAX }
    }
}

impl Requests {
    /// Sent one after the other on each connection, with duplicates of recent events.
    pub(super) fn new(amount: Amount, protocol: Protocol, connections: usize, first: u64) -> Self {
        let recent_ids = load::RECENT_IDS;
        Self { amount, protocol, connections, first, recent_ids, minimal: false }
    }
}

/// Sends requests to the server at that address.
pub(super) fn generate(scene: &Scene, address: SocketAddr, requests: Requests) -> Result<Shot> {
    let Requests { amount, protocol, connections, first, recent_ids, minimal } = requests;
    let protocol = if protocol == Protocol::Http { "http" } else { "nats" };
    let mut arguments = vec!["generate-events".to_owned()];
    let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    add("--address", address.to_string());
    add("--protocol", protocol.to_owned());
    add("--batch", amount.batch.to_string());
    add("--connections", connections.to_string());
    add("--seconds", amount.seconds.to_string());
    add("--batches", amount.batches.to_string());
    add("--first", first.to_string());
    add("--recent-ids", recent_ids.to_string());
    arguments.extend(minimal.then(|| "--minimal".to_owned()));
    run(&duct::cmd(scene.generator()?, arguments), Duration::from_secs(amount.seconds))
}

/// Batches that a driver in Python makes ready before its time starts: a store that is through
/// with them sooner is measured for a shorter time.
pub(super) fn prepared_batches(scene: &Scene) -> u64 {
    scene.pick(600, 20)
}

/// One run of a store's driver from that event on; it must have found new what was new.
pub(super) fn insert(
    amount: Amount,
    first: u64,
    call: impl Fn(&[&str]) -> Expression,
) -> Result<Shot> {
    let [batch, seconds, batches, start] =
        [amount.batch, amount.seconds, amount.batches, first].map(|number| number.to_string());
    let arguments =
        ["--batch", &batch, "--seconds", &seconds, "--batches", &batches, "--first", &start];
    let shot = run(&call(&arguments), Duration::from_secs(amount.seconds))?;
    let new = load::new_among(first + shot.events) - load::new_among(first);
    let stored = shot.unique.unwrap_or_default();
    ensure!(stored == new, "{new} of {} events were new, {stored} were stored", shot.events);
    Ok(shot)
}

/// The call of a driver, which the kernel ends when this process dies.
pub(super) fn program(program: &Path, arguments: &[&str]) -> Expression {
    let program = program.to_string_lossy();
    let call = ["--pdeathsig", "KILL", &program];
    duct::cmd("setpriv", call.into_iter().chain(arguments.iter().copied()))
}

/// As [`program`], of a driver in Python.
pub(super) fn python(interpreter: &Path, arguments: &[&str]) -> Expression {
    program(interpreter, arguments)
        .env("PYTHONPATH", "bench/peers")
        .env("PYTHONDONTWRITEBYTECODE", "1")
}

/// Runs a driver that prints its result as a last line of JSON.
fn run(driver: &Expression, load: Duration) -> Result<Shot> {
    match process::capture_within(load + MARGIN, driver)? {
        Captured::Exited { success, output } => {
            ensure!(success, "the load generator failed: {}", output.trim());
            parse(&output).with_context(|| format!("the load generator prints {output}"))
        }
        Captured::TimedOut => bail!("the load generator did not end, {driver:?}"),
    }
}

fn parse(output: &str) -> Option<Shot> {
    let line = output.lines().rev().find(|line| line.starts_with('{'))?;
    let result: Value = serde_json::from_str(line).ok()?;
    let shot = Shot {
        events: result["events"].as_u64()?,
        seconds: result["seconds"].as_f64()?,
        unique: result["unique"].as_u64(),
        batch_ms: result["batch_ms_median"].as_f64(),
    };
    (shot.events > 0).then_some(shot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_is_the_last_line_of_json() {
        let output = "a warning\n{\"events\":5,\"seconds\":0.5,\"unique\":4}\n";
        let shot = parse(output).unwrap();
        assert_eq!((shot.per_second(), shot.unique, shot.batch_ms), (10.0, Some(4), None));
        assert_eq!(parse("{\"events\":0,\"seconds\":1.0}"), None, "nothing was sent");
        assert_eq!(parse("{}"), None);
    }
}
