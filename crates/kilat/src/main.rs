//! The `kilat` binary: command line, configuration, wiring.
//!
//! It decides nothing about sales. Server and client meet only here, as two
//! commands of one program; they share no state.

#![deny(clippy::print_stdout, reason = "it panics when nobody reads: use `output`")]

mod attack;
mod backup;
mod check;
mod cli;
mod consent;
mod core;
mod demo;
mod directory;
mod events;
mod failure;
mod files;
mod gateway;
mod help;
mod interrupt;
mod lang;
mod listen;
mod logging;
mod lookup;
mod memory;
mod operator;
mod otlp;
mod output;
mod publish;
mod readable;
mod repeats;
mod sale;
mod secrets;
mod serve;
mod settings;
mod store;
mod stress;
mod up;
mod verify;

rust_i18n::i18n!("locales", fallback = "en");

use cli::{Command, HealthArgs, ManArgs};
use failure::Failure;
use kilat_client::health::Probe;
use lang::{Lang, say};
use std::process::ExitCode;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before the first of it is touched.
    memory::in_small_pages();
    up::end_with_keeper();
    let cli = match help::parse() {
        Ok(cli) => cli,
        Err(shown) => return shown,
    };
    let lang = lang::choose(cli.lang);
    let ended = files::expect_some(lang).and_then(|()| run(cli.command, lang));
    repeats::finish();
    ended.unwrap_or_else(|failure| failure.report())
}

fn run(command: Command, lang: Lang) -> Result<ExitCode, Failure> {
    match command {
        Command::Up(args) => up::run(args, lang),
        Command::Ps(args) => up::ps(&args, lang),
        Command::Kill(args) => up::kill(&args, lang),
        Command::Serve(args) => serve::run(args, lang),
        Command::Gateway(args) => gateway::run(args, lang),
        Command::Core(args) => core::run(args, lang),
        Command::Attack(args) => attack::run(args, lang),
        Command::Publish(args) => publish::run(args, lang),
        Command::Stress(args) => stress::run(args, lang),
        Command::Events(args) => events::run(args, lang),
        Command::Lookup(args) => lookup::run(&args, lang),
        Command::Check(args) => check::run(*args, lang),
        Command::Sale(args) => sale::run(args, lang),
        Command::Verify(args) => verify::run(&args, lang),
        Command::Backup(args) => backup::backup(args, lang),
        Command::Restore(args) => backup::restore(&args, lang),
        Command::Health(args) => health(args, lang),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut help::command(lang), "kilat", &mut script);
            output::print(&String::from_utf8_lossy(&script))
        }
        Command::Man(args) => manual(&args, lang),
    }
}

fn health(args: HealthArgs, lang: Lang) -> Result<ExitCode, Failure> {
    let timeout = Duration::from_millis(args.timeout_ms);
    let access = kilat_client::Access { url: args.url, token: None, timeout };
    kilat_client::health::check(&access, Probe::Ready, lang)?;
    Ok(ExitCode::SUCCESS)
}

/// One page, or all of them as files.
fn manual(args: &ManArgs, lang: Lang) -> Result<ExitCode, Failure> {
    let cannot = |e| Failure::failed(say!(lang, "man.cannot", error = e));
    let mut command = help::command(lang);
    if let Some(directory) = &args.all {
        std::fs::create_dir_all(directory).map_err(cannot)?;
        clap_mangen::generate_to(command, directory).map_err(cannot)?;
        return Ok(ExitCode::SUCCESS);
    }
    command.build();
    let nothing = || {
        let page = args.page.join(" ");
        Failure::usage(say!(lang, "man.no_page", page = page))
    };
    let found = args.page.iter().try_fold(&command, |at, name| at.find_subcommand(name));
    let mut page = Vec::new();
    clap_mangen::Man::new(found.ok_or_else(nothing)?.clone()).render(&mut page).map_err(cannot)?;
    output::print(&String::from_utf8_lossy(&page))
}
