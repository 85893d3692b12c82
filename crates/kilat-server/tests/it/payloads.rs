//! Bytes that two readers could read in two ways, and some that only look so; for whoever reads requests.

use rand::RngExt;
use rand::rngs::StdRng;

/// Fewer would be less than the figure to reach.
const PAYLOADS_MIN: usize = 200;

/// Bytes for one connection. `_ID_` in them stands for a number of four digits.
pub(crate) struct Payload {
    pub(crate) bytes: Vec<u8>,
    /// Bodies of the requests that go on, in order.
    pub(crate) good: Vec<&'static str>,
    /// Whether the connection goes on after them.
    pub(crate) goes_on: bool,
    /// Whether it is a good request, of a method that nobody knows.
    pub(crate) is_strange: bool,
}

/// Nothing of it may go on.
fn refused(bytes: impl Into<Vec<u8>>) -> Payload {
    refused_after(bytes, &[])
}

/// Good requests with these bodies, then bytes that are none.
fn refused_after(bytes: impl Into<Vec<u8>>, good: &[&'static str]) -> Payload {
    Payload { bytes: bytes.into(), good: good.to_vec(), goes_on: false, is_strange: false }
}

/// Good requests with these bodies.
fn good(bytes: impl Into<Vec<u8>>, good: &[&'static str]) -> Payload {
    Payload { bytes: bytes.into(), good: good.to_vec(), goes_on: true, is_strange: false }
}

fn post(headers: &str, body: &str) -> String {
    let order = "POST /v1/sales/_ID_/orders HTTP/1.1\r\nhost: h\r\n";
    let kind = "idempotency-key: k\r\ncontent-type: application/json\r\n";
    format!("{order}{kind}{headers}\r\n\r\n{body}")
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
        "CONNECT h:80 HTTP/1.1\r\nhost: h\r\n\r\n",
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
    ] {
        payloads.push(refused(head));
    }
}

fn strange_methods(payloads: &mut Vec<Payload>) {
    let strange = |head| Payload { is_strange: true, ..refused(head) };
    for method in ["post", "REFUSED", "TRACE", "CONNECT", "PURGE", "P_O-S.T"] {
        payloads.push(strange(format!("{method} /_ID_/x HTTP/1.1\r\nhost: h\r\n\r\n")));
    }
    let with_body =
        |method| format!("{method} /_ID_/x HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nabcd");
    payloads.push(refused(with_body("CONNECT")));
    let methods = ["post", "REFUSED", "OPTIONS", "TRACE", "QUERY", "PURGE", "P_O-S.T"];
    payloads.extend(methods.map(|method| strange(with_body(method))));
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

/// All of them.
pub(crate) fn table() -> Vec<Payload> {
    let mut payloads = Vec::new();
    lengths_and_codings(&mut payloads);
    hidden_headers(&mut payloads);
    lines(&mut payloads);
    strange_methods(&mut payloads);
    chunks(&mut payloads);
    bodies_that_are_requests(&mut payloads);
    assert!(payloads.len() >= PAYLOADS_MIN, "{}", payloads.len());
    payloads
}

/// `text` with a number of four digits where it has a gap, so that lengths stay true.
pub(crate) fn numbered(text: &[u8], number: usize) -> Vec<u8> {
    let mut bytes = text.to_vec();
    while let Some(at) = bytes.windows(4).position(|part| part == b"_ID_") {
        bytes[at..at + 4].copy_from_slice(format!("{number:04}").as_bytes());
    }
    bytes
}

/// The bytes in pieces of any length, or in one.
pub(crate) fn pieces<'a>(bytes: &'a [u8], cuts: Option<&mut StdRng>) -> Vec<&'a [u8]> {
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

/// The seed of a run, which it prints.
pub(crate) fn seed() -> u64 {
    let seed = match std::env::var("KILAT_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => rand::random(),
    };
    println!("KILAT_SEED={seed}");
    seed
}

/// Statuses of the replies in all that came, without those that come before a reply. No body may
/// have such a line in it.
pub(crate) fn statuses(all: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(all);
    let heads = text.split("HTTP/1.1 ").skip(1);
    heads.map(|head| head[..3].parse().unwrap()).filter(|status| *status != 100).collect()
}
