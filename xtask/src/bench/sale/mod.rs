//! The benchmarks of the sale: each target of `docs/benchmarks.md` against its peer, in the
//! same run. Must never judge a run by whether a target is reached: it only says so.

mod attack;
mod batch;
mod figure;
pub(crate) mod generator;
mod http;
mod idle;
mod kilat;
mod machine;
mod nginx;
mod purchase;
mod redis;
mod restart;
mod scene;
mod seed;
mod server;
mod usage;
mod wrk;

use std::fs;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use super::Options;
use crate::setup::{self, Need};
use figure::Figure;
use machine::Machine;
use scene::Scene;

/// One target, or one peer for orientation.
struct Part {
    id: &'static str,
    needs: &'static [Need],
    run: fn(&Scene) -> Result<Vec<Figure>>,
}

/// What did not run, and why.
struct Failure {
    id: &'static str,
    why: String,
}

/// A new target is one entry here and a module of its subject.
static PARTS: &[Part] = &[
    Part {
        id: "T1",
        needs: &[setup::UTIL_LINUX, setup::WRK, setup::NGINX],
        run: purchase::purchases,
    },
    Part { id: "T2", needs: &[setup::UTIL_LINUX], run: batch::through_the_api },
    Part { id: "T3", needs: &[], run: batch::in_process },
    Part {
        id: "T4",
        needs: &[setup::UTIL_LINUX, setup::WRK, setup::NGINX],
        run: purchase::refusals,
    },
    Part { id: "T8", needs: &[setup::UTIL_LINUX], run: restart::restarts },
    Part { id: "T11", needs: &[setup::UTIL_LINUX, setup::WRK], run: attack::generator },
    Part { id: "T14", needs: &[setup::UTIL_LINUX], run: idle::costs },
    Part {
        id: "seed",
        needs: &[setup::UTIL_LINUX, setup::WRK, setup::NGINX, setup::REDIS, setup::PYTHON],
        run: seed::purchases,
    },
    Part {
        id: "redis",
        needs: &[setup::UTIL_LINUX, setup::REDIS, setup::REDIS_TOOLS],
        run: redis::reservations,
    },
];

/// Runs the parts that are asked for, prints their figures, and writes them where it is asked to.
///
/// `Ok(false)` when a part could not run; never because of a figure.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let parts = select(&options.only)?;
    let scene = Scene::new(options.size)?;
    setup::provide(&needs(&parts));
    let machine = Machine::examine(scene.root())?;
    println!("{}", machine.line());
    let mut figures = Vec::new();
    let mut failures = Vec::new();
    for part in parts {
        println!("   {} …", part.id);
        match run_part(part, &scene) {
            Ok(found) => figures.extend(found),
            Err(error) => failures.push(Failure { id: part.id, why: format!("{error:#}") }),
        }
    }
    print_result(&figures, &failures, scene.is_smoke());
    if let Some(file) = &options.json {
        let failed: Vec<_> = failures
            .iter()
            .map(|failure| json!({ "id": failure.id, "why": failure.why }))
            .collect();
        let result = json!({
            "smoke": scene.is_smoke(),
            "machine": machine.to_json(),
            "figures": figure::to_json(&figures, scene.is_smoke()),
            "failures": failed,
        });
        fs::write(file, format!("{result:#}\n"))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(failures.is_empty())
}

fn run_part(part: &Part, scene: &Scene) -> Result<Vec<Figure>> {
    let missing: Vec<String> =
        part.needs.iter().filter(|need| !need.is_present()).map(Need::advice).collect();
    ensure!(missing.is_empty(), "{}", missing.join("; "));
    (part.run)(scene)
}

fn print_result(figures: &[Figure], failures: &[Failure], is_smoke: bool) {
    print!("\n{}", figure::table(figures, is_smoke));
    if is_smoke {
        println!("smoke size: these figures mean nothing");
    }
    for Failure { id, why } in failures {
        println!("{id} did not run: {why}");
    }
}

fn select(only: &[String]) -> Result<Vec<&'static Part>> {
    if only.is_empty() {
        return Ok(PARTS.iter().collect());
    }
    only.iter().map(|id| find(id)).collect()
}

fn find(id: &str) -> Result<&'static Part> {
    match PARTS.iter().find(|part| part.id.eq_ignore_ascii_case(id)) {
        Some(part) => Ok(part),
        None => {
            let known: Vec<&str> = PARTS.iter().map(|part| part.id).collect();
            bail!("the sale's benchmarks have no part `{id}`; there are {}", known.join(", "))
        }
    }
}

fn needs(parts: &[&'static Part]) -> Vec<&'static Need> {
    let mut needs: Vec<&'static Need> = Vec::new();
    for need in parts.iter().flat_map(|part| part.needs) {
        if !needs.contains(&need) {
            needs.push(need);
        }
    }
    needs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_selected_by_their_ids() {
        let ids = |only: &[&str]| -> Result<Vec<&str>> {
            let only: Vec<String> = only.iter().map(|&id| id.to_owned()).collect();
            Ok(select(&only)?.iter().map(|part| part.id).collect())
        };
        assert_eq!(ids(&["t4", "T1"]).unwrap(), ["T4", "T1"]);
        assert_eq!(ids(&[]).unwrap().len(), PARTS.len());
        let error = ids(&["T99"]).unwrap_err().to_string();
        assert!(error.contains("T99") && error.contains("T14"), "{error}");
    }

    #[test]
    fn what_parts_need_is_installed_before_the_tests() {
        for need in PARTS.iter().flat_map(|part| part.needs) {
            assert!(crate::bench::NEEDS.contains(need), "{}", need.advice());
        }
    }
}
