//! What a ledger in Redis costs beside a bare client that calls the same rules, and in stripes beside
//! one piece. `cargo xtask bench backends` reads what is printed: a line `figure NAME VALUE` a round. With
//! few batches, as in the tests, the figures say nothing.

use super::super::encode::{self, Encoder};
use super::super::script::Entry;
use super::super::{Redis, RedisOptions, sale_key};
use super::redis_fleet::Fleet;
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
const ROUNDS: usize = 2;
/// Primaries of the cluster, and stripes of its sale.
const PRIMARIES: usize = 3;

fn batches() -> usize {
    asked("KILAT_REDIS_BATCHES").unwrap_or(BATCHES)
}

fn rounds() -> usize {
    asked("KILAT_REDIS_ROUNDS").unwrap_or(ROUNDS)
}

fn asked(name: &str) -> Option<usize> {
    std::env::var(name).ok().map(|asked| asked.parse().unwrap())
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

/// Purchases a second through queue and runner, with two groups of this many batches on their way.
fn runner(store: &Store, sale: &str, at_once: usize) -> f64 {
    let groups: Vec<Orders> = (0..batches().div_ceil(at_once))
        .map(|group| {
            let mut orders = Orders::default();
            for batch in group * at_once..batches().min((group + 1) * at_once) {
                for (n, name) in names(sale, batch).iter().enumerate() {
                    let id = OrderId::from_bits(1 + (batch * BATCH + n) as u128);
                    let text = OrderText { sale, customer: name, key: name };
                    orders.push(store.handle().hasher(), id, &text, 1, false);
                }
            }
            orders
        })
        .collect();
    let (count, (done_tx, done)) = (groups.len(), sync_channel::<bool>(groups.len()));
    let started = Instant::now();
    for (sent, orders) in groups.into_iter().enumerate() {
        if sent >= 2 {
            assert!(done.recv().unwrap());
        }
        let done_tx = done_tx.clone();
        let told = move |placed: Result<crate::Placed, _>| {
            done_tx.send(placed.is_ok()).unwrap();
        };
        store.handle().place(orders, Box::new(told));
    }
    assert!((0..count.min(2)).all(|_| done.recv().unwrap()));
    rate(started)
}

fn used_memory(redis: &mut Redis) -> f64 {
    let info: Vec<String> = redis.link.each(redis::cmd("INFO").arg("memory")).unwrap();
    super::super::link::field(&info[0], "used_memory").unwrap().parse().unwrap()
}

/// Processor time of a server so far, in microseconds: user and system time of proc_pid_stat(5), in
/// hundredths of a second.
fn processor_time(server: &RedisServer) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap() * 10_000.0).sum()
}

/// An event log for a store's relay.
fn event_log(directory: &std::path::Path) -> Engine {
    let engine = Options::new(directory.join("data"), Box::new(|why| panic!("{why}")));
    Engine::start(engine).unwrap()
}

fn connect(url: &str, stripes: usize, engine: &Engine) -> Store {
    let (address, patience) = (url.parse().unwrap(), Duration::from_secs(10));
    let (name, stripes) = ("measure".to_owned(), u16::try_from(stripes).unwrap());
    let options = StoreOptions { address, name, patience, may_lose: true };
    Store::connect(options, stripes, engine.events()).unwrap()
}

fn make(redis: &mut Redis, sale: &str) {
    make_of(redis, sale, 1 << 30);
}

fn make_of(redis: &mut Redis, sale: &str, supply: u64) {
    let terms = terms(sale, supply);
    let made = redis.commit(&[Command::CreateSale { terms: &terms }]).unwrap();
    assert_eq!(made.outcomes, [Outcome::SaleCreated]);
}

fn check_sold(redis: &mut Redis, sale: &str) {
    let sold = redis.sale(sale).unwrap().unwrap().counters.sold;
    assert_eq!(sold, (BATCH * batches()) as u64);
}

/// A relay whose lease somebody else has does nothing.
fn rest_the_relay(redis: &mut Redis, rests: bool) {
    let mut lease = redis::cmd(if rests { "SET" } else { "DEL" });
    lease.arg(super::super::LEASE_KEY);
    if rests {
        lease.arg("nobody");
    }
    redis.link.call(super::super::LEASE_KEY.as_bytes(), &lease).unwrap();
}

/// Pairs of a bare client and the runner, which of them is first in turn.
#[test]
fn purchases_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let server = RedisServer::start(directory.path(), DURABLE);
    let options = RedisOptions::new(&server.url(), "measure", false).unwrap();
    let mut redis = Redis::open(&options, None).unwrap();
    let engine = event_log(directory.path());
    let store = connect(&server.url(), 1, &engine);
    for (relay, name) in [(false, "runner"), (true, "runner_and_relay")] {
        rest_the_relay(&mut redis, !relay);
        for round in 0..rounds() {
            let [one, other] = ["bare", "run"].map(|kind| format!("{kind}{round}{relay}"));
            make(&mut redis, &one);
            make(&mut redis, &other);
            let before = used_memory(&mut redis);
            let (bare, runner) = if round % 2 == 0 {
                let bare = bare(&mut redis, &one);
                (bare, runner(&store, &other, 1))
            } else {
                let runner = runner(&store, &other, 1);
                (bare(&mut redis, &one), runner)
            };
            let bytes = (used_memory(&mut redis) - before) / (2 * BATCH * batches()) as f64;
            check_sold(&mut redis, &one);
            check_sold(&mut redis, &other);
            println!("figure bare {bare:.0}");
            println!("figure {name} {runner:.0}");
            println!("figure {name}_of_bare {:.3}", runner / bare);
            println!("figure memory {bytes:.0}");
        }
    }
    store.stop();
    engine.stop();
}

/// One server, and a cluster whose sales are in stripes, each with a store and with a connection of the
/// test's own. Nobody relays facts.
struct Both {
    one: Store,
    many: Store,
    of_one: Redis,
    of_many: Redis,
    server: RedisServer,
    fleet: Fleet,
    engine: Engine,
    _directory: tempfile::TempDir,
}

impl Both {
    fn start() -> Both {
        let directory = tempfile::tempdir().unwrap();
        let engine = event_log(directory.path());
        let server = RedisServer::start(directory.path(), DURABLE);
        let fleet = Fleet::cluster_with(0, DURABLE);
        let one = connect(&server.url(), 1, &engine);
        let many = connect(fleet.url(), PRIMARIES, &engine);
        let open = |url: &str, stripes: usize| {
            let options = RedisOptions::new(url, "m", true).unwrap();
            let options = options.with_stripes(u16::try_from(stripes).unwrap()).unwrap();
            let mut redis = Redis::open(&options, None).unwrap();
            rest_the_relay(&mut redis, true);
            redis
        };
        let (of_one, of_many) = (open(&server.url(), 1), open(fleet.url(), PRIMARIES));
        Both { one, many, of_one, of_many, server, fleet, engine, _directory: directory }
    }

    /// Processor time of the one server and of all in the cluster, in microseconds.
    fn processor_times(&self) -> [f64; 2] {
        [processor_time(&self.server), self.fleet.servers.iter().map(processor_time).sum()]
    }

    fn stop(self) {
        self.one.stop();
        self.many.stop();
        self.engine.stop();
    }
}

/// Processor time a purchase takes on the servers: a sale in one piece on one, and in stripes on a
/// cluster, with batches that come to as many purchases a call, and with as large batches.
#[test]
fn processor_time_of_stripes() {
    let mut both = Both::start();
    let purchases = (BATCH * batches()) as f64;
    for round in 0..rounds() {
        let sale = format!("one{round}");
        make(&mut both.of_one, &sale);
        let before = both.processor_times();
        let rate = runner(&both.one, &sale, 1);
        let whole = (both.processor_times()[0] - before[0]) / purchases;
        println!("figure one_piece_us {whole:.2}\nfigure one_piece {rate:.0}");
        check_sold(&mut both.of_one, &sale);
        for (at_once, name) in [(PRIMARIES, "striped"), (1, "striped_small")] {
            let sale = format!("{name}{round}");
            make(&mut both.of_many, &sale);
            let before = both.processor_times();
            let rate = runner(&both.many, &sale, at_once);
            let cost = (both.processor_times()[1] - before[1]) / purchases;
            println!("figure {name}_us {cost:.2}\nfigure {name}_of_one_piece {:.3}", cost / whole);
            println!("figure {name} {rate:.0}");
            check_sold(&mut both.of_many, &sale);
        }
    }
    both.stop();
}

/// The same of buyers who come to a sale that is sold out.
#[test]
fn processor_time_of_refusals() {
    let mut both = Both::start();
    for round in 0..rounds() {
        let sale = format!("gone{round}");
        for redis in [&mut both.of_one, &mut both.of_many] {
            make_of(redis, &sale, 1);
            let sold = redis.commit(&[buy(1 << 100, &sale, "first", "k")]).unwrap();
            assert!(matches!(sold.outcomes[0], Outcome::Order { .. }));
        }
        for (store, which, name) in [(&both.one, 0, "refused"), (&both.many, 1, "striped_refused")]
        {
            let before = both.processor_times();
            let rate = runner(store, &sale, 1);
            let spent = both.processor_times()[which] - before[which];
            println!("figure {name}_us {:.2}", spent / (BATCH * batches()) as f64);
            println!("figure {name} {rate:.0}");
        }
        for redis in [&mut both.of_one, &mut both.of_many] {
            assert_eq!(redis.sale(&sale).unwrap().unwrap().counters.sold, 1);
        }
    }
    both.stop();
}
