//! A server that is killed, and a network that loses its replies: one effect a key, no fact lost.

use super::world::{Random, World, behind_proxy, buy, surely, wait_for};
use crate::node::{Way, store};
use crate::proxy::Weather;
use crate::sale::{SALE, create, order, ordered, place, refused};
use kilat_engine::{
    Change, OrderId, OrderRef, OrderStatus, OrderText, Orders, Outcome, Page, Refusal, SaleTerms,
};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::sync::watch;

const SUPPLY: u64 = 150;
const LIMIT: u32 = 3;
const CUSTOMERS: u64 = 60;
const KEYS: u64 = 4;
/// What each of the buyers' processes asks for.
const ORDERS: u64 = 120;

async fn make(way: &impl Way, terms: SaleTerms) {
    let made = surely(way, || Change::CreateSale { terms: Box::new(terms.clone()) }).await;
    assert!(matches!(made, Outcome::SaleCreated | Outcome::SaleAlreadyCreated), "{made:?}");
}

/// What a key is for never changes: units, and whether they are held.
fn asked(customer: u64, key: u64) -> (u32, bool) {
    (1 + ((customer + key) % 2) as u32, key.is_multiple_of(2))
}

/// What buyers were told: the order under each customer and key.
type Told = BTreeMap<(u64, u64), OrderId>;

/// Buyers of one process: each order is asked for until there is an answer, some of them twice,
/// and a third of the holds is confirmed, a third cancelled. `asked_for` counts what was begun.
async fn storm(way: &impl Way, mut random: Random, asked_for: watch::Sender<u64>) -> Told {
    let mut told = Told::new();
    for _ in 0..ORDERS {
        asked_for.send_modify(|count| *count += 1);
        let (customer, key) = (random.below(CUSTOMERS), random.below(KEYS));
        let (quantity, hold) = asked(customer, key);
        let (name, key_text) = (format!("c{customer}"), format!("k{key}"));
        let text = OrderText { sale: SALE, customer: &name, key: &key_text };
        let outcome = buy(way, text, quantity, hold, &mut random).await;
        let Some((id, _)) = ordered(outcome) else { continue };
        let before = told.insert((customer, key), id);
        assert!(before.is_none_or(|before| before == id), "a key was given two orders");
        let named = || OrderRef { sale: SALE.into(), order: id, by: Some(name.clone()) };
        let settled = match random.below(3) {
            0 => surely(way, || Change::ConfirmOrder(named())).await,
            1 if hold => surely(way, || Change::CancelOrder(named())).await,
            _ => continue,
        };
        let fine = [Refusal::OrderCancelled, Refusal::OrderConfirmed];
        assert!(refused(settled).is_none_or(|why| fine.contains(&why)), "{settled:?}");
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_in_mid_commit_it_loses_nothing_and_sells_nothing_twice() {
    let mut world = World::start(3);
    let terms = SaleTerms {
        id: SALE.into(),
        supply: SUPPLY,
        per_customer: Some(LIMIT),
        hold_seconds: 3_600,
        ..SaleTerms::default()
    };
    make(&world.replicas[0], terms).await;
    let mut random = Random::seeded();
    let replicas = std::mem::take(&mut world.replicas);
    let (count, mut asked_for) = watch::channel(0);
    let mut running = Vec::new();
    for replica in replicas {
        let (random, count) = (random.fork(), count.clone());
        running.push(tokio::spawn(async move {
            let told = storm(&replica, random, count).await;
            (replica, told)
        }));
    }
    drop(count);
    let (mut killed, mut next) = (0, 0);
    // By what was asked for, not by the clock: a fast machine is hit as often as a slow one.
    while asked_for.wait_for(|count| *count > next).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(random.below(10))).await;
        if random.one_in(3) {
            world.cluster.kill();
            world.cluster.resume();
            killed += 1;
        } else {
            killed += usize::from(world.cluster.kill_backend("test"));
        }
        next = *asked_for.borrow() + 10 + random.below(30);
    }
    println!("killed {killed} times");
    assert!(killed > 3, "the storm was over before it began");
    let mut told = Told::new();
    for one in running {
        let (replica, more) = one.await.unwrap();
        world.replicas.push(replica);
        for (key, id) in more {
            assert!(told.insert(key, id).is_none_or(|before| before == id), "{key:?}");
        }
    }
    prove(&world, &told).await;
}

/// Every order that anybody was told of is there once, units add up, no customer has more than the
/// limit, and the facts of the event log come to the same.
async fn prove(world: &World, told: &Told) {
    let handle = world.replicas[0].handle();
    let page = Page { sale: SALE.into(), customer: None, after: 0, limit: 10_000 };
    let orders = handle.orders(page).await.unwrap().unwrap();
    let sale = handle.sale(SALE).await.unwrap().unwrap();
    let by_id: HashMap<_, _> = orders.iter().map(|o| (o.order.id, o)).collect();
    assert_eq!(by_id.len(), orders.len());
    for ((customer, _), id) in told {
        let found = by_id.get(id).unwrap_or_else(|| panic!("order {id} of {customer} is lost"));
        assert_eq!(found.customer, format!("c{customer}"));
    }
    assert_eq!(orders.len(), told.len(), "an order exists that nobody was told of");
    let units = |status| {
        let of_status = orders.iter().filter(|o| o.order.status == status);
        of_status.map(|o| u64::from(o.order.quantity)).sum::<u64>()
    };
    let counters = sale.counters;
    assert!(counters.balanced() && counters.supply == SUPPLY, "{counters:?}");
    assert_eq!(units(OrderStatus::Confirmed), counters.sold);
    assert_eq!(units(OrderStatus::Held), counters.held);
    assert_eq!(units(OrderStatus::Cancelled), counters.cancelled);
    let mut owned: HashMap<&str, u32> = HashMap::new();
    for o in &orders {
        if matches!(o.order.status, OrderStatus::Held | OrderStatus::Confirmed) {
            *owned.entry(&o.customer).or_default() += o.order.quantity;
        }
    }
    assert!(owned.values().all(|units| *units <= LIMIT), "{owned:?}");
    prove_facts(world, sale.sequence, counters.sold).await;
}

/// The event log has each fact once, in sequence, and they come to what is sold.
async fn prove_facts(world: &World, count: u64, sold: u64) {
    let facts = world.facts(SALE, count).await;
    let ids: Vec<_> = facts.iter().map(|event| event.id.to_string()).collect();
    let expected: Vec<_> = (1..=count).map(|n| format!("{SALE}/{n}")).collect();
    assert_eq!(ids, expected);
    let (mut held, mut bought) = (HashMap::new(), 0);
    for event in &facts {
        let body = String::from_utf8(event.body.clone().unwrap()).unwrap();
        let body: Value = serde_json::from_str(&format!("{{{body}}}")).unwrap();
        let (payload, units) = (&body["payload"], body["payload"]["quantity"].as_u64());
        let order = payload["order"].as_str().unwrap_or_default().to_owned();
        match (payload["type"].as_str().unwrap(), payload["status"].as_str()) {
            ("order_placed", Some("held")) => drop(held.insert(order, units.unwrap())),
            ("order_placed", _) => bought += units.unwrap(),
            ("order_confirmed", _) => bought += held[&order],
            _ => {}
        }
    }
    assert_eq!(bought, sold);
    assert_eq!(world.engine.events().counters().received, 0, "facts are no deliveries");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_that_sell_many_sales_never_wait_in_a_circle() {
    let world = World::start(4);
    for n in 0..6 {
        let id = format!("s{n}");
        make(&world.replicas[0], SaleTerms { id, supply: 100_000, ..SaleTerms::default() }).await;
    }
    let mut random = Random::seeded();
    let storms = world.replicas.iter().enumerate().map(|(who, replica)| {
        let (handle, mut random) = (replica.handle().clone(), random.fork());
        tokio::spawn(async move {
            for round in 0..30 {
                let mut orders = Orders::default();
                for n in 0..50 {
                    let sale = format!("s{}", random.below(6));
                    let key = format!("{who}-{round}-{n}");
                    let text = OrderText { sale: &sale, customer: &key, key: &key };
                    orders.push(handle.hasher(), random.id(), &text, 1, false);
                }
                let placed = handle.place_all(orders).await.unwrap();
                assert!(placed.outcomes().iter().all(|outcome| ordered(*outcome).is_some()));
            }
        })
    });
    let storms: Vec<_> = storms.collect();
    for storm in storms {
        storm.await.unwrap();
    }
    let sold: u64 =
        world.replicas[3].handle().sales().await.unwrap().iter().map(|s| s.counters.sold).sum();
    assert_eq!(sold, 4 * 30 * 50);
    let deadlocks = "SELECT sum(deadlocks) FROM pg_stat_database";
    assert_eq!(world.cluster.sql(deadlocks).trim(), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_repeated_and_has_one_effect() {
    let world = World::start(1);
    create(&world.replicas[0], 10, 60).await;
    let (address, proxy, _directory) = behind_proxy(&world.cluster);
    let behind = store(address.parse().unwrap(), world.engine.events());
    let first = order(&world.replicas[0], OrderId::from_bits(1), "first", false);
    assert!(ordered(behind.handle().place_all(first).await.unwrap().outcomes()[0]).is_some());
    proxy.set(Weather { replies_lost: true, ..Weather::default() });
    let handle = behind.handle().clone();
    let mut orders = Orders::default();
    let text = OrderText { sale: SALE, customer: "c", key: "k" };
    orders.push(handle.hasher(), OrderId::from_bits(77), &text, 1, false);
    let buying = tokio::spawn(async move { handle.place_all(orders).await });
    wait_for(|| world.cluster.sql("SELECT sold FROM kilat.sales").trim() == "2");
    proxy.cut();
    proxy.set(Weather::default());
    let placed = buying.await.unwrap().unwrap();
    // To who asked it is new: the order has the id of this very command.
    assert_eq!(ordered(placed.outcomes()[0]), Some((OrderId::from_bits(77), false)));
    assert_eq!(world.cluster.sql("SELECT sold FROM kilat.sales").trim(), "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_shows_what_another_one_sells_and_expires_what_it_left() {
    let mut world = World::start(2);
    create(&world.replicas[0], 2, 1).await;
    assert!(ordered(place(&world.replicas[0], "gone", true).await.unwrap()).is_some());
    let mut seen = None;
    wait_for(|| {
        seen = world.replicas[1].handle().board().follow(SALE);
        seen.is_some()
    });
    let mut seen = seen.unwrap();
    seen.wait_for(|sale| sale.counters.held == 1).await.unwrap();
    // Whoever placed the hold is gone when it is due.
    drop(world.replicas.remove(0));
    seen.wait_for(|sale| sale.counters.expired == 1).await.unwrap();
    let orders = order(&world.replicas[0], OrderId::from_bits(9), "next", false);
    let placed = world.replicas[0].handle().place_all(orders).await.unwrap();
    assert!(ordered(placed.outcomes()[0]).is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_is_live_while_the_store_is_there_and_no_longer() {
    let mut world = World::start(1);
    create(&world.replicas[0], 2, 60).await;
    let handle = world.replicas[0].handle().clone();
    let is_live = || handle.board().is_live();
    assert!(is_live());
    world.cluster.kill();
    wait_for(|| !is_live());
    world.cluster.resume();
    wait_for(is_live);
}
