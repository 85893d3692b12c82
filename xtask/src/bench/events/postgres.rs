//! PostgreSQL as a peer: `INSERT … ON CONFLICT DO NOTHING`, 1,000 rows a statement, each
//! statement a transaction that is flushed before it is answered.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::driver::{self, Amount};
use super::race::{self, BATCH, Peer};
use crate::bench::figure::Figure;
use crate::bench::part::unavailable;
use crate::bench::python;
use crate::bench::scene::Scene;
use crate::bench::server::{self, Program, Ready, Server};
use crate::process;

const PEER: &str = "bench/peers/postgres";
/// Where Debian keeps each version's programs, by version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Clients that insert at the same time.
const CLIENTS: &str = "4";

/// Whom the server runs as: it refuses to be root.
#[derive(Debug, Clone, Copy)]
struct Owner {
    user: u32,
    group: u32,
}

/// Events a second into one table.
pub(super) fn inserts(scene: &Scene) -> Result<Vec<Figure>> {
    let folder = scene.folder("postgres")?;
    let python = python::environment(scene.root(), "postgres", PEER)?;
    let postgres = start(folder.path())?;
    let port = postgres.address().port().to_string();
    let peer = Peer {
        id: "postgres",
        name: "PostgreSQL",
        size: "1,000 a statement",
        note: "durable: synchronous_commit=on; ON CONFLICT DO NOTHING; 4 clients; JSON not read",
    };
    let batches = driver::prepared_batches(scene);
    let amount = Amount { batch: BATCH, seconds: scene.shot_seconds(), batches };
    let program = format!("{PEER}/driver.py");
    let mut sent = 0;
    race::with(scene, peer, || {
        let shot = driver::insert(amount, sent, |arguments| {
            let call = [&program, "--port", &port, "--clients", CLIENTS];
            driver::python(&python, &[&call[..], arguments].concat())
        })?;
        sent += shot.events;
        Ok(shot)
    })
}

/// A new cluster on a free port, which takes anyone from this machine.
fn start(folder: &Path) -> Result<Server> {
    let owner = owner()?;
    let data = folder.join("data");
    fs::create_dir(&data)?;
    if let Some(Owner { user, group }) = owner {
        chown(folder, Some(user), Some(group))?;
        chown(&data, Some(user), Some(group))?;
    }
    initialize(&data, owner)?;
    let address = server::free_address()?;
    run(&program("postgres")?, address, folder, owner)?
        .arg_path("-D", &data)
        .args(["-p", &address.port().to_string()])
        .args(["-c", &format!("config_file={}", absolute("postgresql.conf")?)])
        .args(["-c", &format!("hba_file={}/pg_hba.conf", data.display())])
        .start(Ready::Accepts)
}

fn run(
    program: &Path,
    address: SocketAddr,
    folder: &Path,
    owner: Option<Owner>,
) -> Result<Program> {
    let program = Program::new(program, address, None, folder)?;
    Ok(match owner {
        Some(Owner { user, group }) => program.run_as(user, group),
        None => program,
    })
}

fn initialize(data: &Path, owner: Option<Owner>) -> Result<()> {
    let mut arguments: Vec<String> = Vec::new();
    if let Some(Owner { user, group }) = owner {
        arguments.extend([format!("--reuid={user}"), format!("--regid={group}")]);
        arguments.push("--clear-groups".to_owned());
    }
    arguments.push(program("initdb")?.to_string_lossy().into_owned());
    let options =
        ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
    arguments.extend(options.map(str::to_owned));
    arguments.push(format!("--pgdata={}", data.display()));
    let initdb = duct::cmd("setpriv", arguments).stdin_null().stdout_null();
    if process::succeeds(&initdb)? {
        return Ok(());
    }
    Err(unavailable("initdb failed, see above: may the user `postgres` reach this folder?"))
}

/// `None`: this process is not root, and runs the server itself.
fn owner() -> Result<Option<Owner>> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let number = |option: &str| -> Result<u32> {
        let answer = duct::cmd("id", [option, "postgres"]).read();
        let answer = answer.map_err(|_| unavailable("there is no user `postgres`"))?;
        answer.trim().parse().context("`id` answers something else")
    };
    Ok(Some(Owner { user: number("-u")?, group: number("-g")? }))
}

/// In the newest version that is installed.
fn program(name: &str) -> Result<PathBuf> {
    let newest = fs::read_dir(VERSIONS)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version: u32 = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin").join(name)))
        })
        .filter(|(_, program)| program.exists())
        .max();
    newest
        .map(|(_, program)| program)
        .or_else(|| process::find(name))
        .ok_or_else(|| unavailable(format!("`{name}` is not installed")))
}

fn absolute(file: &str) -> Result<String> {
    let path = fs::canonicalize(format!("{PEER}/{file}"))?;
    Ok(path.to_string_lossy().into_owned())
}
