//! A ledger in Redis whose server or network fails: the same keys, one effect, and a server that
//! can't keep its word is refused.

use crate::node::{PATIENCE, core, replica, socket, store};
use crate::proxy::{Proxy, Weather};
use crate::redis_fleet::free_ports;
use crate::redis_server::{DURABLE, RedisServer};
use crate::sale::{SALE, open, ordered};
use kilat_engine::{
    Change, Core, Engine, Handle, OrderId, OrderText, Orders, Outcome, Placed, Refusal, Remote,
    SaleTerms, Store, StoreError, StoreOptions, StoredEvent, Unavailable,
};
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Redis behind a network that can fail, an event log behind a core, and processes of both.
struct World {
    stores: Vec<Store>,
    remote: Remote,
    core: Option<Core>,
    engine: Option<Engine>,
    proxy: Proxy,
    server: RedisServer,
    _directory: TempDir,
}

impl World {
    /// The first process comes through the proxy, the others do not.
    async fn start(processes: usize, terms: SaleTerms) -> World {
        let directory = tempfile::tempdir().unwrap();
        let server = RedisServer::start(directory.path(), DURABLE);
        let proxy = Proxy::start(directory.path(), &server.socket());
        let engine = open(&directory.path().join("data"));
        let core = core(&engine, &socket(directory.path()));
        let remote = replica(&socket(directory.path()));
        let through = format!("redis+unix://{}", proxy.path.display());
        let urls = std::iter::once(through).chain(std::iter::repeat(server.url()));
        let stores = urls.take(processes).map(|url| store(url.parse().unwrap(), remote.events()));
        let stores: Vec<Store> = stores.collect();
        let (core, engine) = (Some(core), Some(engine));
        let world = World { stores, remote, core, engine, proxy, server, _directory: directory };
        let create = Change::CreateSale { terms: Box::new(terms) };
        assert_eq!(world.handle(0).change(create).await.unwrap().0, Outcome::SaleCreated);
        world
    }

    fn handle(&self, process: usize) -> &Handle {
        self.stores[process].handle()
    }

    fn sold(&self) -> u64 {
        self.redis(&["HGET", "{kilat:sale}:s", "sold"]).parse().unwrap_or(0)
    }

    /// Asks the server past every network.
    fn redis(&self, words: &[&str]) -> String {
        let mut ask = Command::new("redis-cli");
        let said = ask.arg("-s").arg(self.server.socket()).args(words).output().unwrap();
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    }

    /// The copied facts, once there are as many as the sale has.
    async fn facts(&self) -> Vec<StoredEvent> {
        let count: usize = self.redis(&["HGET", "{kilat:sale}:s", "sequence"]).parse().unwrap();
        let started = Instant::now();
        loop {
            let found = self.remote.events().read(Some("sale.sale"), None, 100_000, usize::MAX);
            let found = found.unwrap().events;
            if found.len() >= count {
                return found;
            }
            assert!(started.elapsed() < PATIENCE, "{} facts of {count} came", found.len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stores.clear();
        if let Some(core) = self.core.take() {
            core.stop(PATIENCE);
        }
        if let Some(engine) = self.engine.take() {
            engine.stop();
        }
    }
}

fn terms(supply: u64) -> SaleTerms {
    SaleTerms { id: SALE.into(), supply, hold_seconds: 60, ..SaleTerms::default() }
}

/// Orders of one customer under the keys `first..last`, with ids that begin at `ids`.
fn orders(handle: &Handle, keys: std::ops::Range<u32>, ids: u128) -> Orders {
    let mut orders = Orders::default();
    for key in keys {
        let id = OrderId::from_bits(ids + u128::from(key));
        let key = key.to_string();
        let text = OrderText { sale: SALE, customer: "budi", key: &key };
        orders.push(handle.hasher(), id, &text, 1, false);
    }
    orders
}

/// A group on its way, without a task to wait for it.
fn send(handle: &Handle, orders: Orders) -> Receiver<Result<Placed, Unavailable>> {
    let (reply, result) = channel();
    handle.place(orders, Box::new(move |placed| drop(reply.send(placed))));
    result
}

fn wait_for(what: impl Fn() -> bool) {
    let started = Instant::now();
    while !what() {
        assert!(started.elapsed() < PATIENCE, "waited in vain");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[tokio::test]
async fn a_lost_reply_is_asked_for_again_and_nothing_happens_twice() {
    let world = World::start(1, terms(100)).await;
    world.proxy.set(Weather { replies_lost: true, ..Weather::default() });
    let result = send(world.handle(0), orders(world.handle(0), 0..50, 1));
    wait_for(|| world.sold() == 50);
    world.proxy.cut();
    world.proxy.set(Weather::default());
    let placed = result.recv_timeout(PATIENCE).unwrap().unwrap();
    for (n, outcome) in placed.outcomes().iter().enumerate() {
        // Not a replay: the caller asked once.
        assert_eq!(ordered(*outcome), Some((OrderId::from_bits(1 + n as u128), false)));
    }
    let sale = world.handle(0).sale(SALE).await.unwrap().unwrap();
    assert_eq!((sale.counters.sold, sale.counters.available, sale.sequence), (50, 50, 51));
}

#[tokio::test]
async fn a_request_that_comes_late_finds_that_it_was_repeated() {
    let world = World::start(1, terms(100)).await;
    world.proxy.set(Weather { requests_held: true, ..Weather::default() });
    let result = send(world.handle(0), orders(world.handle(0), 0..50, 1));
    // Until the process has given the connection up: then it can't know.
    let told = result.recv_timeout(PATIENCE).unwrap();
    world.proxy.set(Weather::default());
    assert_eq!(told.err(), Some(Unavailable::Unknown));
    let again = loop {
        match send(world.handle(0), orders(world.handle(0), 0..50, 1_000)).recv_timeout(PATIENCE) {
            Ok(Ok(placed)) => break placed,
            Ok(Err(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(again.outcomes().iter().all(|outcome| ordered(*outcome).is_some()));
    let sale = world.handle(0).sale(SALE).await.unwrap().unwrap();
    assert_eq!((sale.counters.sold, sale.sequence), (50, 51));
}

/// One process is cut off from Redis, another is not: nobody is kept waiting without an answer, the
/// other one sells on, and afterwards the same keys find out.
#[tokio::test]
async fn who_is_cut_off_says_so_and_the_others_sell_on() {
    let world = World::start(2, terms(100)).await;
    world.proxy.set(Weather { closed: true, replies_lost: true, ..Weather::default() });
    let cut_off = send(world.handle(0), orders(world.handle(0), 0..30, 1));
    wait_for(|| world.sold() == 30);
    world.proxy.cut();
    let other = send(world.handle(1), orders(world.handle(1), 30..50, 1)).recv_timeout(PATIENCE);
    assert!(other.unwrap().unwrap().outcomes().iter().all(|told| ordered(*told).is_some()));
    // It was carried out, which who is cut off can't know.
    assert_eq!(cut_off.recv_timeout(PATIENCE).unwrap().err(), Some(Unavailable::Unknown));
    let refused = send(world.handle(0), orders(world.handle(0), 50..60, 1)).recv_timeout(PATIENCE);
    assert_eq!(refused.unwrap().err(), Some(Unavailable::Away));
    wait_for(|| !world.handle(0).board().is_live());
    world.proxy.set(Weather::default());
    let again = loop {
        let keys = orders(world.handle(0), 0..60, 1_000);
        match send(world.handle(0), keys).recv_timeout(PATIENCE).unwrap() {
            Ok(placed) => break placed,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    for (key, outcome) in again.outcomes().iter().enumerate() {
        let replayed = ordered(*outcome).unwrap().1;
        assert_eq!(replayed, key < 50, "key {key}");
    }
    let sale = world.handle(1).sale(SALE).await.unwrap().unwrap();
    assert_eq!((sale.counters.sold, sale.sequence), (60, 61));
}

#[tokio::test]
async fn a_killed_server_comes_back_with_all_that_was_acknowledged() {
    let mut world = World::start(2, terms(10_000)).await;
    let mut acknowledged = Vec::new();
    for round in 0..6_u32 {
        let mut waiting = Vec::new();
        for n in 0..40 {
            let handle = world.handle(n as usize % 2);
            let key = round * 1_000 + n;
            waiting.push((key, send(handle, orders(handle, key..key + 1, 1))));
        }
        wait_for(|| world.sold() > u64::from(round));
        world.server.crash();
        for (key, result) in waiting {
            if let Ok(placed) = result.recv_timeout(PATIENCE).unwrap() {
                let (id, _) = ordered(placed.outcomes()[0]).unwrap();
                acknowledged.push((key, id));
            }
        }
    }
    assert!(!acknowledged.is_empty());
    for (_, id) in &acknowledged {
        let found = loop {
            match world.handle(1).order(SALE, *id).await {
                Ok(found) => break found,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        assert!(found.is_some(), "{id} was acknowledged");
    }
    let sale = world.handle(1).sale(SALE).await.unwrap().unwrap();
    assert!(sale.counters.balanced());
    assert_eq!(sale.sequence, 1 + sale.counters.sold);
    assert_eq!(world.facts().await.len() as u64, sale.sequence);
}

#[tokio::test]
async fn processes_at_work_on_one_sale_sell_it_out_and_no_more() {
    let world = World::start(3, SaleTerms { per_customer: Some(60), ..terms(500) }).await;
    let mut waiting = Vec::new();
    for customer in 0..20 {
        for key in 0..50 {
            let handle = world.handle((customer + key) % 3);
            let (customer, key) = (format!("c{customer}"), key.to_string());
            let mut orders = Orders::default();
            // The same key comes to two processes at once.
            let id = OrderId::from_bits(1 + waiting.len() as u128);
            let text = OrderText { sale: SALE, customer: &customer, key: &key };
            orders.push(handle.hasher(), id, &text, 1, false);
            waiting.push(send(handle, orders));
            let handle = world.handle((id.to_bits() % 3) as usize);
            let mut orders = Orders::default();
            let id = OrderId::from_bits(1 + waiting.len() as u128);
            orders.push(handle.hasher(), id, &text, 1, false);
            waiting.push(send(handle, orders));
        }
    }
    let mut ids = BTreeSet::new();
    for result in waiting {
        let outcome = result.recv_timeout(PATIENCE).unwrap().unwrap().outcomes()[0];
        match ordered(outcome) {
            Some((id, _)) => {
                ids.insert(id);
            }
            None => assert_eq!(outcome, Outcome::Refused(Refusal::SoldOut)),
        }
    }
    assert_eq!(ids.len(), 500);
    let sale = world.handle(0).sale(SALE).await.unwrap().unwrap();
    assert_eq!((sale.counters.sold, sale.counters.available, sale.sequence), (500, 0, 501));
    // Whoever sold it, every board shows it, and each fact is an event, once and in its order.
    for process in 0..3 {
        wait_for(|| world.handle(process).board().sale(SALE).unwrap().counters.sold == 500);
    }
    let facts = world.facts().await;
    let named: Vec<String> = facts.iter().map(|event| event.id.to_string()).collect();
    assert_eq!(named, (1..=501).map(|n| format!("sale/{n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn without_memory_callers_are_told_and_nothing_is_sold() {
    let world = World::start(1, terms(100)).await;
    world.redis(&["CONFIG", "SET", "maxmemory", "1"]);
    let refused = send(world.handle(0), orders(world.handle(0), 0..5, 1)).recv_timeout(PATIENCE);
    assert_eq!(refused.unwrap().err(), Some(Unavailable::StorageFull));
    assert_eq!(world.handle(0).sale(SALE).await.unwrap().unwrap().counters.sold, 0);
    world.redis(&["CONFIG", "SET", "maxmemory", "0"]);
    let sold = send(world.handle(0), orders(world.handle(0), 0..5, 1)).recv_timeout(PATIENCE);
    assert!(sold.unwrap().is_ok());
}

/// What is said of a server with these settings, which these commands change further.
fn refusal(settings: &[&str], commands: &[&[&str]], user: &str, may_lose: bool) -> String {
    let directory = tempfile::tempdir().unwrap();
    let server = RedisServer::start(directory.path(), settings);
    for words in commands {
        let asked = Command::new("redis-cli").arg("-s").arg(server.socket()).args(*words).output();
        assert!(asked.unwrap().status.success());
    }
    let engine = open(&directory.path().join("data"));
    let address = format!("{}{user}", server.url()).parse().unwrap();
    let patience = Duration::ZERO;
    let options = StoreOptions { address, name: "test".into(), patience, may_lose };
    let said = match Store::connect(options, 1, engine.events()) {
        Ok(store) => {
            store.stop();
            "taken".to_owned()
        }
        Err(StoreError::Refused { why, .. }) => why.to_string(),
        Err(other) => panic!("{other}"),
    };
    engine.stop();
    said
}

#[test]
fn a_server_that_can_not_keep_its_word_is_refused_with_the_setting_to_change() {
    let always = DURABLE;
    let second = ["--appendonly", "yes", "--appendfsync", "everysec"];
    let rewrite = [always, &["--no-appendfsync-on-rewrite", "yes"]].concat();
    let evicting = [always, &["--maxmemory-policy", "allkeys-lru"]].concat();
    for (settings, may_lose, expected) in [
        (always, false, "taken"),
        (&[][..], false, "set appendonly to yes"),
        (&[][..], true, "taken"),
        (&second[..], false, "set appendfsync to always"),
        (&rewrite[..], false, "set no-appendfsync-on-rewrite to no"),
        (&evicting[..], true, "set maxmemory-policy to noeviction"),
    ] {
        let said = refusal(settings, &[], "", may_lose);
        assert!(said.contains(expected), "{settings:?}: {said}");
    }
}

/// A newer process has made a sale that this version can't read: one of this version does not touch it,
/// sells what it can read, and is refused when it starts again.
#[tokio::test]
async fn beside_a_later_format_a_process_sells_what_it_can_read_and_a_start_is_refused() {
    let world = World::start(1, terms(100)).await;
    let handle = world.handle(0);
    world.redis(&["HSET", "{kilat:later}:s", "format", "4", "available", "9"]);
    world.redis(&["HSET", "{kilat}:sales", "later", "1"]);
    let address = world.server.url().parse().unwrap();
    let options =
        StoreOptions { address, name: "test".into(), patience: PATIENCE, may_lose: false };
    let Err(why) = Store::connect(options, 1, world.remote.events()) else { panic!("taken") };
    assert!(matches!(why, StoreError::Refused { .. }), "{why}");
    assert!(why.to_string().contains("{kilat:later} has format 4"), "{why}");
    let mut of_later = Orders::default();
    let text = OrderText { sale: "later", customer: "budi", key: "k" };
    of_later.push(handle.hasher(), OrderId::from_bits(1), &text, 1, false);
    let refused = send(handle, of_later).recv_timeout(PATIENCE).unwrap();
    assert_eq!(refused.err(), Some(Unavailable::Away));
    assert_eq!(handle.sale("later").await.err(), Some(Unavailable::Away));
    assert_eq!(world.redis(&["HGET", "{kilat:later}:s", "available"]), "9");
    for key in 0..20 {
        let placed = send(handle, orders(handle, key..key + 1, 10)).recv_timeout(PATIENCE);
        let outcome = placed.unwrap().unwrap().outcomes()[0];
        assert!(ordered(outcome).is_some(), "{outcome:?}");
    }
    assert_eq!(world.sold(), 20);
}

/// What docs/redis.md says that a user needs, after `+@all`.
const LEAST_RIGHTS: &[&str] = &[
    "-@admin",
    "-@dangerous",
    "+info",
    "+config|get",
    "+client|kill",
    "+client|setname",
    "+client|id",
    "+function|load",
    "+script|load",
    "+cluster|slots",
];

#[test]
fn a_user_who_may_not_do_all_is_refused() {
    let user = |rights: &'static [&'static str]| {
        let mut words = vec!["ACL", "SETUSER", "shop", "on", ">pw", "~{kilat*", "+@all"];
        words.extend(rights);
        words
    };
    for (rights, expected) in [
        (LEAST_RIGHTS, "taken"),
        (&["-append"], "allow the user this"),
        (&["-zrem"], "allow the user this"),
        (&["-function"], "allow the user this"),
        (&["-client|kill"], "allow the user this"),
        (&["-config"], "CONFIG GET"),
        (&["resetkeys", "~other*"], "allow the user this"),
    ] {
        let rights = user(rights);
        let said = refusal(DURABLE, &[&rights], "?user=shop&pass=pw", false);
        assert!(said.contains(expected), "{rights:?}: {said}");
    }
    let said = refusal(DURABLE, &[&user(&[])], "?user=shop&pass=wrong", false);
    assert!(said.contains("give the right user and password"), "{said}");
}

#[test]
fn a_node_of_a_cluster_is_told_from_a_server() {
    let ports = free_ports(2);
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let settings = ["--cluster-enabled", "yes", "--port", &ports[0], "--cluster-port", &ports[1]];
    let said = refusal(&settings, &[], "", true);
    assert!(said.contains("redis+cluster://"), "{said}");
    // And the other way round.
    let directory = tempfile::tempdir().unwrap();
    let port = free_ports(1)[0].to_string();
    let _server = RedisServer::start(directory.path(), &["--port", &port]);
    let engine = open(&directory.path().join("data"));
    let address = format!("redis+cluster://127.0.0.1:{port}").parse().unwrap();
    let (name, patience) = ("test".into(), Duration::ZERO);
    let options = StoreOptions { address, name, patience, may_lose: true };
    let why = Store::connect(options, 1, engine.events()).err().map(|why| why.to_string());
    assert!(why.as_ref().is_some_and(|why| why.contains("write redis:// in its URL")), "{why:?}");
    engine.stop();
}
