//! A ledger in Redis. What is measured stands beside the rules, in `store::redis::tests::measure` of
//! `kilat-engine`: it prints lines `figure NAME VALUE`, one a round.

use anyhow::{Context as _, Result, ensure};

use crate::bench::figure::{Figure, Target};
use crate::bench::scene::Scene;
use crate::process;
use crate::suites;

const TESTS: &str = "store::redis::tests::measure::";

/// T12.
pub(super) fn beside_a_bare_client(scene: &Scene) -> Result<Vec<Figure>> {
    let said = measure(scene, "purchases_a_second", (100, 9))?;
    let bare = "a bare client that sends the same calls, made beforehand, 500 a call";
    let note = "appendfsync always; pairs, which of them is first in turn";
    Ok(vec![
        said.figure("T12", "runner_of_bare", "purchases, queue and runner ÷ bare client", "")?
            .aims(Target::AtLeast(0.8))
            .noted(note),
        said.figure("T12", "runner_and_relay_of_bare", "the same while facts are relayed", "")?
            .noted("the event log is on the same machine and disk"),
        said.figure("T12", "bare", bare, "/s")?,
        said.figure("T12", "runner", "queue and runner", "/s")?,
        said.figure("T12", "runner_and_relay", "queue and runner, facts relayed", "/s")?,
        said.figure("T12", "memory", "memory of Redis an order takes", "bytes")?,
    ])
}

/// What a purchase costs in stripes.
pub(super) fn stripes(scene: &Scene) -> Result<Vec<Figure>> {
    let said = measure(scene, "processor_time_of_stripes", (200, 5))?;
    let note = "3 primaries, 3 stripes; all redis-server processes together";
    let us = "µs";
    Ok(vec![
        said.figure(
            "stripes",
            "striped_of_one_piece",
            "processor time a purchase, stripes ÷ one piece",
            "",
        )?
        .aims(Target::AtMost(1.2))
        .noted(note),
        said.figure("stripes", "striped_small_of_one_piece", "the same, 167 purchases a call", "")?,
        said.figure("stripes", "one_piece_us", "one server, 500 a call", us)?,
        said.figure("stripes", "striped_us", "3 stripes, 500 a call", us)?,
        said.figure("stripes", "striped_small_us", "3 stripes, 167 a call", us)?,
        said.figure("stripes", "one_piece", "purchases, one server", "/s")?,
        said.figure("stripes", "striped", "purchases, 3 stripes, all on one machine", "/s")?,
    ])
}

/// What a refusal costs when nothing is left.
pub(super) fn refusals(scene: &Scene) -> Result<Vec<Figure>> {
    let said = measure(scene, "processor_time_of_refusals", (400, 5))?;
    let us = "µs";
    Ok(vec![
        said.figure("refusals", "refused_us", "processor time a refusal, one server", us)?
            .noted("sold out; 500 a call; all redis-server processes together"),
        said.figure("refusals", "striped_refused_us", "the same, 3 stripes", us)?,
        said.figure("refusals", "refused", "refusals, one server", "/s")?,
        said.figure("refusals", "striped_refused", "the same, 3 stripes", "/s")?,
    ])
}

/// What a measuring test printed.
struct Said(String);

impl Said {
    fn figure(
        &self,
        id: &'static str,
        name: &str,
        what: &'static str,
        unit: &'static str,
    ) -> Result<Figure> {
        let samples: Vec<f64> = self.0.lines().filter_map(|line| value(line, name)).collect();
        ensure!(!samples.is_empty(), "nothing was said of {name}:\n{}", self.0);
        Ok(Figure::new(id, what, unit, samples))
    }
}

/// The value in a line `figure NAME VALUE`.
fn value(line: &str, name: &str) -> Option<f64> {
    let mut words = line.split_whitespace();
    let is_it = words.next() == Some("figure") && words.next() == Some(name);
    is_it.then(|| words.next()?.parse().ok()).flatten()
}

fn measure(scene: &Scene, test: &str, (batches, rounds): (u32, u32)) -> Result<Said> {
    let test = format!("{TESTS}{test}");
    const REAL: &[&str] = &["--package", "kilat-engine", "--features", "redis", "--release"];
    let build = scene.pick(REAL, &suites::ALL);
    let run = ["--", "--nocapture", "--exact", &test];
    let mut call = process::cargo([&["test", "--lib"], build, &run].concat());
    if !scene.is_smoke() {
        call = call
            .env("KILAT_REDIS_BATCHES", batches.to_string())
            .env("KILAT_REDIS_ROUNDS", rounds.to_string());
    }
    call.read().map(Said).with_context(|| format!("{test} failed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_figures_own_lines_are_its() {
        for (line, expected) in [
            ("figure bare 84700", Some(84_700.0)),
            ("figure bare_of 1", None),
            ("test bare ... ok", None),
            ("figure bare", None),
        ] {
            assert_eq!(value(line, "bare"), expected, "{line}");
        }
    }
}
