//! A replica whose core or network fails: the same keys, one effect, and never a false word.

use crate::node::{HANDOVER, PATIENCE, core, core_with, options, replica, socket};
use crate::proxy::{Proxy, Weather};
use crate::sale::{SALE, confirm, create, open, order, ordered, place, refused, with_sale};
use kilat_engine::{
    Content, Core, CoreAddress, Engine, ForgetRule, NewEvent, OrderId, OrderStatus, OrderText,
    Orders, Outcome, Placed, Publication, Remote, Unavailable, Verdict,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// An engine behind a core behind a network that can fail, and a replica.
struct World {
    replica: Remote,
    proxy: Proxy,
    core: Option<Core>,
    engine: Option<Engine>,
    directory: TempDir,
}

impl World {
    async fn start(supply: u64) -> World {
        World::with(supply, core).await
    }

    async fn with(supply: u64, core: impl FnOnce(&Engine, &CoreAddress) -> Core) -> World {
        let directory = tempfile::tempdir().unwrap();
        let engine = with_sale(&directory.path().join("data"), supply).await;
        let address = socket(directory.path());
        let core = core(&engine, &address);
        let proxy = Proxy::start(directory.path(), &directory.path().join("core.sock"));
        let replica = replica(&CoreAddress::Unix(proxy.path.clone()));
        World { replica, proxy, core: Some(core), engine: Some(engine), directory }
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    /// Loses the replies of whatever is asked until `done`, then breaks the connections.
    fn lose_replies(&self, done: impl Fn(&Engine) -> bool) {
        wait_for(|| done(self.engine()));
        self.proxy.cut();
        self.proxy.set(Weather::default());
    }

    fn set(&self, weather: Weather) {
        self.proxy.set(weather);
    }

    fn stop_core(&mut self) {
        self.core.take().unwrap().stop(PATIENCE);
        self.engine.take().unwrap().stop();
    }

    fn start_core(&mut self) {
        let engine = open(&self.directory.path().join("data"));
        self.core = Some(core(&engine, &socket(self.directory.path())));
        self.engine = Some(engine);
    }
}

const LOST: Weather = Weather { replies_lost: true, requests_held: false, closed: false };
const HELD: Weather = Weather { replies_lost: false, requests_held: true, closed: false };
const CLOSED: Weather = Weather { replies_lost: false, requests_held: false, closed: true };

fn wait_for(what: impl Fn() -> bool) {
    let started = Instant::now();
    while !what() {
        assert!(started.elapsed() < PATIENCE, "waited in vain");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn sold(engine: &Engine) -> u64 {
    engine.handle().board().sale(SALE).unwrap().counters.sold
}

/// A group on its way, without a task to wait for it.
fn send(
    replica: &Remote,
    orders: Orders,
) -> std::sync::mpsc::Receiver<Result<Placed, Unavailable>> {
    let (reply, result) = std::sync::mpsc::channel();
    replica.handle().place(orders, Box::new(move |placed| drop(reply.send(placed))));
    result
}

fn received<T>(result: &std::sync::mpsc::Receiver<T>) -> T {
    result.recv_timeout(PATIENCE).unwrap()
}

#[tokio::test]
async fn a_lost_reply_is_asked_for_again_and_nothing_happens_twice() {
    let world = World::start(100).await;
    let mut orders = Orders::default();
    for n in 0..50_u128 {
        let key = n.to_string();
        let text = OrderText { sale: SALE, customer: "one for all", key: &key };
        orders.push(world.replica.handle().hasher(), OrderId::from_bits(n), &text, 1, n % 2 == 1);
    }
    world.set(LOST);
    let result = send(&world.replica, orders);
    world.lose_replies(|engine| sold(engine) == 25);
    let placed = received(&result).unwrap();
    for (n, outcome) in placed.outcomes().iter().enumerate() {
        // Not a replay: the caller asked once.
        assert_eq!(ordered(*outcome), Some((OrderId::from_bits(n as u128), false)));
    }
    let sale = world.engine().handle().sale(SALE).await.unwrap().unwrap();
    assert_eq!((sale.counters.sold, sale.counters.held, sale.counters.available), (25, 25, 50));
}

#[tokio::test]
async fn the_callers_own_replay_stays_one_over_a_lost_reply() {
    let world = World::start(100).await;
    let first = order(&world.replica, OrderId::from_bits(1), "key", false);
    assert!(received(&send(&world.replica, first)).is_ok());
    world.set(LOST);
    let mut again = order(&world.replica, OrderId::from_bits(2), "key", false);
    let text = OrderText { sale: SALE, customer: "other", key: "other" };
    again.push(world.replica.handle().hasher(), OrderId::from_bits(3), &text, 1, false);
    let result = send(&world.replica, again);
    world.lose_replies(|engine| sold(engine) == 2);
    let placed = received(&result).unwrap();
    let told: Vec<_> = placed.outcomes().iter().map(|outcome| ordered(*outcome)).collect();
    assert_eq!(told, [Some((OrderId::from_bits(1), true)), Some((OrderId::from_bits(3), false))]);
}

#[tokio::test]
async fn a_confirmation_whose_reply_is_lost_is_made_once() {
    let world = World::start(100).await;
    let (held, _) = ordered(place(&world.replica, "budi", true).await.unwrap()).unwrap();
    world.set(LOST);
    let (outcome, ()) = tokio::join!(confirm(&world.replica, held), async {
        // The confirmation is on its way once this task has run into its wait.
        tokio::task::yield_now().await;
        world.lose_replies(|engine| sold(engine) == 1);
    });
    assert!(
        matches!(outcome, Outcome::Order { order, .. } if order.status == OrderStatus::Confirmed)
    );
    let sale = world.engine().handle().sale(SALE).await.unwrap().unwrap();
    // The sale, the hold, the confirmation.
    assert_eq!((sale.counters.sold, sale.counters.held, sale.sequence), (1, 0, 3));
}

fn publication(replica: &Remote, id: &str) -> Publication {
    let mut publication = replica.events().publication();
    let content = Content::of(b"x");
    publication.push(NewEvent { topic: "t", id, content, body: b"x" }).unwrap();
    publication
}

#[tokio::test]
async fn a_publication_whose_verdicts_are_lost_is_not_published_again_behind_the_callers_back() {
    let world = World::start(1).await;
    world.set(LOST);
    let (verdicts, ()) =
        tokio::join!(world.replica.events().publish(publication(&world.replica, "1")), async {
            tokio::task::yield_now().await;
            world.lose_replies(|engine| engine.events().counters().received == 1);
        });
    assert_eq!(verdicts.unwrap_err(), Unavailable::Unknown);
    // The publisher does it, and both deliveries count, since there were two.
    let again = publish(&world.replica, "1").await;
    assert!(matches!(again[..], [Verdict::Duplicate(_)]), "{again:?}");
    let counters = world.engine().events().counters();
    assert_eq!((counters.received, counters.unique, counters.duplicates), (2, 1, 1));
}

async fn publish(replica: &Remote, id: &str) -> Vec<Verdict> {
    replica.events().publish(publication(replica, id)).await.unwrap()
}

#[tokio::test]
async fn a_core_that_comes_back_at_once_is_not_noticed_by_callers() {
    let mut world = World::start(100).await;
    assert!(place(&world.replica, "before", false).await.is_ok());
    world.stop_core();
    assert!(!wait_until_cut(&world.replica), "the board says that it is not live");
    let result =
        send(&world.replica, order(&world.replica, OrderId::from_bits(7), "during", false));
    world.start_core();
    assert_eq!(
        ordered(received(&result).unwrap().outcomes()[0]),
        Some((OrderId::from_bits(7), false))
    );
    assert!(world.replica.handle().board().is_live());
    assert_eq!(world.replica.handle().board().sale(SALE).unwrap().counters.sold, 2);
}

fn wait_until_cut(replica: &Remote) -> bool {
    wait_for(|| !replica.handle().board().is_live());
    replica.handle().board().is_live()
}

#[tokio::test]
async fn without_a_core_callers_are_told_so_soon_and_then_at_once() {
    let world = World::start(100).await;
    world.set(CLOSED);
    world.proxy.cut();
    wait_until_cut(&world.replica);
    assert_eq!(place(&world.replica, "waits", false).await.unwrap_err(), Unavailable::Away);
    let asked = Instant::now();
    assert_eq!(world.replica.handle().sale(SALE).await.unwrap_err(), Unavailable::Away);
    assert_eq!(
        world.replica.events().publish(publication(&world.replica, "1")).await.unwrap_err(),
        Unavailable::Away
    );
    assert!(world.replica.events().read(None, None, 1, 1).is_err());
    assert!(asked.elapsed() < Duration::from_secs(1), "refused at once, not waited for");
    assert_eq!(sold(world.engine()), 0);
    world.set(Weather::default());
    wait_for(|| world.replica.handle().board().is_live());
    assert!(ordered(place(&world.replica, "after", false).await.unwrap()).is_some());
    assert_eq!(sold(world.engine()), 1);
}

#[tokio::test]
async fn a_core_that_says_nothing_leaves_the_outcome_unknown_and_the_key_finds_out() {
    let world = World::start(100).await;
    world.set(LOST);
    let result = send(&world.replica, order(&world.replica, OrderId::from_bits(1), "key", false));
    wait_for(|| sold(world.engine()) == 1);
    assert_eq!(received(&result).map(|_| ()).unwrap_err(), Unavailable::Unknown);
    world.set(Weather::default());
    wait_for(|| world.replica.handle().board().is_live());
    let again = send(&world.replica, order(&world.replica, OrderId::from_bits(2), "key", false));
    assert_eq!(
        ordered(received(&again).unwrap().outcomes()[0]),
        Some((OrderId::from_bits(1), true))
    );
}

#[tokio::test]
async fn what_arrives_late_is_not_sold() {
    const AGE_MS: u64 = 200;
    let strict = |engine: &Engine, address: &CoreAddress| {
        core_with(engine, address, |options| options.request_age_ms_max = AGE_MS)
    };
    let world = World::with(100, strict).await;
    let (held, _) = ordered(place(&world.replica, "held", true).await.unwrap()).unwrap();
    world.set(HELD);
    let result = send(&world.replica, order(&world.replica, OrderId::from_bits(1), "late", false));
    let (confirmed, ()) =
        tokio::join!(
            world.replica.handle().change(kilat_engine::Change::ConfirmOrder(
                kilat_engine::OrderRef { sale: SALE.into(), order: held, by: None }
            )),
            async {
                tokio::task::yield_now().await;
                // Both are in the network for longer than they may.
                std::thread::sleep(Duration::from_millis(3 * AGE_MS));
                world.set(Weather::default());
            }
        );
    assert_eq!(confirmed.unwrap_err(), Unavailable::Overloaded, "nothing was changed");
    assert_eq!(received(&result).map(|_| ()).unwrap_err(), Unavailable::Overloaded);
    let sale = world.engine().handle().sale(SALE).await.unwrap().unwrap();
    assert_eq!((sale.counters.sold, sale.counters.held), (0, 1));
    assert!(ordered(place(&world.replica, "in time", false).await.unwrap()).is_some());
}

#[tokio::test]
async fn what_is_sent_again_is_as_old_as_it_is() {
    const AGE_MS: u64 = 200;
    let strict = |engine: &Engine, address: &CoreAddress| {
        core_with(engine, address, |options| options.request_age_ms_max = AGE_MS)
    };
    let world = World::with(100, strict).await;
    world.set(HELD);
    let result = send(&world.replica, order(&world.replica, OrderId::from_bits(1), "late", false));
    std::thread::sleep(Duration::from_millis(3 * AGE_MS));
    // What was held is lost with its connection, and sent again on the next.
    world.proxy.cut();
    world.set(Weather::default());
    assert_eq!(received(&result).map(|_| ()).unwrap_err(), Unavailable::Unknown);
    assert_eq!(sold(world.engine()), 0);
}

#[tokio::test]
async fn two_replicas_sell_one_stock() {
    let world = World::start(10).await;
    let other = replica(&socket(world.directory.path()));
    assert_eq!(other.handover(), HANDOVER);
    let mut won = 0;
    for n in 0..30 {
        let replica = if n % 2 == 0 { &world.replica } else { &other };
        won += usize::from(ordered(place(replica, &n.to_string(), false).await.unwrap()).is_some());
    }
    assert_eq!(won, 10);
    // The same key by the other replica is the same order.
    let replayed = ordered(place(&other, "0", false).await.unwrap()).unwrap();
    assert!(replayed.1);
    let reused = place(&other, "0", true).await.unwrap();
    assert_eq!(refused(reused), Some(kilat_engine::Refusal::KeyReused));
    let sale = other.handle().current(SALE).await.unwrap().unwrap();
    assert_eq!((sale.counters.sold, sale.counters.available), (10, 0));
    let mut seen = world.replica.handle().board().follow(SALE).unwrap();
    seen.wait_for(|seen| seen.counters == sale.counters).await.unwrap();
}

#[tokio::test]
async fn a_rule_to_forget_goes_through() {
    let world = World::start(1).await;
    publish(&world.replica, "1").await;
    let rule = ForgetRule { topic: Some("t".into()), received_before_ms: Some(i64::MAX) };
    assert!(world.replica.events().forget(rule).await.unwrap().below >= 1);
    let page = world.replica.events().read(Some("t"), None, 10, usize::MAX).unwrap();
    assert_eq!(page.events[0].body, None);
}

#[tokio::test]
async fn a_replica_goes_on_with_its_own_data_only() {
    let mut world = World::start(10).await;
    world.stop_core();
    let other = tempfile::tempdir().unwrap();
    let engine = open(&other.path().join("data"));
    create(&engine, 1_000, 60).await;
    let _core = core(&engine, &socket(world.directory.path()));
    assert_eq!(place(&world.replica, "key", false).await.unwrap_err(), Unavailable::Away);
    assert_eq!(sold(&engine), 0);
    assert!(!world.replica.handle().board().is_live());
}

#[tokio::test]
async fn a_stop_waits_for_what_was_taken() {
    let world = World::start(100).await;
    let World { replica, engine, .. } = world;
    let result = send(&replica, order(&replica, OrderId::from_bits(1), "last", false));
    let handle = replica.handle().clone();
    replica.stop();
    assert!(received(&result).is_ok());
    assert_eq!(sold(&engine.unwrap()), 1);
    assert_eq!(handle.sales().await.unwrap_err(), Unavailable::ShuttingDown);
}

#[test]
fn who_waits_for_no_core_is_told_where_it_should_be() {
    let nowhere = CoreAddress::Unix("/nonexistent/core.sock".into());
    let patience = Duration::from_millis(50);
    let options = kilat_engine::RemoteOptions { patience, ..options(&nowhere) };
    let Err(why) = Remote::connect(options) else { panic!("connected") };
    assert!(why.to_string().contains("core:///nonexistent/core.sock can't be reached"), "{why}");
}

#[tokio::test]
async fn the_processes_around_core_and_replica_talk_over_the_same_connection() {
    let echo = |engine: &Engine, address: &CoreAddress| {
        core_with(engine, address, |options| {
            options.on_ask = Some(Arc::new(|question| question.iter().rev().copied().collect()));
        })
    };
    let world = World::with(1, echo).await;
    let asker = world.replica.asker();
    for question in [Vec::new(), vec![1, 2, 3], vec![7; 3 << 20]] {
        let expected: Vec<u8> = question.iter().rev().copied().collect();
        assert_eq!(asker.ask(question).await, Ok(expected));
    }
}

#[tokio::test]
async fn a_core_whose_process_answers_no_questions_says_so_and_goes_on() {
    let world = World::start(1).await;
    assert_eq!(world.replica.asker().ask(vec![1]).await, Err(Unavailable::Failed));
    assert!(ordered(place(&world.replica, "a", false).await.unwrap()).is_some());
}
