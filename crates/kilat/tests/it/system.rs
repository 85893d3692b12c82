//! `kilat up` as a test meets it: the whole system as processes, and what can be done to them.

use crate::program::{Server, kilat, run, stdout, verify, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The processes in the order of their start.
pub(crate) const NAMES: [&str; 5] = ["core", "web-1", "web-2", "web-3", "gateway"];

/// A running system and its data directory.
pub(crate) struct Up {
    pub(crate) server: Server,
    data: PathBuf,
    folder: Option<TempDir>,
}

impl Up {
    pub(crate) fn start() -> Up {
        let folder = tempfile::tempdir().unwrap();
        let up = Up::on(&folder.path().join("data"));
        Up { folder: Some(folder), ..up }
    }

    pub(crate) fn on(data: &Path) -> Up {
        Up::with(data, &[])
    }

    pub(crate) fn with(data: &Path, arguments: &[&str]) -> Up {
        let path = data.to_str().unwrap();
        let mut command = kilat(["up", "--lang=en", "--listen=127.0.0.1:0", "--data", path]);
        let server = Server::run(command.args(arguments));
        // The control socket is there in a moment.
        wait_for("kilat ps", || run(["ps", "--data", path]).status.success().then_some(()));
        Up { server, data: data.to_owned(), folder: None }
    }

    pub(crate) fn data(&self) -> String {
        self.data.to_str().unwrap().to_owned()
    }

    /// What `kilat ps` says of a process.
    pub(crate) fn process(&self, name: &str) -> Value {
        let output = run(["ps", "--json", "--data", &self.data()]);
        let all: Value = serde_json::from_str(&stdout(&output)).unwrap();
        let mut all = all["processes"].as_array().unwrap().clone().into_iter();
        all.find(|process| process["name"] == name).unwrap()
    }

    /// Kills it and waits until it is back.
    pub(crate) fn kill(&self, name: &str) {
        let restarts = self.strike(name);
        self.await_back(name, restarts);
    }

    /// Waits until it has been started more often than so, and is ready.
    pub(crate) fn await_back(&self, name: &str, restarts: u64) {
        wait_for("a process that comes back", || {
            let process = self.process(name);
            let is_back =
                process["restarts"].as_u64() > Some(restarts) && process["state"] == "ready";
            is_back.then_some(())
        });
    }

    /// Kills it as soon as it runs, and does not wait; how often it had been restarted before.
    pub(crate) fn strike(&self, name: &str) -> u64 {
        wait_for("a process to kill", || {
            let process = self.process(name);
            let restarts = process["pid"].is_u64().then(|| process["restarts"].as_u64())?;
            let killed = run(["kill", name, "--data", &self.data()]).status.success();
            restarts.filter(|_| killed)
        })
    }

    /// Waits until all are ready.
    pub(crate) fn await_all(&self) {
        wait_for("all processes", || {
            run(["ps", "--data", &self.data()]).status.success().then_some(())
        });
    }

    pub(crate) fn signal(&self, name: &str, signal: Signal) {
        let pid = wait_for("a process", || self.process(name)["pid"].as_i64());
        kill_process(Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
    }

    pub(crate) fn stop(self) -> Value {
        self.server.stop();
        verify(&self.data)
    }

    /// The process that keeps the others, the data directory, and the folder around it.
    pub(crate) fn take_apart(self) -> (Server, PathBuf, Option<TempDir>) {
        (self.server, self.data, self.folder)
    }
}
