//! More than can be served: who waits is served, however late; once callers leave before they are
//! answered, those who come then are let in only as far as they can expect an answer in time, and
//! the others are told to come later, at once.

use crate::http::{Connection, Reply, request};
use crate::world::World;
use kilat_engine::{OrderId, OrderText, Orders};
use kilat_server::{LaneOptions, Limits};
use std::sync::mpsc;
use std::time::Duration;

/// No test lasts so long.
const LONG: Duration = Duration::from_secs(3_600);
/// So many more than those who are let in.
const CROWD: usize = 200;
/// Those who are let in once many have left.
const LET_IN: usize = 128;
/// Fewer than a listener keeps until they are accepted.
const AT_ONCE: usize = 64;

fn world() -> World {
    let lanes = LaneOptions { crowding_memory: LONG, ..LaneOptions::default() };
    let world = World::fast_lane(Limits::default(), lanes);
    world.make_sale(&[
        (r#""supply":10"#, r#""supply":1000000"#),
        (r#""per_customer":2"#, r#""per_customer":null"#),
    ]);
    world
}

/// The engine answers nobody before this is dropped.
struct Held {
    _until_dropped: mpsc::Sender<()>,
}

impl Held {
    fn new(world: &World) -> Held {
        let (held, release) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let handle = world.handle();
        let mut orders = Orders::default();
        let text = OrderText { sale: "none", customer: "c", key: "k" };
        orders.push(handle.hasher(), OrderId::from_bits(1), &text, 1, false);
        let wait = move |_| {
            begun.send(()).unwrap();
            // Fails when it is dropped.
            let _ = release.recv();
        };
        handle.place(orders, Box::new(wait));
        has_begun.recv().unwrap();
        Held { _until_dropped: held }
    }
}

fn order(key: &str) -> String {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    request("POST", "/v1/sales/s/orders", &headers, r#"{"customer":"budi","quantity":1}"#)
}

fn event(id: &str) -> String {
    let body = format!(
        r#"{{"topic":"t","event_id":"{id}","timestamp":"2026-11-22T12:00:00Z","source":"s","payload":{{}}}}"#
    );
    request("POST", "/publish", &[("content-type", "application/json")], &body)
}

/// So many who have sent an order, the last of whom have left when this returns: the lane has
/// looked at all of it.
fn crowd(world: &World, name: &str, count: usize, left: usize) -> Vec<Connection> {
    // Who comes before at the same time at the latest has been taken.
    let settled = || assert_eq!(world.get("/livez").status, 200);
    let come = |n: usize| {
        if n % AT_ONCE == AT_ONCE - 1 {
            settled();
        }
        let mut buyer = world.connect();
        buyer.send(order(&format!("{name}-{n}")));
        if n + left >= count {
            buyer.end_sending();
        }
        buyer
    };
    let crowd = (0..count).map(come).collect();
    settled();
    crowd
}

fn read_all(crowd: &mut [Connection]) {
    for (n, buyer) in crowd.iter_mut().enumerate() {
        let reply = buyer.read_reply();
        assert_eq!(reply.status, 201, "{n}: {}", reply.text());
    }
}

/// Many have left before they were answered.
fn learn(world: &World) {
    let held = Held::new(world);
    let mut hurried = crowd(world, "hurried", CROWD, CROWD * 3 / 4);
    drop(held);
    read_all(&mut hurried);
}

fn check_turned_away(reply: &Reply) {
    assert_eq!((reply.status, reply.code().as_str()), (503, "overloaded"));
    let seconds: u32 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=4).contains(&seconds), "{seconds}");
}

fn turned_away(world: &World, reason: &str) -> u64 {
    let name = format!("kilat_turned_away_total{{reason=\"{reason}\"}} ");
    let metrics = world.get("/metrics");
    let count = metrics.text().lines().find_map(|line| line.strip_prefix(&name)?.parse().ok());
    count.unwrap()
}

#[test]
fn who_waits_is_served_however_many_they_are() {
    let world = world();
    for round in 0..3 {
        let held = Held::new(&world);
        // A few always leave.
        let mut patient = crowd(&world, &format!("patient-{round}"), 2 * CROWD, 10);
        assert!(!patient.iter().any(Connection::has_more));
        drop(held);
        read_all(&mut patient);
    }
}

#[test]
fn once_many_have_left_one_too_many_is_told_so_at_once_and_all_others_are_answered() {
    let world = world();
    learn(&world);
    let before = turned_away(&world, "crowded");
    let held = Held::new(&world);
    let mut let_in = crowd(&world, "let-in", LET_IN, 0);
    let mut late = world.connect();
    for asked in [order("late"), event("late")] {
        late.send(asked);
        check_turned_away(&late.read_reply());
    }
    assert!(turned_away(&world, "crowded") >= before + 2);
    assert!(!let_in.iter().any(Connection::has_more), "the engine is held");
    drop(held);
    read_all(&mut let_in);
    late.send(order("late") + &event("late"));
    assert_eq!((late.read_reply().status, late.read_reply().status), (201, 200));
    let sold = world.get("/v1/sales/s/audit").json()["sold"].as_u64();
    assert_eq!(sold, Some((CROWD + LET_IN + 1) as u64), "nobody who was turned away has bought");
}

#[test]
fn what_those_want_who_have_left_is_not_carried_out_when_others_wait() {
    let world = world();
    learn(&world);
    let held = Held::new(&world);
    let mut let_in = crowd(&world, "let-in", LET_IN / 2, 0);
    let before = turned_away(&world, "left");
    let mut gone = world.connect();
    gone.send_and_end(order("gone").as_bytes());
    // It may have only ended its sending: then it learns what became of it.
    check_turned_away(&gone.read_reply());
    assert!(gone.read_to_end().is_empty());
    assert!(turned_away(&world, "left") > before);
    let mut here = world.connect();
    here.send(order("here"));
    assert_eq!(world.get("/livez").status, 200);
    assert!(!here.has_more(), "there is a place for those who wait");
    drop(held);
    read_all(&mut let_in);
    assert_eq!(here.read_reply().status, 201);
}

#[test]
fn replies_to_requests_one_behind_the_other_stay_in_order_when_some_are_turned_away() {
    let world = world();
    learn(&world);
    let held = Held::new(&world);
    let mut let_in = crowd(&world, "let-in", LET_IN - 10, 0);
    let mut many = world.connect();
    many.send((0..30).map(|n| order(&format!("many-{n}"))).collect::<String>());
    assert_eq!(world.get("/livez").status, 200);
    drop(held);
    read_all(&mut let_in);
    let statuses: Vec<u16> = (0..30).map(|_| many.read_reply().status).collect();
    assert_eq!(statuses, [vec![201; 10], vec![503; 20]].concat());
}

/// One who sends very much and then ends is one who left, however much it was.
#[test]
fn one_who_leaves_is_one() {
    let world = world();
    let held = Held::new(&world);
    let mut busy = world.connect();
    let count = 120;
    let orders: String = (0..count).map(|n| order(&format!("busy-{n}"))).collect();
    busy.send_and_end(orders.as_bytes());
    let mut others = crowd(&world, "others", 10, 0);
    drop(held);
    (0..count).for_each(|_| assert_eq!(busy.read_reply().status, 201));
    read_all(&mut others);
    let held = Held::new(&world);
    let mut patient = crowd(&world, "patient", CROWD, 0);
    assert!(!patient.iter().any(Connection::has_more));
    drop(held);
    read_all(&mut patient);
}
