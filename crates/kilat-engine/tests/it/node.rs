//! A ledger and an event log to be asked, wherever they are: what every backend must do is asked
//! of each of them in the same words.

#[cfg(feature = "postgres")]
use crate::postgres::Cluster;
#[cfg(feature = "redis")]
use crate::redis_fleet::Fleet;
#[cfg(feature = "redis")]
use crate::redis_server::{DURABLE, RedisServer};
use crate::sale::{create, open};
use kilat_engine::{
    Core, CoreAddress, CoreListener, CoreOptions, Engine, EventStore, Events, Handle, Outcome,
    Remote, RemoteOptions, Store,
};
#[cfg(any(feature = "postgres", feature = "redis"))]
use kilat_engine::{StoreAddress, StoreOptions};
#[cfg(feature = "redis")]
use std::cell::RefCell;
use std::path::Path;
#[cfg(feature = "redis")]
use std::rc::Rc;
use std::time::Duration;

/// Long enough for anything that will happen, so that a test that waits in vain fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const SECRET: &[u8] = b"the secret of the tests, 32 bytes";
pub(crate) const HANDOVER: &str = "what replicas are given";

/// Runs each of these once for every backend.
macro_rules! everywhere {
    ($($test:ident),+ $(,)?) => {
        mod here {
            $(#[tokio::test] async fn $test() { super::$test(crate::node::Backend::Here).await; })+
        }
        mod behind_a_core {
            $(#[tokio::test] async fn $test() { super::$test(crate::node::Backend::Core).await; })+
        }
        #[cfg(feature = "postgres")]
        mod on_postgres {
            $(#[tokio::test] async fn $test() {
                super::$test(crate::node::Backend::Postgres).await;
            })+
        }
        #[cfg(feature = "redis")]
        mod on_redis {
            $(#[tokio::test] async fn $test() {
                super::$test(crate::node::Backend::Redis).await;
            })+

            // One cluster for all of them: to make one takes longer than they do.
            #[tokio::test]
            async fn in_a_cluster() {
                let cluster = crate::node::Backend::cluster(1);
                $(println!(stringify!($test)); super::$test(cluster.clone()).await;)+
            }

            #[tokio::test]
            async fn in_stripes() {
                let cluster = crate::node::Backend::cluster(crate::node::STRIPES);
                $(println!(stringify!($test)); super::$test(cluster.clone()).await;)+
            }
        }
    };
}
pub(crate) use everywhere;

/// Who can be asked.
pub(crate) trait Way {
    fn handle(&self) -> &Handle;
    fn events(&self) -> &Events;
}

impl Way for Engine {
    fn handle(&self) -> &Handle {
        self.handle()
    }

    fn events(&self) -> &Events {
        self.events()
    }
}

impl Way for Remote {
    fn handle(&self) -> &Handle {
        self.handle()
    }

    fn events(&self) -> &Events {
        self.events()
    }
}

/// Of a sale, where it has more than one.
#[cfg(feature = "redis")]
pub(crate) const STRIPES: u16 = 6;

/// Where ledger and event log are.
#[derive(Clone)]
pub(crate) enum Backend {
    /// In this process.
    Here,
    /// Behind a core.
    Core,
    /// Ledger and event log in one database of PostgreSQL.
    #[cfg(feature = "postgres")]
    Postgres,
    /// The ledger in Redis, the event log behind a core.
    #[cfg(feature = "redis")]
    Redis,
    /// The same in a cluster of three primaries and three replicas; new sales have so many stripes.
    #[cfg(feature = "redis")]
    Cluster(Rc<RefCell<Fleet>>, u16),
}

/// A backend that runs, in a directory of its own.
pub(crate) struct Node {
    ledger: Option<Ledger>,
    remote: Option<Remote>,
    served: Option<Served>,
    directory: tempfile::TempDir,
    backend: Backend,
}

/// A ledger in a store, and the server that is the store.
struct Ledger {
    store: Option<Store>,
    /// The event log, if the same server has it.
    log: Option<EventStore>,
    server: Server,
}

/// A store's server.
enum Server {
    #[cfg(feature = "postgres")]
    Postgres(Cluster),
    #[cfg(feature = "redis")]
    Redis(RedisServer),
    #[cfg(feature = "redis")]
    Cluster(Rc<RefCell<Fleet>>),
}

impl Server {
    /// Ends it as a crash would, and starts it on what it left.
    fn crash(&mut self) {
        // By value: without a store's feature there is no server to match.
        match *self {
            #[cfg(feature = "postgres")]
            Server::Postgres(ref mut cluster) => {
                cluster.kill();
                cluster.resume();
            }
            #[cfg(feature = "redis")]
            Server::Redis(ref mut server) => server.crash(),
            #[cfg(feature = "redis")]
            Server::Cluster(ref fleet) => fleet.borrow_mut().crash(),
        }
    }
}

/// An engine, and the core in front of it if there is one.
struct Served {
    engine: Engine,
    core: Option<Core>,
}

impl Backend {
    pub(crate) fn open(self) -> Node {
        let directory = tempfile::tempdir().unwrap();
        let served = self.needs_engine().then(|| Served::start(directory.path(), &self));
        let behind_a_core = self.needs_engine() && !self.is_here();
        let remote = behind_a_core.then(|| replica(&socket(directory.path())));
        let ledger = self.ledger(directory.path(), remote.as_ref().map(Remote::events));
        Node { ledger, remote, served, directory, backend: self }
    }

    /// A cluster that keeps what it acknowledged when all of it crashes.
    #[cfg(feature = "redis")]
    pub(crate) fn cluster(stripes: u16) -> Backend {
        let settings = [DURABLE, &["--cluster-replica-no-failover", "yes"]].concat();
        Backend::Cluster(Rc::new(RefCell::new(Fleet::cluster_with(1, &settings))), stripes)
    }

    fn is_here(&self) -> bool {
        matches!(self, Backend::Here)
    }

    /// Whether a sale's stock is split.
    pub(crate) fn is_striped(&self) -> bool {
        match self {
            #[cfg(feature = "redis")]
            Backend::Cluster(_, stripes) => *stripes > 1,
            _ => false,
        }
    }

    /// Whether something is in a data directory.
    fn needs_engine(&self) -> bool {
        match self {
            #[cfg(feature = "postgres")]
            Backend::Postgres => false,
            _ => true,
        }
    }

    /// The store that has the ledger, if one has.
    fn ledger(&self, directory: &Path, events: Option<&Events>) -> Option<Ledger> {
        // A server of PostgreSQL makes a directory of its own.
        let _ = directory;
        match (self, events) {
            #[cfg(feature = "postgres")]
            (Backend::Postgres, _) => {
                let mut ledger = Ledger::on(Server::Postgres(Cluster::start()));
                ledger.join();
                Some(ledger)
            }
            #[cfg(feature = "redis")]
            (Backend::Redis, Some(events)) => {
                let server = RedisServer::start(directory, DURABLE);
                let store = Some(store(server.url().parse().unwrap(), events));
                Some(Ledger { store, ..Ledger::on(Server::Redis(server)) })
            }
            #[cfg(feature = "redis")]
            (Backend::Cluster(fleet, stripes), Some(events)) => {
                fleet.borrow().clear();
                let address = fleet.borrow().url().parse().unwrap();
                let store = Some(store_with(address, true, *stripes, events));
                Some(Ledger { store, ..Ledger::on(Server::Cluster(Rc::clone(fleet))) })
            }
            _ => None,
        }
    }

    pub(crate) async fn with_sale(self, supply: u64) -> Node {
        let node = self.open();
        let created = create(&node, supply, 60).await;
        assert!(matches!(created, Outcome::SaleCreated), "{created:?}");
        node
    }
}

impl Ledger {
    fn on(server: Server) -> Ledger {
        Ledger { store: None, log: None, server }
    }

    /// A process that keeps ledger and event log in the server, where that can be.
    fn join(&mut self) {
        match self.server {
            #[cfg(feature = "postgres")]
            Server::Postgres(ref cluster) => {
                let log = log(cluster.url().parse().unwrap());
                self.store = Some(store(cluster.url().parse().unwrap(), log.events()));
                self.log = Some(log);
            }
            #[cfg(feature = "redis")]
            Server::Redis(_) | Server::Cluster(_) => {}
        }
    }

    /// The server ends as in a crash. The process that keeps its event log there starts again too.
    fn restart(&mut self) {
        let log = self.log.take();
        if log.is_some() {
            drop(self.store.take());
        }
        let starts_again = log.is_some();
        drop(log);
        self.server.crash();
        if starts_again {
            self.join();
        }
    }
}

impl Served {
    fn start(directory: &Path, backend: &Backend) -> Served {
        let engine = open(&directory.join("data"));
        let core = (!backend.is_here()).then(|| core(&engine, &socket(directory)));
        Served { engine, core }
    }

    fn stop(self) {
        if let Some(core) = self.core {
            core.stop(PATIENCE);
        }
        self.engine.stop();
    }
}

impl Node {
    pub(crate) fn is_striped(&self) -> bool {
        self.backend.is_striped()
    }

    /// Stops the ledger and starts it again; replicas stay.
    pub(crate) fn restart(&mut self) {
        if let Some(served) = self.served.take() {
            served.stop();
            self.served = Some(Served::start(self.directory.path(), &self.backend));
        }
        if let Some(ledger) = &mut self.ledger {
            ledger.restart();
        }
    }

    /// Stops what is nearest to the caller.
    pub(crate) fn stop(&mut self) {
        if let Some(store) = self.ledger.as_mut().and_then(|ledger| ledger.store.take()) {
            store.stop();
            return;
        }
        match self.remote.take() {
            Some(remote) => remote.stop(),
            None => self.served.take().unwrap().stop(),
        }
    }
}

impl Way for Node {
    fn handle(&self) -> &Handle {
        if let Some(store) = self.ledger.as_ref().and_then(|ledger| ledger.store.as_ref()) {
            return store.handle();
        }
        match &self.remote {
            Some(remote) => remote.handle(),
            None => self.served.as_ref().unwrap().engine.handle(),
        }
    }

    fn events(&self) -> &Events {
        if let Some(log) = self.ledger.as_ref().and_then(|ledger| ledger.log.as_ref()) {
            return log.events();
        }
        match &self.remote {
            Some(remote) => remote.events(),
            None => self.served.as_ref().unwrap().engine.events(),
        }
    }
}

pub(crate) fn socket(directory: &Path) -> CoreAddress {
    CoreAddress::Unix(directory.join("core.sock"))
}

/// A core in front of `engine`.
pub(crate) fn core(engine: &Engine, address: &CoreAddress) -> Core {
    core_with(engine, address, |_| {})
}

/// As [`core`], with other options.
pub(crate) fn core_with(
    engine: &Engine,
    address: &CoreAddress,
    change: impl FnOnce(&mut CoreOptions),
) -> Core {
    let listener = CoreListener::bind(address).unwrap();
    let mut options = CoreOptions::new(SECRET.to_vec(), HANDOVER.to_owned());
    change(&mut options);
    Core::start(engine, listener, options).unwrap()
}

pub(crate) fn options(core: &CoreAddress) -> RemoteOptions {
    let secret = Some(SECRET.to_vec());
    RemoteOptions { core: core.clone(), secret, name: "test".to_owned(), patience: PATIENCE }
}

/// A process that keeps its event log at `address`.
#[cfg(feature = "postgres")]
pub(crate) fn log(address: StoreAddress) -> EventStore {
    let name = "test".to_owned();
    let options = StoreOptions { address, name, patience: PATIENCE, may_lose: false };
    EventStore::connect(options).unwrap()
}

/// A process that works on the store at `address`.
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(crate) fn store(address: StoreAddress, events: &Events) -> Store {
    store_with(address, false, 1, events)
}

#[cfg(any(feature = "postgres", feature = "redis"))]
fn store_with(address: StoreAddress, may_lose: bool, stripes: u16, events: &Events) -> Store {
    let name = "test".to_owned();
    let options = StoreOptions { address, name, patience: PATIENCE, may_lose };
    Store::connect(options, stripes, events).unwrap()
}

/// A replica of the core at `address`.
pub(crate) fn replica(address: &CoreAddress) -> Remote {
    Remote::connect(options(address)).unwrap()
}
