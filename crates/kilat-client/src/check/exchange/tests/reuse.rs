//! Connections that are kept, and those that must not be.

use super::server::{Seen, Server, reply};
use super::*;
use crate::check::exchange::connections_allowed;
use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";

/// Sends this many requests, one after the other; the connection that each came by.
fn one_by_one(server: &Server, count: usize) -> Vec<usize> {
    run(async {
        let exchange = exchange(&options());
        for _ in 0..count {
            let reply = exchange.send(&get(&server.uri("/"))).await;
            assert_eq!(reply.map(told), Ok((200, "a".to_owned())));
        }
    });
    server.seen().iter().map(|seen: &Seen| seen.connection).collect()
}

#[test]
fn a_connection_carries_one_request_after_the_other() {
    for whole in [
        OK,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
    ] {
        let server = Server::start(move |stream, _| stream.write_all(whole.as_bytes()));
        assert_eq!(one_by_one(&server, 5), [0; 5], "{whole}");
    }
}

#[test]
fn a_connection_that_ends_is_not_kept() {
    for whole in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na",
        "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
    ] {
        let server = Server::start(move |stream, _| stream.write_all(whole.as_bytes()));
        assert_eq!(one_by_one(&server, 3), [0, 1, 2], "{whole}");
    }
}

/// The server closes after each reply without a word: mostly that is seen in time, else the
/// request goes once more.
#[test]
fn a_connection_closed_meanwhile_costs_no_reply() {
    let server = Server::start(|stream, _| {
        stream.write_all(OK.as_bytes())?;
        Err(ErrorKind::Other.into())
    });
    let connections = one_by_one(&server, 20);
    assert_eq!(connections, (0..20).collect::<Vec<_>>());
}

/// The server reads the second request on a connection and closes it instead of answering.
#[test]
fn a_request_lost_with_an_old_connection_goes_once_more() {
    let server = Server::start(|stream, before| match before {
        1 => Err(ErrorKind::Other.into()),
        _ => stream.write_all(OK.as_bytes()),
    });
    assert_eq!(one_by_one(&server, 2), [0, 0, 1]);
}

/// Whoever keeps a rate must know of them.
#[test]
fn requests_beyond_one_a_call_are_counted() {
    let server = Server::start(|stream, before| match before {
        1 => Err(ErrorKind::Other.into()),
        4 | 5 => stream.write_all(&reply("302 Found", "Location: /next\r\n", "")),
        _ => stream.write_all(OK.as_bytes()),
    });
    run(async {
        let exchange = exchange(&options());
        for extras in [0, 1, 1, 3] {
            assert!(exchange.send(&get(&server.uri("/"))).await.is_ok());
            assert_eq!(exchange.extras().get(), extras);
        }
    });
    assert_eq!(server.seen().len(), 7);
}

#[test]
fn a_request_lost_with_a_new_connection_is_not_repeated() {
    let server = Server::start(|_, _| Err(ErrorKind::Other.into()));
    assert_eq!(ask(&options(), &server.uri("/")), Err(Setback::Closed));
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_reply_that_began_is_not_asked_for_again() {
    let server = Server::start(|stream, before| match before {
        0 => stream.write_all(OK.as_bytes()),
        _ => {
            stream.write_all(b"HTTP/1.1 2")?;
            Err(ErrorKind::Other.into())
        }
    });
    run(async {
        let exchange = exchange(&options());
        assert!(exchange.send(&get(&server.uri("/"))).await.is_ok());
        assert_eq!(exchange.send(&get(&server.uri("/"))).await.err(), Some(Setback::Closed));
    });
    assert_eq!(server.seen().len(), 2);
}

/// A second reply that nobody asked for must not answer the next request.
#[test]
fn bytes_that_nobody_asked_for_answer_nothing() {
    let sent = Arc::new(tokio::sync::Notify::new());
    let told_sent = Arc::clone(&sent);
    let server = Server::start(move |stream, before| {
        stream.write_all(OK.as_bytes())?;
        if before == 0 {
            // Not in one piece with the first, which would be refused at once.
            std::thread::sleep(Duration::from_millis(50));
            stream.write_all(&reply("200 OK", "", "forged"))?;
            told_sent.notify_one();
        }
        Ok(())
    });
    run(async {
        let exchange = exchange(&options());
        for _ in 0..2 {
            let reply = exchange.send(&get(&server.uri("/"))).await;
            assert_eq!(reply.map(told), Ok((200, "a".to_owned())));
            if server.seen().len() == 1 {
                sent.notified().await;
            }
        }
    });
    assert_eq!(server.seen().last().unwrap().connection, 1);
}

#[test]
fn an_attempt_that_ran_out_of_time_leaves_no_connection_behind() {
    let server = Server::start(|stream, before| {
        if before == 0 {
            std::thread::sleep(Duration::from_millis(400));
        }
        let _ = stream.write_all(&reply("200 OK", "", if before == 0 { "late" } else { "a" }));
        Ok(())
    });
    run(async {
        let hasty = ExchangeOptions { timeout: Duration::from_millis(200), ..options() };
        let exchange = exchange(&hasty);
        let late = exchange.send(&get(&server.uri("/"))).await;
        assert_eq!(late.err(), Some(Setback::TimedOut(hasty.timeout)));
        let next = exchange.send(&get(&server.uri("/"))).await;
        assert_eq!(next.map(told), Ok((200, "a".to_owned())));
    });
    assert_eq!(server.seen().last().unwrap().connection, 1);
}

/// Connections of all origins count together: one that waits makes room for another origin.
#[test]
fn connections_are_never_more_than_allowed() {
    let open = Arc::new(AtomicUsize::new(0));
    let servers: Vec<Server> = (0..3)
        .map(|_| {
            let open = Arc::clone(&open);
            Server::start(move |stream, _| {
                assert!(open.fetch_add(1, SeqCst) < 2);
                std::thread::sleep(Duration::from_millis(5));
                open.fetch_sub(1, SeqCst);
                stream.write_all(OK.as_bytes())
            })
        })
        .collect();
    let few = ExchangeOptions { connections_max: 2, ..options() };
    run(async {
        let exchange = exchange(&few);
        let mut set = tokio::task::JoinSet::new();
        for at in 0..60 {
            let (exchange, request) = (exchange.clone(), get(&servers[at % 3].uri("/")));
            set.spawn(async move { exchange.send(&request).await.map(told) });
        }
        while let Some(reply) = set.join_next().await {
            assert_eq!(reply.unwrap(), Ok((200, "a".to_owned())));
            assert!(exchange.shared.pool.open() <= 2);
        }
        assert!(exchange.shared.pool.open() >= 1);
    });
}

/// More at once than a listener's queue holds.
#[test]
fn a_burst_of_first_requests_connects() {
    let server = Server::start(|stream, _| stream.write_all(OK.as_bytes()));
    run(async {
        let exchange = exchange(&options());
        let mut set = tokio::task::JoinSet::new();
        for _ in 0..600 {
            let (exchange, request) = (exchange.clone(), get(&server.uri("/")));
            set.spawn(async move { exchange.send(&request).await.map(told) });
        }
        while let Some(reply) = set.join_next().await {
            assert_eq!(reply.unwrap(), Ok((200, "a".to_owned())));
        }
    });
}

#[test]
fn origins_without_connections_are_forgotten() {
    run(async {
        let exchange = exchange(&options());
        for port in 1..1_000 {
            let _ = exchange.send(&get(&format!("https://127.0.0.1:{port}/"))).await;
        }
        assert!(exchange.shared.pool.origins() < 200, "{}", exchange.shared.pool.origins());
    });
}

#[test]
fn a_request_says_what_its_profile_wants_and_nothing_of_its_connection() {
    let server = Server::start(|stream, _| stream.write_all(OK.as_bytes()));
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("accept", "application/json"),
        ("x-key", "s3cret"),
        ("host", "evil.test"),
        ("content-length", "7"),
        ("transfer-encoding", "chunked"),
        ("accept-encoding", "gzip"),
        ("connection", "close"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    let uri = format!("http://user@{}?q", server.address).parse().unwrap();
    let request =
        Request { method: Method::POST, uri, headers, body: Bytes::from("abc"), guarded: false };
    run(async { exchange(&options()).send(&request).await }).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "POST /?q HTTP/1.1\r\nhost: {}\r\nuser-agent: kilat/{version}\r\n\
         accept: application/json\r\nx-key: s3cret\r\ncontent-length: 3\r\n\r\n",
        server.address
    );
    let seen = server.seen();
    assert_eq!((seen[0].head.as_str(), seen[0].body.as_str()), (expected.as_str(), "abc"));
}

#[test]
fn a_profile_may_name_its_own_agent() {
    let server = Server::start(|stream, _| stream.write_all(OK.as_bytes()));
    let mut request = get(&server.uri("/"));
    request.headers.insert("user-agent", "shop/1".parse().unwrap());
    run(async { exchange(&options()).send(&request).await }).unwrap();
    let head = &server.seen()[0].head;
    assert!(head.contains("user-agent: shop/1\r\n") && !head.contains("kilat"), "{head}");
}

/// Thousands of lookups wait at once: each may own a socket and little more.
#[test]
fn a_request_that_waits_is_small() {
    let server = Server::start(|stream, _| stream.write_all(OK.as_bytes()));
    let request = get(&server.uri("/"));
    let exchange = exchange(&options());
    let bytes = size_of_val(&exchange.send(&request));
    assert!(bytes <= 1_536, "{bytes}");
}

/// What the process grows by for each request that waits for its reply, server included.
#[test]
fn connections_that_wait_take_little_memory() {
    let count = 2_000;
    let wanted = ExchangeOptions { connections_max: count, ..options() };
    assert_eq!(connections_allowed(2 * count), 2 * count, "too few open files allowed");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = std::thread::spawn(move || {
        (0..count).map(|_| listener.accept().unwrap().0).collect::<Vec<_>>()
    });
    run(async {
        let exchange = exchange(&wanted);
        let before = resident_bytes();
        let mut set = tokio::task::JoinSet::new();
        for _ in 0..count {
            let (exchange, request) = (exchange.clone(), get(&format!("http://{address}/")));
            set.spawn(async move { exchange.send(&request).await.map(told) });
        }
        while !accepting.is_finished() {
            tokio::task::yield_now().await;
        }
        let each = resident_bytes().saturating_sub(before) / count;
        println!("{each} bytes for each request that waits");
        assert!(each <= 8_192, "{each}");
        drop(accepting.join().unwrap());
        while let Some(reply) = set.join_next().await {
            assert_eq!(reply.unwrap(), Err(Setback::Closed));
        }
    });
}

fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}
