//! A PostgreSQL server of its own for a test: in a temporary directory, reached by a socket there,
//! and ended with the test, however that ends.

use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Who runs the server when the test is run by root, for whom it refuses to run.
const USER: &str = "postgres";
/// So that a test whose server never comes fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// See the module.
pub(crate) struct Cluster {
    server: Option<Child>,
    settings: Vec<String>,
    directory: TempDir,
}

impl Cluster {
    /// A running server with the settings of a new one.
    pub(crate) fn start() -> Cluster {
        Cluster::start_with(&[])
    }

    /// A running server with these settings, each `name=value`.
    pub(crate) fn start_with(settings: &[&str]) -> Cluster {
        Cluster::start_on(settings, &[])
    }

    /// A server that can only be read, until it is made the primary.
    pub(crate) fn standby() -> Cluster {
        Cluster::start_on(&[], &["standby.signal"])
    }

    /// A standby of this server, which it streams its log to.
    pub(crate) fn follower(&self) -> Cluster {
        let directory = TempDir::with_prefix("kilat-pg-").unwrap();
        own(directory.path());
        let mut copy = as_user("pg_basebackup");
        copy.arg("-h").arg(self.directory.path()).args(["-U", "kilat", "-R", "-c", "fast", "-D"]);
        run(copy.arg(directory.path().join("data")));
        let mut cluster = Cluster { server: None, settings: Vec::new(), directory };
        cluster.resume();
        cluster
    }

    fn start_on(settings: &[&str], files: &[&str]) -> Cluster {
        let directory = TempDir::with_prefix("kilat-pg-").unwrap();
        own(directory.path());
        run(as_user("cp").arg("-a").arg(template()).arg(directory.path().join("data")));
        for file in files {
            run(as_user("touch").arg(directory.path().join("data").join(file)));
        }
        let settings = settings.iter().map(|one| (*one).to_owned()).collect();
        let mut cluster = Cluster { server: None, settings, directory };
        cluster.resume();
        cluster
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://kilat@localhost/postgres?host={}", self.directory.path().display())
    }

    /// Ends every process of the server at once, as a loss of power would but for its cache.
    pub(crate) fn kill(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        let backends = children(server.id());
        // First, so that nobody tidies up after the others.
        server.kill().unwrap();
        server.wait().unwrap();
        backends.into_iter().for_each(|pid| kill(pid, Signal::KILL));
    }

    /// Ends one process that works for a client of this name, at whatever it is doing. The server
    /// then ends all others by itself and recovers.
    pub(crate) fn kill_backend(&self, application: &str) -> bool {
        let sql = format!(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'kilat {application}' \
             AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1"
        );
        let found = self.try_sql(&sql).unwrap_or_default();
        found.trim().parse().map(|pid| kill(pid, Signal::KILL)).is_ok()
    }

    /// Stops every process of the server where it is, as a machine that hangs would.
    pub(crate) fn stand_still(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on where it was stopped.
    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let Some(server) = &self.server else { return };
        kill(i32::try_from(server.id()).unwrap(), signal);
        children(server.id()).into_iter().for_each(|pid| kill(pid, signal));
    }

    /// Starts the server again on what is on disk.
    pub(crate) fn resume(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.try_sql("SELECT 1").is_none() {
            let log = || fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "no server: {}", log());
            // A server gives up while one that was killed still has a process that is ending.
            let is_over = |server: &mut Child| server.try_wait().unwrap().is_some();
            if self.server.as_mut().is_none_or(is_over) {
                self.server = Some(self.spawn());
            }
            std::thread::yield_now();
        }
    }

    fn spawn(&self) -> Child {
        let directory = self.directory.path();
        let log = fs::File::create(directory.join("log")).unwrap();
        let mut server = as_user("postgres");
        server.arg("-D").arg(directory.join("data")).arg("-k").arg(directory);
        server.args(["-c", "listen_addresses=", "-c", "shared_buffers=32MB"]);
        self.settings.iter().for_each(|setting| {
            server.arg("-c").arg(setting);
        });
        server.stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    /// What `psql` prints, without a frame.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).unwrap_or_else(|| panic!("failed: {sql}"))
    }

    /// A transaction that has come so far, and is undone when it is dropped.
    pub(crate) fn begin(&self, sql: &str) -> Transaction {
        let mut psql = Command::new("psql");
        psql.args(["-XAtq", "-d", &self.url()]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut psql = psql.spawn().unwrap();
        writeln!(psql.stdin.as_mut().unwrap(), "BEGIN; {sql};").unwrap();
        let open = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'";
        while self.sql(open).trim() != "1" {
            assert!(psql.try_wait().unwrap().is_none(), "failed: {sql}");
        }
        Transaction(psql)
    }

    fn try_sql(&self, sql: &str) -> Option<String> {
        let mut psql = Command::new("psql");
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &self.url(), "-c", sql]);
        let output = psql.stdin(Stdio::null()).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }
}

/// See [`Cluster::begin`].
pub(crate) struct Transaction(Child);

impl Drop for Transaction {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A new server's files, made once and copied for each test.
fn template() -> PathBuf {
    let shared = std::env::temp_dir().join("kilat-pg-templates");
    fs::create_dir_all(&shared).unwrap();
    fs::set_permissions(&shared, Permissions::from_mode(0o755)).unwrap();
    own(&shared);
    let version =
        String::from_utf8(program("postgres").arg("-V").output().unwrap().stdout).unwrap();
    let version: String = version.chars().filter(char::is_ascii_alphanumeric).collect();
    let template = shared.join(version);
    if !template.exists() {
        let fresh = TempDir::with_prefix_in("new-", &shared).unwrap();
        own(fresh.path());
        let mut initdb = as_user("initdb");
        initdb.arg("-D").arg(fresh.path().join("data")).args(["-U", "kilat", "-A", "trust"]);
        run(initdb.args(["-E", "UTF8", "--locale=C", "--no-sync"]));
        // Whoever is first has made it; the others' is as good.
        let _ = fs::rename(fresh.path().join("data"), &template);
    }
    template
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A program that may not be run by root, and that ends with the thread that starts it.
fn as_user(name: &str) -> Command {
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--pdeathsig", "QUIT"]);
    if rustix::process::geteuid().is_root() {
        setpriv.args(["--reuid", USER, "--regid", USER, "--clear-groups"]);
    }
    setpriv.arg("--").arg(program(name).get_program());
    setpriv
}

/// A program of the server, which Debian keeps out of the path.
fn program(name: &str) -> Command {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin").join(name));
    let newest = found.filter(|path| path.exists()).max();
    Command::new(newest.unwrap_or_else(|| PathBuf::from(name)))
}

/// Gives `path` to the user that the server runs as.
pub(crate) fn own(path: &Path) {
    if rustix::process::geteuid().is_root() {
        let ids = |flag| {
            let output = Command::new("id").args([flag, USER]).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
        };
        chown(path, Some(ids("-u")), Some(ids("-g"))).unwrap();
    }
}

fn children(pid: u32) -> Vec<i32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// One that ended by itself in the meantime is no fault.
fn kill(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}
