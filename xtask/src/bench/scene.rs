//! Where benchmarks take place: sizes, fresh folders, and the programs that are built for it.
//! Must never know what is measured.

use std::cell::OnceCell;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use cargo_metadata::MetadataCommand;

use super::{Options, Size};
use crate::process;
use crate::suites;

/// Set it to measure this binary instead of building one: to compare two versions.
const KILAT_BINARY: &str = "KILAT_BENCH_BINARY";

/// In the names of fresh folders, before the process that made them.
const MARK: &str = "-of-";

/// What all parts of a run share.
#[derive(Debug)]
pub(super) struct Scene {
    size: Size,
    ids: Option<u64>,
    /// On the project's disk, so that data directories are on a real one.
    root: PathBuf,
    target: PathBuf,
    kilat: OnceCell<Option<PathBuf>>,
    generator: OnceCell<Option<PathBuf>>,
}

/// A fresh folder that goes when it is dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Scene {
    pub(super) fn new(options: &Options) -> Result<Self> {
        let target = MetadataCommand::new().no_deps().exec()?.target_directory;
        let target = target.into_std_path_buf();
        let root = target.join("bench");
        fs::create_dir_all(&root)?;
        remove_abandoned(&root)?;
        Ok(Self {
            size: options.size,
            ids: options.ids,
            root,
            target,
            kilat: OnceCell::new(),
            generator: OnceCell::new(),
        })
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    pub(super) fn is_smoke(&self) -> bool {
        self.size == Size::Smoke
    }

    /// The one or the other, by the size of the run.
    pub(super) fn pick<T>(&self, real: T, smoke: T) -> T {
        if self.is_smoke() { smoke } else { real }
    }

    /// Ids that a large log holds: what is asked for, else the one or the other by the size.
    pub(super) fn ids(&self, real: u64, smoke: u64) -> u64 {
        self.ids.unwrap_or(self.pick(real, smoke))
    }

    /// Rounds of A and B.
    pub(super) fn rounds(&self) -> usize {
        self.pick(5, 1)
    }

    /// Seconds of one shot at one server.
    pub(super) fn shot_seconds(&self) -> u64 {
        self.pick(6, 1)
    }

    /// Kept from run to run.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A folder that nobody used before.
    pub(super) fn folder(&self, name: &str) -> Result<Folder> {
        let process = std::process::id();
        let path = (0..)
            .map(|number: u32| self.root.join(format!("{name}{MARK}{process}.{number}")))
            .find(|path| !path.exists())
            .context("no name is left")?;
        fs::create_dir_all(&path)?;
        Ok(Folder(path))
    }

    /// The binary that is measured: an optimized build, at smoke size that of the tests.
    pub(super) fn kilat(&self) -> Result<&Path> {
        let given = env::var_os(KILAT_BINARY).map(PathBuf::from);
        let built = self.kilat.get_or_init(|| given.or_else(|| self.build("kilat").ok()));
        built.as_deref().context("kilat could not be built")
    }

    /// This program, optimized: what generates load must not be the bottleneck.
    pub(super) fn generator(&self) -> Result<&Path> {
        let built = self.generator.get_or_init(|| match self.size {
            Size::Smoke => env::current_exe().ok(),
            Size::Real => self.build("xtask").ok(),
        });
        built.as_deref().context("the load generator could not be built")
    }

    /// Builds a program, optimized; at smoke size it is the one that the tests have built.
    fn build(&self, package: &str) -> Result<PathBuf> {
        if self.is_smoke() {
            return suites::program(&self.target);
        }
        let build = ["build", "--package", package, "--bin", package, "--profile", "release"];
        if !process::succeeds(&process::cargo(build))? {
            bail!("{package} does not compile");
        }
        Ok(self.target.join("release").join(package))
    }
}

impl Folder {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays is a nuisance and no failure.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Folders of runs that were killed: one may hold gigabytes.
fn remove_abandoned(root: &Path) -> Result<()> {
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_abandoned = owner(&name).is_some_and(|pid| !Path::new("/proc").join(pid).exists());
        if is_abandoned {
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

/// The process that made a folder of this name.
fn owner(name: &str) -> Option<&str> {
    Some(name.split_once(MARK)?.1.split_once('.')?.0)
}

/// `a`, `b`, `a`, `b`, …: a machine that grows slower hits both alike.
pub(super) fn alternate<A, B>(
    rounds: usize,
    mut a: impl FnMut() -> Result<A>,
    mut b: impl FnMut() -> Result<B>,
) -> Result<Vec<(A, B)>> {
    (0..rounds).map(|_| Ok((a()?, b()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fresh_folders_have_an_owner() {
        assert_eq!(owner("t8-of-77.0"), Some("77"));
        assert_eq!(owner("seed-python"), None);
    }

    #[test]
    fn two_take_turns_until_one_fails() {
        let order = std::cell::RefCell::new(String::new());
        let take = |name: char, fails: bool| {
            order.borrow_mut().push(name);
            if fails { bail!("{name}") } else { Ok(name) }
        };
        let rounds = alternate(2, || take('a', false), || take('b', false)).unwrap();
        assert_eq!(rounds, [('a', 'b'), ('a', 'b')]);
        assert!(alternate(2, || take('c', false), || take('d', true)).is_err());
        assert_eq!(*order.borrow(), "ababcd");
    }
}
