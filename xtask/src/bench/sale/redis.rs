//! Redis as a peer: its own benchmark on a script that reserves with idempotency, flushed
//! before every reply. Must never know what it is compared with.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::bench::figure::Figure;
use crate::bench::scene::{Scene, alternate};
use crate::bench::server::{self, Program, Ready, Server};
use crate::process;

const CONFIGURATION: &str = "bench/peers/redis/redis.conf";
const SCRIPT: &str = "bench/peers/redis/reserve.lua";
/// `redis-benchmark` writes a random number over each of these.
const RANDOM_KEY: &str = "k__rand_int__";
/// The numbers are drawn below this, which must fit 31 bits: keys that come twice are rare.
const RANDOM_MAX: &str = "2000000000";
/// Of all keys that are sent.
const NEW_KEYS_MIN: f64 = 0.95;
const CLIENTS: &str = "64";
const BATCH_ORDERS: usize = 500;

/// Whether every write is flushed before its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durable {
    Yes,
    No,
}

/// Reservations a second, one and 500 to a script.
pub(super) fn reservations(scene: &Scene) -> Result<Vec<Figure>> {
    let folder = scene.folder("redis")?;
    let redis = start(folder.path(), Durable::Yes)?;
    let script = fs::read_to_string(SCRIPT).with_context(|| format!("cannot read {SCRIPT}"))?;
    let script = command(&redis, &["SCRIPT", "LOAD", &script])?;
    command(&redis, &["SET", "stock", "1000000000"])?;
    let (rounds, singles, batches) =
        (scene.pick(3, 1), scene.pick(200_000, 5_000), scene.pick(2_000, 200));
    let samples = alternate(
        rounds,
        || benchmark(&redis, script.trim(), 1, singles),
        || benchmark(&redis, script.trim(), BATCH_ORDERS, batches),
    )?;
    check_reserved(&redis, rounds * (singles + batches * BATCH_ORDERS))?;
    let (single, batched) = samples.into_iter().unzip();
    let note = "appendfsync always, 64 clients, redis-benchmark";
    Ok(vec![
        Figure::new("redis", "reservations, one to a script", "/s", single).noted(note),
        Figure::new("redis", "reservations, 500 to a script", "/s", batched).noted(note),
    ])
}

/// A server without data.
pub(super) fn start(folder: &Path, durable: Durable) -> Result<Server> {
    let program = process::find("redis-server").context("`redis-server` is not installed")?;
    let address = server::free_address()?;
    let configuration = fs::canonicalize(CONFIGURATION)?;
    let appends = if durable == Durable::Yes { "yes" } else { "no" };
    Program::new(&program, address, None, folder)?
        .args([configuration])
        .args(["--port", &address.port().to_string(), "--appendonly", appends])
        .arg_path("--dir", folder)
        .start(Ready::Accepts)
}

/// What `redis-cli` answers to one command.
pub(super) fn command(redis: &Server, words: &[&str]) -> Result<String> {
    let port = redis.address().port().to_string();
    let arguments = [&["-e", "-p", &port], words].concat();
    let answer = process::program("redis-cli", arguments)?.read();
    answer.with_context(|| format!("redis-cli {} failed", words.first().unwrap_or(&"")))
}

/// Every key that was reserved took exactly one unit, and nearly all were new.
fn check_reserved(redis: &Server, sent: usize) -> Result<()> {
    let orders: u64 = command(redis, &["HLEN", "orders"])?.trim().parse()?;
    let left: u64 = command(redis, &["GET", "stock"])?.trim().parse()?;
    let are_new = orders as f64 >= sent as f64 * NEW_KEYS_MIN;
    ensure!(
        are_new && orders + left == 1_000_000_000,
        "{sent} keys were sent, {orders} are reserved, {left} units are left"
    );
    Ok(())
}

/// Orders a second, with so many to a script.
fn benchmark(redis: &Server, script: &str, orders: usize, calls: usize) -> Result<f64> {
    let (port, calls) = (redis.address().port().to_string(), calls.to_string());
    let options = ["-p", &port, "-c", CLIENTS, "-n", &calls, "-r", RANDOM_MAX, "-q"];
    let call = ["EVALSHA", script, "2", "stock", "orders"];
    let keys = vec![RANDOM_KEY; orders];
    let arguments = [&options[..], &call[..], &keys[..]].concat();
    let output = process::program("redis-benchmark", arguments)?.stdin_null().read()?;
    let calls_per_second = parse(&output)
        .with_context(|| format!("redis-benchmark prints something else: {output}"))?;
    Ok(calls_per_second * orders as f64)
}

/// The number before `requests per second`; progress that is overwritten comes before it.
fn parse(output: &str) -> Option<f64> {
    let (before, _) = output.rsplit_once(" requests per second")?;
    before.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_found_behind_the_progress() {
        let output = "EVALSHA x: rps=0.0 (overall: 1.0)\rEVALSHA x: 64102.56 requests per second, p50=0.5 msec\n";
        assert_eq!(parse(output), Some(64_102.56));
        assert_eq!(parse("Could not connect\n"), None);
    }
}
