//! What connections that say little cost those who buy: the slowest hundredth of paced orders beside
//! them, against the same without them. Must never judge a run by whether a target is reached: it
//! only says so.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::figure::{Figure, Target};
use super::http::{self, Connection};
use super::job;
use super::kilat::{self, ADMIN_TOKEN, Place};
use super::scene::{Scene, alternate};
use super::server::{self, GENERATOR_CORE, SERVER_CORE, Server};

/// Orders in a second: less than half of what either serves on one core.
const RATE: u64 = 10_000;
/// Connections that they come on.
const BUYERS: u64 = 64;
/// Longest time beyond the load itself: the proof reads every order.
const PROOF_DEADLINE: Duration = Duration::from_secs(60);
/// What those who say little have said; the first of them was answered once.
const BEGUN: [&str; 4] = [
    "",
    "GET /v1/sales HTTP/1.1\r\nhost: h\r\nx-slow: ",
    "POST /v1/sales/s/orders HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n\
     idempotency-key: k\r\ncontent-length: 1000\r\n\r\n{",
    "POST /publish HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n\
     content-length: 100000\r\n\r\n[",
];

/// `kilat serve`, and `kilat up` through its gateway, each on one core.
pub(super) fn run(scene: &Scene) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, start) in [("kilat serve", kilat::serve as Start), ("kilat up", kilat::up as Start)]
    {
        let folder = scene.folder("idle")?;
        let server = start(scene, Place { folder: folder.path(), core: Some(SERVER_CORE) })?;
        figures.push(compare(scene, &server, name)?);
        server.stop()?;
    }
    Ok(figures)
}

type Start = fn(&Scene, Place<'_>) -> Result<Server>;

fn compare(scene: &Scene, server: &Server, name: &str) -> Result<Figure> {
    let count = scene.pick(10_000, 40);
    let beside = || {
        let idlers = gather(server.address(), count)?;
        let slowest = shoot(scene, server)?;
        drop(idlers);
        Ok(slowest)
    };
    // The first orders touch memory that nobody used before.
    shoot(scene, server)?;
    let rounds = alternate(scene.rounds(), || shoot(scene, server), beside)?;
    let of = |value: fn(&(f64, f64)) -> f64| {
        let samples: Vec<String> =
            rounds.iter().map(|round| format!("{:.2}", value(round))).collect();
        samples.join(", ")
    };
    let note = format!(
        "{RATE} orders/s; {} ms without, {} ms with",
        of(|(calm, _)| *calm),
        of(|(_, much)| *much)
    );
    let what = format!("{name}: p99 beside {count} connections that say little ÷ without");
    let ratios = rounds.iter().map(|(calm, much)| much / calm).collect();
    Ok(Figure::new("idle", what, "×", ratios).aims(Target::AtMost(1.1)).noted(note))
}

/// Connections that say little, as long as this is kept: those that were answered once, and those
/// that have begun something.
fn gather(address: SocketAddr, count: usize) -> Result<(Vec<Connection>, Vec<TcpStream>)> {
    let (mut answered, mut begun) = (Vec::new(), Vec::new());
    for text in BEGUN.iter().cycle().take(count) {
        if text.is_empty() {
            answered.push(answer(address)?);
        } else {
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(text.as_bytes())?;
            begun.push(stream);
        }
    }
    Ok((answered, begun))
}

fn answer(address: SocketAddr) -> Result<Connection> {
    let mut connection = Connection::open(address)?;
    let status = connection.exchange(&http::request("GET", "/livez", &[], b""))?.status;
    ensure!(status == 200, "it answers {status}: raise `ulimit -n` to four times the connections");
    Ok(connection)
}

/// Paced orders; the slowest hundredth of them, in milliseconds.
fn shoot(scene: &Scene, server: &Server) -> Result<f64> {
    let seconds = scene.pick(4, 1);
    let rate = scene.pick(RATE, 100);
    let mut command = server::pinned(Some(GENERATOR_CORE))?;
    command
        .arg(scene.kilat()?)
        .args(["attack", "--json", "--quiet", "--replay=0", "--per-customer=0"])
        .args(["--supply=1000000000", "--buyers=100000000"])
        .args([format!("--connections={BUYERS}"), format!("--rate={rate}")])
        .args([format!("--duration={seconds}"), format!("--url=http://{}", server.address())])
        .env("KILAT_ADMIN_TOKEN", ADMIN_TOKEN);
    let ended = job::run(&mut command, Duration::from_secs(seconds) + PROOF_DEADLINE)?;
    ensure!(ended.status.success(), "not proven: {}{}", ended.output, ended.errors);
    let report: Value = serde_json::from_str(&ended.output)?;
    let slowest = report["latency_us"]["p99"].as_f64();
    Ok(slowest.with_context(|| format!("no report: {}", ended.output))? / 1e3)
}
