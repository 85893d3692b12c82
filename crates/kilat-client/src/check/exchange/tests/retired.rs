//! An HTTP/2 server that retires its connections, as those do that stand before others: it says
//! which request was the last that it looked at, and ignores all behind that one.

use super::*;
use crate::check::exchange::Http2;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
/// SETTINGS_MAX_CONCURRENT_STREAMS is 100.
const HUNDRED_STREAMS: [u8; 6] = [0, 3, 0, 0, 0, 100];
/// What every client says first.
const PREFACE_BYTES: usize = 24;
const NO_ERROR: u8 = 0;
const INTERNAL_ERROR: u8 = 2;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u8 = 11;

/// When a connection ends, and what is said then.
#[derive(Clone, Copy)]
struct Retirement {
    /// So many requests are answered.
    answered: usize,
    /// So many have arrived when the server says that this was all.
    arrived: usize,
    reason: u8,
    /// It names no last request, and refuses each that it does not answer.
    refuses: bool,
}

struct Retiring {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// Requests that were answered.
    answered: Arc<AtomicUsize>,
}

impl Retiring {
    fn start(retirement: Retirement) -> Retiring {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, answered) = (Arc::default(), Arc::default());
        let server = Retiring { address, connections, answered };
        let (connections, answered) = (server.connections.clone(), server.answered.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                connections.fetch_add(1, SeqCst);
                let answered = Arc::clone(&answered);
                // Whoever leaves ends it.
                std::thread::spawn(move || serve(&stream.unwrap(), retirement, &answered));
            }
        });
        server
    }

    /// Sends so many requests at once: what became of each, and how many went beyond them.
    fn burst(&self, count: usize) -> (Vec<Result<u16, Setback>>, u64) {
        run(async {
            let knowing = ExchangeOptions { http2: Http2::PriorKnowledge, ..options() };
            let exchange = exchange(&knowing);
            let mut set = tokio::task::JoinSet::new();
            for _ in 0..count {
                let (exchange, request) =
                    (exchange.clone(), get(&format!("http://{}/", self.address)));
                set.spawn(async move { exchange.send(&request).await.map(|reply| reply.status) });
            }
            (set.join_all().await, exchange.extras().get())
        })
    }
}

fn serve(
    mut stream: &TcpStream,
    retirement: Retirement,
    answered: &AtomicUsize,
) -> std::io::Result<()> {
    stream.read_exact(&mut [0; PREFACE_BYTES])?;
    stream.write_all(&frame(SETTINGS, 0, 0, &HUNDRED_STREAMS))?;
    let (mut arrived, mut last) = (0, 0);
    loop {
        let (kind, flags, id) = next(stream)?;
        match kind {
            SETTINGS if flags & ACK == 0 => stream.write_all(&frame(SETTINGS, ACK, 0, &[]))?,
            HEADERS => arrived += 1,
            _ => continue,
        }
        if kind == HEADERS && arrived <= retirement.answered {
            last = id;
            answered.fetch_add(1, SeqCst);
            // ":status: 200", and the end of headers and stream.
            stream.write_all(&frame(HEADERS, 5, id, &[0x88]))?;
        }
        if kind == HEADERS && arrived == retirement.arrived {
            let why = u32::from(retirement.reason).to_be_bytes();
            let named = if retirement.refuses { u32::MAX >> 1 } else { last };
            stream.write_all(&frame(GOAWAY, 0, 0, &[named.to_be_bytes(), why].concat()))?;
            for id in (last + 2..=id).step_by(2).filter(|_| retirement.refuses) {
                stream.write_all(&frame(RST_STREAM, 0, id, &REFUSED_STREAM.to_be_bytes()))?;
            }
        }
    }
}

fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[..], &[kind, flags], &id.to_be_bytes(), payload].concat()
}

/// Kind, flags and stream of the next frame.
fn next(mut stream: &TcpStream) -> std::io::Result<(u8, u8, u32)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head)?;
    let [a, b, c, kind, flags, id @ ..] = head;
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    stream.read_exact(&mut vec![0; length])?;
    Ok((kind, flags, u32::from_be_bytes(id)))
}

/// Each request is looked at once, however many connections end around it.
#[test]
fn a_server_that_retires_connections_answers_every_request() {
    let server =
        Retiring::start(Retirement { answered: 40, arrived: 40, reason: NO_ERROR, refuses: false });
    let (told, extras) = server.burst(400);
    assert_eq!(told, vec![Ok(200); 400]);
    assert_eq!(server.answered.load(SeqCst), 400);
    assert!(server.connections.load(SeqCst) >= 10);
    assert!(extras > 0);
}

/// Who is in trouble is asked once more, and who has too much is left alone.
#[test]
fn what_a_failing_server_left_unheard_goes_once_more_unless_it_was_too_much() {
    for (reason, lost) in [(NO_ERROR, 0), (INTERNAL_ERROR, 0), (ENHANCE_YOUR_CALM, 10)] {
        let server =
            Retiring::start(Retirement { answered: 40, arrived: 50, reason, refuses: false });
        let (told, extras) = server.burst(50);
        let is_left_alone = |told: &Result<u16, Setback>| {
            matches!(told, Err(Setback::BrokenOff { is_overload: true, .. }))
        };
        assert_eq!(told.iter().filter(|told| **told == Ok(200)).count(), 50 - lost, "{reason}");
        assert_eq!(told.iter().filter(|told| is_left_alone(told)).count(), lost, "{reason}");
        assert_eq!(extras, 10 - lost as u64, "{reason}");
    }
}

#[test]
fn what_a_retiring_server_refuses_is_answered_by_the_next_connection() {
    let retirement = Retirement { answered: 40, arrived: 50, reason: NO_ERROR, refuses: true };
    let server = Retiring::start(retirement);
    assert_eq!(server.burst(50).0, vec![Ok(200); 50]);
    assert_eq!(server.answered.load(SeqCst), 50);
}

/// A server that is going away for good is not asked again and again.
#[test]
fn a_server_that_hears_nobody_is_given_up() {
    let server =
        Retiring::start(Retirement { answered: 0, arrived: 1, reason: NO_ERROR, refuses: false });
    assert_eq!(server.burst(1), (vec![Err(Setback::Closed)], 1));
    assert_eq!(server.connections.load(SeqCst), 2);
}
