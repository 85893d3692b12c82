//! `kilat up`: a gateway, replicas and a core as processes of their own, kept running.
//!
//! It holds no state and serves no request itself: killed, it takes its processes with it, and
//! whatever was acknowledged is in the core's data directory.

mod keeper;
mod lines;
mod panel;
mod plan;

pub(crate) use keeper::end_with_keeper;
pub(crate) use panel::{KillArgs, PsArgs, kill, ps};

use crate::cli::ServeArgs;
use crate::failure::Failure;
use crate::lang::{Lang, say};
use crate::output::{print, tell};
use crate::secrets::ADMIN_TOKEN_FILE;
use crate::serve::StopSignals;
use crate::settings::Settings;
use crate::{logging, lookup};
use clap::Args;
use kilat_server::supervisor::{self, Panel, Patience, State, Status, Supervisor};
use plan::{CORE, Plan, Specs};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::task::JoinHandle;

/// The socket of `kilat ps` and `kilat kill`, in the data directory.
pub(crate) const CONTROL_SOCKET: &str = "up.sock";
/// Exit code of a process that can't start as it was asked to.
const USAGE: i32 = 2;
/// Between two looks at processes that start for the first time.
const LOOK: Duration = Duration::from_millis(10);
/// How often people are told what a start waits for.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// What to run, and where.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Processes that serve requests, behind one address.
    #[arg(long, default_value_t = 3, value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=16))]
    replicas: u16,
    /// Certificates as PEM, the server's own first: with them buyers speak TLS.
    #[arg(long, env = "KILAT_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key as PEM.
    #[arg(long, env = "KILAT_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    #[command(flatten)]
    serve: ServeArgs,
}

/// Runs until told to stop.
///
/// # Errors
/// [`Failure`] with exit code 2 when it can't start as asked.
pub(crate) fn run(args: UpArgs, lang: Lang) -> Result<ExitCode, Failure> {
    let print_config = args.serve.print_config;
    // Five processes that each tell of their start would bury what matters.
    let child_log = args.serve.log.clone().unwrap_or_else(|| "warn".to_owned());
    let node = args.serve.node.clone().unwrap_or_else(|| "web".to_owned());
    let settings = Settings::resolve(args.serve, lang)?;
    if print_config {
        print(&settings.print()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if settings.core.is_some() {
        return Err(Failure::usage(say!(lang, "up.ledger")));
    }
    logging::start(&settings.log, settings.log_json, lang)?;
    let tls = args.tls_cert.zip(args.tls_key);
    let plan = Plan { replicas: args.replicas, node, tls, child_log, settings: &settings, lang };
    // One thread: processes die with the thread that started them.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::failed(format!("a thread can't be started ({e})")))?
        .block_on(keep(&plan, lang))
}

async fn keep(plan: &Plan<'_>, lang: Lang) -> Result<ExitCode, Failure> {
    // Before anybody is told that it is ready: from here on a signal ends it in good order.
    let stop = StopSignals::catch()?;
    let data = claim(&plan.settings.data, lang).await?;
    // The ports first: when another process has one, nothing on disk is touched.
    let Specs { specs, lookups } = plan.specs(&data)?;
    make(&data)?;
    let url = plan.url(&specs);
    let supervisor =
        Supervisor::start(specs, Patience::default(), &lines::forward(plan.settings.log_json));
    let panel = supervisor.panel();
    let mut stop = std::pin::pin!(stop.wait());
    let started = tokio::select! {
        started = first_start(&panel, &data) => started,
        () = &mut stop => {
            supervisor.stop().await;
            return Ok(ExitCode::SUCCESS);
        }
    };
    let kept = match started {
        Ok(control) => {
            announce(&panel.status(), &url, lookups, plan.settings, lang);
            stop.await;
            tracing::info!("stopping: the gateway first, the core last");
            control.abort();
            Ok(())
        }
        Err(refused) => Err(refused),
    };
    supervisor.stop().await;
    kept.map(|()| ExitCode::SUCCESS)
}

/// Where the data directory is; makes sure that nobody else keeps processes for it.
async fn claim(data: &Path, lang: Lang) -> Result<PathBuf, Failure> {
    let shown = data.display();
    let data = std::path::absolute(data).map_err(|e| unusable(data, &e))?;
    match supervisor::ask(&data.join(CONTROL_SOCKET), &supervisor::Order::Status).await {
        Err(supervisor::ControlError::NotRunning) => Ok(data),
        _ => Err(Failure::usage(say!(lang, "up.runs", data = shown))),
    }
}

fn make(data: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    let mut directory = std::fs::DirBuilder::new();
    directory.recursive(true).mode(0o700).create(data).map_err(|e| unusable(data, &e))
}

fn unusable(data: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("{} can't be made ({error}): choose another --data", data.display()))
}

/// Waits until all are ready for the first time; what answers `kilat ps` and `kilat kill`. What
/// can't start as it was asked to now would not start later either.
async fn first_start(panel: &Panel, data: &Path) -> Result<JoinHandle<()>, Failure> {
    let ready = async {
        // Not before: the core accepts only a directory that is new or its own.
        panel.ready(CORE).await;
        let control = supervisor::listen(&data.join(CONTROL_SOCKET), panel.clone())
            .map_err(|e| Failure::failed(format!("the control socket can't be made ({e})")))?;
        panel.all_ready().await;
        Ok(control)
    };
    let refused = async {
        loop {
            let mut all = panel.status().into_iter();
            if let Some(status) = all.find(|status| status.exit_code == Some(USAGE)) {
                return status;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        control = ready => control,
        Status { name, why, .. } = refused => {
            Err(Failure::usage(format!("{name} {}", why.unwrap_or_default())))
        }
        never = tell_who_is_late(panel) => match never {},
    }
}

/// Says again and again which processes are waited for, and why they are not ready.
async fn tell_who_is_late(panel: &Panel) -> Infallible {
    loop {
        tokio::time::sleep(TELL_EVERY).await;
        let mut all = panel.status().into_iter();
        let first = all.find(|status| status.state != State::Ready);
        if let Some(Status { name, state, why, .. }) = first {
            let why = why.unwrap_or_else(|| "look at its log above".to_owned());
            tracing::warn!(name, ?state, why, "waiting for a process that is not ready");
        }
    }
}

/// On stdout, for people and for whoever waits for it.
fn announce(
    all: &[Status],
    url: &str,
    lookups: Option<SocketAddr>,
    settings: &Settings,
    lang: Lang,
) {
    let data = settings.data.display();
    let attack = format!("kilat attack --url {url} --data {data}");
    let token = token_line(settings, lang);
    tell(say!(lang, "up.banner", url = url, attack = attack, data = data, token = token));
    lookups.into_iter().for_each(|address| lookup::announce_beside(address, lang));
    tell(panel::table(all, lang));
}

/// Under the line that asks for the token: where it is, unless whoever started this gave one.
fn token_line(settings: &Settings, lang: Lang) -> String {
    if settings.admin_token.is_some() {
        return String::new();
    }
    let file = settings.data.join(ADMIN_TOKEN_FILE);
    say!(lang, "up.token", file = file.display())
}
