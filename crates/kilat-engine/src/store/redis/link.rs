//! Connections to the servers that hold the ledger: one, or a cluster's primaries.
//!
//! It follows no redirection: a key that is elsewhere means that the servers have to be found
//! again, and whoever opens again does. While a cluster moves a slot, that slot's sales are away:
//! half of a sale's keys are no ledger.

use super::address::{Place, Way, server_at};
use super::fault::{self, Sent};
use super::stripes;
use crate::store::{StoreFault, StoreReason};
use redis::{Client, Cmd, Connection, ConnectionInfo, RedisError, RedisResult, Value};
use std::fmt::Write as _;
use std::time::Duration;

/// Longest wait for a connection.
const CONNECT_WAIT_MAX: Duration = Duration::from_millis(1_000);
/// Longest wait for an answer; after it nobody knows what became of the call.
const CALL_WAIT_MAX: Duration = Duration::from_millis(2_000);

/// See the module.
pub(super) struct Link {
    nodes: Vec<Node>,
    /// Which node has which slots; empty unless this is a cluster.
    slots: Vec<Slots>,
    name: String,
}

struct Node {
    connection: Connection,
}

struct Slots {
    first: u16,
    last: u16,
    node: usize,
}

impl Link {
    /// Connects, and ends the connections that `before` names: what they sent has then either been
    /// carried out or never will be.
    pub(super) fn open(
        place: &Place,
        client: &str,
        before: Option<&str>,
    ) -> Result<Link, StoreFault> {
        let mut link = match place {
            Place::One(server) => Link::to(vec![connect(server)?], Vec::new()),
            Place::Sentinel { sentinels, primary, way, rest } => {
                let (host, port) = ask_sentinels(sentinels, primary)?;
                Link::to(vec![connect(&server_at(way, &host, port, rest)?)?], Vec::new())
            }
            Place::Cluster { nodes, way } => Link::cluster(nodes, way)?,
        };
        link.introduce(client, before)?;
        Ok(link)
    }

    fn to(connections: Vec<Connection>, slots: Vec<Slots>) -> Link {
        let nodes = connections.into_iter().map(|connection| Node { connection }).collect();
        Link { nodes, slots, name: String::new() }
    }

    /// What these connections are called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether keys are spread over several servers, so that no call can touch two sales.
    pub(super) fn is_cluster(&self) -> bool {
        !self.slots.is_empty()
    }

    /// Calls the server that has `key`.
    pub(super) fn call(&mut self, key: &[u8], cmd: &Cmd) -> RedisResult<Value> {
        let node = self.node_of(key)?;
        cmd.query(&mut self.nodes[node].connection)
    }

    /// Makes all calls at once, each to the server that has its key, and tells what became of each.
    pub(super) fn call_all(&mut self, calls: &[(Vec<u8>, Cmd)]) -> Vec<RedisResult<Value>> {
        let sent: Vec<RedisResult<usize>> =
            calls.iter().map(|(key, cmd)| self.put(key, cmd)).collect();
        let mut broken: Vec<Option<RedisError>> = self.nodes.iter().map(|_| None).collect();
        let mut tell = |node: usize| {
            if let Some(error) = &broken[node] {
                return Err(error.clone());
            }
            let told = self.nodes[node].connection.recv_response();
            let told = told.and_then(Value::extract_error);
            // What comes after a reply that did not come could be that reply.
            broken[node] = told.as_ref().err().filter(|error| error.code().is_none()).cloned();
            told
        };
        sent.into_iter().map(|node| node.and_then(&mut tell)).collect()
    }

    fn put(&mut self, key: &[u8], cmd: &Cmd) -> RedisResult<usize> {
        let node = self.node_of(key)?;
        self.nodes[node].connection.send_packed_command(&cmd.get_packed_command())?;
        Ok(node)
    }

    /// Calls every server, and tells what the last one says.
    pub(super) fn everywhere(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        let mut said = Value::Nil;
        for node in &mut self.nodes {
            said = cmd.query(&mut node.connection)?;
        }
        Ok(said)
    }

    /// What every server says.
    pub(super) fn each<T: redis::FromRedisValue>(&mut self, cmd: &Cmd) -> RedisResult<Vec<T>> {
        self.nodes.iter_mut().map(|node| cmd.query(&mut node.connection)).collect()
    }

    fn node_of(&self, key: &[u8]) -> RedisResult<usize> {
        if self.slots.is_empty() {
            return Ok(0);
        }
        let slot = stripes::slot(key);
        let slots = self.slots.iter().find(|slots| (slots.first..=slots.last).contains(&slot));
        slots.map(|slots| slots.node).ok_or_else(no_node)
    }

    fn cluster(known: &[ConnectionInfo], way: &Way) -> Result<Link, StoreFault> {
        let mut fault = StoreFault::Away("the URL names no node".to_owned().into());
        for server in known {
            match connect(server).and_then(|mut first| slots_of(&mut first)) {
                Ok(ranges) => return Link::to_primaries(&ranges, way),
                Err(why) => fault = why,
            }
        }
        Err(fault)
    }

    fn to_primaries(ranges: &[Range], way: &Way) -> Result<Link, StoreFault> {
        let mut addresses: Vec<(&str, u16)> = Vec::new();
        let mut slots = Vec::with_capacity(ranges.len());
        for Range { first, last, host, port } in ranges {
            let address = (host.as_str(), *port);
            let node = addresses.iter().position(|known| *known == address);
            let node = node.unwrap_or_else(|| {
                addresses.push(address);
                addresses.len() - 1
            });
            slots.push(Slots { first: *first, last: *last, node });
        }
        let connections = addresses
            .into_iter()
            .map(|(host, port)| connect(&server_at(way, host, port, "/")?))
            .collect::<Result<_, _>>()?;
        Ok(Link::to(connections, slots))
    }

    /// Names the connections, and ends those of before.
    fn introduce(&mut self, client: &str, before: Option<&str>) -> Result<(), StoreFault> {
        let mut name = String::new();
        for node in &mut self.nodes {
            let introduced = introduce(&mut node.connection, client, before.unwrap_or_default());
            let (run, id) = introduced.map_err(|error| fault::of(&error, Sent::Nothing))?;
            // Writing to memory can't fail.
            let _ = write!(name, "{run}/{id} ");
        }
        self.name = name;
        Ok(())
    }
}

/// Returns the server's run and the connection's number in it: together they mean one connection.
fn introduce(
    connection: &mut Connection,
    client: &str,
    before: &str,
) -> RedisResult<(String, u64)> {
    let server: String = redis::cmd("INFO").arg("server").query(connection)?;
    let run = field(&server, "run_id").unwrap_or_default().to_owned();
    let id: u64 = redis::cmd("CLIENT").arg("ID").query(connection)?;
    // A name must be of visible characters; without one nothing is lost.
    let _: RedisResult<Value> = redis::cmd("CLIENT").arg("SETNAME").arg(client).query(connection);
    // Number 0 is nobody's: this tells at the start whether connections may be ended at all.
    let of_this_run = |name: &str| name.strip_prefix(&run)?.strip_prefix('/')?.parse::<u64>().ok();
    let lost = before.split(' ').filter_map(of_this_run).chain([u64::MAX >> 1]);
    for lost in lost {
        redis::cmd("CLIENT").arg("KILL").arg("ID").arg(lost).exec(connection)?;
    }
    Ok((run, id))
}

/// A field of what INFO says.
pub(super) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn connect(server: &ConnectionInfo) -> Result<Connection, StoreFault> {
    let connected = Client::open(server.clone())
        .and_then(|client| client.get_connection_with_timeout(CONNECT_WAIT_MAX));
    let connection = connected.map_err(|error| fault::of(&error, Sent::Nothing))?;
    let limited = connection
        .set_read_timeout(Some(CALL_WAIT_MAX))
        .and_then(|()| connection.set_write_timeout(Some(CALL_WAIT_MAX)));
    limited.map_err(|error| fault::of(&error, Sent::Nothing))?;
    Ok(connection)
}

/// The first sentinel that knows the primary is believed; a wrong one is found out by its role.
fn ask_sentinels(sentinels: &[ConnectionInfo], primary: &str) -> Result<(String, u16), StoreFault> {
    let mut fault = StoreFault::Away("the URL names no sentinel".to_owned().into());
    for sentinel in sentinels {
        let asked = connect(sentinel).and_then(|mut connection| {
            let mut ask = redis::cmd("SENTINEL");
            ask.arg("get-master-addr-by-name").arg(primary);
            let found: RedisResult<Option<(String, u16)>> = ask.query(&mut connection);
            found.map_err(|error| fault::of(&error, Sent::Nothing))
        });
        match asked {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {
                let name = primary.to_owned();
                fault = StoreFault::Away(StoreReason::UnknownPrimary { name });
            }
            Err(why) => fault = why,
        }
    }
    Err(fault)
}

/// Slots that one primary has.
struct Range {
    first: u16,
    last: u16,
    host: String,
    port: u16,
}

/// Who has which slots, as a node of the cluster knows it.
fn slots_of(connection: &mut Connection) -> Result<Vec<Range>, StoreFault> {
    let answer: RedisResult<Value> = redis::cmd("CLUSTER").arg("SLOTS").query(connection);
    let answer = answer.map_err(|error| match fault::is_no_cluster(&error) {
        true => StoreFault::Refused(StoreReason::NoCluster),
        false => fault::of(&error, Sent::Nothing),
    })?;
    let Value::Array(ranges) = answer else { return Err(fault::unexpected("its slots")) };
    let ranges: Option<Vec<Range>> = ranges.into_iter().map(range).collect();
    ranges
        .filter(|ranges| !ranges.is_empty())
        .ok_or_else(|| StoreFault::Away("the cluster has no slots yet".to_owned().into()))
}

/// `[first, last, [host, port, …], replicas…]`
fn range(value: Value) -> Option<Range> {
    let Value::Array(parts) = value else { return None };
    let [first, last, Value::Array(primary), ..] = parts.as_slice() else { return None };
    let [host, port, ..] = primary.as_slice() else { return None };
    let number = |value: &Value| redis::from_redis_value_ref::<u16>(value).ok();
    Some(Range {
        first: number(first)?,
        last: number(last)?,
        host: redis::from_redis_value_ref(host).ok()?,
        port: number(port)?,
    })
}

fn no_node() -> RedisError {
    (redis::ErrorKind::ClusterConnectionNotFound, "no node of the cluster has the key's slot")
        .into()
}
