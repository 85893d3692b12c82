//! T10: lines of the audit log a second, and what writing them takes of a check's time.

use anyhow::{Context as _, Result};

use crate::bench::bench_target;
use crate::bench::figure::{Figure, Target};
use crate::bench::scene::Scene;

const LINES_MIN: f64 = 1_000_000.0;
/// Part of a check's wall time that its log may take.
const SHARE_PERCENT_MAX: f64 = 2.0;
/// Lookups a second of T9, when it stays within its bound.
const LOOKUPS_PER_SECOND: f64 = 100_000.0 / 5.3;

/// Runs the log's own benchmark, and reads what it prints.
pub(super) fn lines(scene: &Scene) -> Result<Vec<Figure>> {
    let rounds: Vec<Round> = (0..scene.rounds()).map(|_| round(scene)).collect::<Result<_>>()?;
    let of = |pick: fn(&Round) -> f64| rounds.iter().map(pick).collect::<Vec<f64>>();
    let share = |round: &Round| round.cpu_ns * 1e-9 * LOOKUPS_PER_SECOND * 100.0;
    Ok(vec![
        Figure::new("T10", "lines of the audit log, durable", "/s", of(|r| r.per_second))
            .aims(Target::AtLeast(LINES_MIN)),
        Figure::new(
            "T10",
            "processor time a line, both threads of the log",
            "ns",
            of(|r| r.cpu_ns),
        ),
        Figure::new("T10", "of the wall time of T9", "%", rounds.iter().map(share).collect())
            .aims(Target::AtMost(SHARE_PERCENT_MAX)),
    ])
}

/// What one run of the benchmark printed.
#[derive(Debug, PartialEq)]
struct Round {
    per_second: f64,
    cpu_ns: f64,
}

fn round(scene: &Scene) -> Result<Round> {
    let command = bench_target("kilat-client", "audit", scene.size());
    let output = command.read().context("the log's benchmark failed")?;
    parse(&output).with_context(|| format!("the log's benchmark prints something else: {output}"))
}

/// `write: … , 1000000 a second`, and a line `audit-…: 500 ns …` for each thread of the log.
fn parse(output: &str) -> Option<Round> {
    let mut lines = output.lines().map(str::trim);
    let write = lines.find_map(|line| line.strip_prefix("write: "))?;
    let per_second = write.strip_suffix(" a second")?.rsplit(' ').next()?.parse().ok()?;
    let of_thread = |line: &str| {
        let (_, cost) = line.strip_prefix("audit-")?.split_once(": ")?;
        cost.split(' ').next()?.parse::<f64>().ok()
    };
    let costs: Vec<f64> = lines.filter_map(of_thread).collect();
    (!costs.is_empty()).then(|| Round { per_second, cpu_ns: costs.iter().sum() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_read() {
        let output = "write: 50 lookups in 1.04 s, 48201 a second\n  when all were handed over, \
                      3 were not durable\n  main: 900 ns of processor time a lookup\n  \
                      audit-sync: 10 ns of processor time a lookup\n  audit-write: 500 ns of \
                      processor time a lookup\nverify: 50 lookups in 1 s, 7 a second\n";
        assert_eq!(parse(output), Some(Round { per_second: 48_201.0, cpu_ns: 510.0 }));
        assert_eq!(parse("write: 50 lookups in 1.04 s, 48201 a second"), None);
    }
}
