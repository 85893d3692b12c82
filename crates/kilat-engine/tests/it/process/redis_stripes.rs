//! One hot sale whose stock is split over the primaries of a real cluster.

use super::redis_failover::{World, connect};
use crate::node::PATIENCE;
use crate::redis_fleet::Fleet;
use crate::sale::ordered;
use kilat_engine::{
    Change, Handle, OrderId, OrderText, Orders, Outcome, Refusal, SaleChange, SaleSwitch, Store,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const STRIPES: u16 = 6;

/// Buys until there is an answer; the same key and a new id each time.
async fn surely_buy(handle: &Handle, customer: u64, ids: &mut u128) -> Outcome {
    let started = Instant::now();
    loop {
        *ids += 1;
        let name = format!("customer-{customer}");
        let mut orders = Orders::default();
        let text = OrderText { sale: "hot", customer: &name, key: "k" };
        orders.push(handle.hasher(), OrderId::from_bits(*ids), &text, 1, false);
        match handle.place_all(orders).await {
            Ok(placed) => return placed.outcomes()[0],
            Err(why) => assert!(started.elapsed() < PATIENCE, "{why}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What came of `customers`, each of whom wants one unit, by as many tasks as there are handles.
/// Sequences of those who won.
async fn storm(handles: &[Handle], customers: std::ops::Range<u64>) -> BTreeMap<u64, u64> {
    let mut tasks = JoinSet::new();
    let lanes = 12;
    for lane in 0..lanes {
        let handle = handles[lane as usize % handles.len()].clone();
        let customers = customers.clone();
        tasks.spawn(async move {
            let mut won = Vec::new();
            let mut ids = u128::from(customers.start + lane) << 64;
            for customer in customers.skip(lane as usize).step_by(lanes as usize) {
                match surely_buy(&handle, customer, &mut ids).await {
                    Outcome::Order { order, .. } => won.push((customer, order.sequence)),
                    Outcome::Refused(Refusal::SoldOut) => {}
                    other => panic!("{other:?}"),
                }
            }
            won
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

fn handles(world: &World, others: &[Store]) -> Vec<Handle> {
    let others = others.iter().map(Store::handle);
    std::iter::once(world.handle()).chain(others).cloned().collect()
}

async fn settled(world: &World) -> kilat_engine::Sale {
    let started = Instant::now();
    loop {
        match world.handle().sale("hot").await {
            Ok(Some(sale)) => return sale,
            other => assert!(started.elapsed() < PATIENCE, "{other:?}"),
        }
    }
}

/// Every fact is an event, once, and each stripe's are without gaps.
async fn facts_are_events(world: &World, count: usize) {
    let events = world.remote.events();
    let read = || events.read(Some("sale.hot"), None, 100_000, usize::MAX).unwrap().events;
    let mut ends = events.ends();
    let all = ends.wait_for(|_| read().len() >= count);
    tokio::time::timeout(PATIENCE, all).await.unwrap().unwrap();
    let mut of_stripe: BTreeMap<u16, BTreeSet<u64>> = BTreeMap::new();
    let found = read();
    assert_eq!(found.len(), count);
    for event in found {
        let (stripe, number) = event.id.strip_prefix("hot/").unwrap().split_once('.').unwrap();
        let numbers = of_stripe.entry(stripe.parse().unwrap()).or_default();
        assert!(numbers.insert(number.parse().unwrap()), "{} came twice", event.id);
    }
    assert!(of_stripe.keys().copied().eq(1..=STRIPES));
    for numbers in of_stripe.values() {
        assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");
    }
}

#[tokio::test]
async fn three_processes_sell_a_striped_sale_to_the_last_unit() {
    let world = World::of_stripes(STRIPES, Fleet::cluster(0));
    world.create("hot", 600).await;
    // They were told of one stripe: what counts is what the sale was made with.
    let others = [1, 1].map(|stripes| connect(&world.fleet, &world.remote, true, stripes).unwrap());
    let won = storm(&handles(&world, &others), 0..900).await;
    let sequences: BTreeSet<u64> = won.values().copied().collect();
    assert_eq!((won.len(), sequences.len()), (600, 600));
    let sale = settled(&world).await;
    assert_eq!((sale.counters.sold, sale.counters.available, sale.in_transit), (600, 0, 0));
    assert!(sale.balanced());
    let spread = |number| world.fleet.server(number, &["DBSIZE"]).parse::<u64>().unwrap();
    assert!((0..3).all(|number| spread(number) > 5), "a node has no stripe");
    facts_are_events(&world, 601).await;
    // A restock reaches buyers of any stripe, and a close all of them.
    let change =
        |key: &str, change| Change::ChangeSale { sale: "hot".into(), key: key.into(), change };
    let restock = change("more", SaleChange { add_supply: 30, ..SaleChange::default() });
    assert!(matches!(world.handle().change(restock).await.unwrap().0, Outcome::SaleChanged { .. }));
    let won = storm(&handles(&world, &others), 1_000..1_100).await;
    assert_eq!(won.len(), 30);
    let close = SaleChange { state: Some(SaleSwitch::Closed), ..SaleChange::default() };
    world.handle().change(change("end", close)).await.unwrap();
    let mut ids = 1 << 100;
    for customer in 2_000..2_030 {
        let told = surely_buy(others[0].handle(), customer, &mut ids).await;
        assert_eq!(told, Outcome::Refused(Refusal::Closed));
    }
    others.into_iter().for_each(Store::stop);
}

/// Slots move from one primary to another, with stripes in them, while three processes sell.
#[tokio::test(flavor = "multi_thread")]
async fn slots_move_while_a_striped_sale_is_sold() {
    let world = World::of_stripes(STRIPES, Fleet::cluster(0));
    world.create("hot", 1_500).await;
    let others = [connect(&world.fleet, &world.remote, true, 1).unwrap()];
    let handles = handles(&world, &others);
    let before = world.fleet.server(0, &["DBSIZE"]).parse::<u64>().unwrap();
    let (won, ()) = tokio::join!(storm(&handles, 0..2_000), async {
        let started = Instant::now();
        while settled(&world).await.counters.sold < 200 {
            assert!(started.elapsed() < PATIENCE);
        }
        // Every slot of the first primary.
        tokio::task::block_in_place(|| world.fleet.move_slots(0, 1));
    });
    let after = world.fleet.server(0, &["DBSIZE"]).parse::<u64>().unwrap();
    assert!(before > 0 && after == 0, "{before} keys, then {after}");
    assert_eq!(won.len(), 1_500);
    let sale = settled(&world).await;
    assert_eq!((sale.counters.sold, sale.in_transit, sale.balanced()), (1_500, 0, true));
    // The same keys find their orders.
    let mut ids = 1 << 100;
    for customer in won.keys().take(50) {
        let told = surely_buy(&handles[1], *customer, &mut ids).await;
        assert!(ordered(told).is_some_and(|(_, replayed)| replayed), "{told:?}");
    }
    facts_are_events(&world, 1_501).await;
    others.into_iter().for_each(Store::stop);
}

/// What a failover can do to stripes: counted, never promised.
#[tokio::test]
async fn a_primary_with_stripes_is_killed() {
    let mut world = World::of_stripes(STRIPES, Fleet::cluster(1));
    world.create("hot", 300).await;
    let handles = handles(&world, &[]);
    let mut won = storm(&handles, 0..150).await;
    let primary = (0..6).find(|n| world.fleet.server(*n, &["ROLE"]).starts_with("master"));
    world.fleet.servers[primary.unwrap()].kill();
    won.extend(storm(&handles, 150..400).await);
    let sale = settled(&world).await;
    let mut lost = 0;
    let mut ids = 1 << 100;
    for customer in won.keys() {
        let told = surely_buy(&handles[0], *customer, &mut ids).await;
        lost += u32::from(!ordered(told).is_some_and(|(_, replayed)| replayed));
    }
    println!(
        "a primary with stripes was killed: {} acknowledged, {lost} lost, {} sold of {}, balanced: {}",
        won.len(),
        sale.counters.sold,
        sale.counters.supply,
        sale.balanced()
    );
    assert_eq!(sale.counters.available, 0);
    assert!(won.len() >= 300 || lost > 0, "units are stranded: {sale:?}");
}
