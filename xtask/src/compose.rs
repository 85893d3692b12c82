//! A Docker engine of our own for the tests of `deploy/compose`, in namespaces of its own: it
//! takes no port, address or name of the machine, and the kernel ends and unmounts everything of it
//! when the first process in them ends, however that comes about. Must never know what is composed.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use duct::{Expression, Handle};

use crate::process::{self as run, Captured};
use crate::steps::{Outcome, Scope};
use crate::suites::{self, Suite};
use crate::tally;

/// Where the tests find the engine: the path of its socket.
const ENGINE: &str = "KILAT_ENGINE";
/// The control group in which the engine makes those of its containers.
const CONTROL_GROUP: &str = "kilat-test";
/// What the process inside says when there can be no engine here.
const REFUSED: &str = "no Docker engine can run here: ";
const START_DEADLINE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// As [`run()`], and says why when it did not run.
pub(crate) fn run_alone() -> Result<bool> {
    match run(Scope::new(false))? {
        Outcome::Passed { .. } => Ok(true),
        Outcome::NotRun(why) => bail!(why),
        _ => Ok(false),
    }
}

/// Runs the suite with an engine; [`Outcome::NotRun`] where the machine refuses one.
pub(crate) fn run(scope: Scope) -> Result<Outcome> {
    let new = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
    if let Some(why) = refusal(&run::program("unshare", new.into_iter().chain(["true"]))?)? {
        return Ok(Outcome::NotRun(format!("{REFUSED}{why}")));
    }
    let folder = Folder::new()?;
    let own = env::current_exe()?;
    let own = own.to_str().context("the path of xtask is not text")?;
    let place = folder.path.to_str().context("the temporary folder's path is not text")?;
    let quick = scope.quick.then_some("--quick");
    let inside = [own, "compose-inside", place].into_iter().chain(quick);
    let command = run::program("unshare", new.into_iter().chain(inside))?;
    let shown =
        run::show(&command, |line| line.starts_with(REFUSED) || tally::is_nextest_summary(line))?;
    match shown.kept.iter().find(|line| line.starts_with(REFUSED)) {
        Some(why) => Ok(Outcome::NotRun(why.clone())),
        None => Ok(suites::judge(shown, tally::nextest_summary, "the suite has no tests yet")),
    }
}

/// The first process in the namespaces: starts the engine, and runs the suite with it.
pub(crate) fn run_inside(folder: &Path, scope: Scope) -> Result<bool> {
    let engine = match Engine::start(folder)? {
        Ok(engine) => engine,
        Err(why) => {
            println!("{REFUSED}{why}");
            return Ok(false);
        }
    };
    let holds = run::succeeds(&suites::command(Suite::Compose, scope).env(ENGINE, &engine.socket));
    drop(engine);
    holds
}

/// What the engine writes, and nothing else; removed when this is dropped.
struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Short: the paths of sockets have a limit.
    fn new() -> Result<Folder> {
        let path = env::temp_dir().join(format!("kilat-engine-{}", process::id()));
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Folder { path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            println!("xtask: {} stays: {error}", self.path.display());
        }
        remove_control_groups();
    }
}

/// Those of containers that were killed with the namespaces; empty ones only can be removed.
fn remove_control_groups() {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(root).into_iter().flatten().flatten();
    let hierarchies = hierarchies.map(|entry| entry.path()).chain([root.to_owned()]);
    for group in hierarchies.map(|hierarchy| hierarchy.join(CONTROL_GROUP)) {
        let containers = fs::read_dir(&group).into_iter().flatten().flatten();
        for folder in containers.map(|entry| entry.path()).chain([group.clone()]) {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// A running `dockerd`.
struct Engine {
    process: Handle,
    socket: PathBuf,
}

impl Engine {
    /// The outer error is a fault of ours, the inner one the machine's refusal.
    fn start(folder: &Path) -> Result<Result<Engine, String>> {
        if let Some(why) = refusal(&run::program("ip", ["link", "set", "lo", "up"])?)? {
            return Ok(Err(why));
        }
        let log = folder.join("log");
        let socket = folder.join("docker.sock");
        let process = daemon(folder, &socket)?
            .stderr_to_stdout()
            .stdout_file(File::create(&log)?)
            .unchecked()
            .start()?;
        let engine = Engine { process, socket };
        let refused = match engine.wait_until_it_answers()? {
            true => engine.try_a_container(folder)?,
            false => Some(last_line(&fs::read_to_string(&log)?)),
        };
        Ok(refused.map_or(Ok(engine), Err))
    }

    fn wait_until_it_answers(&self) -> Result<bool> {
        let started = Instant::now();
        while started.elapsed() < START_DEADLINE && self.process.try_wait()?.is_none() {
            if run::succeeds_silently(&self.docker(["info"])?) {
                return Ok(true);
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok(false)
    }

    /// An engine that answers may still not be allowed to make containers.
    fn try_a_container(&self, folder: &Path) -> Result<Option<String>> {
        let archive = folder.join("true.tar");
        let archive = archive.to_str().context("the temporary folder's path is not text")?;
        let library = "ldd /bin/true | grep -o '/[^ ]*'";
        let pack = format!("tar -chf {archive} /bin/true $({library}) 2>&1");
        let steps = [
            run::program("sh", ["-c", &pack])?,
            self.docker(["import", archive, "kilat-test-true"])?,
            self.docker(["run", "--rm", "kilat-test-true", "/bin/true"])?,
        ];
        for step in &steps {
            if let Some(why) = refusal(step)? {
                return Ok(Some(why));
            }
        }
        Ok(None)
    }

    fn docker<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<Expression> {
        let host = format!("unix://{}", self.socket.display());
        Ok(run::program("docker", arguments)?.env("DOCKER_HOST", host))
    }
}

impl Drop for Engine {
    /// What it leaves behind ends with the namespaces.
    fn drop(&mut self) {
        let _ = self.process.kill();
    }
}

fn daemon(folder: &Path, socket: &Path) -> Result<Expression> {
    let at = |name: &str| folder.join(name).display().to_string();
    let host = format!("unix://{}", socket.display());
    let (data, state, id) = (at("data"), at("exec"), at("pid"));
    let group = format!("/{CONTROL_GROUP}");
    let arguments = [
        ["--host", &host],
        ["--data-root", &data],
        ["--exec-root", &state],
        ["--pidfile", &id],
        ["--cgroup-parent", &group],
        // There need be no systemd.
        ["--exec-opt", "native.cgroupdriver=cgroupfs"],
    ];
    run::program("dockerd", arguments.into_iter().flatten())
}

/// Why a command that must succeed did not.
fn refusal(command: &Expression) -> Result<Option<String>> {
    match run::capture_within(START_DEADLINE, command)? {
        Captured::Exited { success: true, .. } => Ok(None),
        Captured::Exited { output, .. } => Ok(Some(last_line(&output))),
        Captured::TimedOut => Ok(Some("it took too long".to_owned())),
    }
}

fn last_line(text: &str) -> String {
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_the_last_thing_that_was_said() {
        let says = |script| refusal(&duct::cmd("sh", ["-c", script])).unwrap();
        assert_eq!(says("echo fine"), None);
        assert_eq!(
            says("echo first; echo not permitted >&2; exit 1"),
            Some("not permitted".into())
        );
        assert_eq!(says("exit 1"), Some("it says nothing".into()));
    }
}
