//! What stands in `deploy/` and `docs/monitoring.md`, held against the real programs.
//!
//! | module | asks |
//! |---|---|
//! | `monitoring` | Prometheus and promtool: configuration, rules, dashboards, the guide |
//! | `nginx` | nginx, in front of replicas that die |
//! | `compose` | docker-compose, and what must hold of every container |
//! | `kubernetes` | what must hold of every pod |
//! | `systemd` | systemd-analyze |

mod compose;
mod kubernetes;
pub(crate) mod monitoring;
mod nginx;
mod prometheus;
mod systemd;

use crate::program;
use serde_json::Value;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The project's folder `deploy`.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").canonicalize().unwrap()
}

/// A file in `deploy`.
fn read(path: &str) -> String {
    let path = folder().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The documents of a YAML file in `deploy`, anchors and merges resolved.
fn yaml(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The one document of a YAML file.
fn document(path: &str) -> Value {
    let documents = yaml(path);
    assert_eq!(documents.len(), 1, "{path}");
    documents.into_iter().next().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

fn texts(value: &Value) -> Vec<&str> {
    list(value).iter().map(text).collect()
}

/// A port that was free a moment ago, for programs that can't say which one they took.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Runs a program that must be content; what it said.
fn content(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = format!("{}{}", program::stdout(&output), program::stderr(&output));
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    said
}

/// `kilat` knows every flag of this command line, and what a server is told can work together
/// with the tokens that a deployment has.
fn check_command(arguments: &[&str]) {
    let mut command = program::kilat(arguments.iter().copied());
    // Behind a flag that is not known, neither of the two is reached.
    if !matches!(arguments[0], "serve" | "core") {
        content(command.arg("--help"));
        return;
    }
    for token in ["KILAT_API_TOKEN", "KILAT_PUBLISH_TOKEN", "KILAT_SECRET"] {
        command.env(token, "0".repeat(64));
    }
    content(command.arg("--print-config"));
}
