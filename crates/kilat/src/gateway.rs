//! `kilat gateway`: one address in front of several servers.

use crate::failure::Failure;
use crate::files;
use crate::lang::{Lang, say};
use crate::listen::listen;
use crate::logging;
use crate::otlp::{self, TraceArgs};
use crate::output::tell;
use crate::serve::{DRAIN, StopSignals};
use clap::Args;
use kilat_server::Metrics;
use kilat_server::gateway::limits::REPLICAS_MAX;
use kilat_server::gateway::{Gateway, Limits, Options, Replica, Tls};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where to listen, and to whom requests go.
#[derive(Debug, Args)]
pub(crate) struct GatewayArgs {
    /// Address for HTTP, or for HTTPS with a certificate.
    #[arg(long, env = "KILAT_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDR")]
    listen: SocketAddr,
    /// A server that requests go to, as http://127.0.0.1:8081; may be repeated, or separated by commas.
    #[arg(
        long = "replica",
        env = "KILAT_REPLICAS",
        value_name = "URL",
        value_delimiter = ',',
        required = true
    )]
    replicas: Vec<Replica>,
    /// Address for the gateway's own /livez, /readyz and /metrics [default: none].
    #[arg(long, env = "KILAT_ADMIN_LISTEN", value_name = "ADDR")]
    admin_listen: Option<SocketAddr>,
    /// Certificates as PEM, the server's own first: with them clients speak TLS.
    #[arg(long, env = "KILAT_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key as PEM.
    #[arg(long, env = "KILAT_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Name of the gateway in its own replies.
    #[arg(long, env = "KILAT_NODE", default_value = "gateway", value_name = "NAME")]
    node: String,
    /// Threads that serve [default: one a core].
    #[arg(long, env = "KILAT_THREADS", value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: Option<u16>,
    /// Most open connections.
    #[arg(long, env = "KILAT_CONNECTIONS_MAX", default_value_t = 16_384, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections_max: u32,
    /// Log lines on stderr: error, warn, info, debug or trace.
    #[arg(long, env = "KILAT_LOG", default_value = "info", value_name = "LEVEL")]
    log: String,
    /// Log as JSON, one record a line.
    #[arg(long, env = "KILAT_LOG_JSON", num_args = 0..=1, default_value_t = false,
        default_missing_value = "true")]
    log_json: bool,
    #[command(flatten)]
    traces: TraceArgs,
}

/// Passes requests on until told to stop.
///
/// # Errors
/// [`Failure`] with exit code 2 when it can't start as asked.
pub(crate) fn run(args: GatewayArgs, lang: Lang) -> Result<ExitCode, Failure> {
    if args.replicas.len() > REPLICAS_MAX {
        let given = args.replicas.len();
        let text = say!(lang, "gateway.too_many", given = given, most = REPLICAS_MAX);
        return Err(Failure::usage(text));
    }
    args.traces.check(lang)?;
    let tls = args.tls(lang)?;
    logging::start(&args.log, args.log_json, lang)?;
    let doors = Doors::open(&args, lang)?;
    // Before whatever counts: it looks its meters up once.
    Metrics::install().map_err(|e| Failure::failed(format!("metrics can't be recorded ({e})")))?;
    let tracer = args.traces.start("kilat-gateway", &args.node)?;
    let options = Options {
        tracer: tracer.clone(),
        limits: limits(args.connections_max),
        threads: args.threads.map_or_else(cores, usize::from),
        node: args.node,
        replicas: args.replicas,
        tls,
    };
    // The threads that serve have runtimes of their own; this one accepts, probes and waits.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::failed(say!(lang, "gateway.no_threads", error = e)))?;
    let ended = runtime.block_on(serve(doors, options, lang));
    otlp::flush(&tracer);
    ended
}

/// The sockets to serve.
struct Doors {
    http: TcpListener,
    admin: Option<TcpListener>,
}

impl Doors {
    fn open(args: &GatewayArgs, lang: Lang) -> Result<Doors, Failure> {
        let admin = args.admin_listen.map(|address| listen(address, "--admin-listen", lang));
        Ok(Doors { http: listen(args.listen, "--listen", lang)?, admin: admin.transpose()? })
    }
}

async fn serve(doors: Doors, options: Options, lang: Lang) -> Result<ExitCode, Failure> {
    // Before anybody is told that it is ready.
    let stop = StopSignals::catch()?;
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let gateway = Gateway::start(doors.http, doors.admin, options)
        .map_err(|e| Failure::usage(say!(lang, "gateway.no_start", error = e)))?;
    let url = format!("{scheme}://{}", gateway.local_addr());
    tell(say!(lang, "gateway.ready", url = url));
    if let Some(admin) = gateway.admin_addr() {
        let url = format!("http://{admin}");
        tell(say!(lang, "gateway.admin", url = url));
    }
    stop.wait().await;
    tracing::info!("stopping: finishing what is in flight");
    gateway.shutdown(DRAIN).await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

impl GatewayArgs {
    fn tls(&self, lang: Lang) -> Result<Option<Tls>, Failure> {
        let (Some(certificates), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return Ok(None);
        };
        let read = |path: &Path| {
            std::fs::read(path).map_err(|error| {
                let file = path.display();
                Failure::usage(say!(lang, "gateway.unreadable", file = file, error = error))
            })
        };
        let tls = Tls::from_pem(&read(certificates)?, &read(key)?);
        tls.map(Some)
            .map_err(|error| Failure::usage(say!(lang, "gateway.bad_certificate", error = error)))
    }
}

fn limits(connections_max: u32) -> Limits {
    let asked = usize::try_from(connections_max).unwrap_or(usize::MAX);
    // One to the client, one to a replica.
    Limits { connections_max: files::connections(asked, 2), ..Limits::default() }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
