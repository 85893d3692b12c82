//! `kilat ps` and `kilat kill`: how the processes of `kilat up` are, and what happens when one
//! dies.

use super::CONTROL_SOCKET;
use crate::failure::Failure;
use crate::help::in_language;
use crate::lang::{Lang, say};
use crate::output::print;
use crate::readable::{is_kept, kept};
use clap::Args;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use kilat_server::supervisor::{ControlError, Order, Reply, State, Status, ask};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Whose processes to show.
#[derive(Debug, Args)]
pub(crate) struct PsArgs {
    /// The data directory of `kilat up`.
    #[arg(long, env = "KILAT_DATA", default_value = "./kilat-data", value_name = "DIR")]
    data: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Which process to kill.
#[derive(Debug, Args)]
pub(crate) struct KillArgs {
    /// Its name, as `kilat ps` shows it.
    name: String,
    /// The data directory of `kilat up`.
    #[arg(long, env = "KILAT_DATA", default_value = "./kilat-data", value_name = "DIR")]
    data: PathBuf,
}

/// Shows how the processes are; exit code 1 when one is not ready.
///
/// # Errors
/// [`Failure`] when nothing runs there.
pub(crate) fn ps(args: &PsArgs, lang: Lang) -> Result<ExitCode, Failure> {
    let Reply::Status(all) = order(&args.data, &Order::Status, lang)? else {
        return Err(Failure::failed(say!(lang, "ps.broken")));
    };
    print(&if args.json { as_json(&all) } else { format!("{}\n", table(&all, lang)) })?;
    let is_well = all.iter().all(|status| status.state == State::Ready);
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Kills a process as a crash would.
///
/// # Errors
/// [`Failure`] when nothing runs there, or nothing of that name.
pub(crate) fn kill(args: &KillArgs, lang: Lang) -> Result<ExitCode, Failure> {
    let name = &args.name;
    match order(&args.data, &Order::Kill(name.clone()), lang)? {
        Reply::Killed(true) => print(&format!("{}\n", say!(lang, "kill.done", name = name))),
        _ => Err(Failure::usage(say!(lang, "kill.nobody", name = name))),
    }
}

fn order(data: &Path, order: &Order, lang: Lang) -> Result<Reply, Failure> {
    let socket = data.join(CONTROL_SOCKET);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|e| Failure::failed(format!("a thread can't be started ({e})")))?;
    runtime.block_on(ask(&socket, order)).map_err(|error| match error {
        ControlError::NotRunning if is_kept_away(&socket) => kept(data, lang),
        ControlError::NotRunning => Failure::usage(say!(lang, "ps.nothing", data = data.display())),
        ControlError::Broken(why) => Failure::failed(why),
    })
}

/// Whether rights are what keeps this user from asking.
fn is_kept_away(socket: &Path) -> bool {
    UnixStream::connect(socket).is_err_and(|error| is_kept(&error))
}

fn as_json(all: &[Status]) -> String {
    format!("{}\n", serde_json::json!({ "processes": all }))
}

/// The processes in the order of their start, without an empty column and without spaces at the
/// ends of lines.
pub(super) fn table(all: &[Status], lang: Lang) -> String {
    let text = |key: &str| say!(lang, key);
    let mut table = Table::new();
    table.load_style(NOTHING);
    let heads = ["ps.name", "ps.pid", "ps.address", "ps.state", "ps.restarts", "ps.why"];
    let columns = if all.iter().any(|status| status.why.is_some()) { 6 } else { 5 };
    table.set_header(heads.into_iter().take(columns).map(text));
    for status in all {
        let cells = [
            status.name.clone(),
            status.pid.map(|pid| pid.to_string()).unwrap_or_default(),
            status.address.clone(),
            text(state(status.state)),
            status.restarts.to_string(),
            in_language(status.why.as_deref().unwrap_or_default(), lang),
        ];
        table.add_row(cells.into_iter().take(columns));
    }
    table.trim_fmt()
}

fn state(state: State) -> &'static str {
    match state {
        State::Waiting => "ps.waiting",
        State::Starting => "ps.starting",
        State::Ready => "ps.ready",
        State::Unready => "ps.unready",
        State::Silent => "ps.silent",
        State::Restarting => "ps.restarting",
        State::Stopped => "ps.stopped",
    }
}
