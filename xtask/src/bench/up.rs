//! The whole system on one machine, gateway, replicas and core, against the seed's stack.
//! Must never judge a run by whether a target is reached: it only says so.

use std::net::SocketAddr;

use anyhow::{Result, ensure};

use super::crowd::{Crowd, bought};
use super::figure::{Figure, Target};
use super::kilat::{self, Place};
use super::part::{Part, Role};
use super::sale::seed::{self, Stack};
use super::scene::{Folder, Scene, alternate};
use super::server::{self, Program, Ready, Server};
use super::wrk::Shot;
use crate::setup::{self, Need};

const SALE: &str = "open";
const REPLICAS: usize = 3;
static NEEDS: &[Need] = &[setup::UTIL_LINUX, setup::WRK, setup::NGINX, setup::REDIS, setup::PYTHON];

/// A new target is one entry here.
pub(super) static PARTS: &[Part] = &[
    Part { ids: &["T5"], role: Role::Target, needs: NEEDS, run: own_gateway },
    Part { ids: &["nginx"], role: Role::Target, needs: NEEDS, run: same_nginx },
];

/// T5: `kilat up` as anybody starts it.
fn own_gateway(scene: &Scene) -> Result<Vec<Figure>> {
    let folder = scene.folder("up")?;
    let up = kilat::up(scene, Place { folder: folder.path(), core: None })?;
    race(scene, &up, ("T5", "`kilat up`"))
}

/// The same replicas and core behind the seed's own nginx.
fn same_nginx(scene: &Scene) -> Result<Vec<Figure>> {
    let behind = Behind::start(scene)?;
    let addresses: Vec<SocketAddr> = behind.replicas.iter().map(Server::address).collect();
    let nginx = seed::balancer(&addresses, Ready::Get("/readyz"), behind.folder.path())?;
    race(scene, &nginx, ("nginx", "nginx → 3 × `kilat serve` → `kilat core`"))
}

/// A core and its replicas, each a process.
#[derive(Debug)]
struct Behind {
    replicas: Vec<Server>,
    _core: Server,
    folder: Folder,
}

impl Behind {
    fn start(scene: &Scene) -> Result<Self> {
        let folder = scene.folder("up-nginx")?;
        let core = kilat::core(scene, Place { folder: folder.path(), core: None })?;
        let url = format!("core://{}", folder.path().join("data/core.sock").display());
        let replicas = (0..REPLICAS)
            .map(|_| {
                let address = server::free_address()?;
                Program::new(scene.kilat()?, address, None, folder.path())?
                    .without_env("KILAT_")
                    .env("KILAT_ADMIN_TOKEN", kilat::ADMIN_TOKEN)
                    .args([
                        "serve",
                        "--log",
                        "warn",
                        "--listen",
                        &address.to_string(),
                        "--lanes",
                        "1",
                    ])
                    .args(["--ledger", &url, "--events", &url, "--lookup-listen", "none"])
                    .start(Ready::Get("/readyz"))
            })
            .collect::<Result<Vec<Server>>>()?;
        Ok(Self { replicas, _core: core, folder })
    }
}

/// Both stacks and the generator share all cores, and take turns.
fn race(scene: &Scene, ours: &Server, (id, what): (&'static str, &str)) -> Result<Vec<Figure>> {
    let stack = Stack::start(scene)?;
    kilat::create_sale(ours, SALE, kilat::HUGE_SUPPLY)?;
    let seconds = scene.shot_seconds();
    let mut crowd = Crowd::new(seconds).on_any_core();
    let rounds =
        alternate(scene.rounds(), || bought(crowd.shoot(ours, SALE)?), || stack.shoot(seconds))?;
    let requests = |of: fn(&(Shot, Shot)) -> u64| rounds.iter().map(of).sum::<u64>();
    stack.check_sold(requests(|(_, theirs)| theirs.requests))?;
    let (acknowledged, sold) = (requests(|(ours, _)| ours.requests), kilat::sold(ours, SALE)?);
    ensure!(
        (acknowledged..=crowd.orders_max()).contains(&sold),
        "{acknowledged} purchases were acknowledged and {sold} units were sold"
    );
    let of = |value: fn(&(Shot, Shot)) -> f64| rounds.iter().map(value).collect::<Vec<f64>>();
    Ok(vec![
        Figure::new(
            id,
            format!("purchases, {what} ÷ the seed's stack"),
            "×",
            of(|(ours, theirs)| ours.per_second() / theirs.per_second()),
        )
        .aims(Target::AtLeast(15.0)),
        Figure::new(id, format!("purchases, {what}"), "/s", of(|(ours, _)| ours.per_second()))
            .noted("durable, once for each key"),
        Figure::new(
            id,
            "purchases, nginx → 3 × gunicorn and Flask → Redis",
            "/s",
            of(|(_, theirs)| theirs.per_second()),
        )
        .noted("not durable, no idempotency"),
    ])
}
