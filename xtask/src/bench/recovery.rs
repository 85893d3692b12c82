//! `kilat up` while one of its processes is killed: how long buyers wait until they are served.
//! Buyers send a request once and wait for its answer. Must never judge a run by whether a target
//! is reached: it only says so.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::json;

use super::figure::{Figure, Target};
use super::http::{self, Connection};
use super::kilat::{self, HUGE_SUPPLY, Place};
use super::scene::Scene;
use super::server::Server;

const SALE: &str = "open";
/// Buyers that buy all the time.
const BUYERS: u64 = 16;
/// Orders in one request while the sale is filled.
const BATCH: u64 = 8_000;
/// Before a kill, and after it.
const PAUSE: Duration = Duration::from_millis(1_500);
/// Processes, and the longest that buyers should have to wait when one is killed, in milliseconds.
const PARTS: [(&str, f64); 2] = [("web-2", 300.0), ("core", 1_000.0)];

/// What buyers met while a process was killed.
struct Met {
    longest: Duration,
    bought: u64,
    /// Replies other than an order.
    failed: u64,
}

/// Fills a sale, then kills one process after the other.
pub(super) fn run(scene: &Scene) -> Result<Vec<Figure>> {
    let folder = scene.folder("recovery")?;
    let data = folder.path().join("data");
    let up = kilat::up(scene, Place { folder: folder.path(), core: None })?;
    kilat::create_sale(&up, SALE, HUGE_SUPPLY)?;
    let orders = scene.pick(1_000_000, 1_000);
    fill(&up, orders)?;
    let mut figures = Vec::new();
    for (name, most_ms) in PARTS {
        let kills = 0..scene.pick(10, 1);
        let met: Vec<Met> =
            kills.map(|round| kill(scene, &up, &data, name, round)).collect::<Result<_>>()?;
        let sum = |of: fn(&Met) -> u64| met.iter().map(of).sum::<u64>();
        let (bought, failed) = (sum(|met| met.bought), sum(|met| met.failed));
        let waits = met.iter().map(|met| met.longest.as_secs_f64() * 1e3).collect();
        figures.push(
            Figure::new(
                "recovery",
                format!("longest wait of a buyer while {name} is killed"),
                "ms",
                waits,
            )
            .aims(Target::AtMost(most_ms))
            .noted(format!("{orders} orders before; {bought} bought, {failed} were refused")),
        );
    }
    Ok(figures)
}

/// Sells so many units.
fn fill(up: &Server, orders: u64) -> Result<()> {
    let mut connection = Connection::open(up.address())?;
    for batch in 0..orders.div_ceil(BATCH) {
        let numbers = batch * BATCH..orders.min((batch + 1) * BATCH);
        let order = |number| json!({"key": format!("f{number}"), "customer": "c", "quantity": 1});
        let body = json!({ "orders": numbers.map(order).collect::<Vec<_>>() }).to_string();
        let path = format!("/v1/sales/{SALE}/orders:batch");
        let headers = ["Content-Type: application/json"];
        let reply =
            connection.exchange(&http::request("POST", &path, &headers, body.as_bytes()))?;
        ensure!(reply.status == 200, "a batch is answered {}", reply.status);
    }
    Ok(())
}

/// Kills a process while buyers buy.
fn kill(scene: &Scene, up: &Server, data: &Path, name: &str, round: u64) -> Result<Met> {
    let mut killer = Command::new(scene.kilat()?);
    killer.args(["kill", name, "--data"]).arg(data);
    let (done, failed) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let buyers: Vec<_> = (0..BUYERS)
            .map(|buyer| {
                let prefix = format!("{name}-{round}-{buyer}");
                let (done, failed) = (&done, &failed);
                scope.spawn(move || buy(up, &prefix, done, failed))
            })
            .collect();
        thread::sleep(PAUSE);
        let killed = killer.output();
        thread::sleep(PAUSE);
        done.store(true, Ordering::Relaxed);
        let met: Vec<(Duration, u64)> = buyers
            .into_iter()
            .map(|buyer| buyer.join().unwrap_or_else(|_| Err(anyhow!("a buyer panicked"))))
            .collect::<Result<_>>()?;
        ensure!(killed?.status.success(), "{name} could not be killed");
        let longest = met.iter().map(|met| met.0).max().context("nobody bought")?;
        let bought = met.iter().map(|met| met.1).sum();
        Ok(Met { longest, bought, failed: failed.load(Ordering::Relaxed) })
    })
}

/// Buys until it is done; tells the longest wait for an order, and how many there were.
fn buy(
    up: &Server,
    prefix: &str,
    done: &AtomicBool,
    failed: &AtomicU64,
) -> Result<(Duration, u64)> {
    let mut connection = Connection::open(up.address())?;
    let (mut longest, mut bought, mut since) = (Duration::ZERO, 0, Instant::now());
    for number in 0_u64.. {
        let key = format!("Idempotency-Key: {prefix}-{number}");
        let path = format!("/v1/sales/{SALE}/orders");
        let headers = ["Content-Type: application/json", &key];
        let body = br#"{"customer":"c","quantity":1}"#;
        let reply = connection.exchange(&http::request("POST", &path, &headers, body))?;
        if reply.status == 201 {
            longest = longest.max(since.elapsed());
            (bought, since) = (bought + 1, Instant::now());
        } else {
            failed.fetch_add(1, Ordering::Relaxed);
        }
        if done.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok((longest, bought))
}
