//! More than can be served: connections that say little, and buyers who ask again too soon.

use crate::program::{scaled, wait_for};
use crate::storm::Storm;
use crate::system::Up;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

const SALE: &str = "s";
const ORDER: &str = r#"{"customer":"c","quantity":1}"#;
/// What those who say little have said.
const BEGUN: [&str; 4] = [
    "",
    "GET /v1/sales HTTP/1.1\r\nhost: h\r\nx-slow: ",
    "POST /v1/sales/s/orders HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n\
     idempotency-key: k\r\ncontent-length: 1000\r\n\r\n{",
    "POST /publish HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n\
     content-length: 100000\r\n\r\n[",
];
/// Anonymous memory that such a connection may cost, and that may come and go without it.
const BYTES_EACH_MAX: u64 = 40 << 10;
const BYTES_BESIDE: u64 = 24 << 20;
/// Orders of somebody who is served meanwhile.
const ORDERS: usize = 300;

/// Files of a gateway besides two for each connection, and of this process besides one.
const FILES_BESIDE: u64 = 1_024;

/// Files for both ends of as many connections as the system allows, for this process and those that
/// it starts; how many connections that is. A gateway keeps two for each.
fn raise_file_limit() -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let files = maximum.unwrap_or(u64::MAX).saturating_sub(FILES_BESIDE);
    usize::try_from(files / 2).unwrap()
}

/// Anonymous memory of a process, in bytes.
fn anonymous(pid: u64) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Connections that say a byte more now and then, as long as they are let.
struct Crowd(Vec<TcpStream>);

impl Crowd {
    fn gather(url: &str, size: usize) -> Crowd {
        let address = url.trim_start_matches("http://");
        let join = |number: usize| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(BEGUN[number % BEGUN.len()].as_bytes()).unwrap();
            stream
        };
        Crowd((0..size).map(join).collect())
    }

    fn trickle(&mut self) {
        for (number, stream) in self.0.iter_mut().enumerate() {
            if !BEGUN[number % BEGUN.len()].is_empty() {
                // Who took too long was cut off.
                let _ = stream.write_all(b" ");
            }
        }
    }
}

/// Buys while the crowd trickles, if there is one; everyone is served. The slowest but one percent.
fn buy(up: &Up, run: &str, mut crowd: Option<&mut Crowd>) -> Duration {
    let mut waits = Vec::new();
    for number in 0..ORDERS {
        let asked = Instant::now();
        let reply = up.server.order(SALE, &format!("{run}-{number}"), ORDER);
        waits.push(asked.elapsed());
        assert_eq!(reply.status, 201, "{}", reply.text());
        if let Some(crowd) = crowd.as_mut().filter(|_| number % 100 == 0) {
            crowd.trickle();
        }
    }
    waits.sort_unstable();
    waits[ORDERS * 99 / 100]
}

#[test]
fn those_who_say_little_cost_little_and_are_in_nobodys_way() {
    let size = scaled("KILAT_CROWD", 400).min(raise_file_limit());
    let up = Up::start();
    up.server.make_sale(SALE, 1_000_000, 60);
    for name in ["gateway", "web-1"] {
        let process = up.process(name);
        let (pid, url) = (process["pid"].as_u64().unwrap(), process["address"].as_str().unwrap());
        buy(&up, &format!("{name}-warm"), None);
        let calm = buy(&up, &format!("{name}-calm"), None);
        let before = anonymous(pid);
        let mut crowd = Crowd::gather(url, size);
        let crowded = buy(&up, &format!("{name}-crowded"), Some(&mut crowd));
        let more = anonymous(pid).saturating_sub(before);
        println!(
            "{name}: {size} connections, {} bytes each; p99 {calm:?} without them, {crowded:?} with",
            more / size as u64
        );
        let most = size as u64 * BYTES_EACH_MAX + BYTES_BESIDE;
        assert!(more <= most, "{more} bytes for {size} connections");
        assert_eq!(up.process(name)["restarts"], 0);
    }
    up.stop();
}

/// Far more than can be served, from buyers who ask again before they can have been answered.
#[test]
fn a_storm_of_retries_is_outlasted() {
    let up = Up::start();
    up.server.make_sale(SALE, 1_000, 60);
    let web = up.process("web-1")["address"].as_str().unwrap().to_owned();
    let size = ["--supply=100000000", "--per-customer=0", "--buyers=100000", "--connections=400"];
    let hurry = ["--timeout-ms=15", "--duration=2"];
    for (name, url) in [("gateway", &up.server.url), ("replica", &web)] {
        let report = Storm::start(url, &[&size[..], &hurry].concat()).proven();
        let traffic: &Value = &report["traffic"];
        println!("{name}: {traffic}");
        // A replica alone may well answer all of them in time.
        let is_storm = name == "replica" || traffic["retries"].as_u64() > Some(0);
        assert!(is_storm, "nobody asked again: {report}");
    }
    wait_for("an order", || (up.server.order(SALE, "after", ORDER).status == 201).then_some(()));
    assert_eq!(up.stop()["holds"], true);
}
