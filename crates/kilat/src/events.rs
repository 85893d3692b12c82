//! `kilat events`: what an operator does to the event log.

use crate::consent::{agrees, can_ask};
use crate::failure::Failure;
use crate::lang::{Lang, say};
use crate::operator::OperatorArgs;
use crate::output::print;
use clap::{Args, Subcommand};
use kilat_client::events::{ForgetOptions, forget, parse_age};
use std::process::ExitCode;
use std::time::Duration;

/// Longest wait for a reply: one with an age has to find where in the log that was.
const TIMEOUT: Duration = Duration::from_secs(600);

/// What to do with the event log.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Drop what old events say, for good. Their ids are kept, so that none is ever stored twice.
    Forget(ForgetArgs),
}

/// What to forget.
#[derive(Debug, Args)]
struct ForgetArgs {
    /// Only events of this topic [default: of all topics].
    #[arg(long)]
    topic: Option<String>,
    /// Only events received longer ago than this, such as 12h, 30d or 4w.
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<Duration>,
    /// Don't ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    operator: OperatorArgs,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Carries out one action on the event log.
///
/// # Errors
/// [`Failure`] when it can't be carried out, or was not agreed to.
pub(crate) fn run(args: EventsArgs, lang: Lang) -> Result<ExitCode, Failure> {
    let Action::Forget(args) = args.action;
    let explain = args.operator.explainer(lang);
    let options = ForgetOptions {
        access: args.operator.access(TIMEOUT)?,
        topic: args.topic,
        older_than: args.older_than,
        json: args.json,
        lang,
    };
    options.check()?;
    if !args.yes && !is_agreed(&options, lang)? {
        return Err(Failure::failed(say!(lang, "events.not_agreed")));
    }
    let forgot = forget(&options).map_err(explain)?;
    let printed = print(&forgot.text)?;
    Ok(if forgot.something { printed } else { ExitCode::FAILURE })
}

/// Explains and asks; without a terminal nobody can answer.
fn is_agreed(options: &ForgetOptions, lang: Lang) -> Result<bool, Failure> {
    if can_ask() {
        return agrees(&options.explain(), &say!(lang, "events.ask"));
    }
    eprintln!("{}", options.explain());
    Err(Failure::usage(say!(lang, "events.needs_yes")))
}

fn age(text: &str) -> Result<Duration, String> {
    parse_age(text)
        .ok_or_else(|| format!("{text} is not an age: write it as 90s, 15m, 12h, 30d or 4w"))
}
