//! Goodput while buyers ask for more than can be served, and ask again before they can have been
//! answered: what is sold in a second, against the most that was sold. Reads only the attack's
//! report. Must never judge a run by whether a target is reached: it only says so.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::figure::{Figure, Target};
use super::job;
use super::kilat::{self, ADMIN_TOKEN, Place};
use super::scene::{Scene, alternate};
use super::server::{self, GENERATOR_CORE, SERVER_CORE, Server};

/// Connections that keep a server busy without a queue to speak of.
const BUSY: u64 = 256;
/// A buyer's patience that no server uses up.
const PATIENT_MS: u64 = 5_000;
/// Longest time beyond the load itself: the proof reads every order.
const PROOF_DEADLINE: Duration = Duration::from_secs(300);
/// What is too much: connections, times [`BUSY`], and patience in milliseconds.
const LOADS: [(u64, u64); 3] = [(2, PATIENT_MS), (10, PATIENT_MS), (10, 20)];

/// Orders in a second, and what else came of a load.
struct Outcome {
    goodput: f64,
    retries: u64,
    unavailable: u64,
}

/// `kilat serve`, and `kilat up` through its gateway, each on one core.
pub(super) fn run(scene: &Scene) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, start) in [("kilat serve", kilat::serve as Start), ("kilat up", kilat::up as Start)]
    {
        let folder = scene.folder("overload")?;
        let server = start(scene, Place { folder: folder.path(), core: Some(SERVER_CORE) })?;
        for (times, patience_ms) in LOADS {
            figures.push(compare(scene, &server, name, times, patience_ms)?);
        }
        server.stop()?;
    }
    Ok(figures)
}

type Start = fn(&Scene, Place<'_>) -> Result<Server>;

fn compare(
    scene: &Scene,
    server: &Server,
    name: &str,
    times: u64,
    patience_ms: u64,
) -> Result<Figure> {
    let rounds = alternate(
        scene.rounds(),
        || shoot(scene, server, BUSY, PATIENT_MS),
        || shoot(scene, server, times * BUSY, patience_ms),
    )?;
    let sum = |of: fn(&Outcome) -> u64| rounds.iter().map(|(_, much)| of(much)).sum::<u64>();
    let note = format!(
        "{} connections, {patience_ms} ms patience; {:.0} orders/s, {} sent again, {} told to come later",
        times * BUSY,
        rounds.iter().map(|(_, much)| much.goodput).sum::<f64>() / rounds.len().max(1) as f64,
        sum(|much| much.retries),
        sum(|much| much.unavailable),
    );
    let what = format!("{name}: orders at {times} × what keeps it busy ÷ orders then");
    let ratios = rounds.iter().map(|(busy, much)| much.goodput / busy.goodput).collect();
    Ok(Figure::new("overload", what, "×", ratios).aims(Target::AtLeast(0.95)).noted(note))
}

/// An attack of so many connections, which must be proven.
fn shoot(scene: &Scene, server: &Server, connections: u64, patience_ms: u64) -> Result<Outcome> {
    let seconds = scene.pick(4, 1);
    let connections = scene.pick(connections, connections.min(64));
    let mut command = server::pinned(Some(GENERATOR_CORE))?;
    command
        .arg(scene.kilat()?)
        .args(["attack", "--json", "--quiet", "--replay=0", "--per-customer=0"])
        .args(["--supply=1000000000", "--buyers=100000000"])
        .args([format!("--connections={connections}"), format!("--timeout-ms={patience_ms}")])
        .args([format!("--duration={seconds}"), format!("--url=http://{}", server.address())])
        .env("KILAT_ADMIN_TOKEN", ADMIN_TOKEN);
    let ended = job::run(&mut command, Duration::from_secs(seconds) + PROOF_DEADLINE)?;
    ensure!(ended.status.success(), "not proven: {}{}", ended.output, ended.errors);
    parse(&ended.output, seconds).with_context(|| format!("no report: {}", ended.output))
}

/// Counts what was acknowledged while the load lasted: at its end some still wait for their turn to
/// ask again, and nobody else is there.
fn parse(output: &str, seconds: u64) -> Option<Outcome> {
    let report: Value = serde_json::from_str(output).ok()?;
    let traffic = &report["traffic"];
    let step_ms = report["timeline_step_ms"].as_u64()?;
    let steps = seconds * 1_000 / step_ms;
    let load = report["timeline"].as_array()?.iter().take(usize::try_from(steps).ok()?);
    let acknowledged: u64 = load.filter_map(|step| step["acknowledged"].as_u64()).sum();
    Some(Outcome {
        goodput: acknowledged as f64 * 1e3 / (steps * step_ms) as f64,
        retries: traffic["retries"].as_u64()?,
        unavailable: traffic["unavailable"].as_u64()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_read() {
        let output = r#"{"timeline_step_ms":500,"traffic":{"retries":1,"unavailable":2},
            "timeline":[{"acknowledged":1},{"acknowledged":2},{"acknowledged":3},{"acknowledged":4},{"acknowledged":5}]}"#;
        let outcome = parse(output, 2).unwrap();
        assert_eq!((outcome.retries, outcome.unavailable), (1, 2));
        assert!((outcome.goodput - 5.0).abs() < 1e-9);
        assert!(parse("{}", 2).is_none());
    }
}
