//! Replicas, and cores, that stand still and go on as if nothing had been.
//!
//! What they were asked before, and had no time to answer, waits in their sockets: it is answered
//! by the time that it is, not by the time that they remember.

use super::core::Place;
use crate::facts;
use crate::program::{Server, scaled, verify, wait_for};
use rustix::process::Signal;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Units of the sale; replicas that were not stopped sell one a round.
const SUPPLY: u64 = 100_000;
/// Holds end while their replica stands still.
const HOLD_SECONDS: u32 = 1;
/// Replicas that stand still at the same time, at most.
const TOGETHER: usize = 50;
/// What pages say of stock that may be old.
const CUT_OFF: &str = "stock shown may have changed";

/// For how long they stand still: longer than a hold lasts.
fn pause() -> Duration {
    let given = std::env::var("KILAT_PAUSE_MS").ok().and_then(|ms| ms.parse().ok());
    Duration::from_millis(given.unwrap_or(2_500))
}

/// A request whose reply is read later.
struct Asked(TcpStream);

impl Asked {
    fn send(server: &Server, method: &str, path: &str) -> Asked {
        let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: h\r\naccept-language: en\r\n");
        let rest =
            "idempotency-key: k\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(format!("{head}{rest}").as_bytes()).unwrap();
        Asked(stream)
    }

    /// What came up to the first `end`, or to the end of the connection.
    fn until(mut self, end: &str) -> String {
        let (mut all, mut part) = (Vec::new(), [0; 4096]);
        loop {
            let text = String::from_utf8_lossy(&all).into_owned();
            if text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.contains(end)) {
                return text;
            }
            match self.0.read(&mut part) {
                Ok(read @ 1..) => all.extend_from_slice(&part[..read]),
                _ => return text,
            }
        }
    }
}

fn status(reply: &str) -> u16 {
    reply.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

/// The number behind `name` in a reply.
fn number(reply: &str, name: &str) -> u64 {
    let (_, rest) = reply.split_once(name).unwrap_or_else(|| panic!("no {name}: {reply}"));
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

fn order(server: &Server, key: &str, hold: bool) -> Value {
    let reply =
        server.order("s", key, &format!(r#"{{"customer":"c","quantity":1,"hold":{hold}}}"#));
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()
}

fn available(server: &Server) -> u64 {
    server.get("/v1/sales/s").json()["available"].as_u64().unwrap()
}

/// What was asked of a replica while it stood still.
struct Questions {
    held: String,
    confirm: Asked,
    list: Asked,
    page: Asked,
    stream: Asked,
}

impl Questions {
    fn ask(server: &Server, held: &str) -> Questions {
        let confirm = format!("/v1/sales/s/orders/{held}/confirm");
        Questions {
            held: held.to_owned(),
            confirm: Asked::send(server, "POST", &confirm),
            list: Asked::send(server, "GET", "/v1/sales"),
            page: Asked::send(server, "GET", "/s/s"),
            stream: Asked::send(server, "GET", "/v1/sales/s/stream"),
        }
    }

    /// Nothing old is confirmed, and nothing old is shown as if it were live.
    fn check(self, now: u64) {
        let confirm = self.confirm.until("}");
        assert!(matches!(status(&confirm), 409 | 503 | 504), "{} is over: {confirm}", self.held);
        let list = self.list.until("]}");
        let is_told = status(&list) == 200;
        assert!(!is_told || number(&list, "\"available\":") == now, "{now} are left: {list}");
        assert!(is_told || status(&list) == 503, "{list}");
        let page = self.page.until("</html>");
        let shown = number(&page, "max=\"100000\" value=\"");
        assert!(shown == now || page.contains(CUT_OFF), "{now} are left: {page}");
        let stream = self.stream.until("}");
        assert_eq!(number(&stream, "\"available\":"), now, "{stream}");
    }
}

#[test]
fn replicas_that_stood_still_confirm_and_show_nothing_old() {
    let place = Place::new();
    let core = place.core();
    let awake = place.replica("awake");
    awake.make_sale("s", SUPPLY, HOLD_SECONDS);
    let pauses = scaled("KILAT_PAUSES", 6);
    let mut replicas: Vec<Server> =
        (0..pauses.min(TOGETHER)).map(|n| place.replica(&format!("still-{n}"))).collect();
    let rounds = pauses.div_ceil(replicas.len());
    for round in 0..rounds {
        let held: Vec<Value> = (replicas.iter().enumerate())
            .map(|(n, replica)| order(replica, &format!("held-{round}-{n}"), true))
            .collect();
        replicas.iter_mut().for_each(|replica| replica.process().stand_still());
        let questions = replicas.iter().zip(&held);
        let questions: Vec<Questions> = questions
            .map(|(replica, held)| Questions::ask(replica, held["order"].as_str().unwrap()))
            .collect();
        order(&awake, &format!("meanwhile-{round}"), false);
        std::thread::sleep(pause());
        let left = SUPPLY - round as u64 - 1;
        wait_for("the end of all holds", || (available(&awake) == left).then_some(()));
        replicas.iter_mut().for_each(|replica| replica.process().signal(Signal::CONT));
        questions.into_iter().for_each(|questions| questions.check(left));
        for (replica, held) in replicas.iter().zip(&held) {
            wait_for("a replica that is well", || {
                (replica.get("/readyz").status == 200).then_some(())
            });
            let path = format!("/v1/sales/s/orders/{}", held["order"].as_str().unwrap());
            assert_eq!(replica.admin("GET", &path, "-", "").json()["status"], "expired");
        }
    }
    println!("{} pauses of {:?}", rounds * replicas.len(), pause());
    let audited = facts::check(&awake, "s");
    assert_eq!((audited.sold, audited.held), (rounds as u64, 0));
    replicas.into_iter().chain([awake, core]).for_each(Server::stop);
    verify(&place.data());
}

#[test]
fn a_core_that_stood_still_confirms_and_sells_nothing_old() {
    let place = Place::new();
    let mut core = place.core();
    let replica = place.replica("one");
    replica.make_sale("s", SUPPLY, HOLD_SECONDS);
    let rounds = scaled("KILAT_CORE_PAUSES", 2);
    for round in 0..rounds {
        let held = order(&replica, &format!("held-{round}"), true);
        core.process().stand_still();
        let path = format!("/v1/sales/s/orders/{}/confirm", held["order"].as_str().unwrap());
        let confirm = Asked::send(&replica, "POST", &path);
        std::thread::sleep(pause());
        core.process().signal(Signal::CONT);
        let confirm = confirm.until("}");
        assert!(matches!(status(&confirm), 409 | 503 | 504), "{confirm}");
        wait_for("a replica that is well", || (replica.get("/readyz").status == 200).then_some(()));
        let path = path.trim_end_matches("/confirm");
        let now = replica.admin("GET", path, "-", "");
        assert_eq!(now.json()["status"], "expired", "{}", now.text());
    }
    println!("{rounds} pauses of {:?}", pause());
    let audited = facts::check(&replica, "s");
    assert_eq!((audited.sold, audited.held), (0, 0));
    replica.stop();
    core.stop();
    verify(&place.data());
}
