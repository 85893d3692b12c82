//! The live stock of the buy page with many readers: what each costs, and how long an update takes
//! to reach the last of them, in peace and under an attack.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use memchr::memmem;
use serde_json::json;

use super::figure::{Figure, Target};
use super::http::{self, Connection};
use super::job;
use super::kilat::{self, ADMIN_TOKEN, HUGE_SUPPLY, Place};
use super::part::{Part, Role};
use super::scene::Scene;
use super::server::Server;
use crate::process;
use crate::setup;

const SALE: &str = "live";
/// Orders a second that are asked of the attack: half of what T1 came to. What it came to is told.
const ORDERS_PER_SECOND: u64 = 45_000;
/// An attack is under way after this; it ends by itself.
const ATTACK_WARMS_UP: Duration = Duration::from_secs(2);
const ATTACK_DEADLINE: Duration = Duration::from_secs(180);
/// Between two looks at all readers: figures are no finer than this.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// An update that some reader has not seen after this never comes.
const UPDATE_DEADLINE: Duration = Duration::from_secs(30);
const KB: f64 = 1024.0;
/// Files beside the readers' sockets.
const FILES_BESIDE: usize = 256;

/// A new target is one entry here.
pub(super) static PARTS: &[Part] =
    &[Part { ids: &["readers"], role: Role::Target, needs: &[setup::UTIL_LINUX], run: readers }];

fn readers(scene: &Scene) -> Result<Vec<Figure>> {
    let folder = scene.folder("live")?;
    let server = kilat::serve(scene, Place { folder: folder.path(), core: None })?;
    kilat::create_sale(&server, SALE, HUGE_SUPPLY)?;
    let count = scene.pick(10_000, 100);
    raise_file_limit(count + FILES_BESIDE)?;
    let before = server.memory()?.anonymous;
    let mut readers = Readers::open(server.address(), count)?;
    // What they were told first has been sent once they hear of something new.
    readers.follow(&server, 0..=0)?;
    let each = (server.memory()?.anonymous - before) / count as f64;
    let rounds = scene.pick(20, 3);
    let calm = readers.follow(&server, 1..=rounds)?;
    let attack = attack(scene, &server, scene.pick(12, 3))?;
    thread::sleep(ATTACK_WARMS_UP);
    let stormy = readers.follow(&server, rounds + 1..=2 * rounds)?;
    let attacked = attack.join().ok().context("the attack panicked")??;
    let seen_by_all = format!("an update reaches all {count} readers");
    Ok(vec![
        Figure::new("live", format!("memory of each of {count} readers"), "KB", vec![each / KB])
            .aims(Target::AtMost(20.0)),
        Figure::new("live", format!("{seen_by_all}, in peace"), "ms", calm)
            .aims(Target::AtMost(250.0)),
        Figure::new("live", format!("{seen_by_all}, under an attack"), "ms", stormy)
            .aims(Target::AtMost(250.0))
            .noted(attacked),
    ])
}

/// Everybody who looks at the page.
struct Readers(Vec<TcpStream>);

impl Readers {
    fn open(address: SocketAddr, count: usize) -> Result<Self> {
        let request = format!("GET /v1/sales/{SALE}/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        let open = || -> Result<TcpStream> {
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(request.as_bytes())?;
            // One after the other, as people come: until each is answered.
            let mut head = [0; 16];
            stream.read_exact(&mut head)?;
            ensure!(head.starts_with(b"HTTP/1.1 200"), "a reader was refused");
            stream.set_nonblocking(true)?;
            Ok(stream)
        };
        Ok(Self((0..count).map(|_| open()).collect::<Result<_>>()?))
    }

    /// Milliseconds from an update to the last reader, for each update.
    fn follow(
        &mut self,
        server: &Server,
        updates: std::ops::RangeInclusive<u64>,
    ) -> Result<Vec<f64>> {
        updates
            .map(|number| {
                let started = Instant::now();
                add_supply(server, number)?;
                self.wait_for(HUGE_SUPPLY + number + 1)?;
                Ok(started.elapsed().as_secs_f64() * 1e3)
            })
            .collect()
    }

    /// Reads until everyone was told of this supply.
    fn wait_for(&mut self, supply: u64) -> Result<()> {
        let told = format!("\"supply\":{supply},");
        let started = Instant::now();
        let mut waiting: Vec<&mut TcpStream> = self.0.iter_mut().collect();
        let mut buffer = vec![0; 64 << 10];
        while !waiting.is_empty() {
            let mut still = Vec::with_capacity(waiting.len());
            for stream in waiting {
                if !hears(stream, &mut buffer, told.as_bytes())? {
                    still.push(stream);
                }
            }
            waiting = still;
            let late = waiting.len();
            ensure!(started.elapsed() < UPDATE_DEADLINE, "{late} readers never heard of an update");
            thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }
}

/// Reads what there is; an event is short, and sent in one piece.
fn hears(stream: &mut TcpStream, buffer: &mut [u8], told: &[u8]) -> Result<bool> {
    match stream.read(buffer) {
        Ok(0) => bail!("the server ended a stream"),
        Ok(bytes) => Ok(memmem::find(&buffer[..bytes], told).is_some()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn add_supply(server: &Server, number: u64) -> Result<()> {
    let headers = [
        "Content-Type: application/json",
        &format!("Authorization: Bearer {ADMIN_TOKEN}"),
        &format!("Idempotency-Key: update-{number}"),
    ];
    let body = json!({"add_supply": 1}).to_string();
    let path = format!("/v1/sales/{SALE}");
    let mut connection = Connection::open(server.address())?;
    let status =
        connection.exchange(&http::request("PATCH", &path, &headers, body.as_bytes()))?.status;
    ensure!(status == 200, "adding to the supply answers {status}");
    Ok(())
}

/// Starts an attack on the sale that is followed; in the end, what it came to.
fn attack(
    scene: &Scene,
    server: &Server,
    seconds: u64,
) -> Result<thread::JoinHandle<Result<String>>> {
    let asked = scene.pick(ORDERS_PER_SECOND, 100);
    let mut command = Command::new(scene.kilat()?);
    let url = format!("http://{}", server.address());
    command.args(["attack", "--json", "--quiet", "--replay", "0", "--sale", SALE, "--url", &url]);
    command.args(["--connections", "64", "--buyers", "100000000"]);
    command.args(["--rate", &asked.to_string()]);
    command.args(["--duration", &seconds.to_string()]).env("KILAT_ADMIN_TOKEN", ADMIN_TOKEN);
    Ok(thread::spawn(move || {
        let ended = job::run(&mut command, ATTACK_DEADLINE)?;
        ensure!(ended.status.success(), "the attack ended with {}: {}", ended.status, ended.errors);
        let report: serde_json::Value = serde_json::from_str(&ended.output)?;
        let number = |value: &serde_json::Value| value.as_f64().context("a report without it");
        let took = number(&report["seconds"])?;
        let rate = number(&report["orders"]["acknowledged"])? / took;
        Ok(format!("{rate:.0} orders/s of {asked}/s asked, for {took:.1} s, from the same cores"))
    }))
}

/// One file for each reader, for this process.
fn raise_file_limit(files: usize) -> Result<()> {
    let own = std::process::id().to_string();
    let limit = format!("--nofile={files}:");
    let command = process::program("prlimit", ["--pid", &own, &limit])?;
    ensure!(process::succeeds(&command)?, "{files} files can't be open at a time");
    Ok(())
}
