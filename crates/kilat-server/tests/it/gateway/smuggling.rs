//! Bytes that two readers could read in two ways.
//!
//! Each payload goes to the gateway on a connection of its own. Some are good requests that look
//! strange; all others must be refused. The replica is the second reader: it remembers what it
//! saw, and reads only the plainest form. Both must agree: what the replica saw is what the table
//! says, and the client got one reply of a replica for each.

use super::world::World;
use kilat_server::gateway::Limits;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

/// Follows each payload: smuggled when it arrives though the payload is no good.
const NEXT: &str = "GET /_ID_/next HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
/// A payload that was taken for the beginning of something ends then, and fails.
const PATIENCE: Duration = Duration::from_secs(5);
/// Fewer would be less than the figure to reach.
const PAYLOADS_MIN: usize = 200;

struct Payload {
    bytes: Vec<u8>,
    /// Bodies of the requests that go on, in order.
    good: Vec<&'static str>,
    /// Whether the connection goes on after them.
    goes_on: bool,
}

/// Nothing of it may go on.
fn refused(bytes: impl Into<Vec<u8>>) -> Payload {
    refused_after(bytes, &[])
}

/// Good requests with these bodies, then bytes that are none.
fn refused_after(bytes: impl Into<Vec<u8>>, good: &[&'static str]) -> Payload {
    Payload { bytes: bytes.into(), good: good.to_vec(), goes_on: false }
}

/// Good requests with these bodies.
fn good(bytes: impl Into<Vec<u8>>, good: &[&'static str]) -> Payload {
    Payload { bytes: bytes.into(), good: good.to_vec(), goes_on: true }
}

fn post(headers: &str, body: &str) -> String {
    format!("POST /_ID_/x HTTP/1.1\r\nhost: h\r\n{headers}\r\n\r\n{body}")
}

const CHUNKS: &str = "4\r\nabcd\r\n0\r\n\r\n";
const INNER: &str = "GET /_ID_/inner HTTP/1.1\r\nhost: h\r\n\r\n";

/// Lengths that are one plain number, and others.
const LENGTHS: [(&str, bool); 20] = [
    ("4", true),
    (" 4\t", true),
    ("+4", false),
    ("-4", false),
    ("04", false),
    ("0x4", false),
    ("4,4", false),
    ("4, 4", false),
    ("4 4", false),
    ("4;", false),
    ("4.0", false),
    ("4e0", false),
    ("", false),
    ("four", false),
    ("4\x0b", false),
    ("4\x00", false),
    ("\u{664}", false),
    ("18446744073709551620", false),
    ("4294967300000000000000000000", false),
    ("\"4\"", false),
];

/// Codings that are chunked alone, and others.
const CODINGS: [(&str, bool); 22] = [
    ("chunked", true),
    ("Chunked", true),
    ("\tchunked ", true),
    ("chunked, identity", false),
    ("identity, chunked", false),
    ("gzip, chunked", false),
    ("chunked, chunked", false),
    ("gzip", false),
    ("identity", false),
    ("xchunked", false),
    ("chunkedx", false),
    ("chunked;q=1", false),
    ("\"chunked\"", false),
    ("\x0bchunked", false),
    ("chunked\x0b", false),
    ("chunked\x00", false),
    (",chunked", false),
    ("chunked,", false),
    ("", false),
    ("cow", false),
    ("chun\u{212a}ed", false),
    ("chunked\r\n , gzip", false),
];

fn lengths_and_codings(payloads: &mut Vec<Payload>) {
    for (length, is_good) in LENGTHS {
        let one = format!("content-length:{length}");
        payloads.push(match is_good {
            true => good(post(&one, "abcd"), &["abcd"]),
            false => refused(post(&one, "abcd")),
        });
        payloads.push(refused(post(&format!("{one}\r\ncontent-length: 4"), "abcd")));
        payloads.push(refused(post(&format!("content-length: 4\r\n{one}"), "abcd")));
        for (coding, _) in CODINGS {
            let other = format!("transfer-encoding:{coding}");
            payloads.push(refused(post(&format!("{one}\r\n{other}"), CHUNKS)));
            payloads.push(refused(post(&format!("{other}\r\n{one}"), CHUNKS)));
        }
    }
    for (coding, is_good) in CODINGS {
        let one = format!("transfer-encoding:{coding}");
        payloads.push(match is_good {
            true => good(post(&one, CHUNKS), &["abcd"]),
            false => refused(post(&one, CHUNKS)),
        });
        payloads.push(refused(post(&format!("{one}\r\ntransfer-encoding: chunked"), CHUNKS)));
        payloads.push(refused(post(&format!("transfer-encoding: chunked\r\n{one}"), CHUNKS)));
    }
}

/// Headers that hide another, with the body that would be theirs.
fn hidden_headers(payloads: &mut Vec<Payload>) {
    for line in [
        "transfer-encoding : chunked",
        "transfer-encoding\t: chunked",
        " transfer-encoding: chunked",
        "\ttransfer-encoding: chunked",
        "transfer-encoding\x00: chunked",
        "transfer encoding: chunked",
        "transfer_encoding: chunked",
        "transfer-encoding\r\n : chunked",
        "transfer-encoding: chunked\n",
        "x: y\ntransfer-encoding: chunked",
        "x: y\rtransfer-encoding: chunked",
        "x: y\r\r\ntransfer-encoding: chunked",
        "x: y\n\rtransfer-encoding: chunked",
        ": y\r\ntransfer-encoding: chunked",
        "x\r\ntransfer-encoding: chunked",
        "x: \x00\r\ntransfer-encoding: chunked",
        "x: \x7f\r\ntransfer-encoding: chunked",
        "content-length : 4",
        "content_length: 4",
        " content-length: 4",
        "content-length\x0b: 4",
        "content-length\u{a0}: 4",
        "content-length: 4\n",
        "content-length:\r\n 4",
        "content-length:\n 4",
        "connection: content-length",
        "connection: close, transfer-encoding",
        "connection: host",
        "connection: keep-alive\x0b",
        "expect: 100-continue, x",
        "expect: 200-ok",
    ] {
        payloads.push(refused(post(line, CHUNKS)));
        payloads.push(refused(post(&format!("content-length: 4\r\n{line}"), "abcd")));
    }
}

fn lines(payloads: &mut Vec<Payload>) {
    for head in [
        "POST /_ID_/x HTTP/1.1\nhost: h\r\ncontent-length: 4\r\n\r\nabcd",
        "POST /_ID_/x HTTP/1.1\r\nhost: h\ncontent-length: 4\r\n\r\nabcd",
        "POST /_ID_/x HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\nabcd",
        "POST /_ID_/x HTTP/1.1\r\nhost: h\r\ncontent-length: 4\n\r\nabcd",
        "POST /_ID_/x HTTP/1.1\nhost: h\ncontent-length: 4\n\nabcd",
        "POST /_ID_/x HTTP/1.1\rhost: h\r\r",
        "\nPOST /_ID_/x HTTP/1.1\r\nhost: h\r\n\r\n",
        " POST /_ID_/x HTTP/1.1\r\nhost: h\r\n\r\n",
        "POST  /_ID_/x HTTP/1.1\r\nhost: h\r\n\r\n",
        "POST\t/_ID_/x HTTP/1.1\r\nhost: h\r\n\r\n",
        "POST /_ID_/x  HTTP/1.1\r\nhost: h\r\n\r\n",
        "POST /_ID_/x HTTP/1.1 \r\nhost: h\r\n\r\n",
        "POST /_ID_/x y HTTP/1.1\r\nhost: h\r\n\r\n",
        "POST /_ID_/x HTTP/1.2\r\nhost: h\r\n\r\n",
        "POST /_ID_/x HTTP/2.0\r\nhost: h\r\n\r\n",
        "POST /_ID_/x HTTP/0.9\r\nhost: h\r\n\r\n",
        "POST /_ID_/x http/1.1\r\nhost: h\r\n\r\n",
        "POST /_ID_/x HTTP/1.10\r\nhost: h\r\n\r\n",
        "POST /_ID_/x HTTP/+1.1\r\nhost: h\r\n\r\n",
        "POST /_ID_/x\r\nhost: h\r\n\r\n",
        "POST /_ID_/x HTTP/1.0\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
        "post /_ID_/x HTTP/1.1\r\nhost: h\r\n\r\n",
        "REFUSED /_ID_/x HTTP/1.1\r\nhost: h\r\n\r\n",
        "CONNECT h:80 HTTP/1.1\r\nhost: h\r\n\r\n",
        "TRACE /_ID_/x HTTP/1.1\r\nhost: h\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST http://h/_ID_/x HTTP/1.1\r\nhost: h\r\n\r\n",
        "POST http://other/_ID_/x HTTP/1.1\r\nhost: h\r\n\r\n",
        "POST h/_ID_/x HTTP/1.1\r\nhost: h\r\n\r\n",
        "POST * HTTP/1.1\r\nhost: h\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n",
        "POST /_ID_/x#y HTTP/1.1\r\nhost: h\r\n\r\n",
        "POST /_ID_\\x HTTP/1.1\r\nhost: h\r\n\r\n",
        "POST /_ID_/\u{e9} HTTP/1.1\r\nhost: h\r\n\r\n",
        "POST /_ID_/\x7f HTTP/1.1\r\nhost: h\r\n\r\n",
        "POST /_ID_/\x00 HTTP/1.1\r\nhost: h\r\n\r\n",
        "POST /_ID_/x HTTP/1.1\r\n\r\n",
        "POST /_ID_/x HTTP/1.1\r\nhost: h\r\nhost: h\r\n\r\n",
        "POST /_ID_/x HTTP/1.1\r\nhost: h\r\nHOST: other\r\n\r\n",
        "POST /_ID_/x HTTP/1.1\r\nhost:\r\n\r\n",
        "POST /_ID_/x HTTP/1.1\r\nhost: h, other\r\n\r\n",
        "POST /_ID_/x HTTP/1.1\r\nhost: h other\r\n\r\n",
        "POST /_ID_/x HTTP/1.1\r\nhost: u@h\r\n\r\n",
        "POST /_ID_/x HTTP/1.1\r\nhost: h/_ID_/y\r\n\r\n",
        "POST /_ID_/x HTTP/1.1\r\nhost: h\\y\r\n\r\n",
        "POST /_ID_/x HTTP/1.0\r\nhost: h\r\nhost: h\r\n\r\n",
        "GET /_ID_/x HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nabcd",
        "GET /_ID_/x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HEAD /_ID_/x HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nabcd",
        "OPTIONS /_ID_/x HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nabcd",
    ] {
        payloads.push(refused(head));
    }
}

fn chunks(payloads: &mut Vec<Payload>) {
    let coding = "transfer-encoding: chunked";
    for broken in [
        "\r\n",
        "x\r\n",
        "4",
        "4\n",
        "4\r",
        "4 \r\nabcd\r\n",
        " 4\r\nabcd\r\n",
        "\t4\r\nabcd\r\n",
        "0x4\r\nabcd\r\n",
        "+4\r\nabcd\r\n",
        "-4\r\nabcd\r\n",
        "4;\r\nabcd\r\n",
        "4;x\r\nabcd\r\n",
        "4;x=y\r\nabcd\r\n",
        "4;x=\"a\nb\"\r\nabcd\r\n",
        "4;\nabcd\r\n",
        "4\r\r\nabcd\r\n",
        "4\r\nabcde\r\n",
        "4\r\nabcd",
        "4\r\nabcd\n",
        "4\r\nabcd\r",
        "4\r\nabcdX\r\n",
        "3\r\nabcd\r\n",
        "5\r\nabcd\r\n",
        "100000004\r\nabcd\r\n",
        "ffffffffffffffff\r\nabcd\r\n",
        "10000000000000004\r\nabcd\r\n",
        "000000004\r\nabcd\r\n",
        "4_0\r\nabcd\r\n",
        "\u{664}\r\nabcd\r\n",
        "4\x00\r\nabcd\r\n",
        "4,4\r\nabcd\r\n",
        "4\r\nabcd\r\n0\n\r\n",
        "4\r\nabcd\r\n0\r\n\n",
        "4\r\nabcd\r\n0\r\r\n",
        "4\r\nabcd\r\n0;x\r\n\r\n",
        "4\r\nabcd\r\n0\r\nx: y\r\n\r\n",
        "4\r\nabcd\r\n0\r\nhost: other\r\n\r\n",
        "4\r\nabcd\r\n0\r\ncontent-length: 5\r\n\r\n",
        "0 \r\n\r\n",
        "0\r\n \r\n",
        "-0\r\n\r\n",
        "0x0\r\n\r\n",
    ] {
        payloads.push(refused(post(coding, broken)));
    }
    for (whole, body) in [
        (CHUNKS, "abcd"),
        ("0\r\n\r\n", ""),
        ("00\r\n\r\n", ""),
        ("1\r\na\r\n3\r\nbcd\r\n00000000\r\n\r\n", "abcd"),
        ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("00a\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("7\r\n0\r\n\r\nGE\r\n0\r\n\r\n", "0\r\n\r\nGE"),
    ] {
        payloads.push(good(post(coding, whole), &[body]));
    }
}

/// A request inside the body of another must not come out.
fn bodies_that_are_requests(payloads: &mut Vec<Payload>) {
    let inner: &'static str = INNER;
    let length = inner.len();
    let plain = format!("content-length: {length}");
    payloads.push(good(post(&plain, inner), &[inner]));
    let chunk = format!("{length:x}\r\n{inner}\r\n0\r\n\r\n");
    payloads.push(good(post("transfer-encoding: chunked", &chunk), &[inner]));
    payloads.push(refused(post(&format!("{plain}\r\ntransfer-encoding: chunked"), &chunk)));
    payloads.push(refused(post("content-length: 0\r\ntransfer-encoding: chunked", &chunk)));
    payloads.push(refused(post(
        "transfer-encoding: chunked\r\ncontent-length: 0",
        &format!("0\r\n\r\n{inner}"),
    )));
    payloads.push(good(post("content-length: 0", inner), &["", ""]));
    payloads.push(good(post("x: y", inner), &["", ""]));
    payloads.push(good(format!("\r\n{}", post("content-length: 1", "a\r\n")), &["a"]));
    payloads.push(good(post("upgrade: h2c\r\nconnection: upgrade, http2-settings", ""), &[""]));
    payloads.push(good(post("expect: 100-continue\r\ncontent-length: 1", "a"), &["a"]));
    payloads.push(good(INNER.repeat(20), &[""; 20]));
    let half = post("content-length: 2", "a") + "POST /_ID_/y HTTP/1.1\n";
    payloads.push(refused_after(half, &["aP"]));
    payloads.push(refused_after(format!("{INNER}{INNER}GET /_ID_/z HTTP/1.1\n\n"), &["", ""]));
}

fn table() -> Vec<Payload> {
    let mut payloads = Vec::new();
    lengths_and_codings(&mut payloads);
    hidden_headers(&mut payloads);
    lines(&mut payloads);
    chunks(&mut payloads);
    bodies_that_are_requests(&mut payloads);
    assert!(payloads.len() >= PAYLOADS_MIN, "{}", payloads.len());
    payloads
}

/// `text` with a number of four digits where it has a gap, so that lengths stay true.
fn numbered(text: &[u8], number: usize) -> Vec<u8> {
    let mut bytes = text.to_vec();
    while let Some(at) = bytes.windows(4).position(|part| part == b"_ID_") {
        bytes[at..at + 4].copy_from_slice(format!("{number:04}").as_bytes());
    }
    bytes
}

/// The bytes in pieces of any length, or in one.
fn pieces<'a>(bytes: &'a [u8], cuts: Option<&mut StdRng>) -> Vec<&'a [u8]> {
    let Some(random) = cuts else {
        return vec![bytes];
    };
    let (mut pieces, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(random.random_range(1..=rest.len().min(40)));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// Sends the payload and the request after it; statuses of the replies, until the connection ends.
fn statuses(world: &World, pieces: &[&[u8]]) -> Vec<u16> {
    let mut client = world.connect();
    // A connection that was refused something may be closed before all is sent.
    pieces.iter().all(|piece| client.try_send(piece));
    let all = client.read_to_end();
    let text = String::from_utf8_lossy(&all);
    // The replies of the fake have no such line in their bodies.
    let heads = text.split("HTTP/1.1 ").skip(1);
    heads.map(|head| head[..3].parse().unwrap()).filter(|status| *status != 100).collect()
}

fn check(world: &World, number: usize, payload: &Payload, cuts: Option<&mut StdRng>) {
    let bytes = numbered(&[&payload.bytes, NEXT.as_bytes()].concat(), number);
    let shown = String::from_utf8_lossy(&payload.bytes).into_owned();
    let statuses = statuses(world, &pieces(&bytes, cuts));
    let (answered, refused): (Vec<u16>, Vec<u16>) =
        statuses.iter().copied().partition(|status| *status == 200);
    let seen = world.replicas[0].seen_at(&format!("/{number:04}/"));
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
    let seed: u64 = match std::env::var("KILAT_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => rand::random(),
    };
    println!("KILAT_SEED={seed}");
    let mut cuts = StdRng::seed_from_u64(seed);
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
