//! A server, an event log, and processes that work with both.

use crate::node::{PATIENCE, Way, store};
use crate::postgres::Cluster;
use crate::proxy::Proxy;
use crate::sale::open;
use kilat_engine::{Change, OrderId, OrderText, Orders};
use kilat_engine::{Engine, Events, Handle, Outcome, Store, StoredEvent, Unavailable};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Instant;
use tempfile::TempDir;

/// See the module.
pub(crate) struct World {
    pub(crate) replicas: Vec<Replica>,
    pub(crate) engine: Engine,
    pub(crate) cluster: Cluster,
    _directory: TempDir,
}

/// One process's way to the ledger.
pub(crate) struct Replica {
    store: Store,
    events: Events,
}

impl World {
    pub(crate) fn start(replicas: usize) -> World {
        let (cluster, directory) = (Cluster::start(), tempfile::tempdir().unwrap());
        let engine = open(directory.path());
        let mut world = World { replicas: Vec::new(), engine, cluster, _directory: directory };
        (0..replicas).for_each(|_| world.join());
        world
    }

    /// One process more.
    pub(crate) fn join(&mut self) {
        let store = store(self.cluster.url().parse().unwrap(), self.engine.events());
        self.replicas.push(Replica { store, events: self.engine.events().clone() });
    }

    /// The copied facts of a sale, once there are as many.
    pub(crate) async fn facts(&self, sale: &str, count: u64) -> Vec<StoredEvent> {
        let topic = format!("sale.{sale}");
        let mut ends = self.engine.events().ends();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.engine.events().read(Some(&topic), None, 100_000, usize::MAX);
            let found = found.unwrap().events;
            if found.len() as u64 >= count {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let moved = tokio::time::timeout(left, ends.changed()).await;
            assert!(moved.is_ok(), "{} facts of {count} were moved", found.len());
        }
    }
}

impl Way for Replica {
    fn handle(&self) -> &Handle {
        self.store.handle()
    }

    fn events(&self) -> &Events {
        &self.events
    }
}

/// Asks until there is an answer, with the same key.
pub(crate) async fn surely(way: &impl Way, change: impl Fn() -> Change) -> Outcome {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match way.handle().change(change()).await {
            Ok((outcome, _)) => return outcome,
            Err(why) => wait_a_moment(why, deadline).await,
        }
    }
}

/// Places one order until there is an answer, with the same key and a new id each time.
pub(crate) async fn buy(
    way: &impl Way,
    text: OrderText<'_>,
    quantity: u32,
    hold: bool,
    random: &mut Random,
) -> Outcome {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut orders = Orders::default();
        orders.push(way.handle().hasher(), random.id(), &text, quantity, hold);
        match way.handle().place_all(orders).await {
            Ok(placed) => return placed.outcomes()[0],
            Err(why) => wait_a_moment(why, deadline).await,
        }
    }
}

async fn wait_a_moment(why: Unavailable, deadline: Instant) {
    assert!(Instant::now() < deadline, "no answer: {why}");
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
}

/// A way to the server through a network that loses what it is told to lose.
pub(crate) fn behind_proxy(cluster: &Cluster) -> (String, Proxy, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let url = cluster.url();
    let (_, server) = url.split_once("host=").unwrap();
    let proxy = Proxy::start(directory.path(), &Path::new(server).join(".s.PGSQL.5432"));
    symlink(&proxy.path, directory.path().join(".s.PGSQL.5432")).unwrap();
    let address =
        format!("postgres://kilat@localhost/postgres?host={}", directory.path().display());
    (address, proxy, directory)
}

/// Looks until it is so.
pub(crate) fn wait_for(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "in vain");
        std::thread::yield_now();
    }
}

/// Numbers that a seed repeats: SplitMix64, by Steele, Lea and Flood.
pub(crate) struct Random(u64);

impl Random {
    /// `KILAT_SEED` replays a run.
    pub(crate) fn seeded() -> Random {
        let seed = std::env::var("KILAT_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
        println!("KILAT_SEED={seed}");
        Random(seed)
    }

    pub(crate) fn fork(&mut self) -> Random {
        Random(self.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn id(&mut self) -> OrderId {
        OrderId::from_bits(u128::from(self.next()) << 64 | u128::from(self.next()))
    }
}
