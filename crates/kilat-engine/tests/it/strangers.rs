//! A core and those who are not its replicas, with frames written by hand as
//! `docs/formats/core.md` says.

use crate::node::{SECRET, core, options, replica};
use crate::sale::{SALE, ordered, place, with_sale};
use kilat_engine::{Core, CoreAddress, Engine, Remote, RemoteOptions};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use tempfile::TempDir;

/// Kinds of frames.
const HELLO: u8 = 1;
const CHALLENGE: u8 = 2;
const PROOF: u8 = 3;
const WELCOME: u8 = 4;
const REFUSAL: u8 = 5;
const PLACE: u8 = 0x10;
const PLACED: u8 = 0x20;

struct World {
    core: Core,
    engine: Engine,
    _directory: TempDir,
}

impl World {
    /// A core over TCP.
    async fn start() -> World {
        let directory = tempfile::tempdir().unwrap();
        let engine = with_sale(&directory.path().join("data"), 1_000_000).await;
        let core = core(&engine, &"tcp://127.0.0.1:0".parse().unwrap());
        World { core, engine, _directory: directory }
    }

    fn address(&self) -> &CoreAddress {
        self.core.address()
    }

    fn connect(&self) -> Raw {
        let CoreAddress::Tcp(host) = self.address() else { panic!("not over TCP") };
        Raw(TcpStream::connect(host).unwrap())
    }

    /// Replicas are served as if nothing were.
    async fn still_sells(&self, key: &str) {
        let replica = replica(self.address());
        assert!(ordered(place(&replica, key, false).await.unwrap()).is_some());
        assert!(replica.handover().is_empty(), "secrets never leave the machine");
    }
}

/// A connection without manners.
struct Raw(TcpStream);

impl Raw {
    fn send(&mut self, kind: u8, body: &[u8]) {
        self.0.write_all(&frame(kind, 0, body)).unwrap();
    }

    /// Kind and body of the next frame, `None` at the end of the connection.
    fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut len = [0; 4];
        self.0.read_exact(&mut len).ok()?;
        let mut frame = vec![0; u32::from_le_bytes(len) as usize];
        self.0.read_exact(&mut frame).ok()?;
        Some((frame[0], frame[9..].to_vec()))
    }

    /// Nothing but an end comes any more.
    fn is_closed(&mut self) -> bool {
        self.read().is_none()
    }
}

fn frame(kind: u8, number: u64, body: &[u8]) -> Vec<u8> {
    let mut frame = (9 + body.len() as u32).to_le_bytes().to_vec();
    frame.push(kind);
    frame.extend(number.to_le_bytes());
    frame.extend(body);
    frame
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_le_bytes(), text.as_bytes()].concat()
}

fn hello(protocol: u16, role: u8) -> Vec<u8> {
    let version = protocol.to_le_bytes();
    [b"KILATCOR", &version[..], &text("0.9.9"), &[role], &text("raw"), &[7; 32]].concat()
}

/// The proof for [`hello`] of protocol 2.
fn proof(role: u8, challenge: &[u8]) -> Vec<u8> {
    let key = blake3::derive_key("kilat 2026-11 core protocol handshake", SECRET);
    let said = [&hello(2, role), challenge, b"replica"].concat();
    blake3::keyed_hash(&key, &said).as_bytes().to_vec()
}

#[tokio::test]
async fn another_version_is_refused_by_name() {
    let world = World::start().await;
    let mut raw = world.connect();
    raw.send(HELLO, &hello(3, 1));
    let (kind, body) = raw.read().unwrap();
    let expected = [&[1][..], &2_u16.to_le_bytes(), &text(env!("CARGO_PKG_VERSION"))].concat();
    assert_eq!((kind, body), (REFUSAL, expected));
    assert!(raw.is_closed());
    world.still_sells("a").await;
}

/// A core that says one thing to every hello.
fn fake_core(says: Vec<u8>) -> CoreAddress {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = CoreAddress::Tcp(listener.local_addr().unwrap().to_string());
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, says) = (client.unwrap(), says.clone());
            let _ = client.write_all(&says);
            let mut rest = Vec::new();
            let _ = client.read_to_end(&mut rest);
        }
    });
    address
}

fn refused(options: RemoteOptions, says: &[&str]) {
    let Err(why) = Remote::connect(options) else { panic!("connected") };
    let why = why.to_string();
    assert!(says.iter().all(|says| why.contains(says)), "{why}");
}

#[test]
fn a_core_of_another_version_is_named_with_the_remedy() {
    let refusal = [&[1][..], &7_u16.to_le_bytes(), &text("9.9.9")].concat();
    let address = fake_core(frame(REFUSAL, 0, &refusal));
    refused(options(&address), &["kilat 9.9.9", "protocol 7", "run the same version on both"]);
}

#[tokio::test]
async fn a_replica_with_another_secret_or_none_is_refused() {
    let world = World::start().await;
    let with = |secret| RemoteOptions { secret, ..options(world.address()) };
    refused(with(Some(b"another".to_vec())), &["give both the same secret"]);
    refused(with(None), &["wants proof"]);
    world.still_sells("a").await;
}

#[test]
fn a_core_that_can_not_prove_itself_is_not_believed() {
    let challenge = frame(CHALLENGE, 0, &[1; 32]);
    let welcome =
        [&[2; 32][..], &[3; 16], &text("0.1.0"), &0_u64.to_le_bytes(), &text("")].concat();
    let address = fake_core([challenge, frame(WELCOME, 0, &welcome)].concat());
    refused(options(&address), &["is not your core"]);
}

#[tokio::test]
async fn a_proof_is_good_once() {
    let world = World::start().await;
    let mut raw = world.connect();
    raw.send(HELLO, &hello(2, 1));
    let challenge = raw.read().unwrap().1;
    raw.send(PROOF, &proof(1, &challenge));
    assert_eq!(raw.read().unwrap().0, WELCOME);
    let mut thief = world.connect();
    thief.send(HELLO, &hello(2, 1));
    assert_ne!(thief.read().unwrap().1, challenge);
    thief.send(PROOF, &proof(1, &challenge));
    assert_eq!(thief.read(), Some((REFUSAL, vec![2])));
}

/// Numbers that look random; the seed is printed.
struct Random(u64);

impl Random {
    fn seeded() -> Random {
        let given = std::env::var("KILAT_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| (u64::from(std::process::id()) << 20) | 1);
        println!("KILAT_SEED={seed}");
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.next() % most).map(|_| self.next() as u8).collect()
    }
}

#[tokio::test]
async fn garbage_ends_its_own_connection_only() {
    let world = World::start().await;
    let mut random = Random::seeded();
    for round in 0..200_u32 {
        let mut raw = world.connect();
        let known = round % 2 == 0;
        let role = 1 + (round / 2 % 3) as u8;
        if known {
            raw.send(HELLO, &hello(2, role));
            let challenge = raw.read().unwrap().1;
            raw.send(PROOF, &proof(role, &challenge));
            assert_eq!(raw.read().unwrap().0, WELCOME);
        }
        let kind = PLACE + (random.next() % 7) as u8;
        let body = [&u64::MAX.to_le_bytes()[..], &random.bytes(200)].concat();
        let garbage = match round % 5 {
            0 => random.bytes(500),
            1 => frame(kind, 1, &body),
            2 => u32::MAX.to_le_bytes().to_vec(),
            3 => frame(random.next() as u8, 1, &body),
            _ => frame(HELLO, 0, &random.bytes(300)),
        };
        // The core may have closed it already.
        let _ = raw.0.write_all(&garbage);
        let _ = raw.0.shutdown(std::net::Shutdown::Write);
        while raw.read().is_some() {}
    }
    world.still_sells("a").await;
    assert_eq!(world.engine.handle().sale(SALE).await.unwrap().unwrap().counters.sold, 1);
}

#[tokio::test]
async fn who_takes_no_replies_is_not_read_from_and_nobody_else_waits() {
    let world = World::start().await;
    let mut raw = world.connect();
    raw.send(HELLO, &hello(2, 1));
    let challenge = raw.read().unwrap().1;
    raw.send(PROOF, &proof(1, &challenge));
    raw.0.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut group = Vec::new();
    group.extend(u64::MAX.to_le_bytes());
    group.extend(1_000_u32.to_le_bytes());
    for n in 0..1_000_u128 {
        // One order, and replays of it: each reply is as large as its request.
        group.extend(n.to_le_bytes());
        group.extend(1_u32.to_le_bytes());
        group.push(0);
        group.extend([text(SALE), text("customer"), text("key")].concat());
    }
    let mut stuck = None;
    for number in 1..=200_000 {
        if let Err(error) = raw.0.write_all(&frame(PLACE, number, &group)) {
            stuck = Some(error.kind());
            break;
        }
    }
    let stuck = stuck.expect("the core reads on though its replies are not taken");
    assert!(
        matches!(stuck, ErrorKind::WouldBlock | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        "{stuck}"
    );
    world.still_sells("a").await;
}

#[tokio::test]
async fn a_trace_of_no_order_ends_the_connection() {
    let world = World::start().await;
    let order = [&[0; 16][..], &1_u32.to_le_bytes(), &[0], &text(SALE), &text("c"), &text("k")];
    let traced = |orders: &[u32]| {
        let each = orders.iter().flat_map(|order| [&order.to_le_bytes()[..], &[1; 24]].concat());
        [&(orders.len() as u32).to_le_bytes()[..], &each.collect::<Vec<u8>>()].concat()
    };
    for (traces, is_taken) in [
        (vec![], true),
        (traced(&[]), true),
        (traced(&[0]), true),
        (traced(&[1]), false),
        (traced(&[0, 0]), false),
        (traced(&[0])[..27].to_vec(), false),
        ([traced(&[0]), vec![0]].concat(), false),
    ] {
        let mut raw = world.connect();
        raw.send(HELLO, &hello(2, 1));
        let challenge = raw.read().unwrap().1;
        raw.send(PROOF, &proof(1, &challenge));
        let head = [&u64::MAX.to_le_bytes()[..], &1_u32.to_le_bytes()];
        raw.0
            .write_all(&frame(PLACE, 1, &[head.concat(), order.concat(), traces].concat()))
            .unwrap();
        let answered = std::iter::from_fn(|| raw.read()).any(|(kind, _)| kind == PLACED);
        assert_eq!(answered, is_taken);
    }
    world.still_sells("a").await;
}
