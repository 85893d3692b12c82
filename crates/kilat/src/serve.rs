//! `kilat serve`: an engine, a server in front of it, and their end.

use crate::cli::ServeArgs;
use crate::directory;
use crate::failure::Failure;
use crate::lang::{Lang, say};
use crate::listen::listen;
use crate::memory;
use crate::output::{print, tell};
use crate::secrets::Secrets;
use crate::settings::Settings;
use crate::{files, logging, lookup, otlp, store};
use kilat_engine::{
    CoreAddress, Engine, EventStore, Events, Handle, Remote, RemoteOptions, StartError, Store,
    StoreAddress, StoreError, StoreOptions,
};
use kilat_server::lookup::Lookups;
use kilat_server::ops::{Console, ConsoleLink, ConsoleOptions, Operations};
use kilat_server::{Access, LaneOptions, Limits, Metrics, Server, Tracer};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Longest time for requests in flight to end after a signal to stop.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);
/// Where checks that an operator starts keep their logs, inside the data directory.
pub(crate) const RUNS_FOLDER: &str = "runs";
/// Longest wait for the core at the start.
const CORE_PATIENCE: Duration = Duration::from_secs(30);
/// Longest wait for the store at the start.
const STORE_PATIENCE: Duration = Duration::from_secs(30);
/// Exit code when the journal failed: what is on disk is known only after a new start.
const JOURNAL_FAILED: i32 = 1;

/// Runs until told to stop.
///
/// # Errors
/// [`Failure`] with exit code 2 when it can't start as asked.
pub(crate) fn run(args: ServeArgs, lang: Lang) -> Result<ExitCode, Failure> {
    let print_config = args.print_config;
    let settings = Settings::resolve(args, lang)?;
    if print_config {
        print(&settings.print()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    logging::start(&settings.log, settings.log_json, lang)?;
    // Before the engine, which looks its meters up once.
    Metrics::install().map_err(|e| Failure::failed(format!("metrics can't be recorded ({e})")))?;
    // The ports first: when another process has one, nothing on disk is touched.
    let http = listen(settings.listen, "--listen", lang)?;
    let doors =
        Doors { http, lookups: settings.lookup_listen.listen(settings.lookup_shared, lang)? };
    let tracer = settings.traces.start("kilat-server", &settings.node)?;
    let backend = Backend::open(&settings, lang)?;
    let ended = runtime(&settings)?.block_on(serve(settings, doors, backend, tracer.clone(), lang));
    otlp::flush(&tracer);
    ended
}

/// Threads for everything that waits.
pub(crate) fn runtime(settings: &Settings) -> Result<Runtime, Failure> {
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    threads.worker_threads(settings.workers()).enable_all().build().map_err(|e| {
        Failure::failed(format!("threads can't be started ({e}); free resources and start again"))
    })
}

/// Where ledger and event log are.
enum Backend {
    /// In the data directory, in this process.
    Here(Box<Engine>),
    /// Behind a core; this process holds no state.
    Core(Box<Remote>),
    /// The ledger in a store, the event log behind a core.
    Store(Box<Store>, Box<Remote>),
    /// The ledger in a store, the event log in one too: the same or another.
    Stores(Box<Store>, Box<EventStore>),
}

impl Backend {
    fn open(settings: &Settings, lang: Lang) -> Result<Backend, Failure> {
        match (&settings.core, &settings.store, &settings.event_store) {
            (_, Some(store), Some(log)) => {
                let log = EventStore::connect(store_options(log, settings));
                let log = log.map_err(|why| failure(&why, lang))?;
                let store = connect(store, settings, log.events(), lang)?;
                Ok(Backend::Stores(Box::new(store), Box::new(log)))
            }
            (None, ..) => open(&settings.data, lang).map(Box::new).map(Backend::Here),
            (Some(core), None, _) => join(core, settings, lang).map(Box::new).map(Backend::Core),
            (Some(core), Some(store), None) => {
                let remote = join(core, settings, lang)?;
                let store = connect(store, settings, remote.events(), lang)?;
                Ok(Backend::Store(Box::new(store), Box::new(remote)))
            }
        }
    }

    fn handle(&self) -> &Handle {
        match self {
            Backend::Here(engine) => engine.handle(),
            Backend::Core(remote) => remote.handle(),
            Backend::Store(store, _) | Backend::Stores(store, _) => store.handle(),
        }
    }

    fn events(&self) -> &Events {
        match self {
            Backend::Here(engine) => engine.events(),
            Backend::Core(remote) | Backend::Store(_, remote) => remote.events(),
            Backend::Stores(_, log) => log.events(),
        }
    }

    /// Where the operator's pages get their figures. When no process holds the state, each has a console
    /// of its own. In a runtime.
    fn console(&self, settings: &Settings, secrets: &Secrets) -> ConsoleLink {
        match self {
            Backend::Here(_) | Backend::Stores(..) => {
                let options = ConsoleOptions {
                    supervisor: None,
                    own_node: None,
                    admin_token: secrets.admin_token.clone(),
                    folder: settings.data.join(RUNS_FOLDER),
                };
                let (handle, events) = (self.handle().clone(), self.events().clone());
                ConsoleLink::Here(Console::start(options, handle, events))
            }
            Backend::Core(remote) | Backend::Store(_, remote) => ConsoleLink::Core(remote.asker()),
        }
    }

    fn secrets(&self, settings: &Settings, lang: Lang) -> Result<Secrets, Failure> {
        let (admin_token, secret) = (settings.admin_token.clone(), settings.secret.clone());
        match self {
            Backend::Here(_) => Secrets::load(&settings.data, admin_token, secret),
            Backend::Core(remote) | Backend::Store(_, remote) => {
                Secrets::of_replica(remote.handover(), admin_token, secret, lang)
            }
            Backend::Stores(..) => Secrets::of_replica("", admin_token, secret, lang),
        }
    }

    fn stop(self) {
        match self {
            Backend::Here(engine) => engine.stop(),
            Backend::Core(remote) => remote.stop(),
            Backend::Store(store, remote) => {
                // Its relay still needs the event log.
                store.stop();
                remote.stop();
            }
            Backend::Stores(store, log) => {
                store.stop();
                log.stop();
            }
        }
    }
}

fn join(core: &CoreAddress, settings: &Settings, lang: Lang) -> Result<Remote, Failure> {
    let remote = Remote::connect(RemoteOptions {
        core: core.clone(),
        secret: settings.secret.clone().map(String::into_bytes),
        name: settings.node.clone(),
        patience: CORE_PATIENCE,
    });
    remote.map_err(|why| Failure::at_start(why.may_pass(), store::core_refused(&why, lang)))
}

fn connect(
    store: &StoreAddress,
    settings: &Settings,
    events: &Events,
    lang: Lang,
) -> Result<Store, Failure> {
    let stripes = settings.ledger_stripes;
    let store = Store::connect(store_options(store, settings), stripes, events);
    store.map_err(|why| failure(&why, lang))
}

fn store_options(store: &StoreAddress, settings: &Settings) -> StoreOptions {
    StoreOptions {
        address: store.clone(),
        name: settings.node.clone(),
        patience: STORE_PATIENCE,
        may_lose: settings.ledger_may_lose,
    }
}

fn failure(why: &StoreError, lang: Lang) -> Failure {
    Failure::at_start(why.may_pass(), store::refused(why, lang))
}

/// The sockets to serve.
struct Doors {
    http: TcpListener,
    lookups: Option<TcpListener>,
}

async fn serve(
    settings: Settings,
    doors: Doors,
    backend: Backend,
    tracer: Tracer,
    lang: Lang,
) -> Result<ExitCode, Failure> {
    // Before anybody is told that it is ready: from here on a signal ends it in good order.
    let stop = StopSignals::catch()?;
    let secrets = backend.secrets(&settings, lang)?;
    let customer_key = settings.customer_key.as_deref().map(str::as_bytes);
    // With fewer than asked for it goes on, and accepts when one is free.
    let _ = files::connections(settings.connections_max, 1);
    let limits = Limits { connections_max: settings.connections_max, ..Limits::default() };
    let (handle, events) = (backend.handle().clone(), backend.events().clone());
    let lookups = lookup::start_beside(doors.lookups, &handle, limits, lang)?;
    let operations = Operations {
        console: Some(backend.console(&settings, &secrets)),
        is_alone: matches!(backend, Backend::Stores(..)),
        is_silent: false,
        url: own_url(doors.http.local_addr()),
        lookups: lookups.as_ref().map(|lookups| own_url(Ok(lookups.local_addr()))),
        session: None,
    };
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
        lanes: LaneOptions { threads: settings.lanes, ..LaneOptions::default() },
        tracer,
        operations,
    };
    let server = Server::start(doors.http, options, handle, events)
        .map_err(|e| Failure::failed(format!("the server can't start: {e}")))?;
    let address = server.local_addr();
    let core = settings.core.as_ref().map(ToString::to_string);
    let shown = |store: &Option<StoreAddress>| store.as_ref().map(ToString::to_string);
    let (store, event_store) = (shown(&settings.store), shown(&settings.event_store));
    let is_here = core.is_none() && store.is_none();
    let data = is_here.then(|| settings.data.display().to_string());
    tracing::info!(%address, node = settings.node, data, core, store, event_store, "ready");
    announce(lang, address, &secrets);
    lookups.iter().for_each(|lookups| lookup::announce_beside(lookups.local_addr(), lang));
    stop.wait().await;
    tracing::info!("stopping: finishing what is in flight");
    drain(server, lookups).await;
    backend.stop();
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Where this machine's own processes reach what listens there.
fn own_url(address: std::io::Result<SocketAddr>) -> String {
    address.map_or_else(
        |_| String::new(),
        |mut address| {
            if address.ip().is_unspecified() {
                address.set_ip(Ipv4Addr::LOCALHOST.into());
            }
            format!("http://{address}")
        },
    )
}

/// Ends both at the same time.
async fn drain(server: Server, lookups: Option<Lookups>) {
    let end_lookups = async {
        if let Some(lookups) = lookups {
            lookups.shutdown(DRAIN).await;
        }
    };
    tokio::join!(server.shutdown(DRAIN), end_lookups);
}

/// Opens the data directory and says what recovery found.
pub(crate) fn open(data: &Path, lang: Lang) -> Result<Engine, Failure> {
    memory::in_large_pages();
    let options = kilat_engine::Options::new(data.to_owned(), Box::new(|why| end_at_once(&why)));
    let engine = Engine::start(options).map_err(|why| no_start(&why, lang))?;
    let found = engine.recovery();
    for why in &found.snapshots_skipped {
        tracing::warn!(why, "a snapshot was passed over");
    }
    let events = engine.event_recovery();
    for why in &events.index_skipped {
        tracing::warn!(why, "the index of events was passed over and is made again from the log");
    }
    tracing::info!(
        events = events.events,
        index_frame = events.index_frame,
        frames_replayed = events.frames,
        bytes_cut = events.bytes_cut,
        ms = u64::try_from(events.took.as_millis()).unwrap_or(u64::MAX),
        "event log recovered"
    );
    tracing::info!(
        orders = found.orders,
        snapshot_frame = found.snapshot_frame,
        frames_replayed = found.frames,
        bytes_cut = found.bytes_cut,
        ms = u64::try_from(found.took.as_millis()).unwrap_or(u64::MAX),
        "ledger recovered"
    );
    Ok(engine)
}

fn no_start(why: &StartError, lang: Lang) -> Failure {
    match why {
        StartError::Directory(why) => Failure::usage(directory::refused(why, lang)),
        other => Failure::usage(other),
    }
}

/// A failed fsync is never tried again: no reply, an end, and recovery from what is on disk.
fn end_at_once(why: &str) {
    // A log that can't be written either must not keep the process from ending.
    let _ =
        writeln!(std::io::stderr(), "kilat: {why}; start again to recover from what is on disk");
    std::process::exit(JOURNAL_FAILED);
}

/// On stdout, for people and for whoever waits for it.
fn announce(lang: Lang, address: SocketAddr, secrets: &Secrets) {
    let url = format!("http://{address}");
    tell(say!(lang, "serve.ready", url = url));
    if let Some(file) = &secrets.admin_token_file {
        tell(say!(lang, "serve.token", file = file.display()));
    }
}

/// SIGTERM and SIGINT, caught instead of ending the process at once.
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    pub(crate) fn catch() -> Result<StopSignals, Failure> {
        let cannot = |e| Failure::failed(format!("signals can't be received ({e})"));
        Ok(StopSignals {
            terminate: signal(SignalKind::terminate()).map_err(cannot)?,
            interrupt: signal(SignalKind::interrupt()).map_err(cannot)?,
        })
    }

    /// Waits for the first of them, also if it came before the call.
    pub(crate) async fn wait(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
