//! The project's own commands: `cargo xtask test`, `tidy`, `bench`, `soak`, `setup`,
//! `compose`, `schemathesis`, `screenshots`.
//! Must never be needed to build or run Kilat itself.

mod bench;
mod compose;
mod examples;
mod process;
mod report;
mod schemathesis;
mod setup;
mod soak;
mod steps;
mod suites;
mod tally;
mod tidy;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The project's own commands", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every check and test, installing what they need where that is possible
    Test {
        /// The inner loop: no servers, no mounts, no browser, smaller sizes
        #[arg(long)]
        quick: bool,
        /// Exit 0 even when a step could not run because a prerequisite is missing
        #[arg(long)]
        allow_missing: bool,
    },
    /// Check the rules of the house over every file that git knows or would add
    Tidy,
    /// Run benchmarks, or list them when no name is given
    Bench {
        /// Which benchmarks to run; with --smoke, none means all
        names: Vec<String>,
        /// Seconds instead of minutes: proves that each benchmark still runs, measures nothing
        #[arg(long)]
        smoke: bool,
        /// Only these parts of a benchmark that has parts, such as T1,T4
        #[arg(long, value_delimiter = ',', value_name = "ID,…")]
        only: Vec<String>,
        /// Also write the figures to this file, for benchmarks that can
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Ids that T7 and T8 of `events` fill a log with: 10,000,000 unless given
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        ids: Option<u64>,
    },
    /// Run a suite at the size of an afternoon, or list them when no name is given
    Soak {
        /// Which one
        name: Option<String>,
        /// How many, instead of what the list says
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        count: Option<u64>,
        /// Again and again, with new seeds, for at least so many minutes
        #[arg(long = "for", value_name = "MINUTES")]
        minutes: Option<u64>,
    },
    /// The load generator of `bench sale`, which starts it
    #[command(hide = true)]
    GenerateOrders(bench::sale::generator::Plan),
    /// The load generator of `bench events`, which starts it
    #[command(hide = true)]
    GenerateEvents(bench::events::generator::Plan),
    /// The step of `test` that asks a server whether it answers as it says, alone
    Schemathesis,
    /// The step of `test` that brings up deploy/compose with a Docker engine of its own, alone
    Compose,
    /// What `compose` runs in namespaces of its own
    #[command(hide = true)]
    ComposeInside {
        /// Where the engine may write
        folder: PathBuf,
        #[arg(long)]
        quick: bool,
    },
    /// Take the pictures of the pages that the documents show, with a real server and browser
    Screenshots {
        /// Where they go
        #[arg(default_value = "docs/images")]
        folder: PathBuf,
        /// Show all pages in this language, instead of buyers' in Indonesian and operators' in English
        #[arg(long, value_parser = ["id", "en"])]
        lang: Option<String>,
    },
    /// Install what `test` needs, and say what it could not install
    Setup,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `Ok(false)` means that what was checked does not hold; the reason has been printed.
fn run(command: Command) -> Result<bool> {
    env::set_current_dir(root()?).context("cannot enter the project's folder")?;
    match command {
        Command::Test { quick, allow_missing } => {
            steps::run_all(steps::Scope::new(quick), allow_missing)
        }
        Command::Tidy => tidy::run(&command_names()),
        Command::Bench { names, smoke, only, json, ids } => {
            let size = bench::Size::new(smoke);
            bench::run(&names, &bench::Options { size, only, json, ids })
        }
        Command::Soak { name, count, minutes } => {
            let time = minutes.map(|minutes| Duration::from_secs(60 * minutes));
            soak::run(name.as_deref(), count, time)
        }
        Command::GenerateOrders(plan) => bench::sale::generator::run(&plan),
        Command::GenerateEvents(plan) => bench::events::generator::run(&plan),
        Command::Schemathesis => schemathesis::run_alone(),
        Command::Compose => compose::run_alone(),
        Command::ComposeInside { folder, quick } => {
            compose::run_inside(&folder, steps::Scope::new(quick))
        }
        Command::Screenshots { folder, lang } => suites::take_pictures(&folder, lang.as_deref()),
        Command::Setup => Ok(steps::provide_all()),
    }
}

/// The names that documentation may mention after `cargo xtask`.
fn command_names() -> Vec<String> {
    Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

/// The workspace's folder: cargo tells where this crate is, one level below.
fn root() -> Result<PathBuf> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let parent = manifest.parent().context("xtask has no parent folder")?;
    Ok(parent.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
