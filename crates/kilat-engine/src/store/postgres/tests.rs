//! What a ledger in PostgreSQL costs beside a bare client that calls the same function.
//! `cargo xtask bench backends` reads what is printed: a line `figure NAME VALUE` a round. With few
//! batches, as in the tests, the figures say nothing.

#[expect(dead_code, reason = "the integration tests need more of it")]
#[path = "../../../tests/it/postgres.rs"]
mod postgres;

use super::batch::Batch;
use super::connect::{ANSWER_TIMEOUT, Connection, within};
use super::{COMMIT, Postgres, PostgresOptions};
use crate::store::{LedgerStore as _, Store, StoreOptions};
use crate::{Engine, Options, OrderHasher, OrderText, Orders, Placed, Unavailable};
use kilat_ledger::{Command, OrderId, Outcome, SaleTerms};
use postgres::Cluster;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

const BATCH: usize = 500;
/// Batches of a replica in a round, unless `KILAT_POSTGRES_BATCHES` says otherwise.
const BATCHES: usize = 2;
/// Rounds, unless `KILAT_POSTGRES_ROUNDS` says otherwise.
const ROUNDS: usize = 2;
const REPLICAS: usize = 4;

fn asked(name: &str) -> Option<usize> {
    std::env::var(name).ok().map(|asked| asked.parse().unwrap())
}

fn batches() -> usize {
    asked("KILAT_POSTGRES_BATCHES").unwrap_or(BATCHES)
}

/// Batches with customers and keys of 24 bytes, each its own, and ids as random as they are: an index
/// of them has no end where all are added.
fn groups(sale: &str, replica: usize) -> Vec<Orders> {
    let group = |batch: usize| {
        let mut orders = Orders::default();
        for n in batch * BATCH..(batch + 1) * BATCH {
            let name = format!("{sale:>8}-{replica}-{n:014}");
            let print = *blake3::hash(name.as_bytes()).as_bytes();
            let id = OrderId::from_bits(u128::from_le_bytes(print[..16].try_into().unwrap()));
            let text = OrderText { sale, customer: &name, key: &name };
            orders.push(OrderHasher::elsewhere(), id, &text, 1, false);
        }
        orders
    };
    (0..batches()).map(group).collect()
}

/// Orders a second, by so many threads as there are replicas.
fn rate<W: FnOnce() + Send>(work: Vec<W>) -> f64 {
    let started = Instant::now();
    thread::scope(|scope| work.into_iter().for_each(|one| drop(scope.spawn(one))));
    (REPLICAS * BATCH * batches()) as f64 / started.elapsed().as_secs_f64()
}

fn client(cluster: &Cluster) -> Postgres {
    let name = "measure".to_owned();
    let mut client =
        Postgres::open(&PostgresOptions { url: cluster.url(), name, may_lose: false }, None)
            .unwrap();
    client.statement(COMMIT).unwrap();
    client
}

/// By clients that only send what was made beforehand and look at no answer.
fn bare(cluster: &Cluster, sale: &str) -> f64 {
    let all: Vec<_> = (0..REPLICAS).map(|n| (client(cluster), groups(sale, n))).collect();
    let calls: Vec<Vec<Vec<Command<'_>>>> = all
        .iter()
        .map(|(_, groups)| {
            groups.iter().map(|one| one.iter().map(Command::PlaceOrder).collect()).collect()
        })
        .collect();
    let batches = calls.iter().map(|calls| calls.iter().map(|one| Batch::of(one)));
    let batches: Vec<Vec<Batch<'_>>> = batches.map(Iterator::collect).collect();
    let send = |((client, _), batches): (&(Postgres, _), Vec<Batch<'_>>)| {
        let Connection { runtime, client: connection, .. } = &client.connection;
        for batch in &batches {
            let arguments = batch.arguments();
            let call = connection.query_one(&client.statements[COMMIT], &arguments);
            runtime.block_on(within(ANSWER_TIMEOUT, call)).unwrap();
        }
    };
    rate(all.iter().zip(batches).map(|one| || send(one)).collect())
}

/// By replicas, each with two batches on their way.
fn replicas(stores: &[Store], sale: &str) -> f64 {
    let all: Vec<_> = (0..REPLICAS).map(|n| groups(sale, n)).collect();
    let sell = |(store, groups): (&Store, Vec<Orders>)| {
        let (count, (done_tx, done)) = (groups.len(), sync_channel::<bool>(groups.len()));
        for (sent, orders) in groups.into_iter().enumerate() {
            if sent >= 2 {
                assert!(done.recv().unwrap());
            }
            let done_tx = done_tx.clone();
            let told =
                move |placed: Result<Placed, Unavailable>| done_tx.send(placed.is_ok()).unwrap();
            store.handle().place(orders, Box::new(told));
        }
        assert!((0..count.min(2)).all(|_| done.recv().unwrap()));
    };
    rate(stores.iter().zip(all).map(|one| || sell(one)).collect())
}

fn connect(cluster: &Cluster, engine: &Engine) -> Store {
    let (address, patience) = (cluster.url().parse().unwrap(), Duration::from_secs(10));
    let options = StoreOptions { address, name: "measure".to_owned(), patience, may_lose: false };
    Store::connect(options, 1, engine.events()).unwrap()
}

fn event_log(directory: &Path) -> Engine {
    let options = Options::new(directory.join("data"), Box::new(|why| panic!("{why}")));
    Engine::start(options).unwrap()
}

#[test]
fn purchases_a_second() {
    let directory = tempfile::tempdir().unwrap();
    // Enough that no checkpoint comes in between; everything that makes it durable is as it was.
    let cluster = Cluster::start_with(&["max_wal_size=8GB", "shared_buffers=256MB"]);
    let engine = event_log(directory.path());
    let mut admin = client(&cluster);
    // A relay that has no lease does nothing.
    assert!(admin.hold_lease().unwrap());
    let stores: Vec<_> = (0..REPLICAS).map(|_| connect(&cluster, &engine)).collect();
    let rounds = asked("KILAT_POSTGRES_ROUNDS").unwrap_or(ROUNDS);
    for round in 0..rounds {
        let (first, second) = (format!("a{round}"), format!("b{round}"));
        for sale in [&first, &second] {
            let terms =
                SaleTerms { id: sale.clone(), supply: 1 << 30, per_customer: Some(2), ..terms() };
            let made = admin.commit(&[Command::CreateSale { terms: &terms }]).unwrap();
            assert_eq!(made.outcomes, [Outcome::SaleCreated]);
        }
        // Which of the two is first changes, so that neither has the fuller tables.
        let (bare, sold) = if round % 2 == 0 {
            let bare = bare(&cluster, &first);
            (bare, replicas(&stores, &second))
        } else {
            let sold = replicas(&stores, &first);
            (bare(&cluster, &second), sold)
        };
        println!("figure bare {bare:.0}\nfigure replicas {sold:.0}");
        println!("figure replicas_of_bare {:.3}", sold / bare);
    }
    let orders = rounds * 2 * REPLICAS * BATCH * batches();
    let size =
        "SELECT pg_total_relation_size('kilat.orders') + pg_total_relation_size('kilat.outbox')";
    let bytes: f64 = cluster.sql(size).trim().parse().unwrap();
    println!("figure bytes {:.0}", bytes / orders as f64);
    let deadlocks = "SELECT sum(deadlocks) FROM pg_stat_database";
    assert_eq!(cluster.sql(deadlocks).trim(), "0");
    let sold = cluster.sql("SELECT sum(sold) FROM kilat.sales");
    assert_eq!(sold.trim(), orders.to_string());
}

fn terms() -> SaleTerms {
    SaleTerms { id: String::new(), hold_seconds: 60, ..SaleTerms::default() }
}
