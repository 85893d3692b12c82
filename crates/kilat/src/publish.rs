//! `kilat publish`: from flags to the client's options, and from its report to an exit code.

use crate::failure::Failure;
use crate::interrupt::stop_on_interrupt;
use crate::lang::{Lang, say};
use crate::output::print;
use clap::{Args, ValueEnum};
use kilat_client::events::Progress;
use kilat_client::publish::{Input, OnInvalid, PublishOptions};
use kilat_client::{Access, Token};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What to publish, and where.
#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// Files of JSON Lines, one event a line; `-` is stdin [default: stdin].
    #[arg(value_name = "FILES", conflicts_with = "demo")]
    files: Vec<PathBuf>,
    /// Publish three events of which one is a duplicate, and show the counters.
    #[arg(long)]
    demo: bool,
    /// The server.
    #[arg(long, env = "KILAT_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Publishing token, where the server asks for one.
    #[arg(long, env = "KILAT_PUBLISH_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Most events of a batch, up to 10,000.
    #[arg(long, default_value_t = 500, value_name = "EVENTS")]
    batch: u32,
    /// Connections. With one, events are stored in the order read.
    #[arg(long, default_value_t = 1)]
    connections: u32,
    /// How often a batch is sent again before giving up.
    #[arg(long, default_value_t = 10)]
    retries: u32,
    /// Longest wait for one reply before the batch is sent again.
    #[arg(long, default_value_t = 30_000, value_name = "MS")]
    timeout_ms: u64,
    /// What to do with a line that is no event.
    #[arg(long, value_enum, default_value_t = OnInvalidArg::Stop)]
    on_invalid: OnInvalidArg,
    /// Keep in this file how far each input is published, and begin from there.
    #[arg(long, value_name = "FILE", conflicts_with = "demo")]
    resume: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// No progress.
    #[arg(long, short)]
    quiet: bool,
}

/// What to do with a line that is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnInvalidArg {
    /// Publish everything before it and stop.
    Stop,
    /// Count it and go on.
    Skip,
}

/// Publishes, prints; exit code 1 when an event was not stored.
///
/// # Errors
/// [`Failure`] when publishing can't be carried out as asked.
pub(crate) fn run(args: PublishArgs, lang: Lang) -> Result<ExitCode, Failure> {
    let access = Access {
        url: args.url,
        token: args.token.map(Token::from),
        timeout: Duration::from_millis(args.timeout_ms),
    };
    if args.demo {
        return print(&kilat_client::publish::demo(&access, args.json, lang)?);
    }
    let cancel = Arc::new(AtomicBool::new(false));
    stop_on_interrupt(&cancel)?;
    let options = PublishOptions {
        access,
        inputs: inputs(args.files, lang)?,
        batch: args.batch,
        connections: args.connections,
        retries: args.retries,
        on_invalid: match args.on_invalid {
            OnInvalidArg::Stop => OnInvalid::Stop,
            OnInvalidArg::Skip => OnInvalid::Skip,
        },
        resume: args.resume,
        lang,
        cancel,
    };
    let mut progress = if args.quiet { Progress::quiet(lang) } else { Progress::stderr(lang) };
    let report = kilat_client::publish::run(&options, &mut progress)?;
    print(&if args.json { report.to_json() } else { report.to_text(lang) })?;
    Ok(ExitCode::from(report.exit_code()))
}

fn inputs(files: Vec<PathBuf>, lang: Lang) -> Result<Vec<Input>, Failure> {
    if files.is_empty() {
        if std::io::stdin().is_terminal() {
            return Err(Failure::usage(say!(lang, "publish.no_input")));
        }
        return Ok(vec![Input::Stdin]);
    }
    let input =
        |path: PathBuf| if path.as_os_str() == "-" { Input::Stdin } else { Input::File(path) };
    Ok(files.into_iter().map(input).collect())
}
