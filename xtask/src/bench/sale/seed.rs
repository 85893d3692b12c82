//! The seed's stack as a peer: nginx, three replicas of a Flask shop under gunicorn, and one
//! counter in Redis. It is not durable and knows no customers: a figure for orientation.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Result, ensure};

use super::redis;
use crate::bench::figure::{Figure, Spread};
use crate::bench::scene::Scene;
use crate::bench::server::{self, Program, Ready, Server};
use crate::bench::wrk::{self, Load};
use crate::bench::{nginx, python};

const SHOP: &str = "bench/peers/seed";
const UNITS: u64 = 1_000_000_000;

/// Purchases a second, all on the same cores as the generator.
pub(super) fn purchases(scene: &Scene) -> Result<Vec<Figure>> {
    let folder = scene.folder("seed")?;
    let python = python::environment(scene.root(), "seed", SHOP)?;
    let redis = redis::start(folder.path(), redis::Durable::No)?;
    redis::command(&redis, &["SET", "stock", &UNITS.to_string()])?;
    let replicas = (0..3)
        .map(|_| replica(&python, redis.address(), folder.path()))
        .collect::<Result<Vec<Server>>>()?;
    let names = ["@REPLICA_1@", "@REPLICA_2@", "@REPLICA_3@"];
    let addresses = replicas.iter().map(Server::address);
    let replacements: Vec<(&str, SocketAddr)> = names.into_iter().zip(addresses).collect();
    let template = format!("{SHOP}/nginx.conf");
    let nginx = nginx::start(&template, &replacements, Ready::Get("/"), folder.path(), None)?;
    let load = Load {
        script: "buy.lua",
        arguments: Vec::new(),
        seconds: scene.shot_seconds(),
        core: None,
    };
    let mut samples = Vec::new();
    for _ in 0..scene.pick(3, 1) {
        let shot = wrk::shoot(&nginx, &load)?;
        ensure!(shot.status_errors == 0, "{} purchases failed", shot.status_errors);
        samples.push(shot.per_second());
    }
    check_sold(&redis, &samples, load.seconds)?;
    Ok(vec![
        Figure::new("seed", "purchases, nginx → 3 × Flask → Redis", "/s", samples)
            .noted("not durable, no idempotency; 64 connections, no core pinned"),
    ])
}

/// The stack must have counted down what it says that it sold.
fn check_sold(redis: &Server, samples: &[f64], seconds: u64) -> Result<()> {
    let left: u64 = redis::command(redis, &["GET", "stock"])?.trim().parse()?;
    let least = Spread::of(samples).map_or(0.0, |spread| spread.min) * seconds as f64;
    let sold = (UNITS - left) as f64;
    ensure!(sold >= least, "{sold} units were counted, at least {least} were acknowledged");
    Ok(())
}

fn replica(python: &Path, redis: SocketAddr, folder: &Path) -> Result<Server> {
    let address = server::free_address()?;
    Program::new(python, address, None, folder)?
        .env("REDIS_PORT", redis.port().to_string())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["-m", "gunicorn", "--workers", "1", "--log-level", "warning"])
        .args(["--chdir", SHOP, "--bind", &address.to_string(), "app:app"])
        .start(Ready::Get("/"))
}
