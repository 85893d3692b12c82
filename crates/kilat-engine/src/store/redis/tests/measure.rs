//! What a ledger in Redis costs beside a bare client that calls the same rules. With few batches,
//! as in the tests, the figures say nothing: `KILAT_REDIS_BATCHES=200 cargo test --release -p
//! kilat-engine --features redis --lib -- --nocapture store::redis::tests::measure`.

use super::super::encode::{self, Encoder};
use super::super::script::Entry;
use super::super::{Redis, RedisOptions, sale_key};
use super::redis_server::{DURABLE, RedisServer};
use super::{buy, terms};
use crate::store::{LedgerStore as _, Store, StoreOptions};
use crate::{Engine, Options, OrderText, Orders};
use kilat_ledger::{Command, OrderId, Outcome};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

const BATCH: usize = 500;
/// Batches of a round, unless `KILAT_REDIS_BATCHES` says otherwise.
const BATCHES: usize = 3;
const ROUNDS: usize = 3;

fn batches() -> usize {
    let asked = std::env::var("KILAT_REDIS_BATCHES").ok();
    asked.map_or(BATCHES, |asked| asked.parse().unwrap())
}

/// Customers and keys of 24 bytes, new ones in every batch.
fn names(sale: &str, batch: usize) -> Vec<String> {
    (0..BATCH).map(|n| format!("{sale:>8}-{:015}", batch * BATCH + n)).collect()
}

fn commands<'a>(sale: &'a str, names: &'a [String], batch: usize) -> Vec<Command<'a>> {
    let id = |n: usize| 1 + (batch * BATCH + n) as u128;
    names.iter().enumerate().map(|(n, name)| buy(id(n), sale, name, name)).collect()
}

/// Purchases a second by a client that only sends calls made beforehand.
fn bare(redis: &mut Redis, sale: &str) -> f64 {
    let mut calls = Vec::with_capacity(batches());
    for batch in 0..batches() {
        let names = names(sale, batch);
        let commands = commands(sale, &names, batch);
        let mut cmd = redis.script.call(&redis.loaded, Entry::Decide, &[sale_key(sale)]);
        for group in encode::by_sale(&commands) {
            Encoder::default().group(&mut cmd, &group, &commands, |_| 0);
        }
        calls.push(cmd);
    }
    let started = Instant::now();
    for call in &calls {
        redis.link.call(b"", call).unwrap();
    }
    rate(started)
}

fn rate(started: Instant) -> f64 {
    (BATCH * batches()) as f64 / started.elapsed().as_secs_f64()
}

/// Purchases a second by the driver alone.
fn driver(redis: &mut Redis, sale: &str) -> f64 {
    let names: Vec<Vec<String>> = (0..batches()).map(|batch| names(sale, batch)).collect();
    let started = Instant::now();
    for (batch, names) in names.iter().enumerate() {
        redis.commit(&commands(sale, names, batch)).unwrap();
    }
    rate(started)
}

/// Purchases a second through queue and runner, with two groups on their way.
fn runner(store: &Store, sale: &str) -> f64 {
    let groups: Vec<Orders> = (0..batches())
        .map(|batch| {
            let mut orders = Orders::default();
            for (n, name) in names(sale, batch).iter().enumerate() {
                let id = OrderId::from_bits(1 + (batch * BATCH + n) as u128);
                let text = OrderText { sale, customer: name, key: name };
                orders.push(store.handle().hasher(), id, &text, 1, false);
            }
            orders
        })
        .collect();
    let (done_tx, done) = sync_channel(batches());
    let started = Instant::now();
    for (sent, orders) in groups.into_iter().enumerate() {
        if sent >= 2 {
            done.recv().unwrap();
        }
        let done_tx = done_tx.clone();
        let told = move |placed: Result<crate::Placed, _>| {
            done_tx.send(placed.is_ok()).unwrap();
        };
        store.handle().place(orders, Box::new(told));
    }
    assert!(done.recv().unwrap() && done.recv().unwrap());
    rate(started)
}

fn used_memory(redis: &mut Redis) -> f64 {
    let info: Vec<String> = redis.link.each(redis::cmd("INFO").arg("memory")).unwrap();
    super::super::link::field(&info[0], "used_memory").unwrap().parse().unwrap()
}

#[test]
fn purchases_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let server = RedisServer::start(directory.path(), DURABLE);
    let options = RedisOptions::new(&server.url(), "measure", false).unwrap();
    let mut redis = Redis::open(&options, None).unwrap();
    let engine = Options::new(directory.path().join("data"), Box::new(|why| panic!("{why}")));
    let engine = Engine::start(engine).unwrap();
    let address = server.url().parse().unwrap();
    let patience = Duration::from_secs(10);
    let options =
        StoreOptions { address, name: "measure".to_owned(), patience, may_lose: false, stripes: 1 };
    let store = Store::connect(options, engine.events()).unwrap();
    for round in 0..ROUNDS {
        let sales = ["bare", "driver", "runner"].map(|kind| format!("{kind}{round}"));
        for sale in &sales {
            let terms = terms(sale, 1 << 30);
            let made = redis.commit(&[Command::CreateSale { terms: &terms }]).unwrap();
            assert_eq!(made.outcomes, [Outcome::SaleCreated]);
        }
        let before = used_memory(&mut redis);
        let bare = bare(&mut redis, &sales[0]);
        let bytes = (used_memory(&mut redis) - before) / (BATCH * batches()) as f64;
        let driver = driver(&mut redis, &sales[1]);
        let runner = runner(&store, &sales[2]);
        for sale in &sales {
            let sold = redis.sale(sale).unwrap().unwrap().counters.sold;
            assert_eq!(sold, (BATCH * batches()) as u64);
        }
        println!(
            "bare {bare:.0}/s, driver {driver:.0}/s ({:.2}), runner {runner:.0}/s ({:.2}), \
             {bytes:.0} bytes an order",
            driver / bare,
            runner / bare
        );
    }
    store.stop();
    engine.stop();
}
