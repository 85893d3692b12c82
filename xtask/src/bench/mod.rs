//! The registry of benchmarks: a name, what it compares, and how it runs at each size.
//! Must never assert a time: a benchmark reports, and fails only when it cannot run.

mod backends;
mod check;
mod crowd;
pub(crate) mod events;
mod figure;
mod gateway;
mod http;
mod idle;
mod job;
mod kilat;
mod live;
mod machine;
mod nginx;
mod overload;
mod part;
pub(crate) mod python;
mod recovery;
pub(crate) mod sale;
mod scene;
mod server;
mod up;
mod usage;
mod wrk;

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use duct::Expression;

use crate::process;
use crate::setup::{self, Need};
use crate::suites;

/// How large a run is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// Seconds: proves that the benchmark still works. Its figures mean nothing.
    Smoke,
    /// The size whose figures may be published.
    Real,
}

impl Size {
    pub(crate) fn new(smoke: bool) -> Self {
        if smoke { Self::Smoke } else { Self::Real }
    }
}

/// What is asked of the benchmarks that run.
#[derive(Debug)]
pub(crate) struct Options {
    /// How large a run.
    pub(crate) size: Size,
    /// The parts of a benchmark to run, for those that have parts; none means all.
    pub(crate) only: Vec<String>,
    /// Where figures go for a program to read, for those that can write them.
    pub(crate) json: Option<PathBuf>,
    /// Ids that a large event log holds, when not what the size stands for.
    pub(crate) ids: Option<u64>,
}

impl Options {
    /// Everything, at smoke size.
    pub(crate) fn smoke() -> Self {
        Self { size: Size::Smoke, only: Vec::new(), json: None, ids: None }
    }
}

/// What the benchmarks need, all together.
pub(crate) static NEEDS: &[Need] = &[
    setup::UTIL_LINUX,
    setup::WRK,
    setup::NGINX,
    setup::REDIS,
    setup::REDIS_TOOLS,
    setup::PYTHON,
    setup::NATS,
    setup::POSTGRES,
    setup::CURL,
];

struct Bench {
    name: &'static str,
    about: &'static str,
    /// `Ok(false)` when the benchmark itself failed, after it said why.
    run: fn(&Options) -> Result<bool>,
}

/// A new benchmark is one entry here, and a module beside this file when it has peers to start.
static BENCHES: &[Bench] = &[
    Bench {
        name: "ledger",
        about: "decide and evolve in memory, no storage",
        run: |options| cargo_bench("kilat-ledger", "ledger", options.size),
    },
    Bench {
        name: "journal",
        about: "append and fdatasync by batch size",
        run: |options| cargo_bench("kilat-journal", "journal", options.size),
    },
    Bench {
        name: "sale",
        about: "the targets of selling, each against its peer; --only T1,T4 selects",
        run: |options| part::run(sale::PARTS, options),
    },
    Bench {
        name: "events",
        about: "the targets of the event log, each against its peers; --only T6,nats selects",
        run: |options| part::run(events::PARTS, options),
    },
    Bench {
        name: "check",
        about: "the targets of lookups, each against its peers; --only T9,curl selects",
        run: |options| part::run(check::PARTS, options),
    },
    Bench {
        name: "backends",
        about: "ledgers that other engines keep, each against a bare client; --only T12,T13 selects",
        run: |options| part::run(backends::PARTS, options),
    },
    Bench {
        name: "gateway",
        about: "the gateway against nginx's proxy_pass, and when a replica or the core is killed",
        run: |options| part::run(gateway::PARTS, options),
    },
    Bench {
        name: "live",
        about: "10,000 readers of the live stock: memory of each, and how fast an update reaches all",
        run: |options| part::run(live::PARTS, options),
    },
    Bench {
        name: "up",
        about: "the whole of `kilat up` against the seed's stack; --only T5,nginx selects",
        run: |options| part::run(up::PARTS, options),
    },
];

/// Runs the benchmarks of these names. Without names: all at smoke size, else a list.
pub(crate) fn run(names: &[String], options: &Options) -> Result<bool> {
    if names.is_empty() && options.size == Size::Real {
        print!("{}", list());
        return Ok(true);
    }
    let benches = select(names)?;
    ensure!(options.json.is_none() || benches.len() == 1, "--json takes one benchmark at a time");
    let mut all_ran = true;
    for bench in benches {
        println!("── bench {}: {} ──", bench.name, bench.about);
        if !(bench.run)(options)? {
            println!("bench {} failed", bench.name);
            all_ran = false;
        }
    }
    Ok(all_ran)
}

/// The names that documentation may mention after `cargo xtask bench`.
pub(crate) fn names() -> Vec<&'static str> {
    BENCHES.iter().map(|bench| bench.name).collect()
}

fn list() -> String {
    BENCHES.iter().map(|bench| format!("{:12} {}\n", bench.name, bench.about)).collect()
}

fn select(names: &[String]) -> Result<Vec<&'static Bench>> {
    if names.is_empty() {
        return Ok(BENCHES.iter().collect());
    }
    names.iter().map(|name| find(name)).collect()
}

fn find(name: &str) -> Result<&'static Bench> {
    match BENCHES.iter().find(|bench| bench.name == name) {
        Some(bench) => Ok(bench),
        None => bail!("no benchmark is called `{name}`; there are:\n{}", list()),
    }
}

/// A bench target with its own `main` (`harness = false`).
fn cargo_bench(package: &str, target: &str, size: Size) -> Result<bool> {
    process::succeeds(&bench_target(package, target, size))
}

/// What runs such a target. Smoke runs share the build of the tests, and their figures don't count.
pub(crate) fn bench_target(package: &str, target: &str, size: Size) -> Expression {
    let what = ["bench", "--quiet", "--bench", target];
    process::cargo(match size {
        Size::Smoke => [&what, &suites::ALL[..], &["--profile", "test", "--", "--smoke"]].concat(),
        Size::Real => [&what, &["--package", package][..]].concat(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_select_and_unknown_names_are_refused() {
        let selected = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            select(&names).map(|found| found.iter().map(|bench| bench.name).collect::<Vec<_>>())
        };
        assert_eq!(selected(&["journal"]).unwrap(), ["journal"]);
        assert_eq!(selected(&[]).unwrap(), names());
        let error = selected(&["ledgre"]).unwrap_err().to_string();
        assert!(error.contains("ledgre") && error.contains("ledger"), "{error}");
    }

    #[test]
    fn what_parts_need_is_installed_before_the_tests() {
        let all = [
            sale::PARTS,
            events::PARTS,
            check::PARTS,
            gateway::PARTS,
            backends::PARTS,
            live::PARTS,
        ];
        for need in all.into_iter().flatten().flat_map(|part| part.needs) {
            assert!(NEEDS.contains(need), "{}", need.advice());
        }
    }

    #[test]
    fn names_are_unique() {
        let mut unique = names();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), BENCHES.len());
    }
}
