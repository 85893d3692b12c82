//! A ledger in PostgreSQL. What is measured stands beside the statements, in `store::postgres::tests`
//! of `kilat-engine`: it prints lines `figure NAME VALUE`, one a round.

use anyhow::{Context as _, Result, ensure};

use crate::bench::figure::{Figure, Target};
use crate::bench::scene::Scene;
use crate::process;
use crate::suites;

const TEST: &str = "store::postgres::tests::purchases_a_second";

/// T13.
pub(super) fn beside_a_bare_client(scene: &Scene) -> Result<Vec<Figure>> {
    let said = measure(scene)?;
    let figure = |name, what, unit| -> Result<Figure> {
        let samples: Vec<f64> = said.lines().filter_map(|line| value(line, name)).collect();
        ensure!(!samples.is_empty(), "nothing was said of {name}:\n{said}");
        Ok(Figure::new("T13", what, unit, samples))
    };
    let bare = "4 bare clients that send the same statements, made beforehand, 500 a statement";
    Ok(vec![
        figure("replicas_of_bare", "purchases, 4 replicas ÷ 4 bare clients", "")?
            .aims(Target::AtLeast(0.8))
            .noted(
                "one SKU, a limit per customer; synchronous_commit=on; pairs, each first in turn",
            ),
        figure("bare", bare, "/s")?,
        figure("replicas", "4 replicas, batches of 500", "/s")?,
        figure("bytes", "table, indexes and outbox an order takes", "bytes")?,
    ])
}

/// The value in a line `figure NAME VALUE`.
fn value(line: &str, name: &str) -> Option<f64> {
    let mut words = line.split_whitespace();
    let is_it = words.next() == Some("figure") && words.next() == Some(name);
    is_it.then(|| words.next()?.parse().ok()).flatten()
}

fn measure(scene: &Scene) -> Result<String> {
    const REAL: &[&str] = &["--package", "kilat-engine", "--features", "postgres", "--release"];
    let build = scene.pick(REAL, &suites::ALL);
    let run = ["--", "--nocapture", "--exact", TEST];
    let mut call = process::cargo([&["test", "--lib"], build, &run].concat());
    if !scene.is_smoke() {
        call = call.env("KILAT_POSTGRES_BATCHES", "60").env("KILAT_POSTGRES_ROUNDS", "7");
    }
    call.read().with_context(|| format!("{TEST} failed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_figures_own_lines_are_its() {
        for (line, expected) in [
            ("figure bare 44118", Some(44_118.0)),
            ("figure bare_of 1", None),
            ("test bare ... ok", None),
            ("figure bare", None),
        ] {
            assert_eq!(value(line, "bare"), expected, "{line}");
        }
    }
}
