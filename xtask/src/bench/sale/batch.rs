//! T2 and T3: orders by the batch, through the API and in process. Also fills a sale for others.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::bench::bench_target;
use crate::bench::figure::{Figure, Target};
use crate::bench::kilat::{self, HUGE_SUPPLY, Place};
use crate::bench::scene::Scene;
use crate::bench::server::Server;
use crate::process;

const SALE: &str = "open";
/// More connections only queue: one request is many commits' worth of work.
const CONNECTIONS: u64 = 4;
/// What TigerBeetle's own benchmark reached on a machine of the kind that the targets are for:
/// one replica, 8,189 transfers a batch.
const TIGERBEETLE_PER_SECOND: f64 = 356_000.0;
/// A load without a limit of its own: numbers of batches end there.
const BATCHES_MAX: u64 = 1_000_000;

/// What the generator found out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Filled {
    pub(super) orders: u64,
    pub(super) seconds: f64,
    batch_ms_median: f64,
}

/// How much a generator sends, whichever ends first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Amount {
    pub(super) batches: u64,
    pub(super) seconds: u64,
}

/// T2.
pub(super) fn through_the_api(scene: &Scene) -> Result<Vec<Figure>> {
    let folder = scene.folder("t2")?;
    let place = Place { folder: folder.path(), core: None };
    let server = kilat::serve(scene, place)?;
    kilat::create_sale(&server, SALE, HUGE_SUPPLY)?;
    let mut rounds: Vec<Filled> = Vec::new();
    for round in 0..scene.rounds() as u64 {
        let amount = Amount { batches: BATCHES_MAX, seconds: scene.pick(5, 1) };
        rounds.push(fill(scene, &server, SALE, amount, round * BATCHES_MAX)?);
    }
    let sold = kilat::sold(&server, SALE)?;
    let acknowledged: u64 = rounds.iter().map(|filled| filled.orders).sum();
    ensure!(
        sold == acknowledged,
        "{acknowledged} orders were acknowledged and {sold} units were sold"
    );
    let per_second = |filled: &Filled| filled.orders as f64 / filled.seconds;
    Ok(vec![
        Figure::new(
            "T2",
            "orders by orders:batch of 8,192, one SKU",
            "orders/s",
            rounds.iter().map(per_second).collect(),
        )
        .aims(Target::AtLeast(1_000_000.0))
        .noted(format!("{CONNECTIONS} connections, no core pinned")),
        Figure::new(
            "T2",
            "a batch of 8,192, request to reply",
            "ms",
            rounds.iter().map(|filled| filled.batch_ms_median).collect(),
        ),
        Figure::new(
            "T2",
            "TigerBeetle's own benchmark, for reference",
            "/s",
            vec![TIGERBEETLE_PER_SECOND],
        )
        .noted(
            "not rerun: an earlier figure from a machine of this kind; the target is 3 times that",
        ),
    ])
}

/// T3.
pub(super) fn in_process(scene: &Scene) -> Result<Vec<Figure>> {
    const PACKAGE: &str = "kilat-engine";
    ensure!(
        Path::new("crates/kilat-engine/benches/commit.rs").exists(),
        "{PACKAGE} has no bench called `commit` yet"
    );
    let mut samples = Vec::new();
    for _ in 0..scene.pick(3, 1) {
        let command = bench_target(PACKAGE, "commit", scene.size());
        let shown = process::show(&command, |line| orders_per_second(line).is_some())?;
        ensure!(shown.success, "the bench `commit` failed");
        ensure!(!shown.kept.is_empty(), "the bench `commit` printed no `orders_per_second: N`");
        samples.extend(shown.kept.iter().filter_map(|line| orders_per_second(line)));
    }
    Ok(vec![
        Figure::new("T3", "ledger and journal in process, 8,000 a batch", "orders/s", samples)
            .aims(Target::AtLeast(4_000_000.0)),
    ])
}

/// Puts orders into a sale; batches are numbered from `first`.
pub(super) fn fill(
    scene: &Scene,
    server: &Server,
    sale: &str,
    amount: Amount,
    first: u64,
) -> Result<Filled> {
    let output = std::process::Command::new(scene.generator()?)
        .arg("generate-orders")
        .args(["--address", &server.address().to_string()])
        .args(["--sale", sale])
        .args(["--connections", &CONNECTIONS.to_string()])
        .args(["--seconds", &amount.seconds.to_string()])
        .args(["--batches", &amount.batches.to_string()])
        .args(["--first", &first.to_string()])
        .stdin(Stdio::null())
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the load generator failed: {}", errors.trim());
    parse(&output.stdout).context("the load generator reports something else")
}

fn parse(output: &[u8]) -> Option<Filled> {
    let result: Value = serde_json::from_slice(output).ok()?;
    Some(Filled {
        orders: result["orders"].as_u64()?,
        seconds: result["seconds"].as_f64()?,
        batch_ms_median: result["batch_ms_median"].as_f64()?,
    })
}

/// `orders_per_second: 4100000`, with or without `_` or `,` between the digits.
fn orders_per_second(line: &str) -> Option<f64> {
    let (_, value) = line.split_once("orders_per_second:")?;
    let digits: String = value.trim().chars().filter(|c| !matches!(c, '_' | ',')).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generators_report_is_read() {
        let filled =
            parse(br#"{"orders":16384,"seconds":0.5,"batch_ms_median":3.0,"batch_ms_max":9}"#);
        assert_eq!(filled.unwrap().orders, 16_384);
        assert_eq!(parse(b"{}"), None);
    }

    #[test]
    fn the_benchs_line_is_found() {
        assert_eq!(orders_per_second("orders_per_second: 4_100_000"), Some(4_100_000.0));
        assert_eq!(orders_per_second("  orders_per_second: 12.5"), Some(12.5));
        assert_eq!(orders_per_second("orders: 12"), None);
    }
}
