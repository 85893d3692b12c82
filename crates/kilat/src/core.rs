//! `kilat core`: an engine behind a socket, for replicas that hold no state.

use crate::cli::CoreArgs;
use crate::failure::Failure;
use crate::lang::{Lang, say};
use crate::output::{print, tell};
use crate::secrets::Secrets;
use crate::serve::{DRAIN, RUNS_FOLDER, StopSignals, open, runtime};
use crate::settings::Settings;
use crate::up::CONTROL_SOCKET;
use crate::{demo, listen, logging, otlp};
use kilat_engine::{Core, CoreAddress, CoreListener, CoreOptions, Engine};
use kilat_server::ops::{Console, ConsoleLink, ConsoleOptions, Operations};
use kilat_server::{Access, LaneOptions, Limits, Metrics, Server, Tracer};
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;

/// Runs until told to stop.
///
/// # Errors
/// [`Failure`] with exit code 2 when it can't start as asked.
pub(crate) fn run(args: CoreArgs, lang: Lang) -> Result<ExitCode, Failure> {
    let (print_config, demo_sale) = (args.print_config, args.demo_sale);
    let settings = Settings::of_core(args, lang)?;
    let address = settings.core_listen()?;
    if print_config {
        print(&settings.print()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    logging::start(&settings.log, settings.log_json, lang)?;
    // Before the engine, which looks its meters up once.
    Metrics::install().map_err(|e| Failure::failed(format!("metrics can't be recorded ({e})")))?;
    let admin = settings.core_admin.map(|at| listen::listen(at, "--admin", lang)).transpose()?;
    let tracer = settings.traces.start("kilat-core", &settings.node)?;
    // Its lock makes sure that the socket in the data directory is nobody else's.
    let engine = open(&settings.data, lang)?;
    let runtime = runtime(&settings)?;
    if demo_sale {
        runtime.block_on(demo::ensure(engine.handle()))?;
    }
    let listener =
        CoreListener::bind(&address).map_err(|error| cannot_listen(&address, &error, lang))?;
    let ended = runtime.block_on(serve(settings, engine, listener, admin, tracer.clone(), lang));
    otlp::flush(&tracer);
    ended
}

fn cannot_listen(address: &CoreAddress, error: &std::io::Error, lang: Lang) -> Failure {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => listen::in_use(address, "--listen", lang),
        _ => listen::unusable(address, "--listen", error, lang),
    }
}

async fn serve(
    settings: Settings,
    engine: Engine,
    listener: CoreListener,
    admin: Option<TcpListener>,
    tracer: Tracer,
    lang: Lang,
) -> Result<ExitCode, Failure> {
    // Before anybody is told that it is ready: from here on a signal ends it in good order.
    let stop = StopSignals::catch()?;
    let secrets =
        Secrets::load(&settings.data, settings.admin_token.clone(), settings.secret.clone())?;
    let console = start_console(&settings, &engine, &secrets);
    let answering = console.clone();
    let options = CoreOptions {
        on_traced: tracer.of_core(),
        on_ask: Some(Arc::new(move |question| answering.answer_bytes(question))),
        ..CoreOptions::new(secrets.secret.clone().into_bytes(), secrets.to_hand_over())
    };
    let core = Core::start(&engine, listener, options)
        .map_err(|e| Failure::failed(format!("the core can't start: {e}")))?;
    let admin =
        admin.map(|admin| start_admin(admin, &settings, &engine, &secrets, console)).transpose()?;
    let address = core.address().clone();
    tracing::info!(%address, data = %settings.data.display(), "ready");
    announce(&address, admin.as_ref(), &secrets, lang);
    stop.wait().await;
    tracing::info!("stopping: answering what is in flight");
    if let Some(admin) = admin {
        admin.shutdown(DRAIN).await;
    }
    core.stop(DRAIN);
    engine.stop();
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// On stdout, for people and for whoever waits for it.
fn announce(address: &CoreAddress, admin: Option<&Server>, secrets: &Secrets, lang: Lang) {
    if let Some(admin) = admin {
        let url = format!("http://{}", admin.local_addr());
        tell(say!(lang, "core.admin", url = url));
    }
    if let Some(file) = &secrets.admin_token_file {
        tell(say!(lang, "serve.token", file = file.display()));
    }
    tell(say!(lang, "core.ready", url = address));
}

/// What the operator's pages of all replicas ask. It tells the core's own figures.
fn start_console(settings: &Settings, engine: &Engine, secrets: &Secrets) -> Console {
    let options = ConsoleOptions {
        // Made once this process is ready, by `kilat up` only.
        supervisor: Some(settings.data.join(CONTROL_SOCKET)),
        own_node: Some(settings.node.clone()),
        admin_token: secrets.admin_token.clone(),
        folder: settings.data.join(RUNS_FOLDER),
    };
    Console::start(options, engine.handle().clone(), engine.events().clone())
}

/// The core's own HTTP, for metrics and health; it can do all that a replica can.
fn start_admin(
    listener: TcpListener,
    settings: &Settings,
    engine: &Engine,
    secrets: &Secrets,
    console: Console,
) -> Result<Server, Failure> {
    let customer_key = settings.customer_key.as_deref().map(str::as_bytes);
    let limits = Limits { connections_max: settings.connections_max, ..Limits::default() };
    let options = kilat_server::Options {
        node: settings.node.clone(),
        access: Access::new(
            Some(&secrets.admin_token),
            settings.api_token.as_deref(),
            customer_key,
        )
        .with_publish_token(settings.publish_token.as_deref()),
        secret: secrets.secret.clone().into_bytes(),
        behind_tls: settings.behind_tls,
        limits,
        lanes: LaneOptions { threads: 0, ..LaneOptions::default() },
        tracer: Tracer::default(),
        operations: Operations {
            is_alone: false,
            console: Some(ConsoleLink::Here(console)),
            is_silent: true,
            url: format!("http://{}", listener.local_addr().map_err(Failure::failed)?),
            lookups: None,
            session: None,
        },
    };
    Server::start(listener, options, engine.handle().clone(), engine.events().clone())
        .map_err(|e| Failure::failed(format!("the core's own HTTP can't start: {e}")))
}
