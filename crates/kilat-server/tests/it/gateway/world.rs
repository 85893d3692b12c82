//! A gateway of its own for each test, in front of fake replicas.

use super::fake::Fake;
use crate::http::{Connection, Reply};
use kilat_server::gateway::{Gateway, Limits, Options, Tls};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

pub(super) const NODE: &str = "gateway-1";
/// So that a test that waits for nothing fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct World {
    pub(super) address: SocketAddr,
    admin: SocketAddr,
    pub(super) replicas: Vec<Fake>,
    gateway: Option<Gateway>,
    runtime: Runtime,
}

impl World {
    /// Two replicas, `a` and `b`, both known to be ready.
    pub(super) fn pair() -> World {
        World::start(Limits::default(), None, &["a", "b"])
    }

    /// One replica, `a`, known to be ready, and one thread, which has no shares to divide.
    pub(super) fn single(limits: Limits) -> World {
        World::on_threads(1, limits, None, &["a"])
    }

    pub(super) fn start(limits: Limits, tls: Option<Tls>, names: &[&'static str]) -> World {
        World::on_threads(2, limits, tls, names)
    }

    pub(super) fn on_threads(
        threads: usize,
        limits: Limits,
        tls: Option<Tls>,
        names: &[&'static str],
    ) -> World {
        let replicas: Vec<Fake> = names.iter().map(|name| Fake::start(name)).collect();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let options = Options {
            node: NODE.to_owned(),
            replicas: replicas.iter().map(|fake| fake.address.into()).collect(),
            threads,
            tls,
            limits,
            tracer: kilat_server::Tracer::default(),
        };
        let start = async { Gateway::start(listen(), Some(listen()), options) };
        let gateway = runtime.block_on(start).unwrap();
        let (address, admin) = (gateway.local_addr(), gateway.admin_addr().unwrap());
        let world = World { address, admin, replicas, gateway: Some(gateway), runtime };
        world.replicas.iter().for_each(|fake| world.await_up(fake.address, true));
        world
    }

    pub(super) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// One request on a connection of its own.
    pub(super) fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        self.connect().call(method, path, headers, body)
    }

    pub(super) fn get(&self, path: &str) -> Reply {
        self.call("GET", path, &[], "")
    }

    /// The gateway's own endpoints.
    pub(super) fn admin(&self, path: &str) -> Reply {
        Connection::open(self.admin).call("GET", path, &[], "")
    }

    /// A figure of the gateway; 0 when there is none.
    pub(super) fn figure(&self, name: &str) -> f64 {
        let metrics = self.admin("/metrics");
        let line = metrics.text().lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0.0, |value| value.trim().parse().unwrap())
    }

    /// Waits until the gateway sees a replica so.
    pub(super) fn await_up(&self, replica: SocketAddr, is_up: bool) {
        let name = format!("kilat_gateway_replica_up{{replica=\"{replica}\"}}");
        let expected = if is_up { 1.0 } else { 0.0 };
        let started = Instant::now();
        while self.figure(&name) != expected {
            assert!(started.elapsed() < PATIENCE, "{name} is not {expected}");
            std::thread::yield_now();
        }
    }

    /// How many requests the replicas have seen at paths that begin so.
    pub(super) fn seen_at(&self, path: &str) -> usize {
        self.replicas.iter().map(|fake| fake.seen_at(path).len()).sum()
    }

    pub(super) fn spawn_shutdown(&mut self, deadline: Duration) -> JoinHandle<()> {
        self.runtime.spawn(self.gateway.take().unwrap().shutdown(deadline))
    }

    pub(super) fn finish(&self, task: JoinHandle<()>) {
        self.runtime.block_on(task).unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            self.runtime.block_on(gateway.shutdown(Duration::ZERO));
        }
    }
}

/// No node may answer twice, one reply behind the other.
pub(super) fn check_turns(nodes: &[String]) {
    for pair in nodes.windows(2) {
        assert_ne!(pair[0], pair[1], "{nodes:?}");
    }
}
