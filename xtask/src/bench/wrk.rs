//! `wrk` as the load generator: one thread, 64 keep-alive connections, a script for each peer.
//! Must never know which server answers.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::server::{self, Server};
use crate::process;

/// Connections that every target with `wrk` is stated for.
pub(super) const CONNECTIONS: usize = 64;

/// A load that can be put on a server.
#[derive(Debug, Clone)]
pub(super) struct Load {
    /// Below `bench/peers/wrk/`.
    pub(super) script: &'static str,
    /// For the script.
    pub(super) arguments: Vec<String>,
    pub(super) seconds: u64,
    pub(super) core: Option<usize>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shot {
    pub(super) requests: u64,
    pub(super) seconds: f64,
    /// Replies with a status from 400 on.
    pub(super) status_errors: u64,
    /// Connections that failed or timed out.
    pub(super) socket_errors: u64,
    /// Processor time of the server meanwhile.
    pub(super) cpu: Duration,
}

impl Shot {
    pub(super) fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// Microseconds of the server's processor time for one request.
    pub(super) fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.requests as f64
    }

    /// The part of one core that the server used: well below 100 the generator was the limit.
    pub(super) fn busy_percent(&self) -> f64 {
        self.cpu.as_secs_f64() / self.seconds * 100.0
    }
}

/// Puts `load` on `server`.
pub(super) fn shoot(server: &Server, load: &Load) -> Result<Shot> {
    let cpu_before = server.cpu_time()?;
    let output = run(server.address(), load)?;
    let cpu = server.cpu_time()?.saturating_sub(cpu_before);
    let mut shot =
        parse(&output).with_context(|| format!("wrk printed something else: {output}"))?;
    shot.cpu = cpu;
    ensure!(shot.requests > 0, "no request was answered");
    ensure!(shot.socket_errors == 0, "{} connections failed", shot.socket_errors);
    Ok(shot)
}

fn run(address: SocketAddr, load: &Load) -> Result<String> {
    let wrk = process::find("wrk").context("`wrk` is not installed")?;
    let mut command = server::pinned(load.core)?;
    command
        .arg(wrk)
        .args(["--threads", "1", "--timeout", "30s"])
        .args(["--connections", &CONNECTIONS.to_string()])
        .args(["--duration", &format!("{}s", load.seconds)])
        .args(["--script", &format!("bench/peers/wrk/{}", load.script)])
        .arg(format!("http://{address}"))
        .arg("--")
        .args(&load.arguments);
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "wrk failed: {text}{errors}");
    Ok(text)
}

/// The line that `result.lua` prints: `result name=value …`.
fn parse(output: &str) -> Option<Shot> {
    let line = output.lines().find_map(|line| line.strip_prefix("result "))?;
    let value = |name: &str| -> Option<u64> {
        let pairs = line.split(' ').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.into_iter().find(|(key, _)| *key == name)?;
        value.parse().ok()
    };
    Some(Shot {
        requests: value("requests")?,
        seconds: value("microseconds")? as f64 / 1e6,
        status_errors: value("status_errors")?,
        socket_errors: value("socket_errors")?,
        cpu: Duration::ZERO,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_line_is_found() {
        let output = "Running 2s test\nresult requests=300 microseconds=2000000 status_errors=1 socket_errors=2\n";
        let shot = parse(output).unwrap();
        assert_eq!((shot.requests, shot.status_errors, shot.socket_errors), (300, 1, 2));
        assert_eq!(shot.per_second(), 150.0);
        assert_eq!(parse("Running 2s test\n"), None);
        assert_eq!(parse("result requests=x\n"), None);
    }

    #[test]
    fn processor_time_is_spread_over_the_requests() {
        let shot = Shot {
            requests: 100_000,
            seconds: 2.0,
            status_errors: 0,
            socket_errors: 0,
            cpu: Duration::from_millis(1_500),
        };
        assert_eq!((shot.cpu_us(), shot.busy_percent()), (15.0, 75.0));
    }
}
