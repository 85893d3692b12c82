//! Replicas that are cut off from their core, or hear only some of it.

use super::lab::{Lab, Weather, may_make_networks};
use crate::facts;
use crate::http::Reply;
use crate::program::{Server, kilat, scaled, verify, wait_for};
use crate::storm::Storm;
use crate::witness::{Random, seed};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SECRET: &str = "fedcba9876543210fedcba9876543210";
const ORDER: &str = r#"{"customer":"c","quantity":1}"#;
/// In a network of its own every port is free.
const PORT: u16 = 7070;
const WEATHERS: [Weather; 4] =
    [Weather::Cut, Weather::RepliesLost, Weather::RequestsLost, Weather::Lossy];

/// A core, two replicas with a cable each, and a gateway in front of them.
struct Shop {
    lab: Lab,
    core: Server,
    replicas: [Server; 2],
    gateway: Server,
    folder: TempDir,
}

impl Shop {
    fn open() -> Shop {
        let lab = Lab::new(2);
        let folder = tempfile::tempdir().unwrap();
        let mut core = kilat(["core", "--admin=127.0.0.1:0", "--listen=tcp://0.0.0.0:7070"]);
        let core = core.arg("--data").arg(data(&folder)).env("KILAT_SECRET", SECRET);
        let core = Server::run(&mut lab.at_the_core(core));
        let replicas = [0, 1].map(|cable| Server::run(&mut replica(&lab, cable)));
        let urls = replicas.each_ref().map(|replica| format!("--replica={}", replica.url));
        let gateway = Server::run(kilat(["gateway", "--listen=127.0.0.1:0"]).args(urls));
        gateway.make_sale("s", 1_000_000, 60);
        Shop { lab, core, replicas, gateway, folder }
    }

    fn set(&self, cables: &[usize], weather: Weather) {
        cables.iter().for_each(|cable| self.lab.set(*cable, weather));
    }

    /// Waits until all are as they were; nobody was started again.
    fn await_well(&self) {
        for server in self.replicas.iter().chain([&self.gateway]) {
            wait_for("a replica that is well", || {
                (server.get("/readyz").status == 200).then_some(())
            });
        }
    }

    /// What buyers are told for so long; the longest that one of them waited.
    fn buy_for(&self, run: usize, time: Duration) -> (BTreeMap<String, usize>, Duration) {
        let (started, mut longest) = (Instant::now(), Duration::ZERO);
        let mut told: BTreeMap<String, usize> = BTreeMap::new();
        for number in 0.. {
            if started.elapsed() > time {
                break;
            }
            let asked = Instant::now();
            let reply = self.gateway.order("s", &format!("{run}-{number}"), ORDER);
            longest = longest.max(asked.elapsed());
            *told.entry(clear_word(&reply)).or_default() += 1;
        }
        (told, longest)
    }

    fn close(self) {
        self.gateway.stop();
        self.replicas.into_iter().for_each(Server::stop);
        self.core.stop();
        assert_eq!(verify(&data(&self.folder))["holds"], true);
    }
}

fn data(folder: &TempDir) -> PathBuf {
    folder.path().join("data")
}

fn replica(lab: &Lab, cable: usize) -> Command {
    let url = lab.address(cable, PORT);
    let mut command = kilat(["serve", "--listen=127.0.0.1:0", "--ledger", &url, "--events", &url]);
    command.arg(format!("--node=web-{}", cable + 1)).env("KILAT_SECRET", SECRET);
    command
}

/// Its code; whoever is not served is told why, and when to come again.
fn clear_word(reply: &Reply) -> String {
    if reply.status == 201 {
        return "sold".to_owned();
    }
    let code = reply.json()["code"].as_str().unwrap().to_owned();
    let known = ["core_unreachable", "outcome_unknown", "overloaded"];
    assert!(known.contains(&code.as_str()), "{}", reply.text());
    let expected = if code == "outcome_unknown" { 504 } else { 503 };
    assert_eq!(reply.status, expected, "{}", reply.text());
    assert!(reply.header("retry-after").is_some(), "{reply:?}");
    code
}

#[test]
fn who_is_cut_off_says_so_in_time_and_recovers_by_itself() {
    if !may_make_networks() {
        return;
    }
    let mut random = Random::new(seed());
    let shop = Shop::open();
    let storm = Storm::without_end(&shop.gateway, 32);
    for run in 0..scaled("KILAT_PARTITIONS", 4) {
        let weather = WEATHERS[run % WEATHERS.len()];
        let time = Duration::from_millis(1_000 + random.below(5_000));
        shop.set(&[0, 1], weather);
        let (told, longest) = shop.buy_for(run, time);
        shop.set(&[0, 1], Weather::Fair);
        let fair = Instant::now();
        shop.await_well();
        println!(
            "{weather:?} for {} ms: {told:?}, longest wait {} ms; well again after {} ms",
            time.as_millis(),
            longest.as_millis(),
            fair.elapsed().as_millis()
        );
        let after = shop.gateway.order("s", &format!("{run}-after"), ORDER);
        assert_eq!(after.status, 201, "{}", after.text());
    }
    let report = storm.end();
    println!("{} orders acknowledged; {}", report["orders"]["acknowledged"], report["traffic"]);
    for sale in ["s", report["setup"]["sale"].as_str().unwrap()] {
        facts::check(&shop.gateway, sale);
    }
    shop.close();
}

/// While one replica is cut off, the other serves those who come by the gateway.
#[test]
fn one_replica_that_is_cut_off_is_passed_over() {
    if !may_make_networks() {
        return;
    }
    let shop = Shop::open();
    shop.set(&[0], Weather::Cut);
    wait_for("the gateway to pass it over", || {
        let nodes: Vec<Value> = (0..8).map(|n| node(&shop, n)).collect();
        nodes.iter().all(|node| node == "web-2").then_some(())
    });
    let (told, _) = shop.buy_for(0, Duration::from_secs(1));
    assert_eq!(told.keys().collect::<Vec<_>>(), ["sold"], "{told:?}");
    shop.set(&[0], Weather::Fair);
    shop.await_well();
    wait_for("its share", || (node(&shop, 0) == "web-1").then_some(()));
    facts::check(&shop.gateway, "s");
    shop.close();
}

fn node(shop: &Shop, number: usize) -> Value {
    let reply = shop.gateway.order("s", &format!("node-{number}"), ORDER);
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["node"].clone()
}
