//! T10: lines of the audit log a second, and what writing them takes of a check's time.

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::bench::figure::{Figure, Target};
use crate::bench::scene::Scene;
use crate::process;

const LINES_MIN: f64 = 1_000_000.0;
/// Part of a check's wall time that its log may take.
const SHARE_PERCENT_MAX: f64 = 2.0;
/// Lookups a second of T9, when it stays within its bound.
const LOOKUPS_PER_SECOND: f64 = 100_000.0 / 5.3;

/// Runs the log's own benchmark, which speaks JSON.
pub(super) fn lines(scene: &Scene) -> Result<Vec<Figure>> {
    let mut rounds = Vec::new();
    for _ in 0..scene.rounds() {
        rounds.push(round(scene)?);
    }
    let of = |key: &str| -> Result<Vec<f64>> {
        let value = |round: &Value| round[key].as_f64().with_context(|| format!("no {key}"));
        rounds.iter().map(value).collect()
    };
    let share = |ns: &f64| ns * 1e-9 * LOOKUPS_PER_SECOND * 100.0;
    let cost = of("cpu_ns_per_line")?;
    Ok(vec![
        Figure::new("T10", "lines of the audit log, durable", "/s", of("lines_per_second")?)
            .aims(Target::AtLeast(LINES_MIN)),
        Figure::new("T10", "processor time a line", "ns", cost.clone()),
        Figure::new("T10", "of the wall time of T9", "%", cost.iter().map(share).collect())
            .aims(Target::AtMost(SHARE_PERCENT_MAX)),
    ])
}

fn round(scene: &Scene) -> Result<Value> {
    let base = ["bench", "--quiet", "--package", "kilat-client", "--bench", "audit"];
    let smoke: &[&str] = scene.pick(&[], &["--profile", "dev"]);
    let size: &[&str] = scene.pick(&["--", "--json"], &["--", "--json", "--smoke"]);
    let arguments = base.iter().chain(smoke).chain(size).copied();
    let output = process::cargo(arguments).read().context("the log's benchmark failed")?;
    let line = output.lines().last().context("it printed nothing")?;
    serde_json::from_str(line).with_context(|| format!("it printed {line}"))
}
