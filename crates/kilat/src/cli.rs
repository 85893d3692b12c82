//! The command line: what can be asked, not what it means.

use crate::otlp::TraceArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Place in the help of what every command has: last, before what clap adds, which has 999.
const IN_EVERY_COMMAND: usize = 990;
/// Place of what several commands share, behind what is a command's own.
pub(crate) const SHARED: usize = 900;

/// A flash sale that cannot oversell.
///
/// `kilat up` starts everything on this machine; `kilat attack` storms it and
/// proves that nothing was oversold and nothing acknowledged was lost.
#[derive(Debug, Parser)]
#[command(name = "kilat", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// Language of messages: flag, then KILAT_LANG, then LC_ALL, LC_MESSAGES, LANG.
    #[arg(
        long,
        global = true,
        value_enum,
        env = "KILAT_LANG",
        hide_env_values = true,
        display_order = IN_EVERY_COMMAND
    )]
    pub(crate) lang: Option<LangArg>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LangArg {
    /// Bahasa Indonesia.
    Id,
    /// English.
    En,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole system on this machine: gateway, replicas and core, with a demo sale on first
    /// start.
    Up(crate::up::UpArgs),
    /// Show the processes of `up`.
    Ps(crate::up::PsArgs),
    /// Kill a process of `up`, as a rehearsal: it comes back.
    Kill(crate::up::KillArgs),
    /// Run one process with its own ledger: the simplest and fastest way to sell for real.
    Serve(ServeArgs),
    /// Pass requests on to several servers in turn, and to others when one fails.
    Gateway(crate::gateway::GatewayArgs),
    /// Hold ledger and event log for replicas, which are `serve` with `--ledger` and `--events`.
    Core(CoreArgs),
    /// Storm a sale with buyers, then prove that it held.
    Attack(crate::attack::AttackArgs),
    /// Feed events from JSON Lines into the event log, with retries.
    Publish(crate::publish::PublishArgs),
    /// Send events with duplicates, then verify that each is stored exactly once.
    Stress(crate::stress::StressArgs),
    /// Drop what old events say, and keep their ids.
    Events(crate::events::EventsArgs),
    /// Serve the five reference lookup APIs, with delays and, if asked for, with trouble.
    Lookup(crate::lookup::LookupArgs),
    /// Look up many ids at once, fast and politely, with an audit log that survives a crash.
    Check(Box<crate::check::CheckArgs>),
    /// Create, list, show, restock, pause, open, close or reschedule sales.
    Sale(crate::sale::SaleArgs),
    /// Check a data directory, a backup or an audit log: checksums, invariants, conservation.
    Verify(VerifyArgs),
    /// Copy a data directory, also while it is in use, to a directory that is whole or not there.
    Backup(crate::backup::BackupArgs),
    /// Check a backup and make a data directory of it.
    Restore(crate::backup::RestoreArgs),
    /// Ask a server whether it is ready; exit code 0 says yes.
    Health(HealthArgs),
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page of kilat itself, or of one of its commands.
    Man(ManArgs),
}

/// Which manual pages.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The command whose page to print, such as `attack` or `sale create`.
    #[arg(value_name = "COMMAND")]
    pub(crate) page: Vec<String>,
    /// Write every page into this directory.
    #[arg(long, value_name = "DIR", conflicts_with = "page")]
    pub(crate) all: Option<PathBuf>,
}

/// Where and how to serve. Flags win over the environment, which wins over the file.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ServeArgs {
    /// Address for HTTP [default: 127.0.0.1:8080].
    #[arg(long, env = "KILAT_LISTEN", value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// Directory that holds the ledger, made on first start [default: ./kilat-data].
    #[arg(long, env = "KILAT_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Where the ledger is: core://HOST:PORT, core:///PATH/TO/SOCKET, postgres://USER@HOST/DATABASE
    /// or redis://HOST:PORT [default: in --data].
    #[arg(long, env = "KILAT_LEDGER", value_name = "URL")]
    pub(crate) ledger: Option<String>,
    /// Work also with a store that can lose what it acknowledged last.
    #[arg(long, env = "KILAT_LEDGER_MAY_LOSE", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) ledger_may_lose: Option<bool>,
    /// Parts that the stock of a new sale is split into, spread over a Redis Cluster [default: 1].
    #[arg(long, env = "KILAT_LEDGER_STRIPES", value_name = "N")]
    pub(crate) ledger_stripes: Option<u16>,
    /// Where the event log is: the same core as the ledger, or beside a ledger in PostgreSQL or
    /// Redis a core or postgres://USER@HOST/DATABASE [default: in --data].
    #[arg(long, env = "KILAT_EVENTS", value_name = "URL")]
    pub(crate) events: Option<String>,
    /// Settings file; unknown keys are refused.
    #[arg(long, env = "KILAT_CONFIG", value_name = "FILE.toml")]
    pub(crate) config: Option<PathBuf>,
    /// Name of this process in replies and pages [default: the host's name].
    #[arg(long, env = "KILAT_NODE", value_name = "NAME")]
    pub(crate) node: Option<String>,
    /// Take orders and events from anyone also on an address that others can reach.
    #[arg(long, env = "KILAT_OPEN_TO_STRANGERS", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) open_to_strangers: Option<bool>,
    /// Threads of the fast lane [default: half of the cores].
    #[arg(long, env = "KILAT_LANES", value_name = "N")]
    pub(crate) lanes: Option<usize>,
    /// Most open connections [default: 16384].
    #[arg(long, env = "KILAT_CONNECTIONS_MAX", value_name = "N")]
    pub(crate) connections_max: Option<usize>,
    /// Address for the lookups beside the sale, or none
    /// [default: auto, which is 127.0.0.1:5000 if that is free].
    #[arg(long, env = "KILAT_LOOKUP_LISTEN", value_name = "ADDR")]
    pub(crate) lookup_listen: Option<crate::lookup::Beside>,
    /// Share that address with other servers that do the same.
    #[arg(long, hide = true)]
    pub(crate) lookup_shared: bool,
    /// Log lines on stderr: error, warn, info, debug or trace [default: info].
    #[arg(long, env = "KILAT_LOG", value_name = "LEVEL")]
    pub(crate) log: Option<String>,
    /// Log as JSON, one record a line.
    #[arg(long, env = "KILAT_LOG_JSON", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) log_json: Option<bool>,
    #[command(flatten)]
    pub(crate) traces: TraceArgs,
    /// Buyers reach this server over TLS, for example through a proxy: cookies are marked Secure.
    #[arg(long, env = "KILAT_BEHIND_TLS", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) behind_tls: Option<bool>,
    /// Print the settings in force, without secrets, and stop.
    #[arg(long)]
    pub(crate) print_config: bool,
    /// Key that signs customer tokens.
    #[arg(
        long,
        env = "KILAT_CUSTOMER_KEY",
        value_name = "KEY",
        hide_env_values = true,
        hide = true
    )]
    pub(crate) customer_key: Option<String>,
    #[command(flatten)]
    pub(crate) secrets: SecretArgs,
}

/// Secrets, which are better given in the environment: others can read arguments.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SecretArgs {
    /// Admin token, at least 32 characters; otherwise kept in the data directory.
    #[arg(
        long,
        env = "KILAT_ADMIN_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        hide = true
    )]
    pub(crate) admin_token: Option<String>,
    /// Token that order calls need.
    #[arg(
        long,
        env = "KILAT_API_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        hide = true
    )]
    pub(crate) api_token: Option<String>,
    /// Token that publishing events needs.
    #[arg(
        long,
        env = "KILAT_PUBLISH_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        hide = true
    )]
    pub(crate) publish_token: Option<String>,
    /// Secret from which cookie keys are derived, and that replicas over TCP prove to know.
    #[arg(long, env = "KILAT_SECRET", value_name = "SECRET", hide_env_values = true, hide = true)]
    pub(crate) secret: Option<String>,
}

/// Where and how to hold the state for replicas.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct CoreArgs {
    /// Where replicas come: unix:///PATH for those of this user on this machine, or tcp://HOST:PORT
    /// [default: core.sock in --data].
    #[arg(long, env = "KILAT_CORE_LISTEN", value_name = "URL")]
    pub(crate) listen: Option<String>,
    /// Directory that holds the ledger and the event log, made on first start
    /// [default: ./kilat-data].
    #[arg(long, env = "KILAT_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Address for HTTP, with metrics and health; one that others can reach only with the tokens
    /// for ordering and publishing [default: none].
    #[arg(long, env = "KILAT_CORE_ADMIN", value_name = "ADDR")]
    pub(crate) admin: Option<SocketAddr>,
    /// Make the demo sale if there is no sale at all.
    #[arg(long, hide = true)]
    pub(crate) demo_sale: bool,
    /// Settings file; unknown keys are refused.
    #[arg(long, env = "KILAT_CONFIG", value_name = "FILE.toml")]
    pub(crate) config: Option<PathBuf>,
    /// Name of this process in replies [default: the host's name].
    #[arg(long, env = "KILAT_NODE", value_name = "NAME")]
    pub(crate) node: Option<String>,
    /// Log lines on stderr: error, warn, info, debug or trace [default: info].
    #[arg(long, env = "KILAT_LOG", value_name = "LEVEL")]
    pub(crate) log: Option<String>,
    /// Log as JSON, one record a line.
    #[arg(long, env = "KILAT_LOG_JSON", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) log_json: Option<bool>,
    #[command(flatten)]
    pub(crate) traces: TraceArgs,
    /// Print the settings in force, without secrets, and stop.
    #[arg(long)]
    pub(crate) print_config: bool,
    #[command(flatten)]
    pub(crate) secrets: SecretArgs,
}

/// What to verify.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A data directory, a backup, or the log of a check. It may be in use.
    pub(crate) path: PathBuf,
    /// The seal that a run in the log of a check must have, as the run printed it.
    #[arg(long)]
    pub(crate) seal: Option<String>,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Whom to ask.
#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// The server.
    #[arg(long, env = "KILAT_URL", default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,
    /// Longest wait, in milliseconds.
    #[arg(long, default_value_t = 2_000)]
    pub(crate) timeout_ms: u64,
}
