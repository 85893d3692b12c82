//! Bytes that nobody asked for: they answer nothing, and their origin is not trusted with them again.

use super::server::{Server, reply};
use super::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

const EMPTY: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

/// A server that answers each request twice, the second time when `late` is over.
fn twice(late: Duration) -> Server {
    Server::start(move |stream, before| {
        let whole = reply("200 OK", "", &before.to_string());
        stream.write_all(&whole)?;
        let mut again = stream.try_clone()?;
        std::thread::spawn(move || {
            std::thread::sleep(late);
            let _ = again.write_all(&whole);
        });
        Ok(())
    })
}

#[test]
fn an_origin_that_sent_more_than_was_asked_for_gets_one_request_for_each_connection() {
    let server = twice(Duration::from_millis(2));
    run(async {
        let exchange = exchange(&options());
        for _ in 0..6 {
            let _ = exchange.send(&get(&server.uri("/"))).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let connections: Vec<usize> = server.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 1, 2, 3, 4, 5]);
}

/// The second connection shows that the order is lost, while the first waits for its reply.
#[test]
fn what_a_used_connection_brings_then_is_refused() {
    let server = Server::start(|stream, before| {
        if before == 1 {
            std::thread::sleep(Duration::from_millis(100));
        }
        stream.write_all(&reply("200 OK", "", "a"))?;
        if before == 2 { stream.write_all(b"more") } else { Ok(()) }
    });
    run(async {
        let exchange = exchange(&options());
        let (uri, request) = (server.uri("/"), get(&server.uri("/")));
        assert!(exchange.send(&request).await.is_ok());
        let waiting = exchange.send(&request);
        let straying = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            let first = exchange.send(&get(&uri)).await;
            // The second piece, when it comes apart, is seen by the next request.
            tokio::time::sleep(Duration::from_millis(20)).await;
            (first, exchange.send(&get(&uri)).await)
        };
        let (waited, (_, last)) = tokio::join!(waiting, straying);
        assert_eq!(waited.map(told), Err(Setback::Astray));
        assert_eq!(last.map(told), Ok((200, "a".to_owned())));
    });
}

/// What is no HTTP where a reply should begin may be the rest of the one before.
#[test]
fn after_the_rest_of_a_reply_each_connection_carries_one_request() {
    let server = Server::start(|stream, before| match before {
        1 => stream.write_all(b"of a page</html>\r\n\r\n"),
        _ => stream.write_all(&reply("200 OK", "", "a")),
    });
    run(async {
        let exchange = exchange(&options());
        for number in 0..4 {
            let told = exchange.send(&get(&server.uri("/"))).await.map(told);
            match number {
                1 => assert!(matches!(told, Err(Setback::Garbled(_))), "{told:?}"),
                _ => assert_eq!(told, Ok((200, "a".to_owned()))),
            }
        }
    });
    let connections: Vec<usize> = server.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 0, 1, 2]);
}

/// A server may say that it waited too long for a request: that answers none, and harms none.
#[test]
fn a_farewell_to_a_connection_that_waits_is_no_stray() {
    let server = Server::start(|stream, before| {
        stream.write_all(&reply("200 OK", "", "a"))?;
        if before == 0 {
            std::thread::sleep(Duration::from_millis(20));
            stream.write_all(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n")?;
        }
        Ok(())
    });
    run(async {
        let exchange = exchange(&options());
        for _ in 0..3 {
            let reply = exchange.send(&get(&server.uri("/"))).await;
            assert_eq!(reply.map(told), Ok((200, "a".to_owned())));
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    });
    let connections: Vec<usize> = server.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 1, 1]);
}

#[test]
fn a_reply_without_a_body_is_one_only_when_none_follows() {
    let page = Server::start(|stream, _| {
        stream.write_all(EMPTY.as_bytes())?;
        std::thread::sleep(Duration::from_millis(5));
        stream.write_all(b"<html>a page</html>")
    });
    assert_eq!(ask(&options(), &page.uri("/")), Err(Setback::Astray));
    let empty = Server::start(|stream, _| stream.write_all(EMPTY.as_bytes()));
    assert_eq!(ask(&options(), &empty.uri("/")), Ok((404, String::new())));
    let cut = "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n";
    assert_eq!(ask(&options(), &Server::saying(cut).uri("/")), Err(Setback::Closed));
    // What can't decide says with its head all that is to be known.
    let busy = "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\n\r\n";
    assert_eq!(ask(&options(), &Server::saying(busy).uri("/")), Ok((503, String::new())));
}

/// Frames of HTTP/2 as they come over the wire (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream];
    bytes.extend_from_slice(payload);
    bytes
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
/// `:status: 404` in the static table of RFC 7541.
const NOT_FOUND: &[u8] = &[0x8d];

/// Says `frames` once a client has asked, and waits until it leaves.
fn says_frames(mut stream: TcpStream, frames: &[u8]) -> std::io::Result<()> {
    stream.write_all(&frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]))?;
    let (mut seen, mut piece) = (Vec::new(), [0; 4_096]);
    let mut is_said = false;
    loop {
        let count = stream.read(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        seen.extend_from_slice(&piece[..count]);
        let asks = |at: &[u8]| at[0] == HEADERS && at[2..6] == [0, 0, 0, 1];
        if !is_said && seen.windows(6).any(asks) {
            stream.write_all(frames)?;
            is_said = true;
        }
    }
}

fn told_by_frames(frames: Vec<u8>) -> Result<(u16, String), Setback> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = says_frames(stream.unwrap(), &frames);
        }
    });
    let options =
        ExchangeOptions { http2: crate::check::exchange::Http2::PriorKnowledge, ..options() };
    ask(&options, &format!("http://{address}/"))
}

#[test]
fn a_stream_that_is_reset_before_its_end_is_no_reply() {
    let whole = frame(HEADERS, 5, 1, NOT_FOUND);
    assert_eq!(told_by_frames(whole), Ok((404, String::new())));
    let cut = [frame(HEADERS, 4, 1, NOT_FOUND), frame(RST_STREAM, 0, 1, &[0; 4])].concat();
    assert_eq!(told_by_frames(cut), Err(Setback::Closed));
}
