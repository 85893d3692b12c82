//! A copy of `deploy` with secrets of its own, brought up and taken down again.

use super::images;
use crate::guide::Reader;
use crate::program::{Running, wait_for};
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Where `cargo xtask compose` says that its engine listens.
const ENGINE: &str = "KILAT_ENGINE";
/// Services that ask for more open files than a machine may grant.
const LIMITED: [&str; 7] = ["core", "web-1", "web-2", "web-3", "nginx", "attack", "redis"];

/// `docker`, talking to the engine of these tests and to no other.
pub(super) fn docker(arguments: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command.args(arguments).env("DOCKER_HOST", engine());
    command
}

fn engine() -> String {
    let socket = std::env::var(ENGINE);
    let socket = socket.unwrap_or_else(|_| panic!("no engine: run `cargo xtask compose`"));
    format!("unix://{socket}")
}

/// The project in `deploy/compose`; it is removed, data included, when this is dropped.
pub(super) struct System {
    folder: TempDir,
    /// The profile of a store and its URL, when the ledger is in one.
    ledger: Option<(&'static str, &'static str)>,
}

impl System {
    /// Everything but `up`.
    pub(super) fn prepare() -> System {
        images::make_stand_ins();
        let folder = tempfile::tempdir().unwrap();
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
        let system = System { folder, ledger: None };
        let copy = system.folder.path().join("deploy");
        images::succeed(Command::new("cp").arg("-r").arg(deploy).arg(&copy));
        // The developer's own are left alone.
        let _ = std::fs::remove_dir_all(copy.join("secrets"));
        let _ = std::fs::remove_dir_all(copy.join("image"));
        images::put_kilat(&copy.join("image"));
        std::fs::write(system.compose_folder().join("here.yaml"), differences()).unwrap();
        system
    }

    /// As the guide brings it up.
    pub(super) fn up() -> System {
        System::prepare().bring_up(&[])
    }

    /// The shop, without what watches it, with the ledger in the store of a profile, at this URL.
    pub(super) fn with_ledger(profile: &'static str, url: &'static str) -> System {
        let mut system = System::prepare();
        system.ledger = Some((profile, url));
        system.bring_up(&["nginx", profile])
    }

    fn bring_up(self, services: &[&str]) -> System {
        let secrets = self.folder.path().join("deploy/make-secrets.sh");
        images::succeed(Command::new("sh").arg(secrets));
        let up = ["up", "-d", "--build"];
        images::succeed(&mut self.compose(&[&up[..], services].concat()));
        self
    }

    /// What the image is made of.
    pub(super) fn image_folder(&self) -> PathBuf {
        self.folder.path().join("deploy/image")
    }

    fn compose_folder(&self) -> PathBuf {
        self.folder.path().join("deploy/compose")
    }

    /// A shell in the project's folder.
    pub(super) fn reader(&self) -> Reader {
        let reader = Reader::new(self.folder.path()).reading("docker compose", compose_name());
        self.environment()
            .into_iter()
            .fold(reader, |reader, (name, value)| reader.with(name, &value))
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let store = self.ledger.map(|(profile, url)| {
            [("COMPOSE_PROFILES", profile.to_owned()), ("KILAT_LEDGER", url.to_owned())]
        });
        let own = [
            ("DOCKER_HOST", engine()),
            ("COMPOSE_FILE", "compose.yaml:here.yaml".to_owned()),
            ("KILAT_DOCKERFILE", "deploy/prebuilt.Dockerfile".to_owned()),
        ];
        own.into_iter().chain(store.into_iter().flatten()).collect()
    }

    pub(super) fn compose(&self, arguments: &[&str]) -> Command {
        let mut words = compose_name().split(' ').chain(arguments.iter().copied());
        let mut command = Command::new(words.next().unwrap());
        command.args(words).current_dir(self.compose_folder()).envs(self.environment());
        command
    }

    /// What Docker knows of a service's container.
    pub(super) fn container(&self, service: &str) -> Value {
        let id = images::succeed(&mut self.compose(&["ps", "-q", service]));
        let text = images::succeed(&mut docker(&["inspect", id.trim()]));
        let mut all: Vec<Value> = serde_json::from_str(&text).unwrap();
        all.remove(0)
    }

    /// Kills a service's process, as a crash would, and waits until Docker has started it again
    /// and `kilat health` is content.
    pub(super) fn crash(&self, service: &str) {
        let before = process_of(&self.container(service)).unwrap();
        kill_process(before, Signal::KILL).unwrap();
        wait_for("a container that comes back", || {
            let now = process_of(&self.container(service));
            (now.is_some() && now != Some(before) && self.is_healthy(service)).then_some(())
        });
    }

    /// Asks as the image's own health check does.
    pub(super) fn is_healthy(&self, service: &str) -> bool {
        let url = if service == "core" { "http://127.0.0.1:8081" } else { "http://127.0.0.1:8080" };
        let asked = ["exec", "-T", service, "/kilat", "health", "--url", url];
        self.compose(&asked).output().unwrap().status.success()
    }

    /// An attack that runs beside the test; its output goes to `log`.
    pub(super) fn storm(&self, more: &[&str], log: std::fs::File) -> Running {
        let run = ["run", "--rm", "-T", "attack", "--lang=en", "--quiet"];
        Running::start(self.compose(&[&run[..], more].concat()).stdout(log))
    }
}

impl Drop for System {
    fn drop(&mut self) {
        for arguments in [&["kill"][..], &["down", "--volumes", "--remove-orphans"]] {
            let done = self.compose(arguments).output();
            if !done.is_ok_and(|output| output.status.success()) {
                println!("docker compose {arguments:?} failed");
            }
        }
    }
}

/// The main process of a container that runs.
pub(super) fn process_of(container: &Value) -> Option<Pid> {
    let id = container["State"]["Pid"].as_i64().unwrap();
    Pid::from_raw(i32::try_from(id).unwrap())
}

/// The plugin where there is one, else the program that came before it.
fn compose_name() -> &'static str {
    let plugin = Command::new("docker").args(["compose", "version"]).output().unwrap();
    if plugin.status.success() { "docker compose" } else { "docker-compose" }
}

/// What can't be as the file has it here: as many open files as a container may have, and an end
/// for Grafana's stand-in, which ignores the usual signal as the first process of a container.
fn differences() -> String {
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(65_536).min(65_536);
    let limited = LIMITED.map(|name| (name, json!({"ulimits": {"nofile": most}})));
    let ending = ("grafana", json!({"stop_signal": "SIGKILL"}));
    let services = limited.into_iter().chain([ending]);
    let services: Map<String, Value> =
        services.map(|(name, service)| (name.to_owned(), service)).collect();
    json!({"services": services}).to_string()
}
