//! `kilat check`: from flags to the client's options, and from its report to an exit code.

use crate::failure::Failure;
use crate::interrupt::{INTERRUPTED, on_interrupt, outlive_file_limit};
use crate::lang::{Lang, say};
use crate::output::print;
use clap::{Args, ValueEnum};
use kilat_client::check::{
    CONCURRENCY_MAX, CheckOptions, InputForm, LogFormat, OutputForm, PaceOptions, Profile,
    Progress, Stop, parse_hedge, parse_rate, parse_span, unknown_profile,
};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// What to ask, whom, how hard, and where to write it down.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// stock, flight, domain, package, player, rdap, or a profile of your own: ./mine.toml.
    profile: String,
    /// What to look up; `-` reads ids from stdin [default: the profile's own list].
    #[arg(value_name = "IDS")]
    ids: Vec<String>,
    /// Ids from a file: text with one a line, .csv or .tsv with --column, .jsonl with
    /// --field. May be repeated; `-` is stdin.
    #[arg(long, short, value_name = "FILE", help_heading = INPUT)]
    file: Vec<PathBuf>,
    /// Ask again for the ids that are unknown by what this log says last of them.
    #[arg(long, value_name = "LOG", conflicts_with_all = ["ids", "file", "resume", "overwrite"],
        help_heading = INPUT)]
    unknown_from: Option<PathBuf>,
    /// The column of a CSV file that holds the ids.
    #[arg(long, value_name = "NAME", help_heading = INPUT)]
    column: Option<String>,
    /// The member of each JSON line that holds the id [default: the line is the id].
    #[arg(long, value_name = "NAME", help_heading = INPUT)]
    field: Option<String>,
    /// What files and stdin hold [default: by the file's ending, else text].
    #[arg(long, value_enum, help_heading = INPUT)]
    form: Option<FormArg>,
    /// The server to ask in place of the profile's.
    #[arg(long, value_name = "URL", help_heading = SERVER)]
    url: Option<String>,
    /// IANA's list of RDAP servers (dns.json), for profiles that choose a server by id.
    #[arg(long, value_name = "FILE.json", help_heading = SERVER)]
    bootstrap: Option<PathBuf>,
    /// HTTP/2 also without TLS. With TLS it is used if the server has it.
    #[arg(long, help_heading = SERVER)]
    http2: bool,
    /// Further certificate authorities to trust, PEM.
    #[arg(long, value_name = "FILE.pem", help_heading = SERVER)]
    ca: Option<PathBuf>,
    /// Also ask servers at private addresses when the data names them.
    #[arg(long, help_heading = SERVER)]
    allow_private: bool,
    /// Most requests at once, up to 20,000. Above 64 less, if the server asks for less
    /// [default: as many as the server takes well, up to 1,000].
    #[arg(long, value_name = "N", help_heading = PACE)]
    concurrency: Option<u32>,
    /// Keep to --concurrency whatever the server says.
    #[arg(long, requires = "concurrency", help_heading = PACE)]
    fixed: bool,
    /// Most new requests in a time, such as 100/s or 600/m.
    #[arg(long, value_name = "RATE", help_heading = PACE)]
    rate: Option<String>,
    /// Longest wait for one reply, such as 500ms or 10s.
    #[arg(long, default_value = "10s", value_name = "TIME", help_heading = PACE)]
    timeout: String,
    /// Send nothing more after this long, and end when what is in flight has come back; --resume
    /// goes on.
    #[arg(long, value_name = "TIME", help_heading = PACE)]
    deadline: Option<String>,
    /// How often one id is asked again after a setback.
    #[arg(long, default_value_t = 4, value_name = "N", help_heading = PACE)]
    retries: u32,
    /// Send a second request when the first has no reply after this long, or p95.
    #[arg(long, value_name = "TIME", help_heading = PACE)]
    hedge: Option<String>,
    /// End when a server fails for this long.
    #[arg(long, default_value = "30s", value_name = "TIME", help_heading = PACE)]
    give_up: String,
    /// The audit log [default: kilat-check-PROFILE.jsonl].
    #[arg(long, value_name = "FILE", help_heading = LOG)]
    log: Option<PathBuf>,
    /// json: one checksummed record a line. seed: the text of the exercises, in Indonesian.
    #[arg(long, value_enum, default_value_t = FormatArg::Json, help_heading = LOG)]
    format: FormatArg,
    /// Leave out the ids that the log has already.
    #[arg(long, conflicts_with_all = ["overwrite", "watch"], help_heading = LOG)]
    resume: bool,
    /// Begin an existing log anew, which drops what is in it, and with --html its page too.
    #[arg(long, help_heading = LOG)]
    overwrite: bool,
    /// Repeat this often and show what changed; each round is a run in the log.
    #[arg(long, value_name = "TIME", help_heading = OUTPUT)]
    watch: Option<String>,
    /// Print one JSON object an id as soon as it is on disk, then a summary.
    #[arg(long, conflicts_with = "csv", help_heading = OUTPUT)]
    json: bool,
    /// Print CSV, one row an id as soon as it is on disk.
    #[arg(long, help_heading = OUTPUT)]
    csv: bool,
    /// Write a report for people to this file, which must not exist yet; --resume and --overwrite
    /// renew one.
    #[arg(long, value_name = "FILE.html", help_heading = OUTPUT)]
    html: Option<PathBuf>,
    /// No progress.
    #[arg(long, short, help_heading = OUTPUT)]
    quiet: bool,
    /// Print a built-in profile, to begin your own from, and stop.
    #[arg(long, help_heading = OUTPUT)]
    print_profile: bool,
}

/// Headings of the help.
const INPUT: &str = "Ids";
/// See [`INPUT`].
const SERVER: &str = "Server";
/// See [`INPUT`].
const PACE: &str = "Pace";
/// See [`INPUT`].
const LOG: &str = "Audit log";
/// See [`INPUT`].
const OUTPUT: &str = "Output";

/// What files and stdin hold.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormArg {
    /// One id a line.
    Text,
    /// CSV with a header; --column names the ids.
    Csv,
    /// JSON Lines: strings, or objects with --field.
    Jsonl,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatArg {
    /// Checksummed JSON Lines.
    Json,
    /// The text of the exercises.
    Seed,
}

/// How long the end may take after the second Ctrl-C.
const END_WITHIN: Duration = Duration::from_secs(3);

/// Checks, writes down, prints.
///
/// # Errors
/// [`Failure`] when the check can't be carried out as asked, or its log can't be written.
pub(crate) fn run(args: CheckArgs, lang: Lang) -> Result<ExitCode, Failure> {
    if args.print_profile {
        let text = Profile::text(&args.profile);
        return print(text.ok_or_else(|| unknown_profile(&args.profile, lang))?);
    }
    let mut progress = progress(&args, lang);
    let stop = Arc::new(Stop::new());
    stop_on_interrupt(&stop, lang)?;
    outlive_file_limit()?;
    let options = options(args, stop, lang)?;
    let report = kilat_client::check::run(&options, &mut progress, Box::new(std::io::stdout()))?;
    Ok(ExitCode::from(report.exit_code()))
}

/// Rows and a bar on one terminal would overwrite each other: then there is no bar.
fn progress(args: &CheckArgs, lang: Lang) -> Progress {
    let rows_on_terminal = (args.json || args.csv) && std::io::stdout().is_terminal();
    match args.quiet {
        true => Progress::quiet(lang),
        false => Progress::stderr(lang, !rows_on_terminal),
    }
}

fn options(args: CheckArgs, stop: Arc<Stop>, lang: Lang) -> Result<CheckOptions, Failure> {
    let pace = pace(&args, lang)?;
    let watch = args.watch.as_deref().map(|text| span("watch", text, lang)).transpose()?;
    Ok(CheckOptions {
        profile: args.profile,
        ids: args.ids,
        files: args.file,
        unknown_from: args.unknown_from,
        column: args.column,
        field: args.field,
        form: args.form.map(|form| match form {
            FormArg::Text => InputForm::Text,
            FormArg::Csv => InputForm::Csv,
            FormArg::Jsonl => InputForm::JsonLines,
        }),
        url: args.url,
        bootstrap: args.bootstrap,
        http2: args.http2,
        ca: args.ca,
        allow_private: args.allow_private,
        pace,
        log: args.log,
        format: match args.format {
            FormatArg::Json => LogFormat::Json,
            FormatArg::Seed => LogFormat::Seed,
        },
        resume: args.resume,
        overwrite: args.overwrite,
        watch,
        output: match (args.json, args.csv) {
            (true, _) => OutputForm::Json,
            (_, true) => OutputForm::Csv,
            _ => OutputForm::Text,
        },
        colour: std::io::stdout().is_terminal() && wants_colour(),
        html: args.html,
        secret: Box::new(|name| std::env::var(name).ok()),
        command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
        stop,
        lang,
    })
}

fn pace(args: &CheckArgs, lang: Lang) -> Result<PaceOptions, Failure> {
    let span = |name, text: &str| span(name, text, lang);
    let wrong = |key: &str, text: &str| Failure::usage(say!(lang, key, value = text));
    let rate = |text: &String| parse_rate(text).ok_or_else(|| wrong("check.rate", text));
    let hedge = |text: &String| parse_hedge(text).ok_or_else(|| wrong("check.hedge", text));
    Ok(PaceOptions {
        concurrency: args.concurrency,
        places: CONCURRENCY_MAX,
        fixed: args.fixed,
        rate: args.rate.as_ref().map(rate).transpose()?,
        timeout: span("timeout", &args.timeout)?,
        deadline: args.deadline.as_deref().map(|text| span("deadline", text)).transpose()?,
        retries: args.retries,
        hedge: args.hedge.as_ref().map(hedge).transpose()?,
        give_up: span("give-up", &args.give_up)?,
    })
}

fn span(option: &str, text: &str, lang: Lang) -> Result<Duration, Failure> {
    parse_span(text)
        .ok_or_else(|| Failure::usage(say!(lang, "check.span", option = option, value = text)))
}

/// Not where `NO_COLOR` is set (no-color.org), nor on a terminal that has none.
fn wants_colour() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// The first Ctrl-C waits for what is under way, the second one does not: not even for a reader
/// that reads nothing, or an input that never comes.
fn stop_on_interrupt(stop: &Arc<Stop>, lang: Lang) -> Result<(), Failure> {
    let stop = Arc::clone(stop);
    on_interrupt(move |times| {
        stop.press();
        if times == 2 {
            std::thread::spawn(move || end_anyhow(lang));
        }
    })
}

/// Ends the process when it has not ended by itself.
fn end_anyhow(lang: Lang) {
    std::thread::sleep(END_WITHIN);
    Failure::failed(say!(lang, "check.held_up")).report();
    std::process::exit(i32::from(INTERRUPTED));
}
