//! What the steps need from the machine: a table from prerequisite to where it comes from,
//! and installing what may be installed. Must never know what a step does with it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::process;

/// Something that must be on the machine before a step can run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// What it is called in the report.
    name: &'static str,
    probe: Probe,
    source: Source,
}

/// Where tools go that are not the machine's but the project's.
const TOOLS: &str = "target/tools";
/// Only the files of the package: nothing of it runs, and nothing is written elsewhere.
const NPM: [&str; 5] = ["--prefix", TOOLS, "--ignore-scripts", "--no-audit", "--no-fund"];

/// How presence is found out.
#[derive(Debug, PartialEq, Eq)]
enum Probe {
    /// A program of that name can be found.
    Program,
    /// This command exits with 0: being installed is not enough.
    Answers(&'static [&'static str]),
    /// This process runs as root.
    Root,
}

/// Where it comes from.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    /// This Debian package.
    Debian(&'static str),
    /// `cargo install` with these arguments.
    Cargo(&'static [&'static str]),
    /// This component of the Rust toolchain.
    Rustup(&'static str),
    /// This package of npm, into [`TOOLS`].
    Npm(&'static str),
    /// Nothing that can be installed: what to do instead.
    Advice(&'static str),
}

pub(crate) const GIT: Need = program("git", Source::Debian("git"));
pub(crate) const MKFS_EXT4: Need = program("mkfs.ext4", Source::Debian("e2fsprogs"));
pub(crate) const MOUNT: Need = program("mount", Source::Debian("mount"));
pub(crate) const CHROMIUM: Need = program("chromium", Source::Debian("chromium"));
pub(crate) const NPM_PROGRAM: Need = program("npm", Source::Debian("npm"));
pub(crate) const CHROMEDRIVER: Need = program("chromedriver", Source::Debian("chromium-driver"));
/// Sends the request that cuts a file system off: no other program on Debian can.
pub(crate) const PERL: Need = program("perl", Source::Debian("perl-base"));
/// Its library makes the wall clock jump for one process.
pub(crate) const FAKETIME: Need = program("faketime", Source::Debian("faketime"));
pub(crate) const IPTABLES: Need = program("iptables", Source::Debian("iptables"));
pub(crate) const UTIL_LINUX: Need = program("taskset", Source::Debian("util-linux"));
pub(crate) const UNSHARE: Need = program("unshare", Source::Debian("util-linux"));
pub(crate) const WRK: Need = program("wrk", Source::Debian("wrk"));
pub(crate) const CURL: Need = program("curl", Source::Debian("curl"));
pub(crate) const NGINX: Need = program("nginx", Source::Debian("nginx-light"));
pub(crate) const PROMETHEUS: Need = program("prometheus", Source::Debian("prometheus"));
pub(crate) const PROMTOOL: Need = program("promtool", Source::Debian("prometheus"));
pub(crate) const DOCKER_COMPOSE: Need = program("docker-compose", Source::Debian("docker-compose"));
pub(crate) const DOCKER: Need = program("docker", Source::Debian("docker.io"));
pub(crate) const DOCKERD: Need = program("dockerd", Source::Debian("docker.io"));
/// One static file that can do what a container's health check does.
pub(crate) const BUSYBOX: Need = program("busybox", Source::Debian("busybox-static"));
pub(crate) const IP: Need = program("ip", Source::Debian("iproute2"));
pub(crate) const SYSTEMD_ANALYZE: Need = program("systemd-analyze", Source::Debian("systemd"));
pub(crate) const REDIS: Need = program("redis-server", Source::Debian("redis-server"));
pub(crate) const REDIS_TOOLS: Need = program("redis-benchmark", Source::Debian("redis-tools"));
pub(crate) const NATS: Need = program("nats-server", Source::Debian("nats-server"));
pub(crate) const CARGO_DENY: Need =
    program("cargo-deny", Source::Cargo(&["cargo-deny", "--locked", "--version", "0.20.2"]));

pub(crate) const NEXTEST: Need = Need {
    name: "cargo-nextest",
    probe: Probe::Answers(&["cargo-nextest", "nextest", "--version"]),
    // Without the self-updater, which is half of what there is to compile.
    source: Source::Cargo(&[
        "cargo-nextest",
        "--locked",
        "--version",
        "0.9.143",
        "--no-default-features",
        "--features",
        "default-no-update",
    ]),
};

/// Debian keeps its programs away from every search path.
pub(crate) const POSTGRES: Need = Need {
    name: "PostgreSQL's server",
    probe: Probe::Answers(&[
        "sh",
        "-c",
        "command -v initdb || ls /usr/lib/postgresql/*/bin/initdb",
    ]),
    source: Source::Debian("postgresql"),
};

/// Debian splits the module off, so the probe asks for what makes environments usable.
pub(crate) const PYTHON: Need = Need {
    name: "python3 with venv",
    probe: Probe::Answers(&["python3", "-c", "import ensurepip, venv"]),
    source: Source::Debian("python3-venv"),
};

/// Containers often forbid tracing, so the probe traces a program.
pub(crate) const STRACE: Need = Need {
    name: "strace",
    probe: Probe::Answers(&["strace", "-o", "/dev/null", "true"]),
    source: Source::Debian("strace"),
};

/// Containers often have no loop devices, so the probe asks for one.
pub(crate) const LOOP_DEVICES: Need = Need {
    name: "loop devices",
    probe: Probe::Answers(&["losetup", "--find"]),
    source: Source::Debian("mount"),
};

/// Containers often may not make networks, so the probe makes one.
pub(crate) const NETWORKS: Need = Need {
    name: "ip, and network namespaces",
    probe: Probe::Answers(&[
        "sh",
        "-c",
        "ip netns add kilat-probe-$$ && ip netns del kilat-probe-$$",
    ]),
    source: Source::Debian("iproute2"),
};

pub(crate) const RUSTFMT: Need = Need {
    name: "rustfmt",
    probe: Probe::Answers(&["cargo-fmt", "--version"]),
    source: Source::Rustup("rustfmt"),
};

pub(crate) const CLIPPY: Need = Need {
    name: "clippy",
    probe: Probe::Answers(&["cargo-clippy", "--version"]),
    source: Source::Rustup("clippy"),
};

pub(crate) const ROOT: Need = Need {
    name: "root",
    probe: Probe::Root,
    source: Source::Advice("run as root (file systems are mounted, containers started)"),
};

/// Reads pages as people do who can't see them; never a part of what is built.
pub(crate) const AXE: Need = Need {
    name: "axe-core",
    probe: Probe::Answers(&["test", "-f", "target/tools/node_modules/axe-core/axe.min.js"]),
    source: Source::Npm("axe-core@4.14.1"),
};

const fn program(name: &'static str, source: Source) -> Need {
    Need { name, probe: Probe::Program, source }
}

impl Need {
    /// Whether the machine has it now.
    pub(crate) fn is_present(&self) -> bool {
        match self.probe {
            Probe::Program => process::find(self.name).is_some(),
            Probe::Answers([program, arguments @ ..]) => {
                process::program(program, arguments.iter().copied())
                    .is_ok_and(|command| process::succeeds_silently(&command))
            }
            Probe::Answers([]) => true,
            Probe::Root => is_root(),
        }
    }

    /// One line: what is missing and what to type.
    pub(crate) fn advice(&self) -> String {
        let name = self.name;
        match self.source {
            Source::Debian(package) => {
                format!(
                    "{name} is missing: `apt-get install {package}` (Debian) or your system's package"
                )
            }
            Source::Cargo(arguments) => {
                format!("{name} is missing: `cargo install {}`", arguments.join(" "))
            }
            Source::Rustup(component) => {
                format!("{name} is missing: `rustup component add {component}`")
            }
            Source::Npm(package) => {
                format!("{name} is missing: `npm install --prefix {TOOLS} {package}`")
            }
            Source::Advice(advice) => format!("{name} is missing: {advice}"),
        }
    }
}

/// Installs what is missing of `needs`, where it may.
///
/// Failure is no error here: whoever needs it asks [`Need::is_present`] again.
pub(crate) fn provide(needs: &[&'static Need]) {
    let missing: Vec<&Need> = needs.iter().copied().filter(|need| !need.is_present()).collect();
    install_debian(&debian_packages(&missing));
    for need in &missing {
        match need.source {
            Source::Cargo(arguments) => install_with("cargo", "install", arguments),
            Source::Rustup(component) => install_with("rustup", "component", &["add", component]),
            Source::Npm(package) => {
                install_with("npm", "install", &[&NPM, &[package][..]].concat());
            }
            Source::Debian(_) | Source::Advice(_) => {}
        }
    }
}

fn debian_packages(missing: &[&Need]) -> Vec<&'static str> {
    let mut packages: Vec<&str> = missing
        .iter()
        .filter_map(|need| match need.source {
            Source::Debian(package) => Some(package),
            _ => None,
        })
        .collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Only root on Debian or what descends from it may install: everyone else is told what to type.
fn install_debian(packages: &[&str]) {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if packages.is_empty() || !is_root() || !is_debian(&release) {
        return;
    }
    install_with("apt-get", "update", &["--quiet"]);
    let options = ["--yes", "--quiet", "--no-install-recommends"];
    install_with("apt-get", "install", &[&options, packages].concat());
}

fn install_with(name: &str, verb: &str, arguments: &[&str]) {
    println!("xtask: {name} {verb} {}", arguments.join(" "));
    let arguments = [verb].into_iter().chain(arguments.iter().copied());
    let done = process::program(name, arguments).and_then(|command| {
        process::succeeds(&command.env("DEBIAN_FRONTEND", "noninteractive").stdin_null())
    });
    match done {
        Ok(true) => {}
        Ok(false) => println!("xtask: {name} {verb} failed"),
        Err(error) => println!("xtask: {name} {verb} failed: {error:#}"),
    }
}

/// The owner of `/proc/self` is the effective user of this process.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn is_debian(os_release: &str) -> bool {
    os_release
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(key, _)| matches!(*key, "ID" | "ID_LIKE"))
        .flat_map(|(_, value)| value.trim_matches('"').split_whitespace())
        .any(|id| id == "debian")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_its_descendants_are_known() {
        assert!(is_debian("NAME=\"Debian GNU/Linux\"\nID=debian\n"));
        assert!(is_debian("ID=ubuntu\nID_LIKE=debian\n"));
        assert!(is_debian("ID=mint\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!is_debian("ID=fedora\nVARIANT=debian\n"));
        assert!(!is_debian(""));
    }

    #[test]
    fn each_package_is_asked_for_once() {
        let packages = debian_packages(&[&MOUNT, &LOOP_DEVICES, &NEXTEST, &CHROMIUM]);
        assert_eq!(packages, ["chromium", "mount"]);
    }

    #[test]
    fn advice_says_what_to_type() {
        let table = [
            (&CHROMEDRIVER, "apt-get install chromium-driver"),
            (&CARGO_DENY, "cargo install cargo-deny --locked"),
            (&CLIPPY, "rustup component add clippy"),
            (&ROOT, "run as root"),
        ];
        for (need, expected) in table {
            let advice = need.advice();
            assert!(advice.contains(expected), "{advice}");
        }
    }

    #[test]
    fn presence_is_probed() {
        let absent = program("no-such-program-anywhere", Source::Advice(""));
        let fails =
            Need { name: "false", probe: Probe::Answers(&["false"]), source: Source::Advice("") };
        assert!(program("sh", Source::Advice("")).is_present());
        assert!(!absent.is_present());
        assert!(!fails.is_present());
    }
}
