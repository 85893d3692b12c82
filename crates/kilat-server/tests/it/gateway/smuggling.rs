//! Bytes that two readers could read in two ways.
//!
//! Each payload goes to the gateway on a connection of its own. Some are good requests that look
//! strange; all others must be refused. The replica is the second reader: it remembers what it
//! saw, and reads only the plainest form. Both must agree: what the replica saw is what the table
//! says, and the client got one reply of a replica for each.

use super::world::World;
use crate::payloads::{self, Payload, numbered, pieces, seed, table};
use kilat_server::gateway::Limits;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::time::Duration;

/// Follows each payload: smuggled when it arrives though the payload is no good.
const NEXT: &str = "GET /_ID_/next HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
/// A payload that was taken for the beginning of something ends then, and fails.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends the payload and the request after it; statuses of the replies, until the connection ends.
fn statuses(world: &World, pieces: &[&[u8]]) -> Vec<u16> {
    let mut client = world.connect();
    // A connection that was refused something may be closed before all is sent.
    pieces.iter().all(|piece| client.try_send(piece));
    payloads::statuses(&client.read_to_end())
}

fn check(world: &World, number: usize, payload: &Payload, cuts: Option<&mut StdRng>) {
    let bytes = numbered(&[&payload.bytes, NEXT.as_bytes()].concat(), number);
    let shown = String::from_utf8_lossy(&payload.bytes).into_owned();
    let statuses = statuses(world, &pieces(&bytes, cuts));
    let (answered, refused): (Vec<u16>, Vec<u16>) =
        statuses.iter().copied().partition(|status| *status == 200);
    let mut seen = world.replicas[0].seen();
    seen.retain(|seen| seen.path.contains(&format!("/{number:04}/")));
    let bodies: Vec<Option<Vec<u8>>> = seen.iter().map(|seen| seen.body.clone()).collect();
    let mut expected: Vec<Option<Vec<u8>>> =
        payload.good.iter().map(|body| Some(numbered(body.as_bytes(), number))).collect();
    if payload.goes_on {
        expected.push(Some(Vec::new()));
        assert!(refused.is_empty(), "{shown:?}: {statuses:?}");
    } else {
        assert!(matches!(refused[..], [400 | 405 | 431]), "{shown:?}: {statuses:?}");
        assert_eq!(statuses.last(), refused.last(), "{shown:?}: {statuses:?}");
    }
    assert_eq!(bodies, expected, "{shown:?}: {statuses:?}");
    assert_eq!(answered.len(), expected.len(), "{shown:?}: {statuses:?}");
}

#[test]
fn both_hops_agree_or_the_connection_ends() {
    let mut cuts = StdRng::seed_from_u64(seed());
    let limits = Limits { body_timeout: PATIENCE, header_timeout: PATIENCE, ..Limits::default() };
    let world = World::single(limits);
    let payloads = table();
    println!("{} payloads, each whole and in pieces", payloads.len());
    for (number, payload) in payloads.iter().enumerate() {
        check(&world, number, payload, None);
        check(&world, payloads.len() + number, payload, Some(&mut cuts));
    }
    // The gateway can be used as before.
    assert_eq!(world.get("/x").status, 200);
}
