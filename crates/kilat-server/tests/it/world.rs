//! A server of its own for each test.

use crate::http::{Connection, Reply};
use kilat_engine::{
    Core, CoreAddress, CoreListener, CoreOptions, Engine, Events, Handle, Remote, RemoteOptions,
};
use kilat_server::ops::{Console, ConsoleLink, ConsoleOptions, Operations};
use kilat_server::{Access, LaneOptions, Limits, Options, Server};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) const ADMIN: &str = "admin-token-of-the-test";
pub(crate) const SHOP: &str = "shop-token-of-the-test";
pub(crate) const PUBLISHER: &str = "publish-token-of-the-test";
pub(crate) const CUSTOMER_KEY: &[u8] = b"customer-key-of-the-test-32-byte";
pub(crate) const NODE: &str = "node-1";
/// A sale with 10 units, 2 per customer.
pub(crate) const SALE: &str = r#"{"id":"s","title":"Lampu <Kilat> & \"Co\"","sku":"SKU-1","price":{"amount":"24999000","currency":"IDR"},
    "supply":10,"per_customer":2,"opens_at":null,"closes_at":null,"hold_seconds":60}"#;

/// The full lane accepts for itself.
const NO_LANE: LaneOptions = LaneOptions {
    threads: 0,
    request_timeout: Duration::ZERO,
    idle_timeout: Duration::ZERO,
    crowding_memory: Duration::ZERO,
};

fn open_access() -> Access {
    Access::new(Some(ADMIN), None, None)
}

/// With this variable set every server of these tests is a replica with its core beside it.
pub(crate) const BEHIND_A_CORE: &str = "KILAT_TEST_BEHIND_A_CORE";

/// What the server asks.
struct Backend {
    remote: Option<(Remote, Core)>,
    /// Absent once it was stopped.
    engine: Option<Engine>,
    handle: Handle,
    events: Events,
}

impl Backend {
    fn start(folder: &Path) -> Backend {
        let failed = Box::new(|why: String| panic!("the engine failed: {why}"));
        let options = kilat_engine::Options::new(folder.join("data"), failed);
        let engine = Engine::start(options).unwrap();
        let behind_a_core = std::env::var_os(BEHIND_A_CORE).is_some();
        let remote = behind_a_core.then(|| replica(&engine, folder));
        let engine_handle = (engine.handle().clone(), engine.events().clone());
        let remote_handle = remote.as_ref().map(|(remote, _)| {
            let remote: &Remote = remote;
            (remote.handle().clone(), remote.events().clone())
        });
        let (handle, events) = remote_handle.unwrap_or(engine_handle);
        Backend { remote, engine: Some(engine), handle, events }
    }

    /// From now on nobody can decide anything.
    fn stop(&mut self) {
        drop(self.remote.take());
        self.engine.take().unwrap().stop();
    }
}

fn replica(engine: &Engine, folder: &Path) -> (Remote, Core) {
    let core = CoreAddress::Unix(folder.join("core.sock"));
    let listener = CoreListener::bind(&core).unwrap();
    let options = CoreOptions::new(Vec::new(), String::new());
    let serving = Core::start(engine, listener, options).unwrap();
    let (secret, name, patience) = (None, NODE.to_owned(), Duration::from_secs(10));
    (Remote::connect(RemoteOptions { core, secret, name, patience }).unwrap(), serving)
}

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    server: Option<Server>,
    runtime: Runtime,
    // Dropped last: the engine stops, then its directory goes.
    backend: Backend,
    _data: TempDir,
}

impl World {
    /// Nobody needs credentials to order.
    pub(crate) fn open() -> World {
        World::start(open_access(), Limits::default(), LaneOptions::default())
    }

    /// Orders need the shop's token or a customer's, publishing the publisher's.
    pub(crate) fn guarded() -> World {
        let access = Access::new(Some(ADMIN), Some(SHOP), Some(CUSTOMER_KEY))
            .with_publish_token(Some(PUBLISHER));
        World::start(access, Limits::default(), LaneOptions::default())
    }

    /// Open, without the fast lane.
    pub(crate) fn full_lane(limits: Limits) -> World {
        World::start(open_access(), limits, NO_LANE)
    }

    /// Open, with limits of the fast lane.
    pub(crate) fn fast_lane(limits: Limits, lanes: LaneOptions) -> World {
        World::start(open_access(), limits, lanes)
    }

    /// Open, for an operator who signs in for so long.
    pub(crate) fn with_sessions_of(session: Duration) -> World {
        let (limits, lanes) = (Limits::default(), LaneOptions::default());
        World::start_with(open_access(), limits, lanes, Some(session))
    }

    fn start(access: Access, limits: Limits, lanes: LaneOptions) -> World {
        World::start_with(access, limits, lanes, None)
    }

    fn start_with(
        access: Access,
        limits: Limits,
        lanes: LaneOptions,
        session: Option<Duration>,
    ) -> World {
        let data = tempfile::tempdir().unwrap();
        let backend = Backend::start(data.path());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let options = Options {
            node: NODE.to_owned(),
            access,
            secret: b"secret of the test".to_vec(),
            behind_tls: false,
            limits,
            lanes,
            tracer: kilat_server::Tracer::default(),
            operations: Operations::default(),
        };
        let server = runtime
            .block_on(async {
                let (handle, events) = (backend.handle.clone(), backend.events.clone());
                let folder = data.path().join("runs");
                let given = ConsoleOptions {
                    supervisor: None,
                    own_node: None,
                    admin_token: ADMIN.to_owned(),
                    folder,
                };
                let console = Console::start(given, handle.clone(), events.clone());
                let console = Some(ConsoleLink::Here(console));
                let operations = Operations { console, session, ..Operations::default() };
                let options = Options { operations, ..options };
                Server::start(listener, options, handle, events)
            })
            .unwrap();
        let address = server.local_addr();
        World { address, server: Some(server), runtime, backend, _data: data }
    }

    pub(crate) fn handle(&self) -> Handle {
        self.backend.handle.clone()
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// One request on a connection of its own; the reply must be as described.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let reply = self.connect().call(method, path, headers, body);
        crate::docs::check(method, path, &reply);
        reply
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.call("GET", path, &[], "")
    }

    pub(crate) fn admin(&self, method: &str, path: &str, key: &str, body: &str) -> Reply {
        let bearer = format!("Bearer {ADMIN}");
        let json = ("content-type", "application/json");
        self.call(method, path, &[("authorization", &bearer), json, ("idempotency-key", key)], body)
    }

    /// Makes the sale `s`, or another with some text replaced.
    pub(crate) fn make_sale(&self, replace: &[(&str, &str)]) {
        let body = replace.iter().fold(SALE.to_owned(), |body, (from, to)| {
            assert!(body.contains(from), "{from}");
            body.replace(from, to)
        });
        let reply = self.admin("POST", "/v1/sales", "make", &body);
        assert_eq!(reply.status, 201, "{}", reply.text());
    }

    pub(crate) fn change_sale(&self, key: &str, body: &str) {
        let reply = self.admin("PATCH", "/v1/sales/s", key, body);
        assert_eq!(reply.status, 200, "{}", reply.text());
    }

    pub(crate) fn order(&self, key: &str, body: &str) -> Reply {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        self.call("POST", "/v1/sales/s/orders", &headers, body)
    }

    pub(crate) fn buy(&self, customer: &str, key: &str, quantity: u32) -> Reply {
        self.order(key, &format!(r#"{{"customer":"{customer}","quantity":{quantity}}}"#))
    }

    pub(crate) fn hold(&self, customer: &str, key: &str) -> Reply {
        self.order(key, &format!(r#"{{"customer":"{customer}","quantity":1,"hold":true}}"#))
    }

    pub(crate) fn batch(&self, body: &str) -> Reply {
        self.call("POST", "/v1/sales/s/orders:batch", &[("content-type", "application/json")], body)
    }

    /// The server goes on without an engine behind it.
    pub(crate) fn stop_engine(&mut self) {
        self.backend.stop();
    }

    pub(crate) fn leave(&self) {
        self.server.as_ref().unwrap().leave();
    }

    pub(crate) fn spawn_shutdown(&mut self, deadline: Duration) -> tokio::task::JoinHandle<()> {
        self.runtime.spawn(self.server.take().unwrap().shutdown(deadline))
    }

    pub(crate) fn finish(&self, task: tokio::task::JoinHandle<()>) {
        self.runtime.block_on(task).unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.shutdown(Duration::ZERO));
        }
    }
}
