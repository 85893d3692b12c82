//! T11: `kilat attack` as a load generator, against `wrk` on the same server. Also runs it
//! for figures that need a fixed rate. Reads only its report, as any other caller.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::bench::crowd::Crowd;
use crate::bench::figure::{Figure, Target};
use crate::bench::job::{self, Ended};
use crate::bench::kilat::{self, ADMIN_TOKEN, HUGE_SUPPLY, Place};
use crate::bench::scene::{Folder, Scene, alternate};
use crate::bench::server::{self, GENERATOR_CORE, SERVER_CORE, Server};
use crate::bench::wrk::CONNECTIONS;

const SALE: &str = "open";
/// Connections that T11 asks for.
const MANY_CONNECTIONS: usize = 10_000;
/// What an attack may remember of each acknowledged order.
const ORDER_BYTES_MAX: f64 = 32.0;
/// Each order has a buyer of its own.
const BUYERS: u64 = 100_000_000;
/// Longest time beyond the load itself: the proof reads every order.
const PROOF_DEADLINE: Duration = Duration::from_secs(300);
const MIB: f64 = 1024.0 * 1024.0;

/// An attack that is still to be run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storm {
    seconds: u64,
    connections: usize,
    rate: Option<f64>,
}

/// What an attack reports, and what it used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Report {
    pub(super) per_second: f64,
    pub(super) p99_ms: f64,
    pub(super) acknowledged: u64,
    /// The most anonymous memory that was seen while it ran, in bytes.
    pub(super) peak_bytes: f64,
}

impl Storm {
    /// As fast as the connections allow.
    pub(super) fn new(seconds: u64, connections: usize) -> Self {
        Self { seconds, connections, rate: None }
    }

    /// Orders a second, whether or not earlier ones were answered.
    pub(super) fn at_rate(mut self, rate: f64) -> Self {
        self.rate = Some(rate);
        self
    }

    fn arguments(self) -> Vec<String> {
        let mut arguments: Vec<String> =
            ["attack", "--json", "--quiet", "--replay", "0"].map(str::to_owned).into();
        let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        add("--supply", HUGE_SUPPLY.to_string());
        add("--per-customer", "0".to_owned());
        add("--buyers", BUYERS.to_string());
        add("--connections", self.connections.to_string());
        add("--duration", self.seconds.to_string());
        if let Some(rate) = self.rate {
            add("--rate", format!("{rate:.0}"));
        }
        arguments
    }
}

/// T11.
pub(super) fn generator(scene: &Scene) -> Result<Vec<Figure>> {
    let folder = scene.folder("t11")?;
    let server = serve(scene, &folder)?;
    let seconds = scene.shot_seconds();
    let mut crowd = Crowd::new(seconds);
    let storm = Storm::new(seconds, CONNECTIONS);
    let rounds = alternate(
        scene.rounds(),
        || self::storm(scene, &server, &storm),
        || crowd.shoot(&server, SALE),
    )?;
    let long = self::storm(scene, &server, &Storm::new(seconds * 3, CONNECTIONS))?;
    let short = rounds.first().map(|(report, _)| *report).context("there was no round")?;
    drop(server);
    Ok(vec![
        Figure::new(
            "T11",
            "replies to `kilat attack` ÷ wrk, same server",
            "×",
            rounds.iter().map(|(ours, wrk)| ours.per_second / wrk.per_second()).collect(),
        )
        .aims(Target::AtLeast(0.9)),
        Figure::new(
            "T11",
            "replies, `kilat attack`",
            "/s",
            rounds.iter().map(|(ours, _)| ours.per_second).collect(),
        ),
        Figure::new(
            "T11",
            "replies, wrk",
            "/s",
            rounds.iter().map(|(_, wrk)| wrk.per_second()).collect(),
        ),
        memory_of(short, long),
        many_connections(scene)?,
    ])
}

/// Runs an attack on a rehearsal sale of its own, against a server on the other core.
pub(super) fn storm(scene: &Scene, server: &Server, storm: &Storm) -> Result<Report> {
    let mut command = server::pinned(Some(GENERATOR_CORE))?;
    command
        .arg(scene.kilat()?)
        .args(storm.arguments())
        .args(["--url", &format!("http://{}", server.address())])
        .env("KILAT_ADMIN_TOKEN", ADMIN_TOKEN);
    let Ended { status, output, errors, peak_bytes, .. } =
        job::run(&mut command, Duration::from_secs(storm.seconds) + PROOF_DEADLINE)?;
    ensure!(status.success(), "`kilat attack` ended with {status}: {output}{errors}");
    let mut report = parse(&output)
        .with_context(|| format!("`kilat attack` reports something else: {output}"))?;
    report.peak_bytes = peak_bytes;
    ensure!(report.acknowledged > 0, "`kilat attack` bought nothing");
    Ok(report)
}

fn serve(scene: &Scene, folder: &Folder) -> Result<Server> {
    let place = Place { folder: folder.path(), core: Some(SERVER_CORE) };
    let server = kilat::serve(scene, place)?;
    kilat::create_sale(&server, SALE, HUGE_SUPPLY)?;
    Ok(server)
}

/// Two lengths of the same attack: what the longer one needs more is what an order costs.
fn memory_of(short: Report, long: Report) -> Figure {
    let orders = long.acknowledged.saturating_sub(short.acknowledged);
    let bytes = (long.peak_bytes - short.peak_bytes) / (orders as f64).max(1.0);
    Figure::new("T11", "memory of `kilat attack` an acknowledged order", "bytes", vec![bytes])
        .aims(Target::AtMost(ORDER_BYTES_MAX))
        .noted(format!(
            "anonymous, peak: {:.1} MiB at {} orders, {:.1} MiB at {}",
            short.peak_bytes / MIB,
            short.acknowledged,
            long.peak_bytes / MIB,
            long.acknowledged,
        ))
}

fn many_connections(scene: &Scene) -> Result<Figure> {
    let folder = scene.folder("t11-many")?;
    let server = serve(scene, &folder)?;
    let connections = scene.pick(MANY_CONNECTIONS, 200);
    let started = Instant::now();
    let report = storm(scene, &server, &Storm::new(scene.shot_seconds(), connections))?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(Figure::new(
        "T11",
        format!("`kilat attack` with {connections} connections, proof included"),
        "s",
        vec![seconds],
    )
    .noted(format!("complete and proven, {:.0}/s, p99 {:.1} ms", report.per_second, report.p99_ms)))
}

fn parse(output: &str) -> Option<Report> {
    let report: Value = serde_json::from_str(output).ok()?;
    Some(Report {
        per_second: report["traffic"]["replies_per_second"].as_f64()?,
        p99_ms: report["latency_us"]["p99"].as_f64()? / 1e3,
        acknowledged: report["orders"]["acknowledged"].as_u64()?,
        peak_bytes: 0.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_read() {
        let output = r#"{"orders":{"acknowledged":7},"traffic":{"replies_per_second":3.5},"latency_us":{"p99":2500}}"#;
        let report = parse(output).unwrap();
        assert_eq!((report.acknowledged, report.per_second, report.p99_ms), (7, 3.5, 2.5));
        assert_eq!(parse("{}"), None);
    }

    #[test]
    fn memory_is_what_more_orders_need_more() {
        let report = |acknowledged, peak_bytes| Report {
            per_second: 1.0,
            p99_ms: 1.0,
            acknowledged,
            peak_bytes,
        };
        let figure = memory_of(report(100, 1_000.0), report(300, 7_400.0));
        assert!(format!("{figure:?}").contains("[32.0]"), "{figure:?}");
    }
}
