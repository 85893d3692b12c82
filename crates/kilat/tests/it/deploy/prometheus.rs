//! A real Prometheus with the configuration of `deploy/`, asked over HTTP.

use super::{free_port, read};
use crate::http;
use crate::program::{Running, wait_for};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A running Prometheus.
pub(super) struct Prometheus {
    url: String,
    _process: Running,
    _folder: TempDir,
}

impl Prometheus {
    /// Scrapes these addresses every second and evaluates the rules as often.
    pub(super) fn start(targets: &[&str]) -> Prometheus {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        for name in ["rules", "targets"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        std::fs::write(path("rules/kilat.yml"), impatient()).unwrap();
        let known = json!([{ "targets": targets }]).to_string();
        std::fs::write(path("targets/kilat.yml"), known).unwrap();
        std::fs::write(path("prometheus.yml"), in_a_hurry()).unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let log = std::fs::File::create(path("log")).unwrap();
        let mut command = Command::new("prometheus");
        command
            .current_dir(place.path())
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(log);
        let mut process = Running::start(&mut command);
        let url = format!("http://{address}");
        wait_for("Prometheus", || {
            let ended = process.ended().map(|status| {
                let log = std::fs::read_to_string(path("log")).unwrap_or_default();
                panic!("Prometheus ended: {status}\n{log}")
            });
            ended.or_else(|| http::get(&url, "/-/ready").ok().filter(|reply| reply.status == 200))
        });
        Prometheus { url, _process: process, _folder: place }
    }

    /// The result of an expression now.
    pub(super) fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let body = format!("query={}", encoded(expression));
        let reply = http::call(&self.url, "POST", "/api/v1/query", &form, &body).unwrap().json();
        match (reply["status"].as_str(), reply["data"]["result"].as_array()) {
            (Some("success"), Some(result)) => Ok(result.clone()),
            _ => Err(format!("{expression}: {reply}")),
        }
    }

    /// The data of a call without parameters.
    pub(super) fn get(&self, path: &str) -> Value {
        let reply = http::get(&self.url, path).unwrap().json();
        assert_eq!(reply["status"], "success", "{path}: {reply}");
        reply["data"].clone()
    }
}

/// The configuration as it stands, with shorter intervals.
fn in_a_hurry() -> String {
    let text = read("prometheus/prometheus.yml");
    let pairs = [
        ("scrape_interval: 5s", "scrape_interval: 1s"),
        ("scrape_timeout: 3s", "scrape_timeout: 1s"),
        ("evaluation_interval: 5s", "evaluation_interval: 1s"),
    ];
    pairs.into_iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

/// The rules as they stand, but what rings after seconds rings after the next look.
fn impatient() -> String {
    let text = read("prometheus/rules/kilat.yml");
    ["for: 10s", "for: 15s"].into_iter().fold(text, |text, wait| {
        assert!(text.contains(wait), "{wait}");
        text.replace(wait, "for: 1s")
    })
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
