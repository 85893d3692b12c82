//! `kilat attack`: from flags to the client's options, and from its report to an exit code.

use crate::consent::{self, Touch};
use crate::failure::Failure;
use crate::interrupt::{INTERRUPTED, stop_on_interrupt};
use crate::lang::Lang;
use crate::memory;
use crate::operator::OperatorArgs;
use crate::output::print;
use clap::Args;
use kilat_client::Token;
use kilat_client::attack::{AttackOptions, AttackReport, Output};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whom to storm, and how hard.
#[derive(Debug, Args)]
pub(crate) struct AttackArgs {
    /// Storm this sale [default: make a rehearsal sale].
    #[arg(long, value_name = "ID")]
    sale: Option<String>,
    /// Don't ask before a sale is stormed that is no rehearsal.
    #[arg(long)]
    yes: bool,
    /// Close the rehearsal that --sale names in the end.
    #[arg(long, requires = "sale", hide = true)]
    close: bool,
    /// Units of the rehearsal sale.
    #[arg(long, default_value_t = 100, conflicts_with = "sale")]
    supply: u64,
    /// Most units for one customer in the rehearsal sale; 0 for no limit.
    #[arg(long, default_value_t = 1, conflicts_with = "sale")]
    per_customer: u32,
    /// Buyers, each a customer of its own.
    #[arg(long, default_value_t = 500)]
    buyers: u32,
    /// Orders in all [default: one a buyer].
    #[arg(long)]
    orders: Option<u64>,
    /// Units of each order.
    #[arg(long, default_value_t = 1)]
    quantity: u32,
    /// Open connections [default: one a buyer, at most 500].
    #[arg(long)]
    connections: Option<u32>,
    /// New orders a second, whether or not earlier ones were answered
    /// [default: a new one as soon as a connection is free].
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<f64>,
    /// No new orders after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    duration: Option<f64>,
    /// Longest wait for one reply before the same key is sent again.
    #[arg(long, default_value_t = 5_000, value_name = "MS")]
    timeout_ms: u64,
    /// Longest that one order is tried, and that the proof waits for a server that is down.
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS")]
    patience: f64,
    /// Part of the acknowledged orders whose key is sent once more on purpose.
    #[arg(long, default_value_t = 0.05, value_name = "FRACTION")]
    replay: f64,
    /// Part of the orders that hold first and confirm afterwards.
    #[arg(long, default_value_t = 0.0, value_name = "FRACTION")]
    hold: f64,
    /// Repeats the choices of an earlier run.
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    operator: OperatorArgs,
    /// Token that order calls need.
    #[arg(
        long,
        env = "KILAT_API_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        hide = true
    )]
    api_token: Option<String>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// Write a report for people to this file.
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
    /// No progress.
    #[arg(long, short)]
    quiet: bool,
}

/// Attacks, proves, prints; exit code 1 when the result is not proven.
///
/// # Errors
/// [`Failure`] when the attack can't be carried out as asked.
pub(crate) fn run(args: AttackArgs, lang: Lang) -> Result<ExitCode, Failure> {
    if let Some(sale) = &args.sale {
        consent::before(Touch::Attack, sale, args.yes, lang)?;
    }
    memory::in_large_pages();
    let cancel = Arc::new(AtomicBool::new(false));
    stop_on_interrupt(&cancel)?;
    let mut output = if args.quiet { Output::quiet(lang) } else { Output::stderr(lang) };
    let (json, html) = (args.json, args.html.clone());
    let explain = args.operator.explainer(lang);
    let options = options(args, lang, Arc::clone(&cancel))?;
    let report = kilat_client::attack::run(&options, &mut output).map_err(explain)?;
    print(&if json { format!("{}\n", report.to_json()) } else { report.to_text(lang) })?;
    // Last, so that a file that can't be written does not cost the result.
    if let Some(path) = html {
        std::fs::write(&path, report.to_html(lang)).map_err(|e| {
            Failure::usage(format!(
                "{} can't be written ({e}): choose another file",
                path.display()
            ))
        })?;
    }
    Ok(exit_code(&report, cancel.load(Ordering::Relaxed)))
}

fn exit_code(report: &AttackReport, interrupted: bool) -> ExitCode {
    match (report.proven(), interrupted) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::from(INTERRUPTED),
        (true, false) => ExitCode::SUCCESS,
    }
}

fn options(
    args: AttackArgs,
    lang: Lang,
    cancel: Arc<AtomicBool>,
) -> Result<AttackOptions, Failure> {
    let seconds = |name: &str, value: f64| {
        Duration::try_from_secs_f64(value).map_err(|_| {
            Failure::usage(format!(
                "--{name} is {value} and must be a number of seconds, 0 or more"
            ))
        })
    };
    let access = args.operator.access(Duration::from_millis(args.timeout_ms))?;
    Ok(AttackOptions {
        url: access.url,
        sale: args.sale,
        close: args.close,
        supply: args.supply,
        per_customer: (args.per_customer > 0).then_some(args.per_customer),
        buyers: args.buyers,
        orders: args.orders,
        quantity: args.quantity,
        connections: args.connections,
        rate: args.rate,
        duration: args.duration.map(|value| seconds("duration", value)).transpose()?,
        timeout: access.timeout,
        patience: seconds("patience", args.patience)?,
        replay: args.replay,
        hold: args.hold,
        admin_token: access.token,
        api_token: args.api_token.map(Token::from),
        seed: args.seed,
        lang,
        cancel,
    })
}
