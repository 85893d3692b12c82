//! Servers that keep their ledger in PostgreSQL, with the event log behind a core.

use crate::program::{ADMIN, Server, kilat, stderr, wait_for};
use crate::storm::Storm;
use postgres::Cluster;
use std::process::Command;
use tempfile::TempDir;

#[path = "../../../../kilat-engine/tests/it/postgres.rs"]
mod postgres;

const SECRET: &str = "fedcba9876543210fedcba9876543210";

/// A server for the ledger, and a core for the events.
struct Place {
    cluster: Cluster,
    core: Server,
    url: String,
    _folder: TempDir,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut core = Server::run(&mut kilat([
            "core",
            "--admin=127.0.0.1:0",
            "--data",
            data.to_str().unwrap(),
        ]));
        assert!(core.next_line().contains("--ledger core://"));
        let url = format!("core://{}", data.join("core.sock").display());
        Place { cluster: Cluster::start(), core, url, _folder: folder }
    }

    fn command(&self, listen: &str, node: &str) -> Command {
        let ledger = self.cluster.url();
        let mut command = kilat(["serve", "--listen", listen, "--node", node]);
        command.args(["--ledger", &ledger, "--events", &self.url]).env("KILAT_SECRET", SECRET);
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

#[test]
fn two_servers_are_stormed_at_once_and_one_of_them_is_killed() {
    let mut place = Place::new();
    let (one, mut two) = (place.serve("one"), place.serve("two"));
    let (of_one, of_two) = (one.url.clone(), two.url.clone());
    let storm = |url: &str, sale: &str| {
        let own = format!("--sale={sale}");
        let rest = ["--orders=1500", "--buyers=1500", "--connections=50", "--hold=0.2"];
        Storm::start(url, &[&[&*own][..], &rest[..]].concat())
    };
    one.make_sale("a", 1_000, 600);
    one.make_sale("b", 1_000, 600);
    let storms = [storm(&of_one, "a"), storm(&of_two, "b")];
    wait_for("units sold", || (sold_of(&one, "b") >= 200).then_some(()));
    two.kill();
    two = place.serve_at(&of_two, "two");
    wait_for("units sold", || (sold_of(&one, "b") >= 500).then_some(()));
    place.cluster.kill();
    place.cluster.resume();
    wait_for("units sold", || (sold_of(&one, "b") >= 700).then_some(()));
    place.cluster.kill_backend("one");
    for storm in storms {
        storm.proven();
    }
    let metrics = one.get("/metrics");
    for name in crate::deploy::monitoring::STORE_METRICS {
        assert!(metrics.text().contains(&format!("# TYPE {name} ")), "{name}");
    }
    for sale in ["a", "b"] {
        assert_eq!((sold_of(&one, sale), sold_of(&two, sale)), (1_000, 1_000));
    }
    wait_for("facts", || {
        (place.cluster.sql("SELECT count(*) FROM kilat.outbox") == "0\n").then_some(())
    });
    one.stop();
    two.stop();
    place.core.stop();
}

fn sold_of(server: &Server, sale: &str) -> u64 {
    server.get(&format!("/v1/sales/{sale}")).json()["sold"].as_u64().unwrap_or(0)
}

#[test]
fn what_is_missing_is_named_before_anything_is_touched() {
    let ledger = "postgres://u:secret@localhost/shop";
    for (arguments, secrets, says) in [
        (&[][..], true, "--events"),
        (&["--events", "core:///x"][..], false, "KILAT_SECRET"),
        (&["--events", ledger][..], true, "core://"),
    ] {
        let mut command = kilat(["serve", "--ledger", ledger]);
        command.args(arguments).env("KILAT_ADMIN_TOKEN", ADMIN);
        if secrets {
            command.env("KILAT_SECRET", SECRET);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = stderr(&output);
        assert!(said.contains(says) && !said.contains("u:secret"), "{said}");
    }
}
