//! `kilat lookup`: the five reference APIs by themselves, and beside a sale.

mod mistake;

use crate::failure::Failure;
use crate::lang::{Lang, say};
use crate::listen::{self, bind, cannot_listen};
use crate::logging;
use crate::output::{print, tell};
use crate::serve::{DRAIN, StopSignals};
use clap::{Args, ValueEnum};
use kilat_engine::Handle;
use kilat_server::Limits;
use kilat_server::lookup::{
    DATASET_BYTES_MAX, DELAY_MAX, Dataset, Delay, Lookups, Options, Profile, Rehearsal,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

/// Where lookups listen unless told otherwise: as the seed's servers do.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);
/// Longest `Retry-After`, in seconds.
const RETRY_AFTER_SECONDS_MAX: u32 = 86_400;
/// File descriptors besides one for each connection.
const FILES_BESIDES: u64 = 64;

/// Where to answer, from what, how slowly and how badly.
#[derive(Debug, Args)]
pub(crate) struct LookupArgs {
    /// Address for HTTP [default: 127.0.0.1:5000]. Anybody who reaches it may ask.
    #[arg(long, env = "KILAT_LOOKUP_LISTEN", value_name = "ADDR",
        value_parser = own_address)]
    listen: Option<Beside>,
    /// Seconds until a lookup is answered: seed, none, one number, or a range as 0.2..0.6.
    #[arg(long, default_value = "seed", value_name = "SECONDS", value_parser = delay)]
    delay: Delay,
    /// Repeats delays and rehearsed trouble: each depends on this number, the path, the id, and
    /// how often that id was asked before.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Part of the lookups to answer 500, as 0.05 or 5%.
    #[arg(long, default_value = "0", value_name = "RATE", value_parser = rate)]
    fail: f64,
    /// Part of the lookups to answer 429 with Retry-After.
    #[arg(long, default_value = "0", value_name = "RATE", value_parser = rate)]
    busy: f64,
    /// Lookups to take at once; one more is answered 429 with Retry-After.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    busy_above: Option<u32>,
    /// What Retry-After says.
    #[arg(long, default_value_t = 1, value_name = "SECONDS",
        value_parser = clap::value_parser!(u32).range(..=i64::from(RETRY_AFTER_SECONDS_MAX)))]
    retry_after: u32,
    /// Part of the lookups to answer with an HTML page, under the status that is due.
    #[arg(long, default_value = "0", value_name = "RATE", value_parser = rate)]
    html: f64,
    /// Part of the lookups never to answer.
    #[arg(long, default_value = "0", value_name = "RATE", value_parser = rate)]
    stall: f64,
    /// Part of the lookups whose connection to close in the middle of the reply.
    #[arg(long = "break", default_value = "0", value_name = "RATE", value_parser = rate)]
    breaks: f64,
    /// File whose rows stand in the place of the profiles that it names; may be repeated.
    #[arg(long, value_name = "FILE.json")]
    dataset: Vec<PathBuf>,
    /// File whose rows are added to the data sets; may be repeated.
    #[arg(long, value_name = "FILE.json")]
    extend: Vec<PathBuf>,
    /// Print the rows of a profile in force, as a file for --dataset, and stop.
    #[arg(long, value_name = "PROFILE")]
    print_dataset: Option<ProfileArg>,
    /// Most open connections.
    #[arg(long, env = "KILAT_CONNECTIONS_MAX", default_value_t = 16_384, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections_max: u32,
    /// Log lines on stderr: error, warn, info, debug or trace.
    #[arg(long, env = "KILAT_LOG", default_value = "info", value_name = "LEVEL")]
    log: String,
}

/// One of the five APIs.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProfileArg {
    /// Stock by SKU.
    Stock,
    /// Flights by number.
    Flight,
    /// Domains by name.
    Domain,
    /// Parcels by tracking number.
    Package,
    /// Players by id.
    Player,
}

impl From<ProfileArg> for Profile {
    fn from(profile: ProfileArg) -> Profile {
        match profile {
            ProfileArg::Stock => Profile::Stock,
            ProfileArg::Flight => Profile::Flight,
            ProfileArg::Domain => Profile::Domain,
            ProfileArg::Package => Profile::Package,
            ProfileArg::Player => Profile::Player,
        }
    }
}

/// Answers until told to stop.
///
/// # Errors
/// [`Failure`] with exit code 2 when it can't start as asked.
pub(crate) fn run(args: &LookupArgs, lang: Lang) -> Result<ExitCode, Failure> {
    let rehearsal = args.rehearsal(lang)?;
    let dataset = load(args, lang)?;
    if let Some(profile) = args.print_dataset {
        return print(&dataset.print(profile.into()));
    }
    logging::start(&args.log, false, lang)?;
    let limits = limits(args.connections_max);
    let options =
        Options { dataset, delay: args.delay, rehearsal, seed: args.seed, live: None, limits };
    let address = args.address();
    let listener = listen_alone(address, lang)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(half_of_the_cores())
        .enable_all()
        .build()
        .map_err(|e| Failure::failed(say!(lang, "lookup.no_threads", why = e)))?;
    runtime.block_on(serve(listener, options, lang))
}

/// Whoever asks for lookups most often wants those that a `kilat up` serves there already.
fn listen_alone(address: SocketAddr, lang: Lang) -> Result<TcpListener, Failure> {
    bind(address, false).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse if are_at(address) => {
            Failure::usage(say!(lang, "lookup.there_already", address = address))
        }
        _ => cannot_listen(address, "--listen", &error, lang),
    })
}

/// Whether lookups answer there. It asks for nothing, which draws no delay and no trouble.
fn are_at(address: SocketAddr) -> bool {
    let profile = Profile::Stock;
    let asked = listen::ask(address, profile.path());
    let said = asked.and_then(|mut reply| reply.body_mut().read_to_string().ok());
    said.is_some_and(|said| said.contains(profile.parameter()) && said.starts_with('{'))
}

async fn serve(listener: TcpListener, options: Options, lang: Lang) -> Result<ExitCode, Failure> {
    // Before anybody is told that it is ready.
    let stop = StopSignals::catch()?;
    let lookups = Lookups::start(listener, options)
        .map_err(|e| Failure::failed(say!(lang, "lookup.no_socket", why = e)))?;
    let url = format!("http://{}", lookups.local_addr());
    tell(say!(lang, "lookup.ready", url = url));
    for profile in Profile::ALL {
        tell(format_args!("   {url}{}?{}=…", profile.path(), profile.parameter()));
    }
    stop.wait().await;
    lookups.shutdown(DRAIN).await;
    Ok(ExitCode::SUCCESS)
}

impl LookupArgs {
    /// An environment made for a sale's server may say that none are served
    /// beside it; here they were asked for.
    fn address(&self) -> SocketAddr {
        match self.listen {
            Some(Beside::At(address)) => address,
            Some(Beside::Auto | Beside::None) | None => ADDRESS,
        }
    }

    fn rehearsal(&self, lang: Lang) -> Result<Rehearsal, Failure> {
        let rehearsal = Rehearsal {
            fail: self.fail,
            busy: self.busy,
            html: self.html,
            stall: self.stall,
            breaks: self.breaks,
            busy_above: self.busy_above.map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
            retry_after_seconds: self.retry_after,
        };
        rehearsal.check().map_err(|bad| {
            let sum = lang.marked(format!("{:.3}", bad.sum));
            Failure::usage(say!(lang, "lookup.rates", sum = sum))
        })?;
        Ok(rehearsal)
    }
}

fn load(args: &LookupArgs, lang: Lang) -> Result<Dataset, Failure> {
    let mut dataset = Dataset::reference();
    let mistake = |path: &Path, error| {
        let (file, error) = (path.display(), mistake::explain(&error, lang));
        Failure::usage(say!(lang, "lookup.dataset", file = file, error = error))
    };
    for path in &args.dataset {
        dataset.replace(&read(path, lang)?).map_err(|error| mistake(path, error))?;
    }
    for path in &args.extend {
        dataset.extend(&read(path, lang)?).map_err(|error| mistake(path, error))?;
    }
    Ok(dataset)
}

fn read(path: &Path, lang: Lang) -> Result<String, Failure> {
    let file = path.display();
    let mut text = String::new();
    let opened = std::fs::File::open(path);
    let read = opened.and_then(|file| file.take(DATASET_BYTES_MAX + 1).read_to_string(&mut text));
    match read {
        Ok(bytes) if bytes as u64 <= DATASET_BYTES_MAX => Ok(without_mark(text)),
        Ok(_) => {
            let most = DATASET_BYTES_MAX / 1024 / 1024;
            Err(Failure::usage(say!(lang, "lookup.too_large", file = file, most = most)))
        }
        Err(error) => {
            Err(Failure::usage(say!(lang, "lookup.unreadable", file = file, why = error)))
        }
    }
}

/// Windows' Notepad begins a file with a byte order mark, which means nothing in UTF-8.
fn without_mark(text: String) -> String {
    text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)
}

/// As many connections as the system has file descriptors for, at most those
/// asked for: one more is then told so, where otherwise it would wait in vain.
fn limits(connections_max: u32) -> Limits {
    let asked = u64::from(connections_max);
    // On a system that says nothing, nothing is known to be lacking.
    let files = rlimit::increase_nofile_limit(asked + FILES_BESIDES).unwrap_or(u64::MAX);
    let given = asked.min(files.saturating_sub(FILES_BESIDES)).max(1);
    if given < asked {
        tracing::warn!(
            asked,
            given,
            "the limit of open files (ulimit -n) allows fewer connections"
        );
    }
    Limits { connections_max: usize::try_from(given).unwrap_or(usize::MAX), ..Limits::default() }
}

fn half_of_the_cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

/// Whether and where a sale's server answers lookups beside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Beside {
    /// At the usual address, if it is free.
    #[default]
    Auto,
    /// There and nowhere else.
    At(SocketAddr),
    /// Nowhere.
    None,
}

impl Beside {
    /// Takes the address, `shared` with other processes or alone.
    ///
    /// # Errors
    /// [`Failure::usage`] when an address that was asked for can't be had.
    pub(crate) fn listen(self, shared: bool, lang: Lang) -> Result<Option<TcpListener>, Failure> {
        match self {
            Beside::None => Ok(None),
            Beside::At(address) => {
                let listener = bind(address, shared)
                    .map_err(|e| cannot_listen(address, "--lookup-listen", &e, lang))?;
                Ok(Some(listener))
            }
            Beside::Auto => Ok(bind(ADDRESS, shared)
                .inspect_err(|error| {
                    tracing::warn!(
                        "lookups are not served: {ADDRESS} can't be had ({error}); \
                         choose another address with --lookup-listen, or none"
                    );
                })
                .ok()),
        }
    }
}

/// Starts the lookups of a sale's server: no delay, live sales first.
///
/// # Errors
/// [`Failure`] when the socket can't be used.
pub(crate) fn start_beside(
    listener: Option<TcpListener>,
    live: &Handle,
    limits: Limits,
    lang: Lang,
) -> Result<Option<Lookups>, Failure> {
    let start = |listener| {
        let options = Options { live: Some(live.clone()), limits, ..Options::default() };
        Lookups::start(listener, options)
            .map_err(|e| Failure::failed(say!(lang, "lookup.no_socket", why = e)))
    };
    listener.map(start).transpose()
}

/// On stdout, after the address of the sale's own server.
pub(crate) fn announce_beside(address: SocketAddr, lang: Lang) {
    let url = format!("http://{address}");
    tell(say!(lang, "lookup.beside", url = url));
}

impl FromStr for Beside {
    type Err = String;

    fn from_str(text: &str) -> Result<Beside, String> {
        match text {
            "auto" => Ok(Beside::Auto),
            "none" => Ok(Beside::None),
            _ => address(text).map_err(|wrong| wrong + ", or auto, or none"),
        }
    }
}

/// Of `kilat lookup` itself: what else a sale's server takes from the environment means the usual
/// address here, but is not what anybody would write.
fn own_address(text: &str) -> Result<Beside, String> {
    text.parse().or_else(|_: String| address(text))
}

fn address(text: &str) -> Result<Beside, String> {
    text.parse().map(Beside::At).map_err(|_| {
        format!("{text:?} is not an address: write it as IP:port, such as 127.0.0.1:5000")
    })
}

impl TryFrom<String> for Beside {
    type Error = String;

    fn try_from(text: String) -> Result<Beside, String> {
        text.parse()
    }
}

impl From<Beside> for String {
    fn from(beside: Beside) -> String {
        beside.to_string()
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Beside::Auto => Cow::from("auto"),
            Beside::None => Cow::from("none"),
            Beside::At(address) => Cow::from(address.to_string()),
        })
    }
}

/// `seed`, `none`, seconds, or two of them.
fn delay(text: &str) -> Result<Delay, String> {
    let wrong = || {
        let most = DELAY_MAX.as_secs();
        format!(
            "write seed, none, a number of seconds, or a range as 0.2..0.6, from 0 to {most} and ascending"
        )
    };
    let seconds = |text: &str| {
        let number = text.trim().parse().ok().and_then(|n| Duration::try_from_secs_f64(n).ok());
        number.filter(|duration| *duration <= DELAY_MAX).ok_or_else(wrong)
    };
    match text {
        "seed" => Ok(Delay::Seed),
        "none" => Ok(Delay::None),
        _ => {
            let (least, most) = text.split_once("..").unwrap_or((text, text));
            let (least, most) = (seconds(least)?, seconds(most)?);
            if least <= most { Ok(Delay::Range(least, most)) } else { Err(wrong()) }
        }
    }
}

/// `0.05` or `5%`.
fn rate(text: &str) -> Result<f64, String> {
    let (number, whole) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent, 100.0));
    let rate = number.trim().parse().ok().map(|number: f64| number / whole);
    rate.filter(|rate| (0.0..=1.0).contains(rate))
        .ok_or_else(|| "write a part from 0 to 1, or a percentage as 5%".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_read() {
        let millis = Duration::from_millis;
        for (text, expected) in [
            ("seed", Some(Delay::Seed)),
            ("none", Some(Delay::None)),
            ("0.2..0.6", Some(Delay::Range(millis(200), millis(600)))),
            (".2 .. .6", Some(Delay::Range(millis(200), millis(600)))),
            ("1", Some(Delay::Range(millis(1_000), millis(1_000)))),
            ("0", Some(Delay::Range(millis(0), millis(0)))),
            ("0.6..0.2", None),
            ("-1", None),
            ("nan", None),
            ("3601", None),
            ("1..", None),
            ("", None),
        ] {
            assert_eq!(delay(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn rates_are_read() {
        for (text, expected) in [
            ("0", Some(0.0)),
            ("0.05", Some(0.05)),
            ("5%", Some(0.05)),
            ("100 %", Some(1.0)),
            ("1.5", None),
            ("-0.1", None),
            ("nan", None),
            ("", None),
        ] {
            assert_eq!(rate(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn an_address_beside_is_read_as_it_is_printed() {
        for text in ["auto", "none", "127.0.0.1:5001", "[::1]:5000"] {
            assert_eq!(text.parse::<Beside>().unwrap().to_string(), text);
        }
        assert!("5000".parse::<Beside>().unwrap_err().contains("auto"));
    }
}
