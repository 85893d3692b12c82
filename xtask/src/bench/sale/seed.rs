//! The seed's stack as a peer: nginx, three replicas of a Flask shop under gunicorn, and one
//! counter in Redis. It is not durable and knows no customers: a figure for orientation.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Result, ensure};

use super::redis;
use crate::bench::figure::Figure;
use crate::bench::scene::{Folder, Scene};
use crate::bench::server::{self, Program, Ready, Server};
use crate::bench::wrk::{self, Load, Shot};
use crate::bench::{nginx, python};

const SHOP: &str = "bench/peers/seed";
const UNITS: u64 = 1_000_000_000;

/// The whole stack, running.
#[derive(Debug)]
pub(in crate::bench) struct Stack {
    nginx: Server,
    redis: Server,
    _replicas: Vec<Server>,
    /// Goes last.
    _folder: Folder,
}

impl Stack {
    pub(in crate::bench) fn start(scene: &Scene) -> Result<Self> {
        let folder = scene.folder("seed")?;
        let python = python::environment(scene.root(), "seed", SHOP)?;
        let redis = redis::start(folder.path(), redis::Durable::No)?;
        redis::command(&redis, &["SET", "stock", &UNITS.to_string()])?;
        let replicas = (0..3)
            .map(|_| replica(&python, redis.address(), folder.path()))
            .collect::<Result<Vec<Server>>>()?;
        let addresses: Vec<SocketAddr> = replicas.iter().map(Server::address).collect();
        let nginx = balancer(&addresses, Ready::Get("/"), folder.path())?;
        Ok(Self { nginx, redis, _replicas: replicas, _folder: folder })
    }

    /// Buys for so many seconds, from any core.
    pub(in crate::bench) fn shoot(&self, seconds: u64) -> Result<Shot> {
        let load = Load { script: "buy.lua", arguments: Vec::new(), seconds, core: None };
        let shot = wrk::shoot(&self.nginx, &load)?;
        ensure!(shot.status_errors == 0, "{} purchases failed", shot.status_errors);
        Ok(shot)
    }

    /// The stack must have counted down what it said that it sold.
    pub(in crate::bench) fn check_sold(&self, acknowledged: u64) -> Result<()> {
        let left: u64 = redis::command(&self.redis, &["GET", "stock"])?.trim().parse()?;
        let sold = UNITS - left;
        ensure!(sold >= acknowledged, "{sold} units counted, {acknowledged} acknowledged");
        Ok(())
    }
}

/// The seed's nginx before three replicas of whatever shop.
pub(in crate::bench) fn balancer(
    replicas: &[SocketAddr],
    ready: Ready,
    folder: &Path,
) -> Result<Server> {
    let names = ["@REPLICA_1@", "@REPLICA_2@", "@REPLICA_3@"];
    let replacements: Vec<(&str, SocketAddr)> =
        names.into_iter().zip(replicas.iter().copied()).collect();
    nginx::start(&format!("{SHOP}/nginx.conf"), &replacements, ready, folder, None)
}

/// Purchases a second, all on the same cores as the generator.
pub(super) fn purchases(scene: &Scene) -> Result<Vec<Figure>> {
    let stack = Stack::start(scene)?;
    let shots = (0..scene.pick(3, 1))
        .map(|_| stack.shoot(scene.shot_seconds()))
        .collect::<Result<Vec<Shot>>>()?;
    stack.check_sold(shots.iter().map(|shot| shot.requests).sum())?;
    let samples = shots.iter().map(Shot::per_second).collect();
    Ok(vec![
        Figure::new("seed", "purchases, nginx → 3 × Flask → Redis", "/s", samples)
            .noted("not durable, no idempotency; 64 connections, no core pinned"),
    ])
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
