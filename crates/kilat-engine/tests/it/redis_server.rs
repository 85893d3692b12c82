//! A Redis of a test's own: Debian's server, in a directory of its own, behind a socket. It ends
//! with the test, also when that fails.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

/// What keeps everything that was acknowledged.
pub(crate) const DURABLE: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];

/// A running server.
pub(crate) struct RedisServer {
    process: Child,
    directory: PathBuf,
    settings: Vec<String>,
}

impl RedisServer {
    /// Starts a server whose files and socket are in `directory`.
    pub(crate) fn start(directory: &Path, settings: &[&str]) -> RedisServer {
        let settings: Vec<String> = settings.iter().map(|word| (*word).to_owned()).collect();
        let process = run(directory, &settings);
        RedisServer { process, directory: directory.to_owned(), settings }
    }

    /// Starts a sentinel that watches a primary under the name `main`.
    pub(crate) fn sentinel(directory: &Path, port: &str, primary: &str) -> RedisServer {
        let configuration = format!(
            "port {port}\nsentinel monitor main 127.0.0.1 {primary} 1\n\
             sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n"
        );
        std::fs::write(directory.join("sentinel.conf"), configuration).unwrap();
        let mut command = Command::new("redis-server");
        command.args(["sentinel.conf", "--sentinel"]).current_dir(directory);
        let process = run_until(command, "+monitor");
        RedisServer { process, directory: directory.to_owned(), settings: Vec::new() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("redis.sock")
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Kills the server as a crash would, and starts it on what it left.
    pub(crate) fn crash(&mut self) {
        self.kill();
        self.resume();
    }

    /// Starts it on what it left.
    pub(crate) fn resume(&mut self) {
        self.process = run(&self.directory, &self.settings);
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        let sent = kill.arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(sent.unwrap().success());
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns when the server takes connections.
fn run(directory: &Path, settings: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command
        .args(["--port", "0", "--unixsocket", "redis.sock", "--save", "", "--dir"])
        .arg(directory)
        .args(settings)
        .current_dir(directory);
    run_until(command, "eady to accept connections at")
}

/// Returns when the server has said `ready`.
fn run_until(mut command: Command, ready: &str) -> Child {
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut said = String::new();
    while !said.lines().last().is_some_and(|line| line.contains(ready)) {
        let Some(Ok(line)) = lines.next() else { panic!("redis-server did not start: {said}") };
        said = format!("{said}\n{line}");
    }
    // Else a full pipe would stop the server.
    thread::spawn(move || lines.for_each(drop));
    process
}
