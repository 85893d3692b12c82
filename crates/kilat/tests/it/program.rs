//! Starting `kilat`, and ending what was started whatever becomes of the test.

use crate::http::{self, Reply};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;

/// The admin token of every server here.
pub(crate) const ADMIN: &str = "0123456789abcdef0123456789abcdef";
/// So that a test that waits for nothing fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at what can't be awaited otherwise.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// `kilat` in an environment without settings of the machine.
pub(crate) fn kilat<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kilat"));
    command.args(arguments);
    clean(&mut command);
    command
}

/// Without settings of the machine, and with the token of the tests.
pub(crate) fn clean(command: &mut Command) {
    let own = std::env::vars()
        .filter(|(name, _)| name.starts_with("KILAT_") || name.starts_with("OTEL_"));
    for (name, _) in own {
        command.env_remove(name);
    }
    for name in ["LC_ALL", "LC_MESSAGES", "LANG"] {
        command.env_remove(name);
    }
    command.env("KILAT_ADMIN_TOKEN", ADMIN);
    // Servers of tests that run at the same time would take it from each other.
    command.env("KILAT_LOOKUP_LISTEN", "none");
}

/// Runs `kilat` to its end.
pub(crate) fn run<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Output {
    kilat(arguments).output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// `kilat verify` says that everything holds; its JSON.
pub(crate) fn verify(data: &Path) -> serde_json::Value {
    let output = run(["verify", data.to_str().unwrap(), "--json"]);
    let text = stdout(&output);
    assert!(output.status.success(), "{text}{}", stderr(&output));
    serde_json::from_str(&text).unwrap()
}

/// Waits until `look` finds something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Runs a program of the system, whether it succeeds or not.
pub(crate) fn try_to_tell(program: &str, arguments: &[&str]) {
    let _ = Command::new(program).args(arguments).output();
}

/// Runs a program of the system, which must succeed; what it says.
pub(crate) fn tell(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A program that is killed and reaped when this is dropped.
pub(crate) struct Running {
    child: Child,
    ended: Option<ExitStatus>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Running {
        let child = command.stdin(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Running { child, ended: None }
    }

    pub(crate) fn take_stdout(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.child.stdout.take().unwrap())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            // A process that ended meanwhile is not reaped yet: its id is still its own.
            let _ = kill_process(Pid::from_child(&self.child), signal);
        }
    }

    /// Whether it has said that it hears this signal, so that the system does not end it.
    pub(crate) fn catches(&self, signal: Signal) -> bool {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        caught.is_some_and(|mask| mask & (1 << (signal.as_raw() - 1)) != 0)
    }

    /// Stops it, and waits until none of its threads runs any more: a busy machine takes a moment.
    pub(crate) fn stand_still(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.child.id());
        wait_for("threads that stand still", || {
            let mut tasks = std::fs::read_dir(&tasks).unwrap();
            tasks.all(|task| is_stopped(&task.unwrap().path().join("stat"))).then_some(())
        });
    }

    /// The exit status, once the process has ended by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let ended = self.ended;
        let status = ended.unwrap_or_else(|| wait_for("an end", || child.try_wait().unwrap()));
        self.ended = Some(status);
        status
    }

    /// The exit status if the process has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().unwrap();
        }
        self.ended
    }
}

/// Whether a thread is in state T. One that has ended meanwhile does not run either.
fn is_stopped(stat: &Path) -> bool {
    let stat = std::fs::read_to_string(stat).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// How a process ended, and what it said on stderr.
pub(crate) struct End {
    pub(crate) status: ExitStatus,
    pub(crate) said: String,
}

/// A server that answers.
pub(crate) struct Server {
    process: Running,
    pub(crate) url: String,
    /// Everything on stdout up to the address.
    pub(crate) banner: String,
    log: NamedTempFile,
    stdout: BufReader<ChildStdout>,
}

impl Server {
    /// `kilat serve` on a free port.
    pub(crate) fn start(data: &Path) -> Server {
        Server::run(kilat(serve(data)).arg("--listen=127.0.0.1:0"))
    }

    /// Starts `command`, which must be a server.
    pub(crate) fn run(command: &mut Command) -> Server {
        Server::try_run(command)
            .unwrap_or_else(|end| panic!("no server: {}\n{}", end.status, end.said))
    }

    /// As [`Server::run`]; how it ended if it never answered.
    pub(crate) fn try_run(command: &mut Command) -> Result<Server, End> {
        let log = NamedTempFile::new().unwrap();
        command.stdout(Stdio::piped()).stderr(log.reopen().unwrap());
        let mut process = Running::start(command);
        let mut stdout = process.take_stdout();
        let mut banner = String::new();
        while stdout.read_line(&mut banner).unwrap() > 0 {
            if let Some(url) = address_in(&banner) {
                return Ok(Server { process, url, banner, log, stdout });
            }
        }
        let status = process.wait();
        let said = std::fs::read_to_string(log.path()).unwrap();
        Err(End { status, said })
    }

    /// One more line of stdout, after the address.
    pub(crate) fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    /// Waits until it ends by itself.
    pub(crate) fn end(mut self) -> End {
        let status = self.process.wait();
        End { status, said: self.log() }
    }

    /// One admin call with a key of its own.
    pub(crate) fn admin(&self, method: &str, path: &str, key: &str, body: &str) -> Reply {
        let bearer = format!("Bearer {ADMIN}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        http::call(&self.url, method, path, &headers, body).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        http::get(&self.url, path).unwrap()
    }

    pub(crate) fn order(&self, sale: &str, key: &str, body: &str) -> Reply {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        let path = format!("/v1/sales/{sale}/orders");
        http::call(&self.url, "POST", &path, &headers, body).unwrap()
    }

    /// Makes an open sale without a limit per customer.
    pub(crate) fn make_sale(&self, id: &str, supply: u64, hold_seconds: u32) {
        let body = sale(id, supply, hold_seconds);
        let reply = self.admin("POST", "/v1/sales", "make", &body);
        assert!(matches!(reply.status, 200 | 201), "{}", reply.text());
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    pub(crate) fn process(&mut self) -> &mut Running {
        &mut self.process
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.process.signal(Signal::KILL);
        self.process.wait();
    }

    /// Asks for an end in good order and takes nothing less.
    pub(crate) fn stop(mut self) {
        self.process.signal(Signal::TERM);
        let status = self.process.wait();
        assert!(status.success(), "{status}\n{}", self.log());
    }
}

impl Drop for Server {
    /// A test that failed shows what its server said: most often that is why.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = std::fs::read_to_string(self.log.path()).unwrap_or_default();
            eprintln!("{} said on stderr:\n{said}", self.url);
        }
    }
}

pub(crate) fn serve(data: &Path) -> [&str; 3] {
    ["serve", "--data", data.to_str().unwrap()]
}

/// The request for an open sale without a limit per customer.
pub(crate) fn sale(id: &str, supply: u64, hold_seconds: u32) -> String {
    let sale = serde_json::json!({
        "id": id, "title": "Test", "sku": "TEST", "price": {"amount": "1", "currency": "IDR"},
        "supply": supply, "per_customer": null, "opens_at": null, "closes_at": null,
        "hold_seconds": hold_seconds,
    });
    sale.to_string()
}

pub(crate) fn address_in(text: &str) -> Option<String> {
    let start = text.find("http://").or_else(|| text.find("https://"))?;
    let url = text[start..].split_whitespace().next()?;
    Some(url.trim_end_matches('/').to_owned())
}

/// A number from the environment, to make a suite larger; a tenth in a quick run.
pub(crate) fn scaled(variable: &str, default: usize) -> usize {
    let quick = std::env::var_os("KILAT_QUICK").is_some();
    let given = std::env::var(variable).ok().and_then(|n| n.parse().ok());
    given.unwrap_or(if quick { default / 10 + 1 } else { default })
}
