//! Virtual environments for peers that come as Python packages. Must never know what is in them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::part::unavailable;
use crate::process;

/// The interpreter of an environment with what `folder`'s `requirements.txt` lists, made once for
/// each such list. Its programs are beside the interpreter.
pub(crate) fn environment(root: &Path, name: &str, folder: &str) -> Result<PathBuf> {
    let place = root.join(format!("{name}-python"));
    let list = format!("{folder}/requirements.txt");
    let installed = place.join("requirements.txt");
    let python = place.join("bin/python");
    let wanted = fs::read(&list).with_context(|| format!("cannot read {list}"))?;
    if python.exists() && fs::read(&installed).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    println!("installing what {list} names into {}", place.display());
    run("python3", &["-m", "venv", "--clear", &place.to_string_lossy()])?;
    let pip =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", &list];
    run(&python.to_string_lossy(), &pip)?;
    fs::write(&installed, wanted)?;
    Ok(python)
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    if process::succeeds(&duct::cmd(program, arguments))? {
        return Ok(());
    }
    Err(unavailable(format!("`{program} {}` failed, see above", arguments.join(" "))))
}
