//! Asks a real server whether it answers as its own description says: Schemathesis sends what
//! the description allows and what it forbids, and compares. Must never know a call.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use cargo_metadata::MetadataCommand;
use duct::ReaderHandle;

use crate::bench::python;
use crate::process;
use crate::steps::Outcome;
use crate::suites;

/// What is installed, how it is set up, and what it can't know by itself.
const FOLDER: &str = "xtask/schemathesis";
/// Of a server that lives for a minute on loopback: nothing to keep secret.
const ADMIN_TOKEN: &str = "a-token-that-only-this-suite-uses";
/// Set it to let other requests be generated.
const SEED: &str = "KILAT_SEED";

/// As [`run`], and says why when it did not run.
pub(crate) fn run_alone() -> Result<bool> {
    match run()? {
        Outcome::Passed { .. } => Ok(true),
        Outcome::NotRun(why) => bail!(why),
        _ => Ok(false),
    }
}

/// Builds `kilat`, serves, and lets Schemathesis at it.
pub(crate) fn run() -> Result<Outcome> {
    let target = MetadataCommand::new().no_deps().exec()?.target_directory.into_std_path_buf();
    let kilat = suites::program(&target)?;
    let root = target.join("schemathesis");
    fs::create_dir_all(&root)?;
    let interpreter = match python::environment(&root, "schemathesis", FOLDER) {
        Ok(interpreter) => interpreter,
        Err(error) => return Ok(Outcome::NotRun(format!("Schemathesis can't be had: {error:#}"))),
    };
    let folder = root.join("run");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let server = Server::start(&kilat, &folder)?;
    let seed = env::var(SEED).unwrap_or_else(|_| "1".to_owned());
    let script = fs::canonicalize(FOLDER)?.join("run.py");
    println!("{SEED}={seed} at {}", server.url);
    let command = duct::cmd!(interpreter, script, &server.url, seed)
        .dir(&folder)
        .env("KILAT_ADMIN_TOKEN", ADMIN_TOKEN);
    Ok(Outcome::of_check(process::succeeds(&command)?))
}

/// `kilat serve` on a free port; it ends with this value.
struct Server {
    process: ReaderHandle,
    url: String,
}

impl Server {
    fn start(kilat: &Path, folder: &Path) -> Result<Server> {
        let data = folder.join("data");
        let addresses = ["serve", "--listen=127.0.0.1:0", "--lookup-listen=none", "--data"];
        let arguments = addresses.map(OsString::from).into_iter().chain([data.into_os_string()]);
        let mut command = duct::cmd(kilat, arguments);
        for (name, _) in
            env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("KILAT_"))
        {
            command = command.env_remove(name);
        }
        let log = File::create(folder.join("log"))?;
        let process =
            command.env("KILAT_ADMIN_TOKEN", ADMIN_TOKEN).stderr_file(log).unchecked().reader()?;
        let mut server = Server { process, url: String::new() };
        server.url = server.read_address().context("the server did not start")?;
        Ok(server)
    }

    fn read_address(&self) -> Result<String> {
        for line in BufReader::new(&self.process).lines() {
            let line = line?;
            if let Some(start) = line.find("http://") {
                let url = line[start..].split_whitespace().next().unwrap_or_default();
                return Ok(url.trim_end_matches('/').to_owned());
            }
        }
        bail!("it ended before it said where it listens")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has nothing to lose, and it may have ended.
        let _ = self.process.kill();
    }
}
