//! A server that a benchmark started: on its own free port, awaited until it is ready, and
//! ended with the benchmark, whatever happens. Must never know what it serves.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::http::{self, Connection};
use super::usage::{self, Memory};
use crate::process;

/// Longest wait until a server is ready: restarting with 10 M orders is part of it.
const READY_DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks at whether it is ready; start-up times are no finer than this.
const READY_POLL: Duration = Duration::from_millis(1);
/// Longest wait for a clean stop; after it the server is killed.
const STOP_DEADLINE: Duration = Duration::from_secs(20);
/// Lines of a server's log that are shown when it fails.
const LOG_LINES_SHOWN: usize = 5;

/// The core that servers are pinned to where a target asks for one core each.
pub(super) const SERVER_CORE: usize = 0;
/// The core of the load generator.
pub(super) const GENERATOR_CORE: usize = 1;

/// A server that is still to be started.
#[derive(Debug)]
pub(super) struct Program {
    command: Command,
    name: String,
    address: SocketAddr,
    log: PathBuf,
}

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    name: String,
    address: SocketAddr,
    log: PathBuf,
}

/// How it is found out that a server is ready.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ready {
    /// `GET` of this path answers 200.
    Get(&'static str),
    /// A connection is accepted.
    Accepts,
}

impl Program {
    /// `program` will listen on `address` and log to a file in `folder`.
    ///
    /// The kernel ends it when this process dies without having ended it.
    pub(super) fn new(
        program: &Path,
        address: SocketAddr,
        core: Option<usize>,
        folder: &Path,
    ) -> Result<Self> {
        let name = program.file_name().unwrap_or(OsStr::new("server"));
        let name = name.to_string_lossy().into_owned();
        let mut command = pinned(core)?;
        command.args(["setpriv", "--pdeathsig", "TERM"]).arg(program);
        Ok(Self {
            command,
            log: folder.join(format!("{name}-{}.log", address.port())),
            name,
            address,
        })
    }

    pub(super) fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    pub(super) fn arg_path(mut self, name: &str, path: &Path) -> Self {
        self.command.arg(name).arg(path);
        self
    }

    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Some servers refuse to run as root. Only root may ask for it.
    pub(super) fn run_as(mut self, user: u32, group: u32) -> Self {
        self.command.uid(user).gid(group);
        self
    }

    /// Settings of the person who runs the benchmark must not change it.
    pub(super) fn without_env(mut self, prefix: &str) -> Self {
        let is_meant = |name: &OsString| name.to_string_lossy().starts_with(prefix);
        for (name, _) in env::vars_os().filter(|(name, _)| is_meant(name)) {
            self.command.env_remove(name);
        }
        self
    }

    /// Starts it and waits until it is ready.
    pub(super) fn start(mut self, ready: Ready) -> Result<Server> {
        let log = File::create(&self.log)?;
        self.command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = self.command.spawn();
        let mut server = Server {
            child: child.with_context(|| format!("cannot start {}", self.name))?,
            name: self.name,
            address: self.address,
            log: self.log,
        };
        server.wait_until(ready)?;
        Ok(server)
    }
}

impl Server {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Processor time of all its threads since it started.
    pub(super) fn cpu_time(&self) -> Result<Duration> {
        usage::cpu_time(self.child.id())
    }

    pub(super) fn memory(&self) -> Result<Memory> {
        usage::memory(self.child.id())
    }

    /// Ends it without a warning, as a crash would.
    pub(super) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop and waits for that; a server that does not stop cleanly is a failure.
    pub(super) fn stop(mut self) -> Result<()> {
        self.ask_to_stop();
        let status = self.wait_for_exit(STOP_DEADLINE)?;
        let status =
            status.with_context(|| format!("{} does not stop when asked to", self.name))?;
        let by_signal = status.signal().is_some();
        ensure!(
            status.success() || by_signal,
            "{} stopped with {status}: {}",
            self.name,
            self.last_words()
        );
        Ok(())
    }

    fn wait_until(&mut self, ready: Ready) -> Result<()> {
        let started = Instant::now();
        while !ready.holds(self.address) {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "{} ended with {status} before it was ready: {}",
                    self.name,
                    self.last_words()
                );
            }
            ensure!(
                started.elapsed() < READY_DEADLINE,
                "{} was not ready after {} s: {}",
                self.name,
                READY_DEADLINE.as_secs(),
                self.last_words()
            );
            thread::sleep(READY_POLL);
        }
        Ok(())
    }

    /// The standard library can only kill; a clean stop needs the other signal.
    fn ask_to_stop(&self) {
        let pid = self.child.id().to_string();
        process::succeeds_silently(&duct::cmd("sh", ["-c", "kill -TERM \"$0\"", &pid]));
    }

    /// `None` when it still runs at the deadline.
    fn wait_for_exit(&mut self, deadline: Duration) -> Result<Option<std::process::ExitStatus>> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if started.elapsed() > deadline {
                return Ok(None);
            }
            thread::sleep(READY_POLL);
        }
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(LOG_LINES_SHOWN).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // Gently first: some servers end their own children only when they are asked.
        self.ask_to_stop();
        if !matches!(self.wait_for_exit(STOP_DEADLINE), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Ready {
    fn holds(self, address: SocketAddr) -> bool {
        let Ok(mut connection) = Connection::open(address) else {
            return false;
        };
        match self {
            Self::Accepts => true,
            Self::Get(path) => connection
                .exchange(&http::request("GET", path, &["Connection: close"], b""))
                .is_ok_and(|reply| reply.status == 200),
        }
    }
}

/// A port that was free a moment ago.
pub(super) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}

/// The beginning of a command that runs on one core, or on all.
pub(super) fn pinned(core: Option<usize>) -> Result<Command> {
    let taskset = process::find("taskset").context("`taskset` is not installed")?;
    let cores = thread::available_parallelism()?.get();
    let list = match core {
        Some(core) => format!("{}", core.min(cores - 1)),
        None => format!("0-{}", cores - 1),
    };
    let mut command = Command::new(taskset);
    command.args(["--cpu-list", &list]);
    Ok(command)
}
