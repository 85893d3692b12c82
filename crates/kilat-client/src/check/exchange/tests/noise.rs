//! Replies with random damage: no reading of them panics, and how the network cuts them into
//! pieces changes nothing.

use crate::check::exchange::chunked::Chunks;
use crate::check::exchange::head::{self, EndOfHead, Framing};
use hyper::Method;
use std::hash::{BuildHasher, Hasher, RandomState};

const ROUNDS: usize = 20_000;
const REPLIES: [&str; 3] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody",
    "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n2;x=y\r\nbo\r\n02\r\ndy\r\n0\r\nT: v\r\n\r\n",
    "HTTP/1.0 200 OK\nA: b\n\nbody",
];
/// Bytes that mean something to the readers, and some that don't.
const BYTES: &[u8] = b"\r\n :;,0129afFHT/\x00\xff";

/// What becomes of all bytes, read in pieces: said as text, so that readings can be compared.
fn reading(bytes: &[u8], pieces: impl Iterator<Item = usize>) -> String {
    let (mut end, mut raw, mut at) = (EndOfHead::default(), Vec::new(), 0);
    let (mut chunks, mut body, mut head) = (Chunks::new(1 << 20), Vec::new(), None);
    for piece in pieces {
        if at == bytes.len() {
            break;
        }
        let next = (at + piece).min(bytes.len());
        raw.extend_from_slice(&bytes[at..next]);
        at = next;
        if head.is_none() {
            match end.find(&raw) {
                Err(setback) => return format!("{setback:?}"),
                Ok(None) => continue,
                Ok(Some(length)) => match head::parse(&raw[..length], &Method::GET) {
                    Err(setback) => return format!("{setback:?}"),
                    Ok(read) => {
                        raw.drain(..length);
                        head = Some(read);
                    }
                },
            }
        }
        if head.as_ref().is_some_and(|head| head.framing == Framing::Chunked)
            && let Err(fault) = chunks.take(&mut raw, &mut body)
        {
            return format!("{fault:?}");
        }
    }
    format!("{head:?} {body:?} {raw:?}")
}

#[test]
fn damage_is_read_the_same_however_it_is_cut() {
    let seed = std::env::var("KILAT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    println!("KILAT_SEED={seed}");
    let mut state = seed | 1;
    // xorshift64*, Vigna 2016.
    let mut random = move |below: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % below
    };
    for _ in 0..ROUNDS {
        let mut bytes = REPLIES[random(REPLIES.len())].as_bytes().to_vec();
        for _ in 0..random(4) {
            let at = random(bytes.len());
            bytes[at] = BYTES[random(BYTES.len())];
        }
        let whole = reading(&bytes, std::iter::once(bytes.len()));
        for piece in [1, 1 + random(9)] {
            let cut = reading(&bytes, std::iter::repeat(piece));
            // A beginning that is no HTTP is told of with as much as is there.
            let is_same =
                cut == whole || whole.starts_with("Garbled") && cut.starts_with("Garbled");
            assert!(is_same, "{:?}\n{whole}\n{cut}", String::from_utf8_lossy(&bytes));
        }
    }
}
