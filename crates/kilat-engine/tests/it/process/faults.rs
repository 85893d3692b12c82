//! A server that stands still, and a network that holds everything back: callers are told in time,
//! nothing is half done, and it goes on by itself.

use super::world::{Random, World, behind_proxy, surely, wait_for};
use crate::node::{PATIENCE, Way as _, log, store};
use crate::proxy::{Proxy, Weather};
use crate::sale::{SALE, create, order, ordered};
use kilat_engine::{Change, Content, NewEvent, OrderId, OrderText, Orders, Unavailable, Verdict};
use std::time::{Duration, Instant};

/// What keeps answers from coming.
#[derive(Clone, Copy, Debug)]
enum Fault {
    StandsStill,
    RequestsHeld,
    RepliesLost,
}

impl Fault {
    fn begin(self, world: &World, proxy: &Proxy) {
        match self {
            Fault::StandsStill => world.cluster.stand_still(),
            Fault::RequestsHeld => proxy.set(Weather { requests_held: true, ..Weather::default() }),
            Fault::RepliesLost => proxy.set(Weather { replies_lost: true, ..Weather::default() }),
        }
    }

    fn end(self, world: &World, proxy: &Proxy) {
        world.cluster.go_on();
        proxy.cut();
        proxy.set(Weather::default());
    }
}

/// Asks with new keys until it is told at once that the store is away; the keys.
async fn until_away<F: Future<Output = Result<(), Unavailable>>>(
    what: &str,
    mut ask: impl FnMut(u64) -> F,
) -> Vec<u64> {
    let mut keys = Vec::new();
    for key in 0.. {
        let since = Instant::now();
        let Err(why) = ask(key).await else { panic!("{what} {key} was answered") };
        keys.push(key);
        assert!(since.elapsed() < PATIENCE);
        match why {
            Unavailable::Away => break,
            Unavailable::Unknown | Unavailable::Overloaded => {}
            other => panic!("{what} {key}: {other}"),
        }
    }
    keys
}

async fn check(fault: Fault) {
    let world = World::start(1);
    create(&world.replicas[0], 1_000, 60).await;
    let (address, proxy, _directory) = behind_proxy(&world.cluster);
    let events = log(address.parse().unwrap());
    let shop = store(address.parse().unwrap(), world.engine.events());
    let handle = shop.handle();
    let buy = |key: u64| {
        let (mut orders, name) = (Orders::default(), key.to_string());
        let text = OrderText { sale: SALE, customer: &name, key: &name };
        orders.push(handle.hasher(), OrderId::from_bits(u128::from(key) + 1), &text, 1, false);
        async move { handle.place_all(orders).await }
    };
    let publish = |key: u64| {
        let (mut publication, id) = (events.events().publication(), key.to_string());
        let content = Content::of(b"x");
        publication.push(NewEvent { topic: "t", id: &id, content, body: b"x" }).unwrap();
        async { events.events().publish(publication).await }
    };
    fault.begin(&world, &proxy);
    let (bought, published) = tokio::join!(
        until_away("order", |key| {
            let buying = buy(key);
            async { buying.await.map(drop) }
        }),
        until_away("event", |key| {
            let asking = publish(key);
            async { asking.await.map(drop) }
        }),
    );
    fault.end(&world, &proxy);
    let deadline = Instant::now() + PATIENCE;
    for key in &bought {
        let placed = loop {
            match buy(*key).await {
                Ok(placed) => break placed,
                Err(why) => assert!(Instant::now() < deadline, "{fault:?}: {why}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(ordered(placed.outcomes()[0]).is_some(), "{fault:?}");
    }
    for key in &published {
        let verdicts = loop {
            match publish(*key).await {
                Ok(verdicts) => break verdicts,
                Err(why) => assert!(Instant::now() < deadline, "{fault:?}: {why}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(matches!(verdicts[0], Verdict::Stored(_) | Verdict::Duplicate(_)), "{fault:?}");
    }
    let rows = |sql: &str| world.cluster.sql(sql).trim().to_owned();
    let sold = bought.len().to_string();
    assert_eq!(rows("SELECT sold FROM kilat.sales"), sold, "{fault:?}");
    assert_eq!(rows("SELECT count(DISTINCT (customer, key)) FROM kilat.orders"), sold);
    assert_eq!(rows("SELECT count(*) FROM kilat.events"), published.len().to_string());
    assert_eq!(world.facts(SALE, bought.len() as u64 + 1).await.len(), bought.len() + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_is_told_of_and_goes_on_by_itself() {
    check(Fault::StandsStill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_holds_requests_back_is_told_of_and_goes_on_by_itself() {
    check(Fault::RequestsHeld).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_loses_replies_is_told_of_and_goes_on_by_itself() {
    check(Fault::RepliesLost).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holds_that_ended_while_no_process_ran_are_back_with_the_next_one() {
    let mut world = World::start(1);
    create(&world.replicas[0], 1, 1).await;
    let mut random = Random::seeded();
    let held = order(&world.replicas[0], random.id(), "gone", true);
    let placed = world.replicas[0].handle().place_all(held).await.unwrap();
    let (id, _) = ordered(placed.outcomes()[0]).unwrap();
    world.replicas.clear();
    let due = "SELECT expires_at <= kilat.clock_ms() FROM kilat.orders";
    wait_for(|| world.cluster.sql(due) == "t\n");
    world.join();
    let next = &world.replicas[0];
    let late = || {
        let order = kilat_engine::OrderRef { sale: SALE.into(), order: id, by: None };
        Change::ConfirmOrder(order)
    };
    let refused = crate::sale::refused(surely(next, late).await);
    assert_eq!(refused, Some(kilat_engine::Refusal::HoldExpired));
    let placed = next.handle().place_all(order(next, random.id(), "next", false)).await.unwrap();
    assert!(ordered(placed.outcomes()[0]).is_some());
}
