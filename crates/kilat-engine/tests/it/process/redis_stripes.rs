//! One hot sale whose stock is split over the primaries of a real cluster.

use super::redis_failover::{World, connect};
use crate::node::PATIENCE;
use crate::redis_fleet::Fleet;
use crate::sale::ordered;
use kilat_engine::{
    Change, Handle, OrderId, OrderText, Orders, Outcome, Refusal, SaleChange, SaleSwitch, Store,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
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

/// Ids of [`surely_take`].
static IDS: AtomicU64 = AtomicU64::new(0);

/// One order of as many units, placed until there is an answer.
async fn surely_take(handle: &Handle, customer: &str, key: &str, quantity: u32) -> Outcome {
    let started = Instant::now();
    loop {
        let mut orders = Orders::default();
        let text = OrderText { sale: "hot", customer, key };
        let id = OrderId::from_bits((7 << 120) + u128::from(IDS.fetch_add(1, Ordering::Relaxed)));
        orders.push(handle.hasher(), id, &text, quantity, false);
        match handle.place_all(orders).await {
            Ok(placed) => return placed.outcomes()[0],
            Err(why) => assert!(started.elapsed() < PATIENCE, "{why}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A customer of another stripe than the leader's, who has bought a unit, and how many were sold so far.
async fn far_buyer(handle: &Handle) -> (String, u64) {
    for n in 0..20 {
        let name = format!("buyer-{n}");
        match surely_take(handle, &name, "one", 1).await {
            Outcome::Order { order, .. } if order.sequence >> 40 != 1 => return (name, n + 1),
            Outcome::Order { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    panic!("all are the leader's");
}

/// The primary whose stripe is not the leader's and has sold something.
fn primary_of_buyer(fleet: &Fleet, leader: usize) -> usize {
    let sold = |number: usize| {
        let keys = fleet.server(number, &["KEYS", "{kilat:hot/*}:s"]);
        fleet.server(number, &["HGET", keys.lines().next().unwrap(), "sold"])
    };
    let is_primary = |number: &usize| fleet.server(*number, &["ROLE"]).starts_with("master");
    let mut others = (0..6).filter(|number| *number != leader && is_primary(number));
    others.find(|number| sold(*number) == "1").unwrap()
}

/// Units go from the leader's stripe to a buyer's, and the primary of one of the two is replaced by a
/// replica that has not heard of it: one half of the transfers is lost.
async fn lose_a_half(of_giver: bool) {
    let mut world = World::of_stripes(3, Fleet::cluster(1));
    world.create("hot", 300).await;
    let handle = world.handle().clone();
    let (buyer, before) = far_buyer(&handle).await;
    let leader = world.fleet.primary_of("{kilat:hot}:s");
    let lagging = if of_giver { leader } else { primary_of_buyer(&world.fleet, leader) };
    let replica = world.fleet.replica_of(lagging);
    world.fleet.servers[replica].signal("STOP");
    world.fleet.server(lagging, &["CLIENT", "KILL", "TYPE", "replica"]);
    let much = surely_take(&handle, &buyer, "much", 250).await;
    assert!(matches!(much, Outcome::Order { .. }), "{much:?}");
    world.fleet.servers[lagging].kill();
    world.fleet.servers[replica].signal("CONT");
    // Everybody who was told of an order finds it, or buys anew.
    let again = surely_take(&handle, &buyer, "much", 250).await;
    let won = storm(&[handle], 0..200).await.len();
    let sale = settled(&world).await;
    println!(
        "a primary was killed whose replica lacked {} of transfers: the order of 250 units was {}, \
         {before} units before it, {won} after it, {} sold of {}, in transit {}, balanced: {}",
        if of_giver { "what it gave" } else { "what it took" },
        if matches!(again, Outcome::Order { replayed: true, .. }) { "kept" } else { "lost" },
        sale.counters.sold,
        sale.counters.supply,
        sale.in_transit,
        sale.balanced(),
    );
    assert_eq!(sale.counters.sold, 300);
    assert_eq!((sale.counters.available, sale.in_transit, sale.balanced()), (0, 0, true));
    let kept = matches!(again, Outcome::Order { replayed: true, .. });
    assert_eq!(kept, of_giver, "{again:?}");
}

#[tokio::test]
async fn a_failover_that_loses_what_a_stripe_gave_makes_no_units() {
    lose_a_half(true).await;
}

#[tokio::test]
async fn a_failover_that_loses_what_a_stripe_took_strands_none() {
    lose_a_half(false).await;
}

/// One server is out of memory: its part of the customers is told so, the others buy.
#[tokio::test]
async fn without_memory_on_one_server_the_others_sell() {
    let world = World::of_stripes(3, Fleet::cluster(0));
    world.create("hot", 90).await;
    let handle = world.handle().clone();
    let full = world.fleet.primary_of("{kilat:hot}:s");
    assert_eq!(world.fleet.server(full, &["CONFIG", "SET", "maxmemory", "1"]), "OK");
    let group = |first: u128| {
        let mut orders = Orders::default();
        for n in 0..60_u128 {
            let name = format!("customer-{n}");
            let text = OrderText { sale: "hot", customer: &name, key: "k" };
            orders.push(handle.hasher(), OrderId::from_bits(first + n), &text, 1, false);
        }
        orders
    };
    let placed = handle.place_all(group(1)).await.unwrap();
    let is_full = |outcome: &Outcome| *outcome == Outcome::Refused(Refusal::Full);
    let told = placed.outcomes();
    let refused = told.iter().filter(|outcome| is_full(outcome)).count();
    assert!((5..55).contains(&refused), "{told:?}");
    assert!(told.iter().all(|told| is_full(told) || ordered(*told).is_some()), "{told:?}");
    let sale = settled(&world).await;
    assert_eq!((sale.counters.sold, sale.balanced()), (60 - refused as u64, true));
    // A process that comes now sells as well, and what only the full server has: units can be moved.
    let late = connect(&world.fleet, &world.remote, true, 3).unwrap();
    let other = told.iter().position(|told| !is_full(told)).unwrap();
    let much = surely_take(late.handle(), &format!("customer-{other}"), "much", 20).await;
    assert!(matches!(much, Outcome::Order { .. }), "{much:?}");
    late.stop();
    let sold = 60 - refused as u64 + 20;
    let sale = settled(&world).await;
    assert_eq!((sale.counters.sold, sale.balanced()), (sold, true));
    assert_eq!(world.fleet.server(full, &["CONFIG", "SET", "maxmemory", "0"]), "OK");
    let again = handle.place_all(group(1 << 64)).await.unwrap();
    for (first, second) in told.iter().zip(again.outcomes()) {
        let replayed = ordered(*second).map(|(_, replayed)| replayed);
        assert_eq!(replayed, Some(!is_full(first)), "half done: {first:?}, then {second:?}");
    }
    let won = storm(&[handle], 1_000..1_050).await.len();
    let sale = settled(&world).await;
    assert_eq!((won, sale.counters.sold, sale.balanced()), (10, 90, true));
}
