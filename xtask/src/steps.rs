//! The steps of `cargo xtask test`: one table with what each is called, what it needs and
//! how it runs. Must never know how prerequisites are installed or how results are printed.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::process::{self, Captured};
use crate::report::{self, Row};
use crate::setup::{self, Need};
use crate::suites::{self, Suite};
use crate::tally::Tally;
use crate::{bench, command_names, compose, schemathesis, tidy};

/// How much of the whole is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    /// The inner loop: only steps that need no server, at smaller sizes.
    pub(crate) quick: bool,
}

impl Scope {
    pub(crate) fn new(quick: bool) -> Self {
        Self { quick }
    }
}

/// How a step ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It ran and holds.
    Passed {
        /// Tests that it ran; zero for a check that counts none.
        tally: Tally,
        /// The closing lines of its test runner.
        closing: Vec<String>,
    },
    /// It ran, or tried to, and does not hold.
    Failed {
        /// As in `Passed`.
        tally: Tally,
        /// As in `Passed`.
        closing: Vec<String>,
        /// One line for the report.
        why: String,
    },
    /// It did not run, for a reason that installing something here would not mend.
    NotRun(String),
    /// It did not run because something before it is missing: the whole run fails.
    Missing(String),
}

impl Outcome {
    pub(crate) fn of_check(holds: bool) -> Self {
        if holds {
            Self::Passed { tally: Tally::default(), closing: Vec::new() }
        } else {
            Self::failed("see above".to_owned())
        }
    }

    fn failed(why: String) -> Self {
        Self::Failed { tally: Tally::default(), closing: Vec::new(), why }
    }

    /// For runners that close once a crate: their lines would bury the others.
    pub(crate) fn without_closing_lines(mut self) -> Self {
        if let Self::Passed { closing, .. } | Self::Failed { closing, .. } = &mut self {
            closing.clear();
        }
        self
    }
}

struct Step {
    name: &'static str,
    /// Whether it is part of the inner loop.
    quick: bool,
    /// The step without which this one makes no sense.
    after: Option<&'static str>,
    needs: &'static [Need],
    run: fn(Scope) -> Result<Outcome>,
}

const BUILD: &str = "build tests";

/// Cheap checks first, so that a slip is seen early; everything runs even after a failure.
static STEPS: &[Step] = &[
    Step {
        name: "format",
        quick: true,
        after: None,
        needs: &[setup::RUSTFMT],
        run: |_| cargo_holds(&["fmt", "--all", "--check"]),
    },
    Step {
        name: "tidy",
        quick: true,
        after: None,
        needs: &[setup::GIT],
        run: |_| Ok(Outcome::of_check(tidy::run(&command_names())?)),
    },
    Step {
        name: "deny: licenses, bans, sources",
        quick: false,
        after: None,
        needs: &[setup::CARGO_DENY],
        run: |_| {
            let checks = ["licenses", "bans", "sources"];
            let what = ["deny", "--all-features", "check", "--hide-inclusion-graph"];
            cargo_holds(&[&what[..], &checks].concat())
        },
    },
    Step {
        name: "deny: advisories",
        quick: false,
        after: None,
        needs: &[setup::CARGO_DENY, setup::GIT],
        run: |_| advisories(),
    },
    Step {
        name: "clippy",
        quick: true,
        after: None,
        needs: &[setup::CLIPPY],
        run: |_| {
            let what = ["clippy", "--workspace", "--all-targets", "--all-features"];
            cargo_holds(&[&what[..], &["--", "-D", "warnings"]].concat())
        },
    },
    Step { name: "documentation", quick: false, after: None, needs: &[], run: |_| documentation() },
    Step {
        name: BUILD,
        quick: true,
        after: None,
        needs: &[setup::NEXTEST],
        run: |scope| Ok(Outcome::of_check(suites::build(scope)?)),
    },
    Step {
        name: "unit and integration tests",
        quick: true,
        after: Some(BUILD),
        needs: &[setup::NEXTEST, setup::REDIS, setup::REDIS_TOOLS],
        run: |scope| suites::run(Suite::Own, scope),
    },
    Step {
        name: "doc tests",
        quick: false,
        after: Some(BUILD),
        needs: &[],
        run: |_| suites::run_doc_tests(),
    },
    Step {
        name: "process tests",
        quick: false,
        after: Some(BUILD),
        needs: &[
            setup::NEXTEST,
            setup::STRACE,
            setup::FAKETIME,
            setup::POSTGRES,
            setup::REDIS,
            setup::REDIS_TOOLS,
        ],
        run: |scope| suites::run(Suite::Process, scope),
    },
    Step {
        name: "mount tests",
        quick: false,
        after: Some(BUILD),
        needs: &[
            setup::NEXTEST,
            setup::ROOT,
            setup::MKFS_EXT4,
            setup::MOUNT,
            setup::LOOP_DEVICES,
            setup::PERL,
            setup::STRACE,
        ],
        run: |scope| suites::run(Suite::Mount, scope),
    },
    Step {
        name: "network tests",
        quick: false,
        after: Some(BUILD),
        needs: &[setup::NEXTEST, setup::ROOT, setup::NETWORKS, setup::IPTABLES],
        run: |scope| suites::run(Suite::Network, scope),
    },
    Step {
        name: "browser tests",
        quick: false,
        after: Some(BUILD),
        needs: suites::BROWSER_NEEDS,
        run: |scope| suites::run(Suite::Browser, scope),
    },
    Step {
        name: "deploy tests",
        quick: false,
        after: Some(BUILD),
        needs: &[
            setup::NEXTEST,
            setup::PROMETHEUS,
            setup::PROMTOOL,
            setup::NGINX,
            setup::DOCKER_COMPOSE,
            setup::SYSTEMD_ANALYZE,
            setup::POSTGRES,
        ],
        run: |scope| suites::run(Suite::Deploy, scope),
    },
    Step {
        name: "compose tests",
        quick: false,
        after: Some(BUILD),
        needs: &[
            setup::NEXTEST,
            setup::ROOT,
            setup::UNSHARE,
            setup::IP,
            setup::DOCKER,
            setup::DOCKERD,
            setup::DOCKER_COMPOSE,
            setup::NGINX,
            setup::PROMETHEUS,
            setup::BUSYBOX,
            setup::CURL,
        ],
        run: compose::run,
    },
    Step {
        name: "schemathesis",
        quick: false,
        after: Some(BUILD),
        needs: &[setup::PYTHON],
        run: |_| schemathesis::run(),
    },
    Step {
        name: "benchmarks, smoke size",
        quick: false,
        after: None,
        needs: bench::NEEDS,
        run: |_| Ok(Outcome::of_check(bench::run(&[], &bench::Options::smoke())?)),
    },
];

/// Runs the steps of `scope`, prints the report and tells whether the run as a whole holds.
pub(crate) fn run_all(scope: Scope, allow_missing: bool) -> Result<bool> {
    let steps: Vec<&Step> = STEPS.iter().filter(|step| step.quick || !scope.quick).collect();
    provide(&steps);
    let mut rows: Vec<Row> = Vec::with_capacity(STEPS.len());
    for step in steps {
        println!("\n── {} ──", step.name);
        let started = Instant::now();
        let outcome = run_one(step, scope, &rows);
        rows.push(Row { step: step.name, outcome, elapsed: started.elapsed() });
    }
    let left_out = STEPS.iter().filter(|step| scope.quick && !step.quick);
    let left_out: Vec<&str> = left_out.map(|step| step.name).collect();
    print!("{}", report::render(&rows, &left_out));
    Ok(report::holds(&rows, allow_missing))
}

/// Installs what all steps need; `false`, after saying what to type, when something is missing.
pub(crate) fn provide_all() -> bool {
    let steps: Vec<&Step> = STEPS.iter().collect();
    provide(&steps);
    let missing: Vec<&Need> = needs(&steps).into_iter().filter(|need| !need.is_present()).collect();
    for need in &missing {
        println!("{}", need.advice());
    }
    if missing.is_empty() {
        println!("everything that `cargo xtask test` needs is installed");
    }
    missing.is_empty()
}

fn provide(steps: &[&Step]) {
    setup::provide(&needs(steps));
}

fn needs(steps: &[&Step]) -> Vec<&'static Need> {
    let mut needs: Vec<&'static Need> = Vec::new();
    for need in steps.iter().flat_map(|step| step.needs) {
        if !needs.contains(&need) {
            needs.push(need);
        }
    }
    needs
}

fn run_one(step: &Step, scope: Scope, done: &[Row]) -> Outcome {
    let failed_before = step.after.filter(|name| {
        done.iter().any(|row| row.step == *name && !matches!(row.outcome, Outcome::Passed { .. }))
    });
    if let Some(name) = failed_before {
        return Outcome::Missing(format!("step `{name}` did not succeed"));
    }
    let missing: Vec<String> =
        step.needs.iter().filter(|need| !need.is_present()).map(Need::advice).collect();
    if !missing.is_empty() {
        return Outcome::Missing(missing.join("; "));
    }
    (step.run)(scope).unwrap_or_else(|error| Outcome::failed(format!("{error:#}")))
}

fn cargo_holds(arguments: &[&str]) -> Result<Outcome> {
    let command = process::cargo(arguments.iter().copied());
    Ok(Outcome::of_check(process::succeeds(&command)?))
}

fn documentation() -> Result<Outcome> {
    let arguments = ["doc", "--workspace", "--all-features", "--no-deps"];
    let command = process::cargo(arguments).env("RUSTDOCFLAGS", "-D warnings");
    Ok(Outcome::of_check(process::succeeds(&command)?))
}

/// Known vulnerabilities. Their database is fetched, so a machine without that access
/// gets a named gap in the report and not a failure.
fn advisories() -> Result<Outcome> {
    const FETCH_DEADLINE: Duration = Duration::from_secs(90);
    let arguments = ["--all-features", "check", "advisories"];
    let command = process::program("cargo-deny", arguments)?;
    match process::capture_within(FETCH_DEADLINE, &command)? {
        Captured::Exited { success, output } => Ok(judge_advisories(success, &output)),
        Captured::TimedOut => {
            Ok(Outcome::NotRun("no advisory database: fetching it took too long".to_owned()))
        }
    }
}

fn judge_advisories(success: bool, output: &str) -> Outcome {
    let no_database = ["failed to fetch advisory database", "failed to load advisory database"];
    print!("{output}");
    if !success && no_database.iter().any(|text| output.contains(text)) {
        return Outcome::NotRun("no advisory database: it could not be fetched".to_owned());
    }
    Outcome::of_check(success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_come_after_what_they_need() {
        for (at, step) in STEPS.iter().enumerate() {
            let before = |name| STEPS[..at].iter().any(|earlier| earlier.name == name);
            assert!(step.after.is_none_or(before), "{}", step.name);
            let needs_quick = |name| STEPS.iter().any(|s| s.name == name && s.quick);
            assert!(!step.quick || step.after.is_none_or(needs_quick), "{}", step.name);
        }
    }

    #[test]
    fn a_step_does_not_run_when_something_is_missing_or_failed_before() {
        let step = Step {
            name: "suite",
            quick: true,
            after: Some(BUILD),
            needs: &[],
            run: |_| Ok(Outcome::of_check(true)),
        };
        let after = |outcome| {
            let row = Row { step: BUILD, outcome, elapsed: Duration::ZERO };
            run_one(&step, Scope::new(true), &[row])
        };
        assert!(matches!(after(Outcome::of_check(true)), Outcome::Passed { .. }));
        assert!(matches!(after(Outcome::of_check(false)), Outcome::Missing(_)));
        assert!(matches!(after(Outcome::Missing(String::new())), Outcome::Missing(_)));
    }

    #[test]
    fn only_an_absent_database_excuses_advisories() {
        let absent = "[ERROR] failed to fetch advisory database https://…";
        assert!(matches!(judge_advisories(false, absent), Outcome::NotRun(_)));
        assert!(matches!(judge_advisories(false, "error[vulnerability]"), Outcome::Failed { .. }));
        assert!(matches!(judge_advisories(true, "advisories ok"), Outcome::Passed { .. }));
    }
}
