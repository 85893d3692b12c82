//! T8 and core: how long a server, or a core, with many orders takes from its start until it is
//! ready, after a kill and after a clean stop.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::batch::{self, Amount};
use crate::bench::figure::{Figure, Target};
use crate::bench::kilat::{self, HUGE_SUPPLY, Place};
use crate::bench::scene::{Scene, alternate};
use crate::bench::server::Server;

const SALE: &str = "open";
const BATCH_ORDERS: u64 = 8_192;
/// Longest time that filling may take.
const FILL_SECONDS_MAX: u64 = 600;
/// The fewest batches that no number of a restart's own batch may reach.
const RESTART_BATCHES: u64 = 500_000_000;

/// How the server is started.
type Start = fn(&Scene, Place<'_>) -> Result<Server>;

/// A data directory whose server is stopped and started again.
struct Shop<'a> {
    scene: &'a Scene,
    place: Place<'a>,
    start: Start,
    /// `None` only between a stop and the next start.
    server: Option<Server>,
    orders: u64,
    restarts: u64,
}

/// T8.
pub(super) fn restarts(scene: &Scene) -> Result<Vec<Figure>> {
    restart(scene, "T8", "start to ready", kilat::serve, scene.pick(10_000_000, 50_000))
}

/// A core, which replicas wait for.
pub(super) fn of_a_core(scene: &Scene) -> Result<Vec<Figure>> {
    restart(scene, "core", "start of a core to ready", kilat::core, scene.pick(1_000_000, 50_000))
}

fn restart(
    scene: &Scene,
    id: &'static str,
    what: &str,
    start: Start,
    orders: u64,
) -> Result<Vec<Figure>> {
    let folder = scene.folder(&id.to_lowercase())?;
    let place = Place { folder: folder.path(), core: None };
    let mut shop = Shop::open(scene, place, start, orders)?;
    let shop_cell = std::cell::RefCell::new(&mut shop);
    let rounds = alternate(
        scene.rounds(),
        || shop_cell.borrow_mut().restart(Server::kill),
        || shop_cell.borrow_mut().restart(Server::stop),
    )?;
    let (killed, stopped) = rounds.into_iter().unzip();
    let orders = format!("{} orders at the end", shop.orders);
    let figure = |end: &str, samples| {
        Figure::new(id, format!("{what} after {end}"), "s", samples).aims(Target::AtMost(1.0))
    };
    Ok(vec![figure("kill -9", killed).noted(orders), figure("a clean stop", stopped)])
}

impl<'a> Shop<'a> {
    fn open(scene: &'a Scene, place: Place<'a>, start: Start, orders: u64) -> Result<Self> {
        let server = start(scene, place)?;
        kilat::create_sale(&server, SALE, HUGE_SUPPLY)?;
        let amount = Amount { batches: orders.div_ceil(BATCH_ORDERS), seconds: FILL_SECONDS_MAX };
        let filled = batch::fill(scene, &server, SALE, amount, 0)?;
        ensure!(
            filled.orders >= orders,
            "only {} orders after {FILL_SECONDS_MAX} s",
            filled.orders
        );
        Ok(Self { scene, place, start, server: Some(server), orders: filled.orders, restarts: 0 })
    }

    /// Sells a little, ends the server that way, and gives the seconds from start to ready.
    fn restart(&mut self, end: fn(Server) -> Result<()>) -> Result<f64> {
        self.sell_a_little()?;
        if let Some(server) = self.server.take() {
            end(server)?;
        }
        let started = Instant::now();
        let server = (self.start)(self.scene, self.place)?;
        let seconds = started.elapsed().as_secs_f64();
        let sold = kilat::sold(&server, SALE)?;
        ensure!(sold == self.orders, "{} units were sold before, {sold} are after", self.orders);
        self.server = Some(server);
        self.restarts += 1;
        Ok(seconds)
    }

    /// So that a restart finds something that came after the one before.
    fn sell_a_little(&mut self) -> Result<()> {
        let Some(server) = &self.server else {
            return Ok(());
        };
        let amount = Amount { batches: 1, seconds: FILL_SECONDS_MAX };
        let first = RESTART_BATCHES + self.restarts;
        self.orders += batch::fill(self.scene, server, SALE, amount, first)?.orders;
        Ok(())
    }
}
