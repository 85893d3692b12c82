//! Suites at the size of an afternoon: a name, the tests behind it, and the variable that scales them.
//! Must never know what a suite does: the tests print their figures and seeds themselves.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::process;
use crate::setup::{self, Need};

struct Soak {
    name: &'static str,
    about: &'static str,
    /// The crate of its tests.
    package: &'static str,
    /// In the test runner's filter language.
    filter: &'static str,
    /// Sets the size, which the tests know by this variable.
    variable: &'static str,
    size: u64,
    /// Set as well.
    also: &'static [(&'static str, &'static str)],
    needs: &'static [Need],
}

/// A new soak is one entry here; its tests run at a small size in `cargo xtask test`.
static SOAKS: &[Soak] = &[
    Soak {
        name: "chaos",
        about: "kills of the processes of `kilat up` under an attack",
        package: "kilat",
        filter: "test(/^process::chaos::/)",
        variable: "KILAT_CHAOS_KILLS",
        size: 100,
        also: &[],
        needs: &[setup::NEXTEST],
    },
    Soak {
        name: "pauses",
        about: "replicas that stand still for 30 s, fifty at a time",
        package: "kilat",
        filter: "test(/^process::pauses::replicas/)",
        variable: "KILAT_PAUSES",
        size: 1_000,
        also: &[("KILAT_PAUSE_MS", "30000")],
        needs: &[setup::NEXTEST],
    },
    Soak {
        name: "core-pauses",
        about: "times that the core stands still for 30 s",
        package: "kilat",
        filter: "test(/^process::pauses::a_core/)",
        variable: "KILAT_CORE_PAUSES",
        size: 100,
        also: &[("KILAT_PAUSE_MS", "30000")],
        needs: &[setup::NEXTEST],
    },
    Soak {
        name: "partitions",
        about: "times that replicas are cut off from the core, or lose packets",
        package: "kilat",
        filter: "test(/^network::partition::who/)",
        variable: "KILAT_PARTITIONS",
        size: 100,
        also: &[],
        needs: &[setup::NEXTEST, setup::ROOT, setup::NETWORKS, setup::IPTABLES],
    },
    Soak {
        name: "crowd",
        about: "connections that say little, against the gateway and a replica",
        package: "kilat",
        filter: "test(/^process::crowd::/)",
        variable: "KILAT_CROWD",
        size: 10_000,
        also: &[],
        needs: &[setup::NEXTEST],
    },
    Soak {
        name: "cuts",
        about: "simulated power cuts beneath the journal",
        package: "kilat-journal",
        filter: "test(/^crashes::/)",
        variable: "KILAT_CUTS",
        size: 10_000_000,
        also: &[],
        needs: &[setup::NEXTEST],
    },
    Soak {
        name: "power",
        about: "power cuts beneath a real file system",
        package: "kilat",
        filter: "test(/^mount::power_cut::/)",
        variable: "KILAT_POWER_CUTS",
        size: 10_000,
        also: &[],
        needs: &[setup::NEXTEST, setup::ROOT, setup::MKFS_EXT4, setup::LOOP_DEVICES, setup::PERL],
    },
    Soak {
        name: "check-kills",
        about: "kills of `kilat check`, each followed by --resume",
        package: "kilat",
        filter: "test(/^process::check::crash::/)",
        variable: "KILAT_KILLS",
        size: 300,
        also: &[],
        needs: &[setup::NEXTEST],
    },
    Soak {
        name: "check-calls",
        about: "kills at each system call that a check makes on its log, and in the middle of appends",
        package: "kilat",
        filter: "test(/^process::check::deaths::(killed|dead)/)",
        variable: "KILAT_SITES",
        size: 100,
        also: &[("KILAT_LIMITS", "200")],
        needs: &[setup::NEXTEST, setup::STRACE],
    },
    Soak {
        name: "log-kills",
        about: "kills of processes that write one audit log, alone and three at a time",
        package: "kilat-client",
        filter: "test(/^audit::crashing::/)",
        variable: "KILAT_KILLS",
        size: 300,
        also: &[],
        needs: &[setup::NEXTEST],
    },
    Soak {
        name: "log-crowd",
        about: "lines from each of eight processes on one audit log",
        package: "kilat-client",
        filter: "test(/^audit::crowd::/)",
        variable: "KILAT_LINES",
        size: 100_000,
        also: &[],
        needs: &[setup::NEXTEST],
    },
    Soak {
        name: "log-power",
        about: "power cuts beneath the audit log of a check",
        package: "kilat",
        filter: "test(/^mount::audit::a_power/)",
        variable: "KILAT_POWER_CUTS",
        size: 1_000,
        also: &[],
        needs: &[setup::NEXTEST, setup::ROOT, setup::MKFS_EXT4, setup::LOOP_DEVICES, setup::PERL],
    },
];

/// Runs a soak, again and again until `time` is over if that is given. Without a name: a list.
pub(crate) fn run(name: Option<&str>, size: Option<u64>, time: Option<Duration>) -> Result<bool> {
    let Some(name) = name else {
        print!("{}", list());
        return Ok(true);
    };
    let soak = find(name)?;
    let missing: Vec<String> =
        soak.needs.iter().filter(|need| !need.is_present()).map(Need::advice).collect();
    anyhow::ensure!(missing.is_empty(), "{}", missing.join("; "));
    let size = size.unwrap_or(soak.size).to_string();
    let started = Instant::now();
    loop {
        println!("── soak {name}: {size} {} ──", soak.about);
        if !once(soak, &size)? {
            return Ok(false);
        }
        if started.elapsed() >= time.unwrap_or_default() {
            println!("soak {name} holds after {} s", started.elapsed().as_secs());
            return Ok(true);
        }
    }
}

fn once(soak: &Soak, size: &str) -> Result<bool> {
    let arguments = ["nextest", "run", "--profile", "soak", "--no-capture"];
    let arguments = [&arguments[..], &["--package", soak.package, "-E", soak.filter]].concat();
    let command = process::cargo(arguments).env(soak.variable, size);
    let command = soak.also.iter().fold(command, |command, (name, value)| command.env(name, value));
    let shown = process::show(&command, |_| false)?;
    Ok(shown.success)
}

/// The names that documentation may mention after `cargo xtask soak`.
pub(crate) fn names() -> Vec<&'static str> {
    SOAKS.iter().map(|soak| soak.name).collect()
}

fn list() -> String {
    let line = |soak: &Soak| format!("{:12} {} {}\n", soak.name, soak.size, soak.about);
    SOAKS.iter().map(line).collect()
}

fn find(name: &str) -> Result<&'static Soak> {
    let found = SOAKS.iter().find(|soak| soak.name == name);
    found.with_context(|| format!("no soak is called `{name}`; there are:\n{}", list()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_soak_is_found_by_its_name_only() {
        for name in names() {
            assert_eq!(find(name).unwrap().name, name);
        }
        let error = find("chaoss").err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("chaoss") && error.contains("100 kills"), "{error}");
    }
}
