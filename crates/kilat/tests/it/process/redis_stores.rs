//! Servers that keep their ledger in Redis, with the event log behind a core.

use crate::facts;
use crate::program::{Server, kilat, stderr, wait_for};
use crate::storm::Storm;
use redis_server::{DURABLE, RedisServer};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

#[expect(dead_code, reason = "the engine's tests need more of it")]
#[path = "../../../../kilat-engine/tests/it/redis_server.rs"]
mod redis_server;

const SECRET: &str = "fedcba9876543210fedcba9876543210";

/// A server for the ledger, and a core for the events.
struct Place {
    redis: RedisServer,
    core: Server,
    events: String,
    stripes: &'static str,
    ledger: String,
    folder: TempDir,
}

impl Place {
    fn new(stripes: &'static str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let data = data.to_str().unwrap();
        let mut core = Server::run(&mut kilat(["core", "--admin=127.0.0.1:0", "--data", data]));
        assert!(core.next_line().contains("--ledger core://"));
        let events = format!("core://{data}/core.sock");
        let redis = RedisServer::start(folder.path(), DURABLE);
        let ledger = redis.url();
        Place { redis, core, events, stripes, ledger, folder }
    }

    fn command(&self, listen: &str, node: &str) -> Command {
        let mut command = kilat(["serve", "--listen", listen, "--node", node]);
        command.args(["--ledger", &self.ledger, "--events", &self.events]);
        command.args(["--ledger-stripes", self.stripes]).env("KILAT_SECRET", SECRET);
        command
    }

    fn serve(&self, node: &str) -> Server {
        Server::run(&mut self.command("127.0.0.1:0", node))
    }

    /// Again, where one was.
    fn serve_at(&self, url: &str, node: &str) -> Server {
        Server::run(&mut self.command(url.trim_start_matches("http://"), node))
    }
}

fn sold_of(server: &Server, sale: &str) -> u64 {
    server.get(&format!("/v1/sales/{sale}")).json()["sold"].as_u64().unwrap_or(0)
}

/// What the events come to, each of which is there once. Those of different stripes have no order.
fn sold_by_facts(server: &Server) -> usize {
    let (mut ids, mut ended) = (BTreeSet::new(), BTreeSet::new());
    let facts = facts::of(server, "hot");
    for event in &facts {
        assert!(ids.insert(event["event_id"].to_string()), "twice: {event}");
        let payload = &event["payload"];
        if ["order_cancelled", "order_expired"].iter().any(|kind| payload["type"] == *kind) {
            ended.insert(payload["order"].to_string());
        }
    }
    let is_sold = |event: &&Value| {
        let payload = &event["payload"];
        payload["type"] == "order_placed" && !ended.contains(&payload["order"].to_string())
    };
    facts.iter().filter(is_sold).count()
}

/// Both are stormed for the same units; one is killed twice, and Redis once.
fn storm_two(stripes: &'static str) {
    let mut place = Place::new(stripes);
    let (one, mut two) = (place.serve("one"), place.serve("two"));
    let (of_one, of_two) = (one.url.clone(), two.url.clone());
    one.make_sale("hot", 2_000, 600);
    let storm = |url: &str| {
        let size =
            ["--sale=hot", "--orders=1600", "--buyers=1600", "--connections=40", "--hold=0.2"];
        Storm::start(url, &size)
    };
    let storms = [storm(&of_one), storm(&of_two)];
    for sold in [300, 900] {
        wait_for("units sold", || (sold_of(&one, "hot") >= sold).then_some(()));
        two.kill();
        two = place.serve_at(&of_two, "two");
    }
    wait_for("units sold", || (sold_of(&one, "hot") >= 1_200).then_some(()));
    place.redis.crash();
    for storm in storms {
        storm.proven();
    }
    wait_for("the same figures", || (sold_of(&one, "hot") == sold_of(&two, "hot")).then_some(()));
    let audit = one.get("/v1/sales/hot/audit").json();
    assert_eq!(
        (audit["sold"].as_u64(), audit["balanced"].as_bool()),
        (Some(2_000), Some(true)),
        "{audit}"
    );
    assert_eq!(audit["in_transit"].as_u64().unwrap_or(0), 0, "{audit}");
    if stripes == "1" {
        assert_eq!(facts::check(&one, "hot").sold, 2_000);
    } else {
        wait_for("the events", || (sold_by_facts(&one) == 2_000).then_some(()));
    }
    one.stop();
    two.stop();
    place.core.stop();
}

/// Clocks of the servers, hours apart, are nobody's: time is that of Redis.
#[test]
fn servers_with_clocks_hours_apart_sell_by_one_clock() {
    let place = Place::new("1");
    let server = |node: &str, offset: &str| {
        let mut command = place.command("127.0.0.1:0", node);
        command.env("LD_PRELOAD", super::clock::library().unwrap()).env("FAKETIME", offset);
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Server::run(&mut command)
    };
    let (early, late) = (server("early", "-3h"), server("late", "+5h"));
    early.make_sale("s", 10, 60);
    let hold = |server: &Server, key: &str| {
        let reply = server.order("s", key, r#"{"customer":"c","quantity":1,"hold":true}"#);
        assert_eq!(reply.status, 201, "{}", reply.text());
        reply.json()
    };
    // Neither in the past of the one nor hours after the other.
    let (one, other) = (hold(&early, "1"), hold(&late, "2"));
    let minute = |order: &Value| order["expires_at"].as_str().unwrap()[..13].to_owned();
    assert_eq!(minute(&one), minute(&other), "{one} {other}");
    for (server, order) in [(&late, &one), (&early, &other)] {
        let path = format!("/v1/sales/s/orders/{}/confirm", order["order"].as_str().unwrap());
        let reply = server.admin("POST", &path, "k", "");
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    assert_eq!((sold_of(&early, "s"), sold_of(&late, "s")), (2, 2));
    early.stop();
    late.stop();
    place.core.stop();
}

/// A certificate of a test's own authority, for 127.0.0.1: where it, its key and the authority's are.
fn certificate(folder: &Path) -> [String; 3] {
    let path = |name: &str| folder.join(name).display().to_string();
    let openssl = |arguments: &str| {
        let mut openssl = Command::new("openssl");
        let output = openssl.args(arguments.split(' ')).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority -days 2"));
    openssl(&format!("req {key} -keyout own.key -out own.csr -subj /CN=redis"));
    std::fs::write(folder.join("own.ext"), "subjectAltName=IP:127.0.0.1").unwrap();
    openssl(
        "x509 -req -in own.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out own.pem -days 2 -extfile own.ext",
    );
    [path("own.pem"), path("own.key"), path("ca.pem")]
}

#[test]
fn a_ledger_is_reached_by_tls_and_only_with_a_certificate_that_is_trusted() {
    let mut place = Place::new("1");
    let folder = place.folder.path().join("tls");
    std::fs::create_dir(&folder).unwrap();
    let [own, key, authority] = certificate(&folder);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let port = port.to_string();
    let tls = ["--tls-port", &port, "--tls-cert-file", &own, "--tls-key-file", &key];
    let more = ["--tls-ca-cert-file", &authority, "--tls-auth-clients", "no"];
    place.redis = RedisServer::start(&folder, &[DURABLE, &tls, &more].concat());
    place.ledger = format!("rediss://127.0.0.1:{port}");
    // Whoever is not told of the authority takes nobody's word.
    let output = place.command("127.0.0.1:0", "one").output().unwrap();
    assert!(
        !output.status.success() && stderr(&output).contains("SSL_CERT_FILE"),
        "{}",
        stderr(&output)
    );
    let one = Server::run(place.command("127.0.0.1:0", "one").env("SSL_CERT_FILE", &authority));
    one.make_sale("s", 10, 60);
    let reply = one.order("s", "1", r#"{"customer":"c","quantity":1}"#);
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(sold_of(&one, "s"), 1);
    one.stop();
    place.core.stop();
}

#[test]
fn two_servers_are_stormed_for_one_sale_and_one_of_them_is_killed() {
    storm_two("1");
}

#[test]
fn two_servers_are_stormed_for_a_striped_sale_and_one_of_them_is_killed() {
    storm_two("4");
}
