//! `kilat up`: the whole system as processes, of which any may die at any moment.

use crate::collector::Collector;
use crate::http;
use crate::program::{Server, kilat, run, stderr, stdout, wait_for};
use crate::system::{NAMES, Up};
use rustix::process::Signal;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

const DEMO: &str = "/v1/sales/iphone-17-pro-max";

#[test]
fn the_nodes_take_turns() {
    let up = Up::start();
    let mut nodes: Vec<String> =
        (0..6).map(|_| up.server.get(DEMO).header("x-kilat-node").unwrap().to_owned()).collect();
    assert_eq!(nodes[..3], nodes[3..], "round robin");
    nodes.sort();
    nodes.dedup();
    assert_eq!(nodes, ["web-1", "web-2", "web-3"]);
    let shown = run(["ps", "--lang=en", "--data", &up.data()]);
    assert_eq!(shown.status.code(), Some(0));
    let shown = stdout(&shown);
    assert!(shown.lines().all(|line| line == line.trim_end()), "{shown:?}");
    assert!(shown.starts_with(" name") && !shown.contains("why"), "no reason, no column: {shown}");
    up.stop();
}

/// A client that retries nothing meets no failure while replicas die.
#[test]
fn a_replica_that_dies_is_not_noticed() {
    let up = Up::start();
    std::thread::scope(|scope| {
        let killer = scope.spawn(|| ["web-1", "web-2", "web-3"].map(|name| up.kill(name)));
        let mut number = 0;
        while !killer.is_finished() || number < 50 {
            number += 1;
            let order = format!(r#"{{"customer":"c-{number}","quantity":1}}"#);
            let reply = up.server.order("iphone-17-pro-max", &format!("k-{number}"), &order);
            assert!(matches!(reply.status, 201 | 409), "{number}: {}", reply.text());
        }
    });
    up.stop();
}

/// A client that asks again a few times when its connection breaks meets no failure; the time that
/// this takes would not be enough for a process to come back.
#[test]
fn lookups_go_on_while_replicas_die() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let address = Collector::nobody().to_string();
    let more = ["--lookup-listen", &address];
    let mut up = Up::with(&data, &more);
    let url = format!("http://{address}");
    // People are told where they are, above the table of processes.
    wait_for("the lookups' address", || {
        let line = up.server.next_line();
        assert!(!line.contains("restarts"), "{line}");
        line.contains(&format!("{url}/get_stock?sku=…")).then_some(())
    });
    let path = "/get_stock?sku=IPHONE-17-PRO-MAX";
    let ask = || {
        let mut reply = http::get(&url, path);
        for _ in 0..5 {
            if reply.is_ok() {
                break;
            }
            // A process that is being killed still has its share of new connections.
            std::thread::sleep(Duration::from_millis(5));
            reply = http::get(&url, path);
        }
        reply
    };
    std::thread::scope(|scope| {
        let killer = scope.spawn(|| ["web-1", "web-2", "web-3"].map(|name| up.kill(name)));
        let mut number = 0;
        while !killer.is_finished() || number < 50 {
            number += 1;
            let reply = ask().unwrap_or_else(|error| panic!("{number}: {error}"));
            assert_eq!(reply.json()["warehouse"], "Kilat", "{number}: {}", reply.text());
        }
    });
    // The address is taken, also for whoever would share it.
    let other = folder.path().join("other").to_str().unwrap().to_owned();
    let output =
        run(["up", "--lang=en", "--listen=127.0.0.1:0", "--data", &other, more[0], more[1]]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains(&address), "{}", stderr(&output));
    up.stop();
}

#[test]
fn the_processes_end_with_the_one_that_keeps_them() {
    let up = Up::start();
    let pids = NAMES.map(|name| up.process(name)["pid"].as_u64().unwrap());
    let (server, data, folder) = up.take_apart();
    server.kill();
    for pid in pids {
        wait_for("an end", || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
    }
    // Nothing stands in the way of a new start on what was left.
    Up::on(&data).stop();
    drop(folder);
}

#[test]
fn what_cannot_run_is_refused_with_the_remedy() {
    let up = Up::start();
    let (data, address) = (up.data(), up.server.url.trim_start_matches("http://").to_owned());
    let other = format!("{}-other", up.data());
    let table: [(&[&str], &str); 6] = [
        (&["up", "--listen=127.0.0.1:0", "--data", &data], "runs already"),
        (&["up", "--listen", &address, "--data", &other], "in use"),
        (&["up", "--ledger=core://127.0.0.1:1", "--events=core://127.0.0.1:1"], "own core"),
        (&["up", "--replicas=0"], "--replicas"),
        (&["ps", "--data", &other], "no kilat up runs"),
        (&["kill", "web-9", "--data", &data], "kilat ps"),
    ];
    for (arguments, says) in table {
        let mut command = kilat(arguments.iter().copied());
        // A core on TCP needs secrets, which is not what is asked here.
        command.env("KILAT_SECRET", "0123456789abcdef0123456789abcdef").env("KILAT_LANG", "en");
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(says), "{arguments:?}: {}", stderr(&output));
    }
    // A serve that holds the directory is named by the core, and up does not try again.
    let serve = Server::start(Path::new(&other));
    let output = run(["up", "--lang=en", "--listen=127.0.0.1:0", "--data", &other]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("core ended with exit code 2"), "{}", stderr(&output));
    serve.stop();
    up.stop();
}

/// Its port is somebody else's when it comes back: it is named with the remedy, tried ever less
/// often, and back by itself when the port is free.
#[test]
fn a_replica_without_its_port_is_named_and_does_not_spin() {
    let up = Up::start();
    let address = up.process("web-2")["address"].as_str().unwrap().to_owned();
    let address = address.trim_start_matches("http://").to_owned();
    let thief =
        std::thread::spawn(move || wait_for("the port", || TcpListener::bind(&address).ok()));
    up.strike("web-2");
    let thief = thief.join().unwrap();
    let named = wait_for("a replica that can't start", || {
        let process = up.process("web-2");
        let why = process["why"].as_str().unwrap_or_default().contains("in use");
        (why && process["restarts"].as_u64() >= Some(3)).then_some(process)
    });
    assert_eq!(named["exit_code"], 2, "{named}");
    let refused = run(["ps", "--lang=en", "--data", &up.data()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stdout(&refused).contains("in use by another process: stop it"),
        "{}",
        stdout(&refused)
    );
    // A second and a half of waits lies between four ends; a spin would have had hundreds.
    assert!(named["restarts"].as_u64() < Some(8), "{named}");
    assert_eq!(up.server.get("/readyz").status, 200, "the others serve");
    drop(thief);
    up.await_all();
    up.stop();
}

/// A replica that waits for a core which does not answer says so, on the table too.
#[test]
fn a_replica_that_does_not_get_ready_is_named_with_what_it_waits_for() {
    let up = Up::start();
    up.signal("core", Signal::STOP);
    up.strike("web-1");
    let late = wait_for("a replica that waits", || {
        let process = up.process("web-1");
        let why = process["why"].as_str().unwrap_or_default().contains("waiting for the core");
        why.then_some(process)
    });
    assert_eq!(late["state"], "starting", "{late}");
    // Who stands still for too long is killed, and everything is well again.
    wait_for("a new core", || (up.process("core")["restarts"] == 1).then_some(()));
    up.await_all();
    let order = r#"{"customer":"c","quantity":1}"#;
    assert_eq!(up.server.order("iphone-17-pro-max", "k", order).status, 201);
    assert_eq!(up.process("web-2")["restarts"], 0, "it could not have helped it");
    up.stop();
}
