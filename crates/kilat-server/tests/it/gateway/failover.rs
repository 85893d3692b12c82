//! Replicas that die, stop, hang or leave: who notices, what is repeated.

use super::fake::Fake;
use super::world::World;
use crate::http::{Connection, request};
use kilat_server::gateway::Limits;
use kilat_server::gateway::limits::LOSSES_MAX;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A machine that is too busy for one probe a second lets those who wait for it wait in vain.
const TRIES: usize = 10;
const KEY: (&str, &str) = ("idempotency-key", "k");

#[test]
fn nobody_notices_when_a_replica_is_killed() {
    let mut world = World::pair();
    let (address, done) = (world.address, AtomicBool::new(false));
    let answered = AtomicUsize::new(0);
    let wait_for = |more: usize| {
        let enough = answered.load(Ordering::SeqCst) + more;
        while answered.load(Ordering::SeqCst) < enough {
            std::thread::yield_now();
        }
    };
    std::thread::scope(|scope| {
        for client in 0..8 {
            let (done, answered) = (&done, &answered);
            scope.spawn(move || {
                let mut connection = Connection::open(address);
                while !done.load(Ordering::SeqCst) {
                    let (method, body) = if client % 2 == 0 { ("POST", "x") } else { ("GET", "") };
                    let reply = connection.call(method, "/load", &[KEY], body);
                    assert_eq!(reply.status, 200, "{reply:?}");
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        wait_for(200);
        world.replicas[0].kill();
        wait_for(200);
        // It comes back at the same address, and is used again without a word from anybody.
        world.replicas[0] = Fake::start_at(world.replicas[0].address, "a");
        world.replicas[0].await_request("/load");
        wait_for(200);
        done.store(true, Ordering::SeqCst);
    });
}

#[test]
fn only_what_has_one_effect_is_sent_again() {
    for (method, path, headers, times) in [
        ("GET", "/die", &[][..], LOSSES_MAX),
        ("POST", "/die", &[KEY], LOSSES_MAX),
        ("PATCH", "/die", &[KEY], LOSSES_MAX),
        ("POST", "/die", &[], 1),
        ("PATCH", "/die", &[], 1),
        ("DELETE", "/die", &[], 1),
        ("POST", "/half", &[], 1),
        ("POST", "/half", &[KEY], LOSSES_MAX),
    ] {
        let world = World::pair();
        let body = if method == "GET" { "" } else { "body" };
        let reply = world.call(method, path, headers, body);
        assert_eq!((reply.status, reply.code().as_str()), (502, "replica_lost"), "{method} {path}");
        assert_eq!(world.seen_at(path), times as usize, "{method} {path} {headers:?}");
        let seen = world.replicas.iter().flat_map(|fake| fake.seen_at(path));
        assert!(seen.into_iter().all(|seen| seen.body.as_deref() == Some(body.as_bytes())));
    }
}

#[test]
fn a_person_whom_nobody_can_serve_gets_a_page_with_the_same_form() {
    let mut world = World::pair();
    world.replicas.iter_mut().for_each(Fake::kill);
    let html = ("accept", "text/html,*/*;q=0.8");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let (body, here) = ("sale=s&key=abc&hold=true", ("sec-fetch-site", "same-origin"));
    let reply = world.call("POST", "/buy", &[html, form, here], body);
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")), "{reply:?}");
    assert_eq!(reply.header("x-kilat-node"), Some("gateway-1"));
    assert_eq!(reply.header("content-language"), Some("id"));
    assert!(reply.header("content-security-policy").unwrap().contains("default-src 'none'"));
    let page = reply.text();
    assert!(page.contains("<form id=\"retry\" method=\"post\" action=\"/buy\""), "{page}");
    assert!(page.contains("name=\"key\" value=\"abc\""), "{page}");
    let foreign = ("sec-fetch-site", "cross-site");
    let reply = world.call("POST", "/buy", &[html, form, foreign], body);
    assert!(
        !reply.text().contains("value=\"abc\""),
        "what another site has sent is not sent on by ours"
    );
    let reply = world.call("GET", "/s/x", &[html, ("accept-language", "en")], "");
    assert!(reply.text().contains("Back in a moment"), "{reply:?}");
    // Programs, and the pages' own script, get a document as ever.
    let json = ("accept", "application/json");
    assert_eq!(world.call("POST", "/buy", &[json, form, here], body).code(), "no_replica");
    assert_eq!(world.call("GET", "/v1/sales", &[], "").code(), "no_replica");
}

#[test]
fn a_large_body_is_sent_once() {
    let world = World::pair();
    let reply = world.call("POST", "/die", &[KEY], &"x".repeat(100_000));
    assert_eq!(reply.code(), "replica_lost");
    assert_eq!(world.seen_at("/die"), 1);
}

#[test]
fn a_second_try_goes_to_another_replica() {
    let mut world = World::pair();
    let client = world.address;
    let waiting =
        std::thread::spawn(move || Connection::open(client).call("POST", "/wait", &[KEY], "x"));
    let busy = loop {
        if let Some(busy) = (0..2).find(|index| world.replicas[*index].open() > 0) {
            break busy;
        }
        std::thread::yield_now();
    };
    world.replicas[busy].await_request("/wait");
    world.replicas[busy].kill();
    let other = &world.replicas[1 - busy];
    other.await_request("/wait");
    other.permit("/wait");
    assert_eq!(waiting.join().unwrap().text(), other.name);
}

#[test]
fn a_reply_that_breaks_after_some_of_it_was_passed_on_is_cut() {
    let world = World::pair();
    let mut client = world.connect();
    client.send(request("GET", "/half-large", &[], ""));
    assert_eq!(client.read_cut_reply().body.len(), 300_000 - 50);
    assert_eq!(world.seen_at("/half-large"), 1);
}

#[test]
fn without_a_replica_requests_wait_for_one() {
    let mut world = World::single(Limits::default());
    let (client, address) = (world.address, world.replicas[0].address);
    let came_back = (0..TRIES).any(|_| {
        world.replicas[0].kill();
        world.await_up(address, false);
        let waiting = std::thread::spawn(move || {
            Connection::open(client).call("POST", "/x", &[], "not repeatable")
        });
        world.replicas[0] = Fake::start_at(address, "again");
        let reply = waiting.join().unwrap();
        assert!(matches!(reply.status, 200 | 503), "{reply:?}");
        reply.header("x-kilat-node") == Some("again")
    });
    assert!(came_back, "nobody who waited was answered");
    world.replicas[0].kill();
    world.await_up(address, false);
    assert_eq!(world.call("POST", "/x", &[], "x").code(), "no_replica");
}

#[test]
fn a_replica_that_leaves_gets_nothing_new() {
    let world = World::pair();
    world.replicas[0].leave(true);
    // Probes do not know it yet: the reply itself says so.
    for _ in 0..4 {
        let reply = world.call("POST", "/x", &[KEY], "x");
        assert_eq!((reply.status, reply.header("x-kilat-node")), (200, Some("b")));
    }
    world.await_up(world.replicas[0].address, false);
    let unsafe_too = world.call("POST", "/y", &[], "x");
    assert_eq!(unsafe_too.header("x-kilat-node"), Some("b"));
}

#[test]
fn a_silent_replica_is_passed_over_also_by_those_who_wait_for_it() {
    let world = World::pair();
    let mut clients: Vec<_> = (0..4).map(|_| world.connect()).collect();
    world.replicas[0].stop_answering();
    for client in &mut clients {
        client.send(request("POST", "/load", &[KEY], "x"));
    }
    for client in &mut clients {
        assert_eq!(client.read_reply().header("x-kilat-node"), Some("b"));
    }
    world.await_up(world.replicas[0].address, false);
    assert_eq!(world.replicas[0].seen_at("/load").len(), 2, "its share had been sent to it");
    for _ in 0..4 {
        assert_eq!(world.get("/later").header("x-kilat-node"), Some("b"));
    }
}

#[test]
fn a_connection_that_the_replica_closed_meanwhile_is_no_failure() {
    let world = World::single(Limits::default());
    let mut client = world.connect();
    for number in 0..20 {
        let reply = client.call("POST", "/unsafe", &[], "x");
        assert_eq!(reply.status, 200);
        world.replicas[0].close_connections();
        assert_eq!(world.replicas[0].seen_at("/unsafe").len(), number + 1);
    }
}

#[test]
fn replicas_that_can_do_no_work_say_so_themselves() {
    let world = World::pair();
    let [one, other] = &world.replicas[..] else { panic!("not a pair") };
    one.fill(true);
    world.await_up(one.address, false);
    for _ in 0..4 {
        assert_eq!(world.call("POST", "/x", &[KEY], "x").header("x-kilat-node"), Some("b"));
    }
    other.fill(true);
    world.await_up(other.address, false);
    assert!(world.call("POST", "/x", &[KEY], "x").text().contains("storage_full"));
    assert_eq!(world.get("/page").status, 200, "what needs no space is served");
    one.fill(false);
    world.await_up(one.address, true);
    for _ in 0..4 {
        assert_eq!(world.call("POST", "/x", &[KEY], "x").header("x-kilat-node"), Some("a"));
    }
}
