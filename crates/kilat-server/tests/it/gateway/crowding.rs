//! More than replicas can do: who waits is served; once clients leave before they are answered,
//! those who come then are let in only as far as they can expect an answer in time.

use super::world::World;
use crate::http::{Connection, request};
use kilat_server::gateway::Limits;
use std::time::Duration;

const WAIT: &str = "/v1/sales/wait/orders";
const PLAIN: &str = "/v1/sales/plain/orders";
/// No test lasts so long.
const LONG: Duration = Duration::from_secs(3_600);
/// So many more than those who are let in.
const CROWD: usize = 200;
/// Those who are let in once many have left.
const LET_IN: usize = 128;

fn world() -> World {
    World::single(Limits { crowding_memory: LONG, ..Limits::default() })
}

fn order(path: &str) -> String {
    let headers = [("idempotency-key", "k"), ("content-type", "application/json")];
    request("POST", path, &headers, r#"{"customer":"budi","quantity":1}"#)
}

fn await_in_flight(world: &World, count: usize) {
    while world.figure("kilat_gateway_in_flight ") != count as f64 {
        std::thread::yield_now();
    }
}

/// So many whose orders are with the replica, which answers none of them.
fn crowd(world: &World, count: usize) -> Vec<Connection> {
    let come = |_| {
        let mut client = world.connect();
        client.send(order(WAIT));
        client
    };
    let crowd = (0..count).map(come).collect();
    await_in_flight(world, count);
    crowd
}

/// The replica answers so many; these get their replies.
fn answer(world: &World, count: usize, here: &mut [Connection]) {
    (0..count).for_each(|_| world.replicas[0].permit(WAIT));
    for client in here {
        assert_eq!(client.read_reply().status, 201);
    }
    await_in_flight(world, 0);
}

/// Many have left before they were answered.
fn learn(world: &World) {
    let mut hurried = crowd(world, CROWD);
    hurried.truncate(CROWD / 4);
    answer(world, CROWD, &mut hurried);
}

fn turned_away(world: &World, reason: &str) -> f64 {
    world.figure(&format!("kilat_turned_away_total{{reason=\"{reason}\"}} "))
}

#[test]
fn who_waits_is_served_however_many_they_are() {
    let world = world();
    for _ in 0..2 {
        let mut patient = crowd(&world, 2 * CROWD);
        // A few always leave.
        patient.truncate(2 * CROWD - 10);
        answer(&world, 2 * CROWD, &mut patient);
    }
}

#[test]
fn once_many_have_left_one_too_many_is_told_so_at_once_and_all_others_are_answered() {
    let world = world();
    learn(&world);
    let before = turned_away(&world, "crowded");
    let mut let_in = crowd(&world, LET_IN);
    let mut late = world.connect();
    late.send(order(PLAIN));
    let reply = late.read_reply();
    assert_eq!((reply.status, reply.code().as_str()), (503, "overloaded"));
    let seconds: u32 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=4).contains(&seconds), "{seconds}");
    assert_eq!(world.seen_at(PLAIN), 0);
    assert!(turned_away(&world, "crowded") > before);
    assert_eq!(world.get("/page").status, 200, "what does not storm is not turned away");
    answer(&world, LET_IN, &mut let_in);
    late.send(order(PLAIN));
    assert_eq!(late.read_reply().status, 200);
}

#[test]
fn what_those_want_who_have_left_is_not_sent_on_when_others_wait() {
    let world = world();
    learn(&world);
    let mut let_in = crowd(&world, LET_IN / 2);
    let before = turned_away(&world, "left");
    let mut gone = world.connect();
    gone.send_and_end(order(PLAIN).as_bytes());
    // It may have only ended its sending: then it learns what became of it.
    assert_eq!(gone.read_reply().code(), "overloaded");
    assert_eq!(world.seen_at(PLAIN), 0);
    assert!(turned_away(&world, "left") > before);
    let mut here = world.connect();
    here.send(order(PLAIN));
    answer(&world, LET_IN / 2, &mut let_in);
    assert_eq!(here.read_reply().status, 200);
}
