//! The lookups over a real socket: the seed's servers byte for byte, rehearsed
//! trouble, live sales, limits and the end.

use crate::http::{Connection, Reply, request};
use crate::world::World;
use kilat_server::Limits;
use kilat_server::lookup::{Dataset, Delay, Lookups, Options, Rehearsal};
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio::runtime::Runtime;

/// A delay that no test outlives.
const FOR_EVER: Delay = Delay::Range(Duration::from_secs(3_600), Duration::from_secs(3_600));
const FOUND: &str = "{\"name\":\"Wireless Mouse Pro\",\"sku\":\"SKU-001\",\"stock\":150,\"warehouse\":\"Gudang A\"}\n";
const FIND: &str = "/get_stock?sku=sku-001";

struct Desk {
    address: SocketAddr,
    lookups: Option<Lookups>,
    runtime: Runtime,
}

impl Desk {
    fn open(options: Options) -> Desk {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let lookups = runtime.block_on(async { Lookups::start(listener, options) }).unwrap();
        Desk { address: lookups.local_addr(), lookups: Some(lookups), runtime }
    }

    fn rehearse(rehearsal: Rehearsal) -> Desk {
        Desk::open(Options { rehearsal, ..Options::default() })
    }

    fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    fn get(&self, target: &str) -> Reply {
        self.connect().call("GET", target, &[], "")
    }

    fn send(&self, target: &str) -> Connection {
        let mut connection = self.connect();
        connection.send(request("GET", target, &[], ""));
        connection
    }

    /// Begins to stop, and ends when all is stopped.
    fn stop(&mut self, deadline: Duration) -> tokio::task::JoinHandle<()> {
        self.runtime.spawn(self.lookups.take().unwrap().shutdown(deadline))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(lookups) = self.lookups.take() {
            self.runtime.block_on(lookups.shutdown(Duration::ZERO));
        }
    }
}

/// What the recording says of one request.
struct Recorded {
    method: String,
    /// A character is a byte.
    target: String,
    status: u16,
    kind: String,
    body: String,
}

fn recorded() -> Vec<Recorded> {
    let lines = include_str!("../golden/lookup/replies.jsonl").lines();
    let read = lines.map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| line[key].as_str().unwrap().to_owned();
        let status = u16::try_from(line["status"].as_u64().unwrap()).unwrap();
        let (method, target) = (text("method"), text("target"));
        Recorded { method, target, status, kind: text("type"), body: text("body") }
    });
    read.collect()
}

#[test]
fn replies_are_those_of_the_seeds_servers() {
    let desk = Desk::open(Options::default());
    let mut connection = desk.connect();
    let (mut compared, mut no_address) = (0, 0);
    for recorded in recorded() {
        let line = format!("{} {} HTTP/1.1\r\nhost: h\r\n\r\n", recorded.method, recorded.target);
        let bytes: Vec<u8> = line.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let target = &recorded.target;
        if std::str::from_utf8(&bytes).is_err() {
            // Flask takes any bytes; here an address is ASCII, or at least UTF-8.
            connection.send(&bytes);
            assert_eq!(connection.read_head().status, 400, "{target}");
            connection = desk.connect();
            no_address += 1;
            continue;
        }
        connection.send(&bytes);
        let reply = if recorded.method == "HEAD" {
            connection.read_head()
        } else {
            let reply = connection.read_reply();
            assert_eq!(reply.text(), recorded.body, "{target}");
            reply
        };
        let kind = reply.header("content-type").unwrap();
        assert_eq!((reply.status, kind), (recorded.status, recorded.kind.as_str()), "{target}");
        compared += 1;
    }
    println!("{compared} replies compared, {no_address} addresses refused");
    assert!(compared > 1_000 && no_address < 200, "{compared} {no_address}");
}

#[test]
fn other_paths_and_methods_are_refused_in_plain_json() {
    let desk = Desk::open(Options::default());
    for path in ["/", "/get_stock/", "/GET_STOCK?sku=a", "/get_stock%2F?sku=a", "/v1/sales", "/%FF"]
    {
        let reply = desk.get(path);
        assert_eq!((reply.status, reply.header("content-type")), (404, Some("application/json")));
        assert_eq!(reply.json()["error"], "not_found", "{path}");
        let message = reply.json()["message"].to_string();
        assert!(message.contains("/get_player_stats?player_id=ID"), "{path}: {message}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        let reply = desk.connect().call(method, FIND, &[], "");
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")), "{method}");
        assert_eq!(reply.json()["error"], "method_not_allowed", "{method}");
    }
    assert_eq!(desk.connect().call("POST", "/nowhere", &[], "x").status, 404);
    // A body changes nothing, and the connection goes on.
    let mut connection = desk.connect();
    for _ in 0..2 {
        assert_eq!(connection.call("GET", FIND, &[], "sku=SKU-002").text(), FOUND);
    }
}

#[test]
fn only_a_valid_request_waits() {
    let desk = Desk::open(Options { delay: FOR_EVER, ..Options::default() });
    let waiting = desk.send(FIND);
    assert_eq!(desk.get("/get_stock").status, 400);
    assert_eq!(desk.get("/check_domain?domain=").status, 400);
    assert_eq!(desk.get("/nowhere").status, 404);
    assert_eq!(desk.connect().call("POST", FIND, &[], "").status, 405);
    assert!(!waiting.has_more(), "a valid lookup waits");
}

#[test]
fn each_rehearsal_shows_as_what_it_is() {
    let rehearse = |rehearsal| Desk::rehearse(rehearsal);
    let plain = Rehearsal::default();

    let failed = rehearse(Rehearsal { fail: 1.0, ..plain }).get(FIND);
    assert_eq!((failed.status, failed.json()["error"].as_str()), (500, Some("internal_error")));

    let busy = rehearse(Rehearsal { busy: 1.0, retry_after_seconds: 7, ..plain });
    let busy = Desk::get(&busy, FIND);
    assert_eq!((busy.status, busy.header("retry-after")), (429, Some("7")));
    assert_eq!(busy.json()["error"], "too_many_requests");

    let html = rehearse(Rehearsal { html: 1.0, ..plain });
    for (target, status) in
        [(FIND, 200), ("/get_stock?sku=x", 404), ("/check_domain?domain=free.id", 200)]
    {
        let page = html.get(target);
        let kind = page.header("content-type");
        assert_eq!((page.status, kind), (status, Some("text/html; charset=utf-8")), "{target}");
        assert!(page.text().starts_with("<!doctype html>"), "{target}");
    }
    assert_eq!(html.get("/get_stock").json()["error"], "bad_request");

    let breaks = rehearse(Rehearsal { breaks: 1.0, ..plain });
    let mut broken = breaks.send(FIND);
    let head = broken.read_head();
    let length = FOUND.len().to_string();
    assert_eq!((head.status, head.header("content-length")), (200, Some(length.as_str())));
    assert_eq!(broken.read_to_end(), &FOUND.as_bytes()[..FOUND.len() / 2]);
}

#[test]
fn a_stall_ends_with_the_server_and_gives_its_place_back_when_the_client_leaves() {
    let stalls = Rehearsal { stall: 1.0, busy_above: Some(1), ..Rehearsal::default() };
    let mut desk = Desk::rehearse(stalls);
    let both = [desk.send(FIND), desk.send(FIND)];
    wait_until(|| both.iter().any(Connection::has_more));
    let (refused, stalled): (Vec<_>, Vec<_>) = both.into_iter().partition(Connection::has_more);
    assert_eq!((refused.len(), stalled.len()), (1, 1));
    drop(stalled);
    let mut last = None;
    wait_until(|| {
        let connection = desk.send(FIND);
        let is_taken = !connection.has_more_soon();
        last = is_taken.then_some(connection);
        is_taken
    });
    let stop = desk.stop(Duration::from_secs(60));
    assert!(last.unwrap().read_to_end().is_empty(), "no reply leaves");
    desk.runtime.block_on(stop).unwrap();
}

#[test]
fn so_many_are_taken_at_once_and_the_next_is_told_when_to_come_again() {
    let rehearsal =
        Rehearsal { busy_above: Some(2), retry_after_seconds: 3, ..Rehearsal::default() };
    let desk = Desk::open(Options { rehearsal, delay: FOR_EVER, ..Options::default() });
    let all =
        ["/get_stock?sku=a", FIND, "/track_package?tracking_number=a", "/check_domain?domain=a"]
            .map(|target| desk.send(target));
    wait_until(|| all.iter().filter(|connection| connection.has_more()).count() == 2);
    assert_eq!(desk.get("/get_stock").status, 400, "what is not valid takes no place");
    let (refused, taken): (Vec<_>, Vec<_>) = all.into_iter().partition(Connection::has_more);
    for mut connection in refused {
        let reply = connection.read_reply();
        assert_eq!((reply.status, reply.header("retry-after")), (429, Some("3")));
    }
    assert_eq!(taken.len(), 2, "who was taken waits");
}

#[test]
fn a_seed_repeats_a_rehearsal_though_requests_interleave() {
    let rehearsal =
        Rehearsal { fail: 0.2, busy: 0.2, html: 0.2, breaks: 0.2, ..Rehearsal::default() };
    let run = |seed| {
        let desk = Desk::open(Options { rehearsal, seed: Some(seed), ..Options::default() });
        let ask = |id: usize| {
            let fate = |_| {
                let reply = desk.send(&format!("/get_stock?sku={id}")).read_cut_reply();
                (reply.status, reply.body.len())
            };
            (id, (0..10).map(fate).collect::<Vec<_>>())
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|id| scope.spawn(move || ask(id))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<HashMap<_, _>>()
        })
    };
    let first = run(5);
    assert_eq!(first, run(5));
    assert_ne!(first, run(6));
}

#[test]
fn a_live_sale_answers_for_its_sku_beside_the_data_set() {
    let world = World::open();
    world.make_sale(&[("SKU-1", "Sku-001é")]);
    let mut dataset = Dataset::reference();
    let row = r#"{"stock":{"SKU-001É":{"name":"row","stock":1,"warehouse":"W"}}}"#;
    dataset.extend(row).unwrap();
    let desk = Desk::open(Options { live: Some(world.handle()), dataset, ..Options::default() });
    let stock = |available: u32| {
        format!(
            "{{\"name\":\"Lampu <Kilat> & \\\"Co\\\"\",\"sku\":\"SKU-001\\u00c9\",\"stock\":{available},\"warehouse\":\"Kilat\"}}\n"
        )
    };
    let live = "/get_stock?sku=skU-001%C3%A9";
    assert_eq!(desk.get(live).text(), stock(10));
    assert_eq!(world.buy("budi", "k", 2).status, 201);
    assert_eq!(desk.get(live).text(), stock(8));
    assert_eq!(world.hold("ani", "k2").status, 201);
    assert_eq!(desk.get(live).text(), stock(7));
    assert_eq!(desk.get(FIND).text(), FOUND);
    assert_eq!(desk.get("/get_stock?sku=none").json()["error"], "sku_not_found");
    assert_eq!(desk.get("/get_flight_status?flight_number=SKU-001%C3%89").status, 404);
    world.change_sale("pause", r#"{"state":"paused"}"#);
    assert_eq!(desk.get(live).text(), stock(7));
    // A sale made later that sells comes before one that is paused.
    world.make_sale(&[(r#""id":"s""#, r#""id":"t""#), ("SKU-1", "SKU-001É"), ("10,", "99,")]);
    assert_eq!(desk.get(live).json()["stock"], 99);
    let bearer = format!("Bearer {}", crate::world::ADMIN);
    for sale in ["s", "t"] {
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", "close"),
        ];
        let close =
            world.call("PATCH", &format!("/v1/sales/{sale}"), &headers, r#"{"state":"closed"}"#);
        assert_eq!(close.status, 200, "{}", close.text());
    }
    assert_eq!(desk.get(live).json()["name"], "row", "a closed sale is not live");
}

#[test]
fn what_could_be_read_in_two_ways_is_refused_in_plain_json() {
    let desk = Desk::open(Options::default());
    for broken in [
        "GET /get_stock?sku=a HTTP/1.1\nhost: h\r\n\r\n",
        "GET /get_stock?sku=a HTTP/1.1\r\n\r\n",
        "POST /get_stock HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    ] {
        let mut client = desk.connect();
        client.send(broken);
        let reply = client.read_reply();
        assert_eq!((reply.status, reply.header("content-type")), (400, Some("application/json")));
        assert_eq!(reply.json()["error"], "bad_request", "{broken:?}");
        assert!(client.read_to_end().is_empty(), "{broken:?}");
    }
}

#[test]
fn peers_that_are_slow_large_or_many_are_cut() {
    let short = Duration::from_millis(200);
    let limits = Limits { header_timeout: short, connections_max: 2, ..Limits::default() };
    let desk = Desk::open(Options { limits, ..Options::default() });
    let mut slow = desk.connect();
    slow.send("GET /get_stock?sku=a HTTP/1.1\r\n");
    let mut idle = desk.connect();
    assert_eq!(idle.call("GET", FIND, &[], "").status, 200);
    let many = desk.connect().read_reply();
    assert_eq!((many.status, many.header("retry-after")), (503, Some("1")));
    assert_eq!(many.json()["error"], "overloaded");
    let late = slow.read_reply();
    assert_eq!((late.status, late.header("connection")), (408, Some("close")));
    assert_eq!(late.json()["error"], "request_timeout");
    assert!(idle.read_to_end().is_empty(), "silence between requests has an end too");
    // The place of who was refused is free a little after it has left.
    drop(slow);
    let large = request("GET", &format!("{FIND}{}", "x".repeat(20_000)), &[], "");
    let refused = || {
        let mut client = desk.connect();
        client.try_send(large.as_bytes());
        Some(client.read_reply()).filter(|reply| reply.status != 503)
    };
    let refused = std::iter::repeat_with(refused).find_map(|reply| reply).unwrap();
    assert_eq!((refused.status, refused.header("connection")), (431, Some("close")));
    assert_eq!(refused.json()["error"], "headers_too_large");
}

#[test]
fn what_is_in_flight_is_answered_before_the_end() {
    let slow = Duration::from_millis(500);
    let rehearsal = Rehearsal { busy_above: Some(1), ..Rehearsal::default() };
    let delay = Delay::Range(slow, slow);
    let mut desk = Desk::open(Options { delay, rehearsal, ..Options::default() });
    let mut last = loop {
        let both = [desk.send(FIND), desk.send(FIND)];
        wait_until(|| both.iter().any(Connection::has_more));
        let (answered, waiting): (Vec<_>, Vec<_>) =
            both.into_iter().partition(Connection::has_more);
        // Who is refused tells that the other is in flight.
        let is_refused = answered.into_iter().any(|mut first| first.read_reply().status == 429);
        if let Some(last) = waiting.into_iter().next().filter(|_| is_refused) {
            break last;
        }
    };
    let stop = desk.stop(Duration::from_secs(60));
    assert_eq!(last.read_reply().text(), FOUND);
    assert!(last.read_to_end().is_empty());
    desk.runtime.block_on(stop).unwrap();
    assert!(std::net::TcpStream::connect(desk.address).is_err(), "nobody listens any more");
}

fn wait_until(mut holds: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(20), "waited too long");
    }
}
