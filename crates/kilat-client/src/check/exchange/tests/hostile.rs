//! Replies that break the rules, never end, or lead elsewhere.

use super::server::{Server, reply};
use super::*;
use std::io::Write;
use std::net::TcpStream;

/// Asks a server that says these bytes and closes.
fn told_by(bytes: impl Into<Vec<u8>>) -> Result<(u16, String), Setback> {
    ask(&options(), &Server::saying(bytes).uri("/"))
}

/// Asks a server that says `before` once and then `again` until nobody listens.
fn told_endlessly(before: &'static str, again: &'static str) -> Setback {
    let endless = move |stream: &mut TcpStream, _| {
        stream.write_all(before.as_bytes())?;
        let many = again.repeat(1 + 8_192 / again.len());
        loop {
            stream.write_all(many.as_bytes())?;
        }
    };
    ask(&options(), &Server::start(endless).uri("/")).unwrap_err()
}

#[test]
fn a_reply_comes_back_whole() {
    let wide = "x".repeat(100_000);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n{wide}\r\n0\r\n\r\n"
    );
    for (bytes, status, body) in [
        (reply("404 Not Found", "X-Y: z\r\n", "{\"error\":1}"), 404, "{\"error\":1}"),
        (reply("200 OK", "", &wide), 200, &wide),
        (reply("200", "", ""), 200, ""),
        (reply("200 OK", "Content-Encoding: identity\r\n", "a"), 200, "a"),
        (chunked.into(), 200, &wide),
        ("HTTP/1.0 200 OK\nA: b\n\nuntil the end".into(), 200, "until the end"),
        ("HTTP/1.1 204 No Content\r\n\r\n".into(), 204, ""),
        (
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na".into(),
            200,
            "a",
        ),
        ("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n".into(), 302, ""),
        ("HTTP/1.1 599 \r\nX-\u{e9}: y\r\n\r\n".replace('\u{e9}', "e").into(), 599, ""),
    ] {
        assert_eq!(told_by(bytes), Ok((status, body.to_owned())));
    }
}

#[test]
fn a_reply_that_is_cut_off_is_no_reply() {
    let whole = [
        reply("200 OK", "X: y\r\n", "body"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nT: v\r\n\r\n"
            .into(),
    ];
    for whole in whole {
        for end in 0..whole.len() {
            assert_eq!(told_by(&whole[..end]), Err(Setback::Closed), "{end}");
        }
        assert!(told_by(whole).is_ok());
    }
}

#[test]
fn garbage_is_no_reply() {
    for garbage in [
        "SSH-2.0-OpenSSH_9.9\r\n",
        "\x15\x03\x01\x00\x02\x02\x46",
        "<html>hello</html>",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc",
        "HTTP/1.1 204 No Content\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nabc",
    ] {
        let told = told_by(garbage);
        let is_refused = matches!(told, Err(Setback::Garbled(_) | Setback::Astray));
        assert!(is_refused, "{garbage:?}: {told:?}");
    }
}

#[test]
fn what_never_ends_is_cut_off_at_its_limit() {
    let body = Setback::TooLarge(options().body_bytes_max);
    let head = Setback::HeadTooLarge(crate::check::exchange::HEAD_BYTES_MAX);
    for (before, again, expected) in [
        ("HTTP/1.1 200 OK\r\n\r\n", "x", &body),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", &body),
        ("HTTP/1.1 200 OK\r\nContent-Length: 262145\r\n\r\n", "x", &body),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n", "x", &body),
        ("HTTP/1.1 200 OK\r\n", "X: y\r\n", &head),
        ("HTTP/1.1 200 OK\r\nX: ", "y", &head),
        ("", "HTTP/1.1 100 Continue\r\n\r\n", &head),
        ("", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", &head),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "T: v\r\n", &head),
    ] {
        let told = told_endlessly(before, again);
        assert_eq!(told, *expected, "{before:?} {again:?}");
    }
    let extension = told_endlessly("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "e");
    assert!(matches!(extension, Setback::Garbled(_)), "{extension:?}");
}

/// Time counts for the whole attempt: a byte now and then buys nothing.
#[test]
fn what_trickles_is_cut_off_in_time() {
    let timeout = Duration::from_millis(300);
    let hasty = ExchangeOptions { timeout, ..options() };
    for before in ["", "HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"]
    {
        let trickle = move |stream: &mut TcpStream, _| {
            stream.write_all(before.as_bytes())?;
            loop {
                std::thread::sleep(Duration::from_millis(20));
                let byte = if before.is_empty() { &b"HTTP"[..0] } else { b"x" };
                stream.write_all(byte)?;
            }
        };
        let told = ask(&hasty, &Server::start(trickle).uri("/"));
        assert_eq!(told, Err(Setback::TimedOut(timeout)), "{before:?}");
    }
}

#[test]
fn compressed_replies_are_refused_and_not_asked_for() {
    for field in
        ["Content-Encoding: gzip", "Content-Encoding: x", "Transfer-Encoding: gzip, chunked"]
    {
        let head = format!("HTTP/1.1 200 OK\r\n{field}\r\nConnection: close\r\n\r\nx");
        let server = Server::saying(head);
        let told = ask(&options(), &server.uri("/"));
        assert!(matches!(told, Err(Setback::Encoded(_))), "{field}: {told:?}");
        assert!(!server.seen()[0].head.to_ascii_lowercase().contains("accept-encoding"));
    }
}

#[test]
fn redirects_within_the_origin_are_followed_a_few_times() {
    let server = Server::start(|stream, before| match before {
        0 => stream.write_all(&reply("302 Found", "Location: /b?c=d\r\n", "moved")),
        1 => stream.write_all(&reply("308 Moved", "Location: e\r\n", "")),
        _ => stream.write_all(&reply("200 OK", "", "here")),
    });
    assert_eq!(ask(&options(), &server.uri("/a")), Ok((200, "here".to_owned())));
    let lines: Vec<String> =
        server.seen().iter().map(|seen| seen.head.lines().next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["GET /a HTTP/1.1", "GET /b?c=d HTTP/1.1", "GET /e HTTP/1.1"]);

    let circle = Server::start(|stream, _| {
        stream.write_all(&reply("301 Moved", "Location: /again\r\n", ""))
    });
    let told = ask(&options(), &circle.uri("/"));
    assert_eq!(told, Err(Setback::RedirectedOften { most: 3, to: circle.uri("/again") }));
    assert_eq!(circle.seen().len(), 4);
}

#[test]
fn redirects_elsewhere_reach_nobody() {
    let inner = Server::saying(reply("200 OK", "", "secret"));
    let port = inner.address.port();
    for location in [
        inner.uri("/"),
        format!("//127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        let field = format!("Location: {location}\r\n");
        let server = Server::saying(reply("307 Temporary Redirect", &field, ""));
        let told = ask(&options(), &server.uri("/"));
        assert_eq!(told, Err(Setback::Redirected { to: location }));
    }
    assert_eq!(inner.seen(), []);
}

#[test]
fn hosts_from_data_lead_to_no_private_address() {
    let inner = Server::saying(reply("200 OK", "", "a"));
    let port = inner.address.port();
    let guarded = |options: &ExchangeOptions, host: &str| {
        let request = Request { guarded: true, ..get(&format!("http://{host}:{port}/")) };
        run(async { exchange(options).send(&request).await }).map(told)
    };
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1"] {
        let told = guarded(&options(), host);
        assert!(matches!(told, Err(Setback::Refused(_))), "{host}: {told:?}");
    }
    assert_eq!(inner.seen(), []);
    let trusting = ExchangeOptions { allow_private: true, ..options() };
    assert_eq!(guarded(&trusting, "127.0.0.1"), Ok((200, "a".to_owned())));
}

/// A connection that an unguarded request opened is none for a guarded one.
#[test]
fn a_guarded_request_borrows_no_open_connection() {
    let server = Server::start(|stream, _| stream.write_all(&reply("200 OK", "", "a")));
    run(async {
        let exchange = exchange(&options());
        let open = get(&server.uri("/"));
        assert!(exchange.send(&open).await.is_ok());
        let told = exchange.send(&Request { guarded: true, ..open }).await;
        assert!(matches!(told, Err(Setback::Refused(_))), "{told:?}");
    });
}

#[test]
fn nobody_there_is_said_so() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let told = ask(&options(), &format!("http://{free}/")).unwrap_err();
    assert!(
        matches!(&told, Setback::Unreachable(why) if why.contains(&free.to_string())),
        "{told:?}"
    );
    for uri in ["ftp://127.0.0.1/", "/relative"] {
        let told = ask(&options(), uri);
        assert!(matches!(told, Err(Setback::Unsendable(_))), "{uri}: {told:?}");
    }
}

#[test]
fn setbacks_are_sentences_in_both_languages_without_control_characters() {
    let foreign = "a\r\n\u{1b}[31mb".to_owned();
    for (setback, retry) in [
        (Setback::TimedOut(Duration::from_secs(10)), true),
        (Setback::Unreachable(foreign.clone()), true),
        (Setback::Closed, true),
        (Setback::Garbled(foreign.repeat(1_000)), true),
        (Setback::TooLarge(262_144), false),
        (Setback::HeadTooLarge(32_768), false),
        (Setback::Encoded(foreign.clone()), false),
        (Setback::Redirected { to: foreign.clone() }, false),
        (Setback::Refused(foreign.clone()), false),
        (Setback::NoHttp2, true),
        (Setback::NoTls, false),
        (Setback::UnknownAuthority, false),
        (Setback::Expired(foreign.clone()), false),
        (Setback::NotYetValid(foreign.clone()), false),
        (Setback::OtherName { names: foreign.clone(), host: foreign.clone() }, false),
        (Setback::OtherName { names: String::new(), host: foreign.clone() }, false),
        (Setback::Untrusted(foreign.clone()), false),
        (Setback::Unsendable(foreign.clone()), false),
    ] {
        assert_eq!(setback.retry(), retry, "{setback:?}");
        let [id, en] = [Lang::Indonesian, Lang::English].map(|lang| setback.text(lang));
        assert_ne!(id, en);
        for text in [id, en] {
            assert!(!text.contains("setback.") && !text.contains("%{"), "{text}");
            assert!(!text.chars().any(char::is_control) && text.len() < 1_000, "{text:?}");
        }
    }
}

/// However long they may become: those that stand still in the common room leave it to others.
#[test]
fn replies_that_stand_still_keep_no_others_from_coming() {
    const STILL: usize = 16;
    let server = Server::start(|stream, before| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        write!(stream, "{head}a000\r\n{}\r\n", "x".repeat(0xa000))?;
        if before < STILL {
            // Until the client leaves.
            std::io::copy(stream, &mut std::io::sink())?;
        }
        stream.write_all(b"0\r\n\r\n")
    });
    run(async {
        let timeout = Duration::from_hours(1);
        let wide = ExchangeOptions { body_bytes_max: 8 << 20, timeout, ..options() };
        let exchange = exchange(&wide);
        for _ in 0..STILL {
            let (exchange, request) = (exchange.clone(), get(&server.uri("/")));
            tokio::spawn(async move { exchange.send(&request).await });
        }
        let all_have_room = async {
            while exchange.shared.pool.limits.taken() < STILL * 256 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(options().timeout, all_have_room).await.unwrap();
        let request = get(&server.uri("/"));
        let reply = tokio::time::timeout(options().timeout, exchange.send(&request)).await;
        assert_eq!(reply.unwrap().map(|reply| reply.body.len()), Ok(0xa000));
    });
}
