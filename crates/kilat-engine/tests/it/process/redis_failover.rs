//! A ledger in a Redis that goes on when a primary is gone: what is kept, and what is lost.

use crate::node::{PATIENCE, core, replica, socket};
use crate::redis_fleet::Fleet;
use crate::sale::{open, ordered};
use kilat_engine::{
    Change, Core, Engine, Handle, OrderId, OrderText, Orders, Outcome, Refusal, Remote, SaleTerms,
    Store, StoreError, StoreOptions, Unavailable,
};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A process that works on a fleet, with an event log behind a core.
pub(super) struct World {
    store: Option<Store>,
    pub(super) remote: Remote,
    core: Option<Core>,
    engine: Option<Engine>,
    pub(super) fleet: Fleet,
    _directory: TempDir,
}

impl World {
    fn start(fleet: Fleet) -> World {
        World::of_stripes(1, fleet)
    }

    pub(super) fn of_stripes(stripes: u16, fleet: Fleet) -> World {
        let directory = tempfile::tempdir().unwrap();
        let engine = open(&directory.path().join("data"));
        let core = Some(core(&engine, &socket(directory.path())));
        let remote = replica(&socket(directory.path()));
        let store = connect(&fleet, &remote, true, stripes).unwrap();
        World {
            store: Some(store),
            remote,
            core,
            engine: Some(engine),
            fleet,
            _directory: directory,
        }
    }

    pub(super) fn handle(&self) -> &Handle {
        self.store.as_ref().unwrap().handle()
    }

    pub(super) async fn create(&self, sale: &str, supply: u64) {
        let terms = SaleTerms { id: sale.into(), supply, hold_seconds: 60, ..SaleTerms::default() };
        let create = Change::CreateSale { terms: Box::new(terms) };
        assert_eq!(self.handle().change(create).await.unwrap().0, Outcome::SaleCreated);
    }

    /// One order under this key.
    async fn buy(&self, sale: &str, key: u32, id: u128) -> Result<Outcome, Unavailable> {
        let key = key.to_string();
        let text = OrderText { sale, customer: &key, key: &key };
        let mut orders = Orders::default();
        orders.push(self.handle().hasher(), OrderId::from_bits(id), &text, 1, false);
        self.handle().place_all(orders).await.map(|placed| placed.outcomes()[0])
    }

    /// The same, until there is an answer.
    pub(super) async fn surely_buy(&self, sale: &str, key: u32, id: u128) -> Outcome {
        let started = Instant::now();
        loop {
            match self.buy(sale, key, id).await {
                Ok(outcome) => return outcome,
                Err(why) => assert!(started.elapsed() < PATIENCE, "{sale}: {why}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.store.take());
        if let Some(core) = self.core.take() {
            core.stop(PATIENCE);
        }
        if let Some(engine) = self.engine.take() {
            engine.stop();
        }
    }
}

pub(super) fn connect(
    fleet: &Fleet,
    remote: &Remote,
    may_lose: bool,
    stripes: u16,
) -> Result<Store, StoreError> {
    let address = fleet.url().parse().unwrap();
    let options = StoreOptions { address, name: "test".into(), patience: PATIENCE, may_lose };
    Store::connect(options, stripes, remote.events())
}

#[tokio::test]
async fn sales_of_a_cluster_are_sold_wherever_they_are() {
    let world = World::start(Fleet::cluster(0));
    let sales: Vec<String> = (0..12).map(|n| format!("sale-{n}")).collect();
    for sale in &sales {
        world.create(sale, 5).await;
    }
    // One group for all of them, and more buyers than units.
    let mut orders = Orders::default();
    for n in 0..12 * 7_u32 {
        let (sale, key) = (&sales[n as usize % 12], n.to_string());
        let text = OrderText { sale, customer: &key, key: &key };
        orders.push(
            world.handle().hasher(),
            OrderId::from_bits(1 + u128::from(n)),
            &text,
            1,
            n % 2 == 0,
        );
    }
    let placed = world.handle().place_all(orders).await.unwrap();
    let won = placed.outcomes().iter().filter(|outcome| ordered(**outcome).is_some()).count();
    assert_eq!(won, 60);
    let found = world.handle().sales().await.unwrap();
    let numbers: Vec<u32> = found.iter().map(|sale| sale.number).collect();
    assert_eq!(numbers, (0..12).collect::<Vec<_>>());
    assert!(found.iter().all(|sale| sale.counters.available == 0 && sale.counters.balanced()));
    let keys = |number| world.fleet.server(number, &["DBSIZE"]).parse::<u64>().unwrap();
    assert!((0..3).all(|number| keys(number) > 0), "one node has everything");
    // Every fact is an event.
    let events = world.remote.events();
    let mut ends = events.ends();
    let all = ends.wait_for(|_| {
        (0..12).all(|n| {
            let topic = format!("sale.sale-{n}");
            events.read(Some(&topic), None, 100, usize::MAX).unwrap().events.len() == 6
        })
    });
    tokio::time::timeout(PATIENCE, all).await.unwrap().unwrap();
}

/// One batch for sales on three servers, one of which is out of memory.
#[tokio::test]
async fn without_memory_on_one_server_the_sales_of_the_others_are_sold() {
    let world = World::start(Fleet::cluster(0));
    let sales: Vec<String> = (0..12).map(|n| format!("sale-{n}")).collect();
    for sale in &sales {
        world.create(sale, 5).await;
    }
    let full = world.fleet.primary_of("{kilat:sale-0}:s");
    assert_eq!(world.fleet.server(full, &["CONFIG", "SET", "maxmemory", "1"]), "OK");
    let group = |first: u128| {
        let mut orders = Orders::default();
        for (bits, sale) in (first..).zip(&sales) {
            let text = OrderText { sale, customer: "c", key: "k" };
            orders.push(world.handle().hasher(), OrderId::from_bits(bits), &text, 1, false);
        }
        orders
    };
    let first = world.handle().place_all(group(1)).await.unwrap();
    for (sale, told) in sales.iter().zip(first.outcomes()) {
        let key = format!("{{kilat:{sale}}}:s");
        let is_full = world.fleet.primary_of(&key) == full;
        let refused = *told == Outcome::Refused(Refusal::Full);
        assert!(is_full == refused && refused != ordered(*told).is_some(), "{sale}: {told:?}");
    }
    assert_eq!(first.outcomes()[0], Outcome::Refused(Refusal::Full));
    assert_eq!(world.fleet.server(full, &["CONFIG", "SET", "maxmemory", "0"]), "OK");
    let again = world.handle().place_all(group(100)).await.unwrap();
    for (told, then) in first.outcomes().iter().zip(again.outcomes()) {
        let replayed = ordered(*then).map(|(_, replayed)| replayed);
        assert_eq!(replayed, Some(ordered(*told).is_some()), "half done: {told:?}, then {then:?}");
    }
    assert!(world.handle().sales().await.unwrap().iter().all(|sale| sale.counters.sold == 1));
}

/// With three primaries and three replicas. How many acknowledged orders a failover loses is
/// counted, never promised: Redis copies to replicas after it has answered.
#[tokio::test]
async fn a_cluster_goes_on_when_a_primary_is_killed() {
    let mut world = World::start(Fleet::cluster(1));
    for n in 0..6 {
        world.create(&format!("sale-{n}"), 1_000).await;
    }
    for key in 0..60 {
        world.surely_buy(&format!("sale-{}", key % 6), key, 1 + u128::from(key)).await;
    }
    let primary = (0..6).find(|n| world.fleet.server(*n, &["ROLE"]).starts_with("master"));
    world.fleet.servers[primary.unwrap()].kill();
    for key in 60..120 {
        world.surely_buy(&format!("sale-{}", key % 6), key, 1 + u128::from(key)).await;
    }
    let mut lost = 0;
    for key in 0..120_u32 {
        let id = OrderId::from_bits(1 + u128::from(key));
        let found = world.handle().order(&format!("sale-{}", key % 6), id).await.unwrap();
        lost += u32::from(found.is_none());
    }
    println!("a primary of a cluster was killed: {lost} of 120 acknowledged orders are lost");
    for sale in world.handle().sales().await.unwrap() {
        assert!(sale.counters.balanced(), "{sale:?}");
    }
}

#[tokio::test]
async fn the_replica_that_sentinel_chose_is_found() {
    let mut world = World::start(Fleet::watched());
    world.create("sale", 1_000).await;
    for key in 0..50 {
        world.surely_buy("sale", key, 1 + u128::from(key)).await;
    }
    world.fleet.servers[0].kill();
    for key in 50..60 {
        world.surely_buy("sale", key, 1 + u128::from(key)).await;
    }
    let sale = world.handle().sale("sale").await.unwrap().unwrap();
    println!(
        "a primary was killed: {} of 60 acknowledged orders are lost",
        60 - sale.counters.sold
    );
    assert!(sale.counters.balanced() && sale.counters.sold >= 10);
}

/// Why no Redis that fails over is called lossless: a replica that stands still while the primary
/// acknowledges takes its place without what was acknowledged.
#[tokio::test]
async fn what_the_replica_did_not_have_yet_is_lost() {
    let mut world = World::start(Fleet::watched());
    world.create("sale", 1_000).await;
    for key in 0..10 {
        world.surely_buy("sale", key, 1 + u128::from(key)).await;
    }
    let copied = || world.fleet.server(1, &["HGET", "{kilat:sale}:s", "sold"]) == "10";
    wait_for(copied);
    // What is in the buffers of the network would reach it; so the connection breaks, too.
    world.fleet.servers[1].signal("STOP");
    world.fleet.server(0, &["CLIENT", "KILL", "TYPE", "replica"]);
    for key in 10..30 {
        world.surely_buy("sale", key, 1 + u128::from(key)).await;
    }
    world.fleet.servers[0].kill();
    world.fleet.servers[1].signal("CONT");
    // The same keys again: who was told of an order finds it, or buys it anew.
    let mut lost = 0;
    for key in 0..30 {
        let outcome = world.surely_buy("sale", key, 1_000 + u128::from(key)).await;
        lost += u32::from(ordered(outcome).is_some_and(|(_, replayed)| !replayed));
    }
    println!("the replica stood still when the primary was killed: {lost} of 30 orders were lost");
    assert_eq!(lost, 20);
    let sale = world.handle().sale("sale").await.unwrap().unwrap();
    assert!(sale.counters.balanced() && sale.counters.sold == 30, "{sale:?}");
}

pub(super) fn wait_for(what: impl Fn() -> bool) {
    let started = Instant::now();
    while !what() {
        assert!(started.elapsed() < PATIENCE, "waited in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_can_lose_at_a_failover_is_refused_unless_it_may() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(&directory.path().join("data"));
    let core = core(&engine, &socket(directory.path()));
    let remote = replica(&socket(directory.path()));
    let fleet = Fleet::watched();
    let Err(why) = connect(&fleet, &remote, false, 1) else { panic!("taken") };
    let is_refused =
        matches!(why, StoreError::Refused { why: kilat_engine::StoreReason::FailsOver, .. });
    assert!(is_refused && why.to_string().contains("--ledger-may-lose"), "{why}");
    drop(remote);
    core.stop(PATIENCE);
    engine.stop();
}
