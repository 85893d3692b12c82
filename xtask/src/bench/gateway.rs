//! The gateway alone: against nginx's `proxy_pass` to the same upstream, and when a replica is
//! killed. Must never judge a run by whether a target is reached: it only says so.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};

use super::figure::{Figure, Spread, Target};
use super::http::{self, Connection};
use super::idle;
use super::kilat::{self, Place};
use super::nginx;
use super::overload;
use super::part::{Part, Role};
use super::recovery;
use super::scene::{Scene, alternate};
use super::server::{self, GENERATOR_CORE, Program, Ready, SERVER_CORE, Server};
use super::wrk::{self, Load, Shot};
use crate::setup;

/// The sale that nginx's constant knows.
const SALE: &str = "open";
/// The first number of a customer: ten digits, and so are all after it.
const NUMBER_MIN: u64 = 1_000_000_000;
/// Connections that ask while a replica is killed.
const ASKERS: usize = 16;

/// A new target is one entry here.
pub(super) static PARTS: &[Part] = &[
    Part {
        ids: &["proxy"],
        role: Role::Target,
        needs: &[setup::UTIL_LINUX, setup::WRK, setup::NGINX],
        run: against_nginx,
    },
    Part { ids: &["kill"], role: Role::Target, needs: &[setup::UTIL_LINUX], run: kill },
    Part {
        ids: &["overload"],
        role: Role::Target,
        needs: &[setup::UTIL_LINUX],
        run: overload::run,
    },
    Part { ids: &["idle"], role: Role::Target, needs: &[setup::UTIL_LINUX], run: idle::run },
    Part {
        ids: &["recovery"],
        role: Role::Target,
        needs: &[setup::UTIL_LINUX],
        run: recovery::run,
    },
];

/// Both get one core and one thread; the upstream, nginx's constant, and the generator share the
/// other core, where a request costs less than a gateway's part of it.
fn against_nginx(scene: &Scene) -> Result<Vec<Figure>> {
    let folders =
        (scene.folder("gateway-upstream")?, scene.folder("gateway")?, scene.folder("proxy")?);
    let upstream = nginx::constant(folders.0.path(), Some(GENERATOR_CORE))?;
    let to = upstream.address();
    let ours = gateway(scene, folders.1.path(), Some(SERVER_CORE), &[to])?;
    let template = "bench/peers/nginx/gateway.conf";
    let ready = Ready::Get("/readyz");
    let theirs =
        nginx::start(template, &[("@REPLICA@", to)], ready, folders.2.path(), Some(SERVER_CORE))?;
    let seconds = scene.shot_seconds();
    if !scene.is_smoke() {
        shoot(&ours, 1)?;
        shoot(&theirs, 1)?;
    }
    let rounds = alternate(scene.rounds(), || shoot(&ours, seconds), || shoot(&theirs, seconds))?;
    let of = |value: fn(&(Shot, Shot)) -> f64| rounds.iter().map(value).collect::<Vec<f64>>();
    let busy = |samples: &[f64]| {
        let median = Spread::of(samples).map_or(0.0, |spread| spread.median);
        format!("{median:.0} % of its core used")
    };
    Ok(vec![
        Figure::new(
            "proxy",
            "requests, `kilat gateway` ÷ nginx proxy_pass, same upstream",
            "×",
            of(|(ours, theirs)| ours.per_second() / theirs.per_second()),
        )
        .aims(Target::AtLeast(0.8)),
        Figure::new("proxy", "requests, `kilat gateway`", "/s", of(|(ours, _)| ours.per_second()))
            .noted(busy(&of(|(ours, _)| ours.busy_percent()))),
        Figure::new("proxy", "requests, nginx", "/s", of(|(_, theirs)| theirs.per_second()))
            .noted(busy(&of(|(_, theirs)| theirs.busy_percent()))),
        Figure::new(
            "proxy",
            "processor time a request, `kilat gateway` ÷ nginx",
            "×",
            of(|(ours, theirs)| ours.cpu_us() / theirs.cpu_us()),
        )
        .aims(Target::AtMost(1.25)),
        Figure::new(
            "proxy",
            "processor time a request, `kilat gateway`",
            "µs",
            of(|(ours, _)| ours.cpu_us()),
        ),
        Figure::new(
            "proxy",
            "processor time a request, nginx",
            "µs",
            of(|(_, theirs)| theirs.cpu_us()),
        ),
    ])
}

fn shoot(server: &Server, seconds: u64) -> Result<Shot> {
    let arguments = vec![SALE.to_owned(), NUMBER_MIN.to_string()];
    let load = Load { script: "purchase.lua", arguments, seconds, core: Some(GENERATOR_CORE) };
    let shot = wrk::shoot(server, &load)?;
    ensure!(shot.status_errors == 0, "{} requests were refused", shot.status_errors);
    Ok(shot)
}

fn gateway(
    scene: &Scene,
    folder: &Path,
    core: Option<usize>,
    replicas: &[SocketAddr],
) -> Result<Server> {
    let address = server::free_address()?;
    let urls = replicas.iter().map(|replica| format!("--replica=http://{replica}"));
    Program::new(scene.kilat()?, address, core, folder)?
        .without_env("KILAT_")
        .args(["gateway", "--threads", "1", "--log", "warn"])
        .args(["--listen", &address.to_string()])
        .args(urls)
        .start(Ready::Get("/readyz"))
}

/// Two servers, one of which is killed again and again while requests come in.
fn kill(scene: &Scene) -> Result<Vec<Figure>> {
    let mut waits_ms = Vec::new();
    let mut answered = 0;
    for _ in 0..scene.pick(10, 1) {
        let folders =
            (scene.folder("kill-1")?, scene.folder("kill-2")?, scene.folder("kill-gateway")?);
        let serve = |folder| kilat::serve(scene, Place { folder, core: None });
        let (first, second) = (serve(folders.0.path())?, serve(folders.1.path())?);
        let to = [first.address(), second.address()];
        let gateway = gateway(scene, folders.2.path(), None, &to)?;
        let (wait, count) = longest_wait(&gateway, first)?;
        waits_ms.push(wait.as_secs_f64() * 1e3);
        answered += count;
    }
    Ok(vec![
        Figure::new(
            "kill",
            "longest wait of a request while one of two replicas is killed",
            "ms",
            waits_ms,
        )
        .aims(Target::AtMost(300.0))
        .noted(format!("no request of {answered} failed")),
    ])
}

/// Kills `victim` while requests come in; every one of them must be answered well.
fn longest_wait(gateway: &Server, victim: Server) -> Result<(Duration, u64)> {
    let (done, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let pause = Duration::from_millis(300);
    thread::scope(|scope| {
        let askers: Vec<_> =
            (0..ASKERS).map(|_| scope.spawn(|| ask(gateway.address(), &done, &answered))).collect();
        thread::sleep(pause);
        let killed = victim.kill();
        thread::sleep(pause);
        done.store(true, Ordering::Relaxed);
        let waits: Vec<Duration> = askers
            .into_iter()
            .map(|asker| asker.join().unwrap_or_else(|_| Err(anyhow!("an asker panicked"))))
            .collect::<Result<_>>()?;
        killed?;
        let longest = waits.into_iter().max().context("nobody asked")?;
        Ok((longest, answered.load(Ordering::Relaxed)))
    })
}

/// Asks until it is done; tells the longest wait.
fn ask(gateway: SocketAddr, done: &AtomicBool, answered: &AtomicU64) -> Result<Duration> {
    let mut connection = Connection::open(gateway)?;
    let request = http::request("GET", "/v1/sales", &[], b"");
    let mut longest = Duration::ZERO;
    while !done.load(Ordering::Relaxed) {
        let started = Instant::now();
        let reply = connection.exchange(&request)?;
        ensure!(reply.status == 200, "a request was answered {}", reply.status);
        longest = longest.max(started.elapsed());
        answered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(longest)
}
