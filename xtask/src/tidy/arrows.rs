//! The rule about who may import whom: one table, checked against every manifest.
//! Must never know why a crate wants another: the reasons are in ARCHITECTURE.md.

use anyhow::Result;
use cargo_metadata::{DependencyKind, MetadataCommand};

use super::Finding;

/// A workspace crate as its manifest declares it.
#[derive(Debug)]
pub(super) struct Manifest {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug)]
struct Dependency {
    name: String,
    /// For tests and benchmarks only.
    is_dev: bool,
}

/// What a workspace crate may import.
struct Entry {
    name: &'static str,
    /// Crates of the workspace, also for tests: a test that reaches around an arrow hides
    /// that the arrow is needed.
    arrows: &'static [&'static str],
    /// Crates from elsewhere, outside tests.
    outside: Outside,
}

enum Outside {
    Only(&'static [&'static str]),
    Without(&'static [&'static str]),
}

/// The map. A crate that is not here may not be in the workspace.
static MAP: &[Entry] = &[
    Entry { name: "kilat-ledger", arrows: &[], outside: Outside::Only(&["siphasher"]) },
    Entry {
        name: "kilat-journal",
        arrows: &[],
        outside: Outside::Without(&[
            "tokio",
            "futures",
            "serde",
            "serde_json",
            "axum",
            "hyper",
            "clap",
            "tracing",
        ]),
    },
    Entry {
        name: "kilat-eventlog",
        arrows: &["kilat-journal"],
        outside: Outside::Without(&["tokio", "futures", "serde_json", "axum", "hyper", "clap"]),
    },
    Entry {
        name: "kilat-engine",
        arrows: &["kilat-eventlog", "kilat-journal", "kilat-ledger"],
        outside: Outside::Without(&["axum", "hyper", "http", "clap"]),
    },
    Entry {
        name: "kilat-api",
        arrows: &[],
        outside: Outside::Without(&["tokio", "axum", "hyper", "clap", "tracing"]),
    },
    Entry {
        name: "kilat-server",
        arrows: &["kilat-api", "kilat-engine"],
        outside: Outside::Without(&["clap"]),
    },
    Entry { name: "kilat-client", arrows: &["kilat-api"], outside: Outside::Without(&["axum"]) },
    Entry {
        name: "kilat",
        arrows: &["kilat-api", "kilat-client", "kilat-engine", "kilat-server"],
        outside: Outside::Without(&[]),
    },
    Entry { name: "xtask", arrows: &[], outside: Outside::Without(&["tokio"]) },
];

/// The outside witness, and what it must not reach by any path, tests included: a proof that
/// shares code with what it proves is none.
const WITNESS: &str = "kilat-client";
static UNREACHABLE: &[&str] =
    &["kilat-engine", "kilat-eventlog", "kilat-journal", "kilat-ledger", "kilat-server"];

/// The manifests of all crates of the workspace.
pub(super) fn read() -> Result<Vec<Manifest>> {
    let metadata = MetadataCommand::new().no_deps().exec()?;
    let manifests = metadata.packages.into_iter().map(|package| Manifest {
        name: package.name.to_string(),
        dependencies: package
            .dependencies
            .into_iter()
            .map(|dependency| Dependency {
                is_dev: dependency.kind == DependencyKind::Development,
                name: dependency.name,
            })
            .collect(),
    });
    Ok(manifests.collect())
}

/// Every import is on the map, and the witness stays outside.
pub(super) fn check(manifests: &[Manifest]) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        manifests.iter().flat_map(|manifest| check_manifest(manifest, manifests)).collect();
    let reached = reachable(WITNESS, manifests);
    for name in reached.iter().filter(|name| UNREACHABLE.contains(name)) {
        let message = format!("reaches `{name}`: the witness must not see what it checks");
        findings.push(Finding::error(WITNESS, None, message));
    }
    findings
}

fn check_manifest(manifest: &Manifest, all: &[Manifest]) -> Vec<Finding> {
    let Some(entry) = MAP.iter().find(|entry| entry.name == manifest.name) else {
        let message = "is not on the map in tidy/arrows.rs: say there what it may import";
        return vec![Finding::error(&manifest.name, None, message)];
    };
    manifest
        .dependencies
        .iter()
        .filter(|dependency| !entry.allows(dependency, all))
        .map(|dependency| {
            let message = format!(
                "may not import `{}`: the map in tidy/arrows.rs and ARCHITECTURE.md",
                dependency.name
            );
            Finding::error(&manifest.name, None, message)
        })
        .collect()
}

impl Entry {
    fn allows(&self, dependency: &Dependency, all: &[Manifest]) -> bool {
        let name = dependency.name.as_str();
        if all.iter().any(|manifest| manifest.name == name) {
            // A crate may name itself for its tests, to switch on a feature of its own.
            return self.arrows.contains(&name) || (dependency.is_dev && name == self.name);
        }
        dependency.is_dev
            || match self.outside {
                Outside::Only(allowed) => allowed.contains(&name),
                Outside::Without(refused) => !refused.contains(&name),
            }
    }
}

/// The crates of the workspace that `from` imports by any path.
fn reachable<'a>(from: &str, manifests: &'a [Manifest]) -> Vec<&'a str> {
    let mut reached: Vec<&str> = Vec::new();
    let mut ahead = vec![from];
    while let Some(name) = ahead.pop() {
        let found = manifests.iter().find(|manifest| manifest.name == name);
        for dependency in found.iter().flat_map(|manifest| &manifest.dependencies) {
            let known = manifests.iter().find(|m| m.name == dependency.name);
            if let Some(known) = known.filter(|known| !reached.contains(&known.name.as_str())) {
                reached.push(&known.name);
                ahead.push(&known.name);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `"name: a b dev:c"`: a manifest and what it imports.
    fn manifest(line: &str) -> Manifest {
        let (name, dependencies) = line.split_once(':').unwrap();
        Manifest {
            name: name.to_owned(),
            dependencies: dependencies
                .split_whitespace()
                .map(|word| Dependency {
                    name: word.trim_start_matches("dev:").to_owned(),
                    is_dev: word.starts_with("dev:"),
                })
                .collect(),
        }
    }

    #[track_caller]
    fn check_lines(lines: &[&str], expected: &[&str]) {
        let manifests: Vec<Manifest> = lines.iter().map(|line| manifest(line)).collect();
        let mut found: Vec<String> = check(&manifests)
            .iter()
            .map(|finding| {
                let target = finding.message.split('`').nth(1);
                format!("{} {}", finding.path, target.unwrap_or("unknown"))
            })
            .collect();
        found.dedup();
        assert_eq!(found, expected, "{lines:?}");
    }

    #[test]
    fn arrows_on_the_map_are_allowed() {
        check_lines(
            &[
                "kilat-ledger: siphasher dev:proptest",
                "kilat-journal: crc32fast rustix dev:tokio",
                "kilat-engine: kilat-ledger kilat-journal tokio dev:kilat-engine",
                "kilat-api: serde",
                "kilat-server: kilat-engine kilat-api axum",
                "kilat-client: kilat-api hyper",
                "kilat: kilat-server kilat-client clap",
                "xtask: clap",
            ],
            &[],
        );
    }

    #[test]
    fn arrows_off_the_map_are_not() {
        let table = [
            ("kilat-ledger: tokio", "kilat-ledger tokio"),
            ("kilat-ledger: kilat-api", "kilat-ledger kilat-api"),
            ("kilat-ledger: dev:kilat-api", "kilat-ledger kilat-api"),
            ("kilat-journal: tokio", "kilat-journal tokio"),
            ("kilat-engine: axum", "kilat-engine axum"),
            ("kilat-server: clap", "kilat-server clap"),
            ("kilat-common:", "kilat-common unknown"),
        ];
        for (line, expected) in table {
            check_lines(&[line, "kilat-api:"], &[expected]);
        }
    }

    #[test]
    fn the_witness_reaches_nothing_that_it_checks() {
        check_lines(
            &["kilat-client: kilat-api", "kilat-api: kilat-ledger", "kilat-ledger:"],
            &["kilat-api kilat-ledger", "kilat-client kilat-ledger"],
        );
        check_lines(
            &["kilat-client: dev:kilat-server", "kilat-server:"],
            &["kilat-client kilat-server"],
        );
    }

    #[test]
    fn the_map_itself_has_no_circle() {
        for (at, entry) in MAP.iter().enumerate() {
            for arrow in entry.arrows {
                let target = MAP.iter().position(|other| other.name == *arrow);
                assert!(target.is_some_and(|target| target < at), "{} → {arrow}", entry.name);
            }
        }
    }
}
