//! `kilat stress`: from flags to the client's options, and from its report to an exit code.

use crate::failure::Failure;
use crate::interrupt::{INTERRUPTED, stop_on_interrupt};
use crate::lang::Lang;
use crate::memory;
use crate::output::print;
use clap::Args;
use kilat_client::events::Progress;
use kilat_client::stress::StressOptions;
use kilat_client::{Access, Token};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// How many events, and how they are sent.
#[derive(Debug, Args)]
pub(crate) struct StressArgs {
    /// The server.
    #[arg(long, env = "KILAT_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Publishing token, where the server asks for one.
    #[arg(long, env = "KILAT_PUBLISH_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Deliveries, duplicates included.
    #[arg(long, default_value_t = 5_000)]
    events: u64,
    /// Part of the deliveries that repeat an event.
    #[arg(long, default_value = "20", value_name = "PERCENT", value_parser = percent)]
    duplicates: f64,
    /// A duplicate comes within so many deliveries of its original [default: anywhere].
    #[arg(long, value_name = "DELIVERIES")]
    window: Option<u64>,
    /// Events of a batch, up to 10,000.
    #[arg(long, default_value_t = 100, value_name = "EVENTS")]
    batch: u32,
    /// Connections.
    #[arg(long, default_value_t = 4)]
    connections: u32,
    /// Topic of all events [default: one of the run's own].
    #[arg(long)]
    topic: Option<String>,
    /// Repeats the order, the duplicates and the payloads of an earlier run.
    #[arg(long)]
    seed: Option<u64>,
    /// Ask for counts in place of a result for each event: faster, and less is checked.
    #[arg(long)]
    minimal: bool,
    /// Longest wait for one reply before the batch is sent again.
    #[arg(long, default_value_t = 10_000, value_name = "MS")]
    timeout_ms: u64,
    /// Longest that one batch is tried, and that the verification waits for a server that is down.
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS")]
    patience: f64,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// No progress.
    #[arg(long, short)]
    quiet: bool,
}

/// Sends, verifies, prints; exit code 1 when the result is not what was sent.
///
/// # Errors
/// [`Failure`] when the run can't be carried out as asked.
pub(crate) fn run(args: StressArgs, lang: Lang) -> Result<ExitCode, Failure> {
    memory::in_large_pages();
    let patience = Duration::try_from_secs_f64(args.patience).map_err(|_| {
        let patience = args.patience;
        Failure::usage(format!(
            "--patience is {patience} and must be a number of seconds, 0 or more"
        ))
    })?;
    let access = Access {
        url: args.url,
        token: args.token.map(Token::from),
        timeout: Duration::from_millis(args.timeout_ms),
    };
    let cancel = Arc::new(AtomicBool::new(false));
    stop_on_interrupt(&cancel)?;
    let options = StressOptions {
        events: args.events,
        duplicates: args.duplicates,
        window: args.window,
        batch: args.batch,
        connections: args.connections,
        topic: args.topic,
        seed: args.seed,
        patience,
        minimal: args.minimal,
        cancel,
        ..StressOptions::new(access, lang)
    };
    let mut progress = if args.quiet { Progress::quiet(lang) } else { Progress::stderr(lang) };
    let report = kilat_client::stress::run(&options, &mut progress)?;
    print(&if args.json { report.to_json() } else { report.to_text(lang) })?;
    Ok(match (report.verified, report.cancelled) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::from(INTERRUPTED),
        (true, false) => ExitCode::SUCCESS,
    })
}

/// `20` or `20%`.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    number.parse().map_err(|_| format!("{text} is not a percentage: write it as 20"))
}
