//! The test suites: which tests belong to which, and how each is run by cargo-nextest.
//! Must never know what a test needs from the machine: the steps say that.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use duct::Expression;

use crate::examples;
use crate::process::{self, Shown};
use crate::setup::{self, Need};
use crate::steps::{Outcome, Scope};
use crate::tally::{self, Tally};

/// One part of the workspace's tests. Together the parts are all of it: what is in no
/// named suite is in [`Suite::Own`], so a test can't fall between them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Suite {
    /// Unit and integration tests that need nothing but their crate.
    Own,
    /// Real processes, killed and traced.
    Process,
    /// File systems made, mounted and cut off.
    Mount,
    /// Networks that lose packets.
    Network,
    /// A real browser.
    Browser,
    /// What is deployed, with the programs that it is made for.
    Deploy,
    /// Containers, with a Docker engine.
    Compose,
}

/// What is built for the suites. Another choice has other features of its dependencies, and with it
/// nearly everything is compiled once more.
pub(crate) const ALL: [&str; 2] = ["--workspace", "--all-features"];

const BROWSER: &str = "kind(test) & test(/^browser::/)";
/// The browser tests that take pictures, of whichever page.
const PICTURES: &str = "kind(test) & test(/^browser::.*::pictures_/)";
/// What the tests with a browser need.
pub(crate) const BROWSER_NEEDS: &[Need] =
    &[setup::NEXTEST, setup::CHROMIUM, setup::CHROMEDRIVER, setup::NPM_PROGRAM, setup::AXE];
const COMPOSE: &str = "kind(test) & test(/^compose::/)";
const DEPLOY: &str = "kind(test) & test(/^deploy::/)";
const MOUNT: &str = "kind(test) & test(/^mount::/)";
const NETWORK: &str = "kind(test) & test(/^network::/)";
const PROCESS: &str =
    "kind(test) & (package(kilat) | test(/^process::/) | test(/::on_(postgres|redis)::/))";

impl Suite {
    /// The suite's tests in the runner's filter language.
    fn filter(self) -> String {
        match self {
            Self::Own => {
                let named =
                    format!("({MOUNT}) | ({NETWORK}) | ({BROWSER}) | ({DEPLOY}) | ({COMPOSE})");
                format!("not (({PROCESS}) | {named})")
            }
            Self::Process => {
                let others = format!("({MOUNT}) - ({NETWORK}) - ({BROWSER}) - ({DEPLOY})");
                format!("({PROCESS}) - {others} - ({COMPOSE})")
            }
            Self::Mount => MOUNT.to_owned(),
            Self::Network => NETWORK.to_owned(),
            Self::Browser => BROWSER.to_owned(),
            Self::Deploy => DEPLOY.to_owned(),
            Self::Compose => COMPOSE.to_owned(),
        }
    }
}

/// Compiles all tests of the workspace, once for all suites.
pub(crate) fn build(scope: Scope) -> Result<bool> {
    let arguments = nextest(scope, &["--no-run"]);
    process::succeeds(&process::cargo(arguments))
}

/// The program as the suites run it, built with them; `target` is where cargo builds.
pub(crate) fn program(target: &Path) -> Result<PathBuf> {
    let arguments = [&["test", "--no-run"], &ALL[..]].concat();
    ensure!(process::succeeds(&process::cargo(arguments))?, "kilat does not compile");
    Ok(target.join("debug/kilat"))
}

/// Runs one suite to its end, failures included.
pub(crate) fn run(suite: Suite, scope: Scope) -> Result<Outcome> {
    let shown = process::show(&command(suite, scope), tally::is_nextest_summary)?;
    Ok(judge(shown, tally::nextest_summary, "the suite has no tests yet"))
}

/// What runs one suite.
pub(crate) fn command(suite: Suite, scope: Scope) -> Expression {
    let filter = suite.filter();
    let command = process::cargo(nextest(scope, &["--no-tests", "pass", "-E", &filter]));
    if !scope.quick {
        return command;
    }
    println!("KILAT_QUICK=1: suites that can be scaled run at their smallest size");
    command.env("KILAT_QUICK", "1")
}

/// Takes pictures of the pages in all their states, into `folder`, in each page's usual language or
/// all in `lang`.
pub(crate) fn take_pictures(folder: &Path, lang: Option<&str>) -> Result<bool> {
    let missing: Vec<String> =
        BROWSER_NEEDS.iter().filter(|need| !need.is_present()).map(Need::advice).collect();
    anyhow::ensure!(missing.is_empty(), "{}", missing.join("; "));
    let command = process::cargo(["nextest", "run", "--package", "kilat", "-E", PICTURES]);
    let command = command.env("KILAT_SCREENSHOTS", std::path::absolute(folder)?);
    process::succeeds(&match lang {
        Some(lang) => command.env("KILAT_SCREENSHOTS_LANG", lang),
        None => command,
    })
}

/// Runs the examples in the documentation comments, if there may be any.
pub(crate) fn run_doc_tests() -> Result<Outcome> {
    const NONE: &str = "there are no doc tests yet";
    if !examples::may_exist()? {
        return Ok(Outcome::NotRun(NONE.to_owned()));
    }
    let command = process::cargo([&["test", "--doc"], &ALL[..]].concat());
    let shown = process::show(&command, tally::is_libtest_summary)?;
    Ok(judge(shown, tally::libtest_summary, NONE).without_closing_lines())
}

fn nextest<'a>(scope: Scope, more: &[&'a str]) -> Vec<&'a str> {
    let profile = if scope.quick { "default" } else { "ci" };
    [&["nextest", "run"], &ALL[..], &["--profile", profile], more].concat()
}

/// The exit code decides, and the closing lines must agree with it.
pub(crate) fn judge(shown: Shown, parse: fn(&str) -> Option<Tally>, none: &str) -> Outcome {
    let tally = shown
        .kept
        .iter()
        .filter_map(|line| parse(line))
        .fold(Tally::default(), |sum, tally| sum + tally);
    match (shown.success, tally) {
        (true, Tally { passed: 0, failed: 0 }) => Outcome::NotRun(none.to_owned()),
        (true, Tally { failed: 0, .. }) => Outcome::Passed { tally, closing: shown.kept },
        (_, tally) => Outcome::Failed { tally, closing: shown.kept, why: "see above".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(success: bool, line: &str, expected: &str) {
        let shown = Shown { success, kept: vec![line.to_owned()] };
        let judged = match judge(shown, tally::nextest_summary, "none") {
            Outcome::Passed { .. } => "passed",
            Outcome::Failed { .. } => "failed",
            Outcome::NotRun(_) => "not run",
            Outcome::Missing(_) => "missing",
        };
        assert_eq!(judged, expected, "success {success}, {line}");
    }

    #[test]
    fn exit_code_and_closing_line_must_agree() {
        check(true, "Summary [ 1s] 2 tests run: 2 passed, 0 skipped", "passed");
        check(true, "Summary [ 1s] 2 tests run: 1 passed, 1 failed, 0 skipped", "failed");
        check(false, "Summary [ 1s] 2 tests run: 2 passed, 0 skipped", "failed");
        check(true, "Summary [ 1s] 0 tests run: 0 passed, 9 skipped", "not run");
        check(false, "error: could not compile", "failed");
    }
}
