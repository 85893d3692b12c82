//! What could be read in two ways, sent to a server itself: by both lanes it is refused, as the gateway
//! refuses it.

use crate::payloads::{Payload, numbered, pieces, seed, statuses, table};
use crate::world::World;
use kilat_server::{LaneOptions, Limits};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::time::Duration;

/// Follows each payload: smuggled when it is answered though the payload is no good.
const NEXT: &str = "GET /livez HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
/// What is said of an order whose whole body was read: none here is JSON.
const NO_JSON: &str = "line 1 column ";
/// A payload that was taken for the beginning of something ends then, and fails.
const PATIENCE: Duration = Duration::from_secs(5);

/// Nothing here is found, so that only [`NEXT`] gets a 200.
fn check(world: &World, number: usize, payload: &Payload, cuts: Option<&mut StdRng>) {
    let bytes = numbered(&[&payload.bytes, NEXT.as_bytes()].concat(), number);
    let shown = String::from_utf8_lossy(&payload.bytes).into_owned();
    let mut client = world.connect();
    // A connection that was refused something may be closed before all is sent.
    pieces(&bytes, cuts).iter().all(|piece| client.try_send(piece));
    let all = client.read_to_end();
    let statuses = statuses(&all);
    let text = String::from_utf8_lossy(&all);
    let (last, last_text) = (statuses.last().copied(), text.rsplit("HTTP/1.1 ").next().unwrap());
    // What is wrong in a body may be found when the reply is on its way.
    let replies = payload.good.len() + 1 + usize::from(payload.is_strange);
    assert_eq!(statuses.len(), replies, "{shown:?}: {text}");
    if payload.goes_on || payload.is_strange {
        assert_eq!(last, Some(200), "{shown:?}: {statuses:?}");
        let is_order = payload.bytes.starts_with(b"POST /v1/sales/");
        // One begins as JSON does, and is no order.
        let is_read = text.contains(NO_JSON) || statuses[0] == 422;
        assert!(is_read || !is_order, "{shown:?}: {text}");
    } else {
        assert!(!statuses.contains(&200), "{shown:?}: {statuses:?}");
        assert!(matches!(last, Some(400 | 404 | 431)), "{shown:?}: {statuses:?}");
        assert!(last_text.contains("application/problem+json"), "{shown:?}: {text}");
        assert!(!last_text.contains("\r\nallow: "), "{shown:?} is told of methods: {text}");
        assert!(!last_text.contains(NO_JSON), "{shown:?} was carried out: {text}");
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_refused_and_the_connection_ends() {
    let mut cuts = StdRng::seed_from_u64(seed());
    let limits = Limits { body_timeout: PATIENCE, header_timeout: PATIENCE, ..Limits::default() };
    let lanes = LaneOptions { request_timeout: PATIENCE, ..LaneOptions::default() };
    for world in [World::full_lane(limits), World::fast_lane(limits, lanes)] {
        let payloads = table();
        println!("{} payloads, each whole and in pieces", payloads.len());
        for (number, payload) in payloads.iter().enumerate() {
            check(&world, number, payload, None);
            check(&world, payloads.len() + number, payload, Some(&mut cuts));
        }
        assert_eq!(world.get("/livez").status, 200);
    }
}
