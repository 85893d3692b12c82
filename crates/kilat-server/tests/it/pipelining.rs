//! Requests sent one behind the other: each is answered, in the order in which they were sent.

use crate::http::{Connection, Reply, request};
use crate::world::World;
use kilat_server::{LaneOptions, Limits};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

/// A request, by what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// An order that is placed.
    Buy,
    /// An order for a sale that there is not.
    Miss,
    /// One event.
    Tell,
    /// For the full lane, as the rest.
    Look,
    /// An order that is none.
    Wrong,
    /// An order, after which the connection closes.
    Last,
}

use Ask::{Buy, Last, Look, Miss, Tell, Wrong};

impl Ask {
    fn status(self) -> u16 {
        match self {
            Buy | Last => 201,
            Miss => 404,
            Tell | Look => 200,
            Wrong => 422,
        }
    }

    /// As bytes, with the request's id.
    fn bytes(self, id: &str) -> String {
        let (json, id_of) = (("content-type", "application/json"), ("x-request-id", id));
        let order = |sale: &str, quantity: u32, more: &[(&str, &str)]| {
            let headers = [&[json, id_of, ("idempotency-key", id)], more].concat();
            let body = format!(r#"{{"customer":"budi","quantity":{quantity}}}"#);
            request("POST", &format!("/v1/sales/{sale}/orders"), &headers, &body)
        };
        match self {
            Buy => order("s", 1, &[]),
            Miss => order("none", 1, &[]),
            Wrong => order("s", 0, &[]),
            Last => order("s", 1, &[("connection", "close")]),
            Look => request("GET", "/livez", &[id_of], ""),
            Tell => {
                let event = format!(
                    r#"{{"topic":"t","event_id":"{id}","timestamp":"2026-11-21T12:00:00Z","source":"s","payload":{{}}}}"#
                );
                request("POST", "/publish", &[json, id_of], &event)
            }
        }
    }
}

/// A world with a sale for everybody.
fn world(lanes: LaneOptions) -> World {
    let world = World::fast_lane(Limits::default(), lanes);
    world.make_sale(&[
        (r#""supply":10"#, r#""supply":1000000"#),
        (r#""per_customer":2"#, r#""per_customer":null"#),
    ]);
    world
}

fn id(name: &str, n: usize) -> String {
    format!("{name}-{n}")
}

/// All requests as one text; their ids begin with `name`.
fn written(asked: &[Ask], name: &str) -> String {
    asked.iter().enumerate().map(|(n, ask)| ask.bytes(&id(name, n))).collect()
}

/// Reads a reply to each, and tells the sequences of the orders.
fn read_all(connection: &mut Connection, asked: &[Ask], name: &str) -> Vec<u64> {
    let replies = asked.iter().enumerate().map(|(n, ask)| {
        let reply = connection.read_reply();
        let told = (reply.header("x-request-id"), reply.status);
        assert_eq!(told, (Some(&*id(name, n)), ask.status()), "{n}: {}", reply.text());
        reply
    });
    let sequence = |reply: Reply| reply.json()["sequence"].as_u64();
    replies.filter(|reply| reply.status == 201).filter_map(sequence).collect()
}

fn sold(world: &World) -> usize {
    let audit = world.get("/v1/sales/s/audit").json();
    assert_eq!(audit["balanced"], true, "{audit}");
    usize::try_from(audit["sold"].as_u64().unwrap()).unwrap()
}

#[test]
fn any_mixture_is_answered_in_the_order_of_asking() {
    let world = world(LaneOptions::default());
    let many = |ask: Ask| vec![ask; 700];
    let cases = [
        vec![Buy, Buy, Buy],
        vec![Buy, Miss, Buy, Miss, Miss, Buy],
        vec![Tell, Tell, Tell],
        vec![Buy, Tell, Buy, Tell],
        vec![Buy, Buy, Tell, Tell, Look, Buy, Tell],
        vec![Buy, Look],
        vec![Tell, Look, Look],
        vec![Buy, Wrong, Buy],
        vec![Buy, Tell, Wrong, Tell, Buy],
        vec![Buy, Buy, Last],
        vec![Tell, Last],
        many(Buy),
        many(Tell),
        [many(Miss), many(Buy), vec![Tell, Look]].concat(),
    ];
    for (number, asked) in cases.iter().enumerate() {
        let name = id("case", number);
        let mut connection = world.connect();
        let mut sender = connection.clone_for_sending();
        let sequences = std::thread::scope(|scope| {
            scope.spawn(|| sender.send(written(asked, &name)));
            read_all(&mut connection, asked, &name)
        });
        assert!(sequences.is_sorted_by(|a, b| a < b), "{number}: carried out as they were sent");
        if asked.last() == Some(&Last) {
            assert!(connection.read_to_end().is_empty(), "{number}");
        }
    }
}

/// Sends the text in pieces, which the system may still join.
fn send_in_pieces(connection: &mut Connection, text: &str, random: &mut StdRng) {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let most = if random.random_bool(0.5) { 60 } else { 20_000 };
        let (piece, later) = rest.split_at(random.random_range(1..=most).min(rest.len()));
        connection.send(piece);
        rest = later;
    }
}

#[test]
fn random_mixtures_in_random_pieces_are_answered_in_the_order_of_asking() {
    let seed = std::env::var("KILAT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("KILAT_SEED={seed}");
    let world = world(LaneOptions::default());
    let talk = |number: u64| {
        let mut random = StdRng::seed_from_u64(seed + number);
        let hot = [[Buy; 8].as_slice(), &[Miss, Miss, Tell, Tell]].concat();
        let mixed = random.random_bool(0.5);
        let kinds = if mixed { [&*hot, &[Wrong, Look]].concat() } else { hot };
        let count = random.random_range(1..400);
        let asked: Vec<Ask> = (0..count).map(|_| *kinds.choose(&mut random).unwrap()).collect();
        let name = id("talk", usize::try_from(number).unwrap());
        let text = written(&asked, &name);
        let mut connection = world.connect();
        let mut sender = connection.clone_for_sending();
        let halfway = random.random_bool(0.5);
        let sequences = std::thread::scope(|scope| {
            scope.spawn(move || {
                send_in_pieces(&mut sender, &text, &mut random);
                if halfway {
                    sender.end_sending();
                }
            });
            read_all(&mut connection, &asked, &name)
        });
        assert!(sequences.is_sorted_by(|a, b| a < b), "{name}");
        if halfway {
            assert!(connection.read_to_end().is_empty(), "{name}");
        }
        sequences.len()
    };
    let talk = &talk;
    let placed: usize = std::thread::scope(|scope| {
        let talks = (0..4)
            .map(|first| scope.spawn(move || (0..6).map(|n| talk(first * 6 + n)).sum::<usize>()));
        let talks: Vec<_> = talks.collect();
        talks.into_iter().map(|talk| talk.join().unwrap()).sum()
    });
    assert_eq!(sold(&world), placed, "each order once");
}

#[test]
fn a_peer_that_only_stopped_sending_gets_all_its_replies() {
    let world = world(LaneOptions::default());
    for (number, asked) in
        [vec![Buy], vec![Buy; 300], vec![Buy, Tell], vec![Buy, Look], vec![Tell, Buy, Wrong]]
            .iter()
            .enumerate()
    {
        let name = id("half", number);
        let mut connection = world.connect();
        // The begun request behind them is none.
        connection.send(written(asked, &name) + "POST /v1/sales/s/ord");
        connection.end_sending();
        read_all(&mut connection, asked, &name);
        let rest = connection.read_to_end();
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 400"), "{number}: {rest:?}");
    }
}

/// As long as an id of a request may be, so that few replies fill the system's buffers.
fn long_id(n: usize) -> String {
    format!("{n:0>64}")
}

fn large_orders(count: usize) -> Vec<String> {
    (0..count).map(|n| Buy.bytes(&long_id(n))).collect()
}

#[test]
fn who_takes_no_replies_is_not_read_from_and_gets_all_when_it_does() {
    let world = world(LaneOptions::default());
    let mut connection = world.connect();
    let orders = large_orders(40_000);
    let text = orders.concat();
    let sent = connection.send_until_refused(text.as_bytes());
    assert!(sent < text.len(), "it was read from without end");
    let mut sender = connection.clone_for_sending();
    std::thread::scope(|scope| {
        scope.spawn(move || sender.send(&text.as_bytes()[sent..]));
        for n in 0..orders.len() {
            let reply = connection.read_reply();
            assert_eq!(reply.header("x-request-id"), Some(&*long_id(n)));
            assert_eq!(reply.status, 201);
        }
    });
    assert_eq!(sold(&world), orders.len());
}

#[test]
fn who_never_takes_replies_is_cut() {
    let short = Duration::from_millis(200);
    let world = world(LaneOptions { request_timeout: short, ..LaneOptions::default() });
    let mut connection = world.connect();
    let text = large_orders(1_000).concat();
    let mut sent = 0;
    while connection.try_send(text.as_bytes()) {
        sent += 1;
        assert!(sent < 1_000, "the server took requests without end");
    }
}

/// Those after the last reply were not carried out, or nobody knows; none is answered in part.
#[test]
fn a_stop_answers_what_was_taken_and_nothing_in_part() {
    let mut world = world(LaneOptions::default());
    let mut connection = world.connect();
    let mut sender = connection.clone_for_sending();
    let text = written(&[Buy; 20_000], "stop");
    let replies = std::thread::scope(|scope| {
        scope.spawn(move || sender.try_send(text.as_bytes()));
        read_all(&mut connection, &[Buy; 100], "stop");
        let stopped = world.spawn_shutdown(Duration::from_secs(10));
        let rest = connection.read_to_end();
        world.finish(stopped);
        rest
    });
    let replies = String::from_utf8(replies).unwrap();
    for (n, reply) in replies.split("HTTP/1.1 ").skip(1).enumerate() {
        assert!(reply.starts_with("201 ") && reply.ends_with('}'), "{reply}");
        assert!(reply.contains(&format!("x-request-id: {}\r\n", id("stop", 100 + n))), "{reply}");
    }
}
