//! Redis servers that belong together: a cluster, or a primary with a replica and a sentinel.

use super::redis_server::RedisServer;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for servers to come together.
const PATIENCE: Duration = Duration::from_secs(30);

/// See the module.
pub(crate) struct Fleet {
    pub(crate) servers: Vec<RedisServer>,
    ports: Vec<u16>,
    url: String,
    _directory: TempDir,
}

impl Fleet {
    /// A cluster of three primaries, each with this many replicas.
    pub(crate) fn cluster(replicas: usize) -> Fleet {
        Fleet::cluster_with(replicas, &[])
    }

    /// The same, with more settings.
    pub(crate) fn cluster_with(replicas: usize, more: &[&str]) -> Fleet {
        let count = 3 * (1 + replicas);
        let ports = free_ports(2 * count);
        let (ports, buses) = ports.split_at(count);
        let directory = tempfile::tempdir().unwrap();
        let servers = ports.iter().zip(buses).map(|(port, bus)| {
            let (port, bus) = (port.to_string(), bus.to_string());
            let cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
            let own = ["--port", &port, "--cluster-port", &bus];
            let at_once = ["--repl-diskless-sync-delay", "0"];
            // Else a primary that lost its last slot copies whoever has it now.
            let stays = ["--cluster-allow-replica-migration", "no"];
            let settings = [&cluster[..], &own, &at_once, &stays, more].concat();
            start(&directory, &port, &settings)
        });
        let servers: Vec<RedisServer> = servers.collect();
        let addresses: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(&addresses);
        create.args(["--cluster-yes", "--cluster-replicas", &replicas.to_string()]);
        let said = create.output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
        let url = format!("redis+cluster://{}", addresses.join(","));
        let fleet = Fleet { servers, ports: ports.to_vec(), url, _directory: directory };
        fleet.come_together();
        fleet
    }

    /// Waits until all of a cluster know each other.
    fn come_together(&self) {
        let is_whole = |port: &u16| {
            let said = self.ask(*port, &["CLUSTER", "INFO"]);
            let known = format!("cluster_known_nodes:{}", self.ports.len());
            said.contains("cluster_state:ok") && said.contains(&known)
        };
        wait_for(|| self.ports.iter().all(is_whole));
        // A replica that does not copy yet can't take over.
        let copies = |port: &u16| {
            let said = self.ask(*port, &["ROLE"]);
            said.starts_with("master") || said.contains("connected")
        };
        wait_for(|| self.ports.iter().all(copies));
    }

    /// All servers of a cluster end as in a crash, and start on what they left.
    pub(crate) fn crash(&mut self) {
        self.servers.iter_mut().for_each(RedisServer::kill);
        self.servers.iter_mut().for_each(RedisServer::resume);
        self.come_together();
    }

    /// Forgets all keys.
    pub(crate) fn clear(&self) {
        let primaries = |number: &usize| self.server(*number, &["ROLE"]).starts_with("master");
        (0..self.ports.len()).filter(primaries).for_each(|number| {
            assert_eq!(self.server(number, &["FLUSHALL"]), "OK");
        });
    }

    /// The primary that has this key.
    pub(crate) fn primary_of(&self, key: &str) -> usize {
        let is_there = |number: &usize| {
            self.server(*number, &["ROLE"]).starts_with("master")
                && self.server(*number, &["EXISTS", key]) == "1"
        };
        (0..self.ports.len()).find(is_there).unwrap()
    }

    /// The replica of this primary, once it has all that the primary has.
    pub(crate) fn replica_of(&self, primary: usize) -> usize {
        let port = self.ports[primary].to_string();
        let copies = |number: &usize| {
            let said = self.server(*number, &["ROLE"]);
            said.starts_with("slave") && said.contains(&port)
        };
        let replica = (0..self.ports.len()).find(copies).unwrap();
        let offset = |number| {
            let said = self.server(number, &["INFO", "replication"]);
            let field = said.lines().find_map(|line| line.strip_prefix("master_repl_offset:"));
            field.map(|offset| offset.trim().to_owned())
        };
        wait_for(|| offset(replica) == offset(primary));
        replica
    }

    /// A primary, a replica of it, and a sentinel that puts the replica in its place.
    pub(crate) fn watched() -> Fleet {
        let ports = free_ports(3);
        let directory = tempfile::tempdir().unwrap();
        let [primary, replica, sentinel] = [0, 1, 2].map(|n: usize| ports[n].to_string());
        let mut servers = vec![start(&directory, &primary, &["--port", &primary])];
        let of = format!("127.0.0.1 {primary}");
        let settings = ["--port", &replica, "--replicaof", &of, "--repl-diskless-sync-delay", "0"];
        servers.push(start(&directory, &replica, &settings));
        servers.push(RedisServer::sentinel(directory.path(), &sentinel, &primary));
        let url = format!("redis+sentinel://127.0.0.1:{sentinel}/main");
        let fleet = Fleet { servers, ports, url, _directory: directory };
        wait_for(|| fleet.ask(fleet.ports[1], &["ROLE"]).contains("connected"));
        // The sentinel learns of the replica by asking the primary.
        let knows = |said: String| said.contains("slaves=1");
        wait_for(|| knows(fleet.ask(fleet.ports[2], &["INFO", "sentinel"])));
        fleet
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Moves all slots of one primary to another, with what is in them.
    pub(crate) fn move_slots(&self, from: usize, to: usize) {
        let id = |number| self.server(number, &["CLUSTER", "MYID"]);
        let address = format!("127.0.0.1:{}", self.ports[from]);
        let mut reshard = Command::new("redis-cli");
        reshard.args(["--cluster", "reshard", &address, "--cluster-yes"]);
        reshard.args(["--cluster-from", &id(from), "--cluster-to", &id(to)]);
        reshard.args(["--cluster-slots", "16384"]);
        let said = reshard.output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    }

    /// Asks the server with this number.
    pub(crate) fn server(&self, number: usize, words: &[&str]) -> String {
        self.ask(self.ports[number], words)
    }

    fn ask(&self, port: u16, words: &[&str]) -> String {
        let asked = Command::new("redis-cli").args(["-p", &port.to_string()]).args(words).output();
        String::from_utf8(asked.unwrap().stdout).unwrap().trim().to_owned()
    }
}

fn start(directory: &TempDir, port: &str, settings: &[&str]) -> RedisServer {
    let own = directory.path().join(port);
    std::fs::create_dir(&own).unwrap();
    RedisServer::start(&own, settings)
}

/// Ports that nobody had a moment ago.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    let taken: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    taken.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

fn wait_for(what: impl Fn() -> bool) {
    let started = Instant::now();
    while !what() {
        assert!(started.elapsed() < PATIENCE, "waited in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}
